//! What providers and mail servers report, from the mail to the standing of its recipient.

use crate::support::{Answer, Server, Tenant, mjml};
use serde_json::{Value, json};
use smtp::sink::{Act, ReceivedMail, Script, Sink, SinkOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The path that the provider of an integration calls, with its secret part.
pub async fn callback(tenant: &Tenant, integration: &str) -> String {
    let answer = tenant.get("webhooks.status", &format!("integration_id={integration}")).await.ok();
    let url = answer["status"]["callback_url"].as_str().unwrap().to_owned();
    url.strip_prefix("https://mail.acme.example").expect("it begins with the public address").to_owned()
}

/// A call of a provider, which knows nothing but the address.
pub async fn called(tenant: &Tenant, path: &str, body: &Value) -> Answer {
    let anonymous = tenant.server.anonymous();
    let request = anonymous.request("post", path).header("content-type", "text/plain");
    anonymous.send(request.body(body.to_string())).await
}

/// A newsletter to Ana on `news`; Ana is also on `more`.
async fn newsletter(tenant: &Tenant, sink: &Sink) -> (String, String, ReceivedMail) {
    tenant.list("news").await;
    tenant.list("more").await;
    let body = json!({"contacts": [{"email": "ana@shop.example"}], "subscribe_to_lists": ["news", "more"]});
    tenant.post("contacts.import", body).await.ok();
    tenant.template("june", mjml("June", "<mj-text>June</mj-text>")).await;
    let id = send(tenant, 1).await;
    let page = tenant.get("messages.list", &format!("broadcast_id={id}")).await.ok();
    let message = page["messages"][0]["id"].as_str().unwrap().to_owned();
    (id, message, sink.received().remove(0))
}

/// Sends the newsletter once more, planned for so many.
async fn send(tenant: &Tenant, planned: u64) -> String {
    let draft = json!({"name": "June", "audience": {"list": "news"},
        "test_settings": {"enabled": false, "variations": [{"template_id": "june"}]}});
    let made = tenant.post("broadcasts.create", draft).await.ok();
    let id = made["broadcast"]["id"].as_str().unwrap().to_owned();
    tenant.post("broadcasts.schedule", json!({"id": id, "send_now": true})).await.ok();
    tenant.account(&id, planned).await;
    id
}

async fn standings(tenant: &Tenant) -> Vec<String> {
    let answer = tenant.get("contacts.getByEmail", "email=ana@shop.example").await.ok();
    let lists = answer["contact"]["contact_lists"].as_array().unwrap();
    lists.iter().map(|list| list["status"].as_str().unwrap().to_owned()).collect()
}

fn bounced(message: &str) -> Value {
    json!({"event": "bounce", "timestamp": "2026-01-02T03:04:05Z", "message_id": message,
        "recipient": "Ana@shop.example", "bounce_category": "HardBounce", "diagnostic_code": "550 5.1.1 unknown"})
}

async fn a_hard_bounce_ends_all_newsletters(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    let (broadcast, message, _) = newsletter(&tenant, &sink).await;
    let path = callback(&tenant, &tenant.integration).await;
    for _ in 0..3 {
        assert_eq!(called(&tenant, &path, &bounced(&message)).await.ok(), json!({"success": true}));
    }
    let page = tenant.get("messages.list", "is_bounced=true").await.ok();
    assert_eq!(page["messages"][0]["bounced_at"], "2026-01-02T03:04:05Z");
    assert_eq!(page["messages"][0]["status_info"], "Bounce HardBounce 550 5.1.1 unknown");
    assert_eq!(standings(&tenant).await, ["bounced", "bounced"]);
    let stats = tenant.get("messages.broadcastStats", &format!("broadcast_id={broadcast}")).await.ok();
    assert_eq!(stats["stats"]["total_bounced"], 1, "a repetition is not counted");
    let events = tenant.get("messages.events", &format!("id={message}")).await.ok();
    assert!(events["events"].as_array().unwrap().iter().any(|event| event["type"] == "bounced"), "{events}");
    let listed = tenant.get("inboundWebhookEvents.list", "event_type=bounce").await.ok();
    assert_eq!(listed["events"].as_array().unwrap().len(), 1);
    let event = &listed["events"][0];
    assert_eq!(
        (&event["source"], &event["bounce_class"], &event["message_id"]),
        (&json!("smtp"), &json!("hard"), &json!(message))
    );
    let body = json!({"contacts": [{"email": "ana@shop.example"}], "subscribe_to_lists": ["news"]});
    tenant.post("contacts.delete", json!({"email": "ana@shop.example"})).await.ok();
    tenant.post("contacts.import", body).await.ok();
    assert_eq!(standings(&tenant).await, ["bounced"], "not even as a new contact");
    send(&tenant, 0).await;
    assert_eq!(sink.count(), 1);
}

async fn a_complaint_ends_all_newsletters_and_a_delivery_none(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    let (broadcast, message, _) = newsletter(&tenant, &sink).await;
    let path = callback(&tenant, &tenant.integration).await;
    let told = |event: &str| json!({"event": event, "message_id": message, "recipient": "ana@shop.example"});
    called(&tenant, &path, &told("delivered")).await.ok();
    assert_eq!(standings(&tenant).await, ["active", "active"]);
    called(&tenant, &path, &told("complaint")).await.ok();
    assert_eq!(standings(&tenant).await, ["complained", "complained"]);
    let stats = tenant.get("messages.broadcastStats", &format!("broadcast_id={broadcast}")).await.ok();
    let stats = &stats["stats"];
    assert_eq!((&stats["total_delivered"], &stats["total_complained"]), (&json!(1), &json!(1)));
}

async fn an_address_that_was_not_given_to_a_provider_is_refused(server: &'static Server) {
    let tenant = server.tenant().await;
    let path = callback(&tenant, &tenant.integration).await;
    let body = bounced("m");
    let (address, token) = path.split_once("&token=").unwrap();
    let wrong = [
        address.to_owned(),
        format!("{address}&token="),
        format!("{address}&token={}", "0".repeat(token.len())),
        path.replace(&tenant.id, "nowhere"),
        path.replace(&tenant.id, "not%20a%20workspace"),
        path.replace(&tenant.integration, "00000000-0000-4000-8000-000000000001"),
        path.replace(&tenant.integration, "nothing"),
        path.replace("provider=smtp", "provider=ses"),
    ];
    let mut answers = Vec::new();
    for path in &wrong {
        answers.push(called(&tenant, path, &body).await.problem(401));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "nobody learns what exists: {answers:?}");
    for name in ["provider", "workspace_id", "integration_id"] {
        let lacking = path.replace(&format!("{name}="), "x=");
        let refused = called(&tenant, &lacking, &body).await.problem(400);
        assert_eq!(refused["errors"][0]["pointer"], format!("/{name}"));
    }
    assert_eq!(server.anonymous().get(&path).await.status, 405);
    let listed = tenant.get("inboundWebhookEvents.list", "").await.ok();
    assert_eq!(listed["events"], json!([]));
}

async fn what_cannot_be_read_or_is_too_large_is_refused(server: &'static Server) {
    let tenant = server.tenant().await;
    let path = callback(&tenant, &tenant.integration).await;
    let mut unknown = bounced("m");
    unknown["event"] = json!("melted");
    for body in [json!(null), json!([]), json!({}), unknown] {
        let refused = called(&tenant, &path, &body).await.problem(400);
        assert_eq!(refused["code"], "callback_malformed");
    }
    let announced =
        |length: usize| format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let mut stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(announced((5 << 20) + 1).as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413", "it is refused before it comes");
    let anonymous = server.anonymous();
    let stranger = anonymous.request("post", &path.replace("token=", "t=")).body("x".repeat(1_000));
    anonymous.send(stranger).await.problem(401);
}

async fn a_recipient_unknown_to_the_mail_server_is_a_hard_bounce(server: &'static Server) {
    let script = Script::default().recipient("ana@shop.example", Act::answer("550 5.1.1 no such mailbox"));
    let sink = Sink::start(SinkOptions { script, ..SinkOptions::default() }).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    tenant.list("news").await;
    tenant.template("june", mjml("June", "<mj-text>June</mj-text>")).await;
    let body = json!({"contacts": [{"email": "ana@shop.example"}], "subscribe_to_lists": ["news"]});
    tenant.post("contacts.import", body).await.ok();
    let broadcast = send(&tenant, 1).await;
    assert_eq!(standings(&tenant).await, ["bounced"]);
    let stats = tenant.get("messages.broadcastStats", &format!("broadcast_id={broadcast}")).await.ok();
    let stats = &stats["stats"];
    assert_eq!((&stats["total_failed"], &stats["total_bounced"]), (&json!(1), &json!(1)));
    let listed = tenant.get("inboundWebhookEvents.list", "recipient_email=ana@shop.example").await.ok();
    assert_eq!(listed["events"][0]["bounce_type"], "Refused");
}

/// A notice as a mail server writes it about a mail of ours.
fn notice(mail: &ReceivedMail) -> String {
    let original: String = mail.text().split("\r\n\r\n").next().unwrap().to_owned();
    format!(
        "From: MAILER-DAEMON@mx.shop.example\r\nTo: hello@acme.example\r\n\
         Date: Mon, 5 Jan 2026 10:00:00 +0000\r\nMessage-ID: <dsn-1@mx.shop.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.shop.example\r\n\r\n\
         Final-Recipient: rfc822; ana@shop.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 no such mailbox\r\n\r\n\
         --b\r\nContent-Type: text/rfc822-headers\r\n\r\n{original}\r\n\r\n--b--\r\n"
    )
}

async fn upload(tenant: &Tenant, mail: String) -> Answer {
    let path = format!("/api/inboundWebhookEvents.upload?workspace_id={}", tenant.id);
    tenant.owner.send(tenant.owner.request("post", &path).body(mail)).await
}

async fn a_delivery_status_notification_is_uploaded(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    let (_, message, mail) = newsletter(&tenant, &sink).await;
    let notice = notice(&mail);
    let uploaded = upload(&tenant, notice.clone()).await.ok();
    assert_eq!((&uploaded["new"], &uploaded["passed_over"]), (&json!(1), &json!(0)));
    let event = &uploaded["events"][0];
    assert_eq!(
        (&event["message_id"], &event["bounce_class"], &event["source"]),
        (&json!(message), &json!("hard"), &json!("dsn"))
    );
    assert_eq!(upload(&tenant, notice.clone()).await.ok()["new"], 0);
    assert_eq!(standings(&tenant).await, ["bounced", "bounced"]);
    let page = tenant.get("messages.list", "is_bounced=true").await.ok();
    assert_eq!(page["messages"][0]["id"], message);
    upload(&tenant, "Subject: hello\r\n\r\nhello\r\n".to_owned()).await.problem(400);
    let other = server.tenant().await;
    let strange = upload(&other, notice).await.ok();
    assert_eq!((&strange["new"], &strange["passed_over"]), (&json!(0), &json!(1)));
}

async fn reports_come_in_pages(server: &'static Server) {
    let tenant = server.tenant().await;
    let path = callback(&tenant, &tenant.integration).await;
    for n in 0..5 {
        let event = json!({"event": "delivered", "timestamp": 1_767_225_600 + n, "recipient": format!("c{n}@shop.example")});
        called(&tenant, &path, &event).await.ok();
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = tenant.get("inboundWebhookEvents.list", &format!("limit=2&cursor={cursor}")).await.ok();
        seen.extend(page["events"].as_array().unwrap().iter().map(|event| event["recipient_email"].clone()));
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(seen, ["c4", "c3", "c2", "c1", "c0"].map(|name| json!(format!("{name}@shop.example"))));
    for bad in ["event_type=melted", "recipient_email=x", "timestamp_after=x", "limit=0", "cursor=x"] {
        tenant.get("inboundWebhookEvents.list", bad).await.problem(400);
    }
}

on_both_databases! {
    a_hard_bounce_ends_all_newsletters
    a_complaint_ends_all_newsletters_and_a_delivery_none
    an_address_that_was_not_given_to_a_provider_is_refused
    what_cannot_be_read_or_is_too_large_is_refused
    a_recipient_unknown_to_the_mail_server_is_a_hard_bounce
    a_delivery_status_notification_is_uploaded
    reports_come_in_pages
}
