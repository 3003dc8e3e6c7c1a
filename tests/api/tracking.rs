//! What mails report by, from the mail to the figures.

use crate::support::{Client, PATIENCE, Server, Tenant, mjml};
use serde_json::{Value, json};
use smtp::sink::{ReceivedMail, Sink, SinkOptions};
use std::time::Duration;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const OURS: &str = "https://mail.acme.example";

/// Switches tracking on or off.
async fn switch(tenant: &Tenant, on: bool) {
    let read = tenant.owner.get(&format!("/api/workspaces.get?id={}", tenant.id)).await.ok();
    let mut settings = read["workspace"]["settings"].clone();
    settings["email_tracking_enabled"] = json!(on);
    let body = json!({"id": tenant.id, "name": "Acme", "settings": settings});
    tenant.owner.post("/api/workspaces.update", &body).await.ok();
}

/// A newsletter to Ana with a link, an address of her own and the image.
async fn newsletter(server: &'static Server) -> (Tenant, String, ReceivedMail) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    switch(&tenant, true).await;
    tenant.list("news").await;
    let body = json!({"contacts": [{"email": "ana@shop.example"}], "subscribe_to_lists": ["news"]});
    tenant.post("contacts.import", body).await.ok();
    let links = "<mj-text><a href=\"https://shop.example/sale?a=1\">sale</a> \
                 <a href=\"{{ unsubscribe_url }}\">leave</a></mj-text>";
    tenant.template("june", mjml("June", links)).await;
    let draft = json!({"name": "June", "audience": {"list": "news"},
        "utm_parameters": {"source": "news", "medium": "email"},
        "test_settings": {"enabled": false, "variations": [{"template_id": "june"}]}});
    let made = tenant.post("broadcasts.create", draft).await.ok();
    let id = made["broadcast"]["id"].as_str().unwrap().to_owned();
    tenant.post("broadcasts.schedule", json!({"id": id, "send_now": true})).await.ok();
    tenant.account(&id, 1).await;
    let mail = sink.received().remove(0);
    (tenant, id, mail)
}

/// The HTML of a mail, decoded.
fn html(mail: &ReceivedMail) -> String {
    let text = mail.text();
    let part = text.split("Content-Type: text/html").nth(1).expect("a part of HTML");
    let body = part.split_once("\r\n\r\n").expect("a body").1.replace("=\r\n", "");
    let mut decoded = String::new();
    let mut rest = body.as_str();
    while let Some((before, after)) = rest.split_once('=') {
        decoded.push_str(before);
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => decoded.push(char::from(byte)),
            None => decoded.push('='),
        }
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    decoded + rest
}

/// Paths of ours in the mail that begin so.
fn paths(mail: &ReceivedMail, beginning: &str) -> Vec<String> {
    let html = html(mail);
    let start = format!("\"{OURS}/{beginning}");
    html.match_indices(&start)
        .map(|(at, _)| {
            let url = &html[at + 1..];
            url[OURS.len()..url.find('"').unwrap()].to_owned()
        })
        .collect()
}

/// Waits until the mail is more than so old that nobody can have read it sooner.
async fn wait_for_readers(tenant: &Tenant) {
    let page = tenant.get("messages.list", "limit=1").await.ok();
    let sent: chrono::DateTime<chrono::Utc> =
        page["messages"][0]["sent_at"].as_str().unwrap().parse().unwrap();
    let now: chrono::DateTime<chrono::Utc> = std::time::SystemTime::now().into();
    let left = chrono::Duration::seconds(9) - (now - sent);
    tokio::time::sleep(left.to_std().unwrap_or_default()).await;
}

async fn visit(client: &Client, path: &str, agent: &str) -> crate::support::Answer {
    client.send(client.request("get", path).header("user-agent", agent)).await
}

/// Waits until the figures of a broadcast are as wanted.
async fn figures(tenant: &Tenant, broadcast: &str, wanted: &Value) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = tenant.get("messages.broadcastStats", &format!("broadcast_id={broadcast}")).await.ok();
        let stats = answer["stats"].clone();
        let same = |(name, value): (&String, &Value)| stats[name] == *value;
        if wanted.as_object().unwrap().iter().all(same) {
            return stats;
        }
        assert!(tokio::time::Instant::now() < deadline, "{stats} is not {wanted}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn a_reader_and_a_scanner_are_told_apart(server: &'static Server) {
    let (tenant, broadcast, mail) = newsletter(server).await;
    let anonymous = server.anonymous();
    let (pixels, links) = (paths(&mail, "t/"), paths(&mail, "r/"));
    assert_eq!((pixels.len(), links.len()), (1, 1), "the contact's own page is no tracked link");
    assert!(!paths(&mail, "notification-center")[0].contains("utm_"));

    // A filter follows everything at once.
    visit(&anonymous, &links[0], FIREFOX).await;
    visit(&anonymous, &pixels[0], "").await;
    let machine =
        json!({"total_opened": 0, "total_clicked": 0, "total_machine_opened": 1, "total_machine_clicked": 1});
    figures(&tenant, &broadcast, &machine).await;

    wait_for_readers(&tenant).await;
    let image = visit(&anonymous, &pixels[0], FIREFOX).await;
    assert_eq!((image.status.as_u16(), &image.headers["content-type"]), (200, &"image/png".parse().unwrap()));
    let redirect = visit(&anonymous, &links[0], FIREFOX).await;
    assert_eq!(redirect.status, 303);
    assert_eq!(
        redirect.headers["location"],
        "https://shop.example/sale?a=1&utm_content=june&utm_medium=email&utm_source=news"
    );
    let wanted = json!({"total_sent": 1, "total_opened": 1, "total_clicked": 1, "total_machine_opened": 1,
        "total_machine_clicked": 1, "total_unsubscribed": 0});
    figures(&tenant, &broadcast, &wanted).await;

    let answer = tenant.get("messages.broadcastLinks", &format!("broadcast_id={broadcast}")).await.ok();
    let link = json!({"url": redirect.headers["location"].to_str().unwrap(), "messages": 1, "clicks": 1, "machine_clicks": 1});
    assert_eq!(answer, json!({"links": [link], "has_more": false}));
    let page = tenant.get("messages.list", "is_opened=true&is_clicked=true").await.ok();
    let message = page["messages"][0]["id"].as_str().unwrap();
    let answer = tenant.get("messages.events", &format!("id={message}")).await.ok();
    let told: Vec<_> = answer["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["type"].as_str().unwrap(), e["actor"].as_str().unwrap_or("")))
        .collect();
    for expected in
        [("created", ""), ("sent", ""), ("clicked", "machine"), ("opened", "human"), ("clicked", "human")]
    {
        assert!(told.contains(&expected), "{expected:?} is missing: {told:?}");
    }
    tenant.get("messages.events", "id=unknown").await.problem(404);
}

async fn only_our_own_links_lead_on(server: &'static Server) {
    let anonymous = server.anonymous();
    let forged = [
        "/r/aHR0cHM6Ly9ldmlsLmV4YW1wbGU",
        "/r/AAECAwQFBgcICQoLKvaDGWn5RcnHCrp2AvH99GvSDTTGa4hZAi2HxO4v3l4DH6l9jMaNEba40oed6RvBgD-0DvfiKKmry2z5jSO7aA",
        "/r/x",
    ];
    for path in forged {
        let answer = visit(&anonymous, path, FIREFOX).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(!answer.headers.contains_key("location"));
    }
    assert_eq!(visit(&anonymous, "/visit?url=https://evil.example", FIREFOX).await.status, 404);
    let image = visit(&anonymous, "/t/forged", FIREFOX).await;
    assert_eq!(image.status, 200);
    assert_eq!(image.headers["cache-control"], "no-cache, no-store, must-revalidate");
}

async fn without_tracking_links_lead_where_they_say(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    switch(&tenant, false).await;
    let link = "<mj-text><a href=\"https://shop.example/sale\">sale</a>[{{ tracking_opens_url }}]</mj-text>";
    tenant.notification("sale", mjml("Sale", link)).await;
    let message = json!({"id": "sale", "channels": ["email"], "contact": {"email": "ana@shop.example"}});
    let id = tenant.send(message).await.ok()["message_id"].as_str().unwrap().to_owned();
    assert_eq!(tenant.settled(&id, "queued").await["state"], "sent");
    let html = html(&sink.received()[0]);
    assert!(html.contains("<a href=\"https://shop.example/sale\">"), "{html}");
    assert!(!html.contains(OURS) && html.contains("[]"), "{html}");
}

on_both_databases! {
    a_reader_and_a_scanner_are_told_apart
    only_our_own_links_lead_on
    without_tracking_links_lead_where_they_say
}
