//! Data from elsewhere in the mails of a broadcast, from a server beside the test.

use crate::support::{PATIENCE, Server, Tenant, mjml, production};
use serde_json::{Value, json};
use smtp::sink::{Sink, SinkOptions};
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

type Reply = Box<dyn Fn(&Value) -> (u16, String) + Send + Sync>;

/// A feed that answers each question by a rule.
struct Feed {
    url: String,
    reply: Arc<Mutex<Arc<Reply>>>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Feed {
    async fn start(reply: impl Fn(&Value) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/feed", listener.local_addr().unwrap());
        let reply: Arc<Mutex<Arc<Reply>>> = Arc::new(Mutex::new(Arc::new(Box::new(reply))));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (rule, kept) = (reply.clone(), heads.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, rule.clone(), kept.clone()));
            }
        });
        Self { url, reply, heads }
    }

    fn change(&self, reply: impl Fn(&Value) -> (u16, String) + Send + Sync + 'static) {
        *self.reply.lock().unwrap() = Arc::new(Box::new(reply));
    }
}

async fn converse(mut stream: TcpStream, rule: Arc<Mutex<Arc<Reply>>>, heads: Arc<Mutex<Vec<String>>>) {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let Ok(question) = serde_json::from_str::<Value>(body) else { continue };
        heads.lock().unwrap().push(head.to_owned());
        let reply = rule.lock().unwrap().clone();
        let (status, body) = reply(&question);
        let answer = format!("HTTP/1.1 {status} Words\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        bytes.clear();
    }
}

async fn audience(tenant: &Tenant, number: usize) {
    tenant.list("news").await;
    let body = "<mj-text>{{ global_feed.price }}-{{ recipient_feed.points }} <a href=\"{{ unsubscribe_url }}\">x</a></mj-text>";
    tenant.template("june", mjml("June {{ global_feed.price }}", body)).await;
    let rows: Vec<_> = (0..number).map(|n| json!({"email": format!("c{n:05}@shop.example")})).collect();
    tenant.post("contacts.import", json!({"contacts": rows, "subscribe_to_lists": ["news"]})).await.ok();
}

#[expect(clippy::needless_pass_by_value, reason = "called with json! literals")]
fn draft(data_feed: Value) -> Value {
    json!({"name": "June", "audience": {"list": "news"}, "data_feed": data_feed,
        "test_settings": {"variations": [{"template_id": "june"}]}})
}

async fn made(tenant: &Tenant, data_feed: Value) -> String {
    let made = tenant.post("broadcasts.create", draft(data_feed)).await.ok();
    made["broadcast"]["id"].as_str().unwrap().to_owned()
}

async fn broadcast(tenant: &Tenant, id: &str) -> Value {
    tenant.get("broadcasts.get", &format!("id={id}")).await.ok()["broadcast"].clone()
}

async fn wait_for(tenant: &Tenant, id: &str, status: &str) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let found = broadcast(tenant, id).await;
        if found["status"] == status {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{found}");
        tokio::task::yield_now().await;
    }
}

async fn both_feeds_fill_the_mails_and_their_keys_are_never_answered(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    audience(&tenant, 3).await;
    let feed = Feed::start(|question| {
        let email = question["contact"]["email"].as_str().unwrap_or("everybody").to_owned();
        (200, json!({"price": 42, "points": email.len(), "for": email}).to_string())
    })
    .await;
    let key = json!([{"name": "X-Key", "value": "s3cret-key"}]);
    let id = made(
        &tenant,
        json!({"global_feed": {"enabled": true, "url": feed.url, "headers": key},
            "recipient_feed": {"enabled": true, "url": feed.url, "headers": key, "on_failure": "skip"}}),
    )
    .await;
    let before = broadcast(&tenant, &id).await["data_feed"].clone();
    assert_eq!(before["recipient_feed"]["on_failure"], "skip");
    assert_eq!(before["global_feed"]["headers"], json!([{"name": "X-Key", "value": "********"}]));
    assert_eq!(before.get("global_feed_data"), None);
    // What was answered can be sent back: the stored values are meant.
    let mut update = draft(before.clone());
    update["id"] = json!(id);
    tenant.post("broadcasts.update", update).await.ok();
    tenant.post("broadcasts.schedule", json!({"id": id, "send_now": true})).await.ok();
    assert_eq!(tenant.account(&id, 3).await["sent"], 3);
    for mail in sink.received() {
        assert_eq!(mail.header("Subject").as_deref(), Some("June 42"));
        assert!(mail.text().contains("42-19"), "{}", mail.text());
    }
    let after = broadcast(&tenant, &id).await;
    assert_eq!(after["data_feed"]["global_feed_data"]["for"], "everybody");
    assert!(after["data_feed"]["global_feed_fetched_at"].is_string());
    let listed = tenant.get("broadcasts.list", "").await.ok();
    assert_eq!(listed["broadcasts"][0]["data_feed"].get("global_feed_data"), None);
    assert!(!format!("{after}{listed}").contains("s3cret"), "{after}");
    let heads = feed.heads.lock().unwrap().clone();
    assert_eq!(heads.len(), 4, "once for all, and once for each");
    assert!(heads.iter().all(|head| head.contains("x-key: s3cret-key")), "{heads:?}");
}

async fn a_recipient_feed_that_fails_pauses_the_broadcast_until_it_is_resumed(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    audience(&tenant, 40).await;
    let feed = Feed::start(|question| match question["contact"]["email"].as_str() {
        Some("c00017@shop.example") => (404, String::new()),
        _ => (200, json!({"points": 5}).to_string()),
    })
    .await;
    let id = made(&tenant, json!({"recipient_feed": {"enabled": true, "url": feed.url}})).await;
    tenant.post("broadcasts.schedule", json!({"id": id, "send_now": true})).await.ok();
    let paused = wait_for(&tenant, &id, "paused").await;
    assert_eq!(paused["pause_reason"], "Recipient feed failed: it answered with status 404");
    feed.change(|_| (200, json!({"points": 6}).to_string()));
    // What was begun before the pause may still be handed over; then the rest goes on.
    tenant.post("broadcasts.resume", json!({"id": id})).await.ok();
    assert_eq!(tenant.account(&id, 40).await["sent"], 40);
    let mut reached: Vec<_> = sink.received().into_iter().flat_map(|m| m.to).collect();
    reached.sort();
    reached.dedup();
    assert_eq!((reached.len(), sink.count()), (40, 40), "nobody twice, nobody missing");
    assert_eq!(broadcast(&tenant, &id).await.get("pause_reason"), None);
}

async fn who_has_no_data_is_skipped_failed_or_mailed_as_was_chosen(server: &'static Server) {
    let tenant = server.tenant().await;
    audience(&tenant, 4).await;
    let feed = Feed::start(|question| match question["contact"]["email"].as_str() {
        Some("c00002@shop.example") => (204, String::new()),
        _ => (200, json!({"points": 5}).to_string()),
    })
    .await;
    for (way, state) in [("skip", "skipped"), ("fail", "failed"), ("send", "sent")] {
        let recipient = json!({"enabled": true, "url": feed.url, "on_failure": way});
        let id = made(&tenant, json!({"recipient_feed": recipient})).await;
        tenant.post("broadcasts.schedule", json!({"id": id, "send_now": true})).await.ok();
        let ledger = tenant.account(&id, 4).await;
        assert_eq!(ledger["sent"], if way == "send" { 4 } else { 3 }, "{way}: {ledger}");
        let lines = tenant.get("broadcasts.recipients", &format!("id={id}&state={state}")).await.ok();
        let emails: Vec<_> =
            lines["recipients"].as_array().unwrap().iter().map(|r| &r["contact_email"]).collect();
        assert!(emails.iter().any(|email| *email == "c00002@shop.example"), "{lines}");
    }
    let wrong = json!({"recipient_feed": {"enabled": true, "url": feed.url, "on_failure": "retry"}});
    let problem = tenant.post("broadcasts.create", draft(wrong)).await.problem(400);
    assert_eq!(problem["errors"][0]["pointer"], "/data_feed/recipient_feed/on_failure");
}

async fn a_global_feed_that_fails_keeps_a_broadcast_from_starting(server: &'static Server) {
    let tenant = server.tenant().await;
    audience(&tenant, 1).await;
    let feed = Feed::start(|_| (200, "[1, 2]".to_owned())).await;
    let id = made(&tenant, json!({"global_feed": {"enabled": true, "url": feed.url}})).await;
    let start = json!({"id": id, "send_now": true});
    let refused = tenant.post("broadcasts.schedule", start.clone()).await.problem(422);
    assert_eq!(refused["error"], "the global feed failed: its answer is no JSON object");
    assert_eq!(broadcast(&tenant, &id).await["status"], "draft");
    let plan = tenant.get("broadcasts.plan", &format!("id={id}")).await.ok();
    assert_eq!(plan["warnings"][0]["kind"], "feed_failed", "{plan}");
    feed.change(|_| (200, "{}".to_owned()));
    tenant.post("broadcasts.schedule", start).await.ok();
    assert_eq!(tenant.account(&id, 1).await["sent"], 1);
}

async fn feeds_are_tried_before_they_are_stored(server: &'static Server) {
    let tenant = server.tenant().await;
    audience(&tenant, 1).await;
    let feed = Feed::start(|question| match question["contact"]["email"].as_str() {
        Some("c00000@shop.example") => (500, String::new()),
        _ => (200, json!({"asked": question}).to_string()),
    })
    .await;
    let id = made(&tenant, json!({})).await;
    let body = |more: Value| {
        let mut body = json!({"broadcast_id": id, "url": feed.url});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let tried = tenant.post("broadcasts.refreshGlobalFeed", body(json!({}))).await.ok();
    assert_eq!((tried["success"].as_bool(), tried["data"]["_success"].as_bool()), (Some(true), Some(true)));
    assert_eq!(tried["data"]["asked"]["list"], json!({"id": "news", "name": "news"}));
    assert!(tried["fetched_at"].is_string());
    assert_eq!(broadcast(&tenant, &id).await.get("data_feed"), None, "nothing is stored");
    let path = "broadcasts.testRecipientFeed";
    let sample = tenant.post(path, body(json!({}))).await.ok();
    assert_eq!(sample["data"]["asked"]["contact"]["email"], "sample@example.com");
    let failed = tenant.post(path, body(json!({"contact_email": "c00000@shop.example"}))).await.ok();
    let wanted = json!({"success": false, "contact_email": "c00000@shop.example",
        "error": "it answered with status 500"});
    assert_eq!(failed, wanted);
    let unknown = tenant.post(path, body(json!({"contact_email": "no@shop.example"}))).await.problem(404);
    assert_eq!(unknown["error"], "Contact not found");
    tenant.post(path, json!({"broadcast_id": id, "url": "gopher://x/"})).await.problem(400);
    let bad = json!({"headers": [{"name": "Host", "value": "x"}, {"name": "X-Key"}]});
    let problem = tenant.post("broadcasts.refreshGlobalFeed", body(bad)).await.problem(400);
    assert_eq!(problem["errors"].as_array().map(Vec::len), Some(2), "{problem}");
}

on_both_databases! {
    both_feeds_fill_the_mails_and_their_keys_are_never_answered
    a_recipient_feed_that_fails_pauses_the_broadcast_until_it_is_resumed
    who_has_no_data_is_skipped_failed_or_mailed_as_was_chosen
    a_global_feed_that_fails_keeps_a_broadcast_from_starting
    feeds_are_tried_before_they_are_stored
}

#[tokio::test]
async fn in_production_nothing_inside_is_asked() {
    let tenant = production().bare_tenant().await;
    let feed = Feed::start(|_| (200, "{}".to_owned())).await;
    tenant.list("news").await;
    let id = made(&tenant, json!({})).await;
    let port = feed.url.rsplit(':').next().unwrap();
    for url in [
        feed.url.clone(),
        format!("https://127.0.0.1:{port}"),
        format!("https://[::1]:{port}"),
        format!("https://localhost:{port}"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://metadata.google.internal/".to_owned(),
        "https://api.shop.example/?key=1".to_owned(),
    ] {
        let trial = json!({"broadcast_id": id, "url": url});
        for path in ["broadcasts.refreshGlobalFeed", "broadcasts.testRecipientFeed"] {
            let problem = tenant.post(path, trial.clone()).await.problem(400);
            assert_eq!(problem["errors"][0]["pointer"], "/url", "{url}");
        }
        for kind in ["global_feed", "recipient_feed"] {
            let mut feeds = json!({});
            feeds[kind] = json!({"enabled": true, "url": url});
            let problem = tenant.post("broadcasts.create", draft(feeds)).await.problem(400);
            assert_eq!(problem["errors"][0]["pointer"], format!("/data_feed/{kind}/url"), "{url}");
        }
    }
    assert!(feed.heads.lock().unwrap().is_empty());
}
