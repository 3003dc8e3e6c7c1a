//! Transactional mail from the request to the mail server.

use crate::support::{PATIENCE, Server, mjml};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use smtp::sink::{Act, ReceivedMail, Sink, SinkOptions, Stage};

fn message(extra: &Value) -> Value {
    let mut message = json!({"id": "reset", "channels": ["email"],
        "contact": {"email": "ana@shop.example", "first_name": "Ana"}, "data": {"code": "4711"}});
    for (name, value) in extra.as_object().unwrap() {
        message[name] = value.clone();
    }
    message
}

fn find(sink: &Sink, message_id: &Value) -> ReceivedMail {
    let id = message_id.as_str().unwrap();
    let mails = sink.received();
    mails.into_iter().find(|m| m.header("X-Message-ID").as_deref() == Some(id)).expect("the mail arrived")
}

async fn a_send_arrives_as_asked(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    tenant
        .notification(
            "reset",
            mjml("Hello {{ contact.first_name }}", "<mj-text>Your code: {{ code }}</mj-text>"),
        )
        .await;
    let options = json!({"from_name": "Zoë “Support”", "reply_to": "help@acme.example",
        "cc": ["ops@acme.example"], "bcc": ["audit@acme.example"]});
    let answer =
        tenant.send(message(&json!({"email_options": options, "metadata": {"order": 7}}))).await.ok();
    assert_eq!(answer["success"], true);
    let settled = tenant.settled(answer["message_id"].as_str().unwrap(), "queued").await;
    assert_eq!(settled["state"], "sent");
    assert_eq!(settled["message_data"], json!({"data": {"code": "4711"}, "metadata": {"order": 7}}));
    assert_eq!(settled["channel_options"]["cc"], json!(["ops@acme.example"]));
    let mail = find(&sink, &answer["message_id"]);
    assert_eq!(mail.header("Subject").as_deref(), Some("Hello Ana"));
    assert!(
        mail.header("From").unwrap().contains("=?utf-8?")
            && mail.header("From").unwrap().contains("<hello@acme.example>")
    );
    assert_eq!(mail.header("Reply-To").as_deref(), Some("help@acme.example"));
    assert_eq!(mail.header("Cc").as_deref(), Some("ops@acme.example"));
    assert_eq!(mail.header("Bcc"), None, "hidden recipients stay hidden");
    assert_eq!(mail.to.len(), 3);
    assert!(mail.text().contains("4711"));
}

async fn blank_options_mean_the_default(server: &'static Server) {
    let tenant = server.tenant().await;
    tenant.notification("reset", mjml("Hi", "<mj-text>x</mj-text>")).await;
    for options in
        [Value::Null, json!({"from_name": null}), json!({"from_name": " "}), json!({"cc": ["", null]})]
    {
        let answer = tenant.send(message(&json!({"email_options": options}))).await;
        if options["cc"].is_array() {
            answer.problem(400);
            continue;
        }
        let id = answer.ok()["message_id"].clone();
        tenant.settled(id.as_str().unwrap(), "queued").await;
        assert!(find(&server.sink, &id).header("From").unwrap().starts_with("Acme <"));
    }
}

async fn a_header_cannot_be_injected(server: &'static Server) {
    let tenant = server.tenant().await;
    tenant.notification("reset", mjml("Hi {{ contact.first_name }}", "<mj-text>x</mj-text>")).await;
    for options in [
        json!({"from_name": "A\r\nBcc: x@y.example"}),
        json!({"subject": "A\nBcc: x@y.example"}),
        json!({"reply_to": "a@b.example\r\nBcc: x@y.example"}),
        json!({"from_name": "x".repeat(256)}),
    ] {
        tenant.send(message(&json!({"email_options": options}))).await.problem(400);
    }
    let contact = json!({"email": "ana@shop.example", "first_name": "Ana\r\nBcc: x@y.example"});
    let id = tenant.send(message(&json!({"contact": contact}))).await.ok()["message_id"].clone();
    tenant.settled(id.as_str().unwrap(), "queued").await;
    let mail = find(&server.sink, &id);
    assert_eq!(mail.header("Bcc"), None);
    assert_eq!(mail.to, ["ana@shop.example"]);
}

async fn one_key_makes_one_mail(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    tenant.notification("reset", mjml("Hi", "<mj-text>x</mj-text>")).await;
    let request = message(&json!({"external_id": "req-81"}));
    let sends = (0..20).map(|_| tenant.send(request.clone()));
    let answers = futures(sends).await;
    let ids: std::collections::HashSet<_> =
        answers.into_iter().map(|a| a.ok()["message_id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "all calls are answered with the same message");
    let other = message(&json!({"external_id": "req-81", "data": {"code": "other"}}));
    tenant.send(other).await.problem(409);
    let last = tenant.send(message(&json!({"external_id": "req-82"}))).await.ok();
    tenant.settled(last["message_id"].as_str().unwrap(), "queued").await;
    assert!(sink.wait_for(2, PATIENCE).await);
    assert_eq!(sink.count(), 2);
}

async fn many_calls_with_few_keys_make_few_mails(server: &'static Server) {
    const KEYS: usize = 12;
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    tenant.notification("reset", mjml("Hi", "<mj-text>x</mj-text>")).await;
    let calls = (0..25 * KEYS).map(|n| {
        let key = n % KEYS;
        let body = json!({"workspace_id": tenant.id, "notification": message(&json!({"data": {"n": key}}))});
        let call = tenant.owner.request("post", "/api/transactional.send");
        (key, tenant.owner.send(call.header("Idempotency-Key", format!("\"call-{key}\"")).json(&body)))
    });
    let calls = calls.map(|(key, call)| async move { (key, call.await.ok()["message_id"].to_string()) });
    let answers: Vec<_> = futures_util::stream::iter(calls).buffer_unordered(24).collect().await;
    let distinct: std::collections::HashSet<_> = answers.into_iter().collect();
    assert_eq!(distinct.len(), KEYS, "each key has one message");
    let last = tenant.send(message(&json!({}))).await.ok();
    tenant.settled(last["message_id"].as_str().unwrap(), "queued").await;
    assert!(sink.wait_for(KEYS + 1, PATIENCE).await);
    assert_eq!(sink.count(), KEYS + 1);
}

async fn a_key_of_the_header_is_good_for_one_content(server: &'static Server) {
    let tenant = server.tenant().await;
    tenant.notification("reset", mjml("Hi", "<mj-text>x</mj-text>")).await;
    let call = async |key: &str, extra: Value| {
        let body = json!({"workspace_id": tenant.id, "notification": message(&extra)});
        let call = tenant.owner.request("post", "/api/transactional.send");
        tenant.owner.send(call.header("Idempotency-Key", key).json(&body)).await
    };
    let first = call("\"k-1\"", json!({})).await.ok();
    assert_eq!(
        call("k-1", json!({})).await.ok()["message_id"],
        first["message_id"],
        "quotes may be left out"
    );
    let reused = call("\"k-1\"", json!({"data": {"code": "other"}})).await.problem(422);
    assert_eq!(reused["code"], "idempotency_key_reused");
    let malformed = call("\"k-1", json!({})).await.problem(400);
    assert_eq!(malformed["errors"][0]["pointer"], "/Idempotency-Key");
    call(&"k".repeat(256), json!({})).await.problem(400);
}

async fn a_batch_answers_for_every_message(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    tenant.notification("reset", mjml("Hi", "<mj-text>{{ code }}</mj-text>")).await;
    let mut messages: Vec<Value> =
        (0..40).map(|n| message(&json!({"contact": {"email": format!("c{n}@shop.example")}}))).collect();
    messages.insert(7, message(&json!({"contact": {"email": "nobody"}})));
    messages.insert(11, message(&json!({"id": "unknown"})));
    let body = json!({"workspace_id": tenant.id, "notifications": messages});
    let call = || tenant.owner.request("post", "/api/transactional.sendBatch").header("Idempotency-Key", "b");
    let answer = tenant.owner.send(call().json(&body)).await.ok();
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 42);
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result["success"], n != 7 && n != 11, "{n}: {result}");
    }
    assert!(results[7]["error"].as_str().unwrap().contains("contact.email"));
    assert_eq!(results[11]["code"], "notification_not_found");
    assert_eq!(tenant.owner.send(call().json(&body)).await.ok(), answer, "a repeated call sends nothing");
    assert!(sink.wait_for(40, PATIENCE).await);
    let last = tenant.send(message(&json!({}))).await.ok();
    tenant.settled(last["message_id"].as_str().unwrap(), "queued").await;
    assert_eq!(sink.count(), 41);
    tenant.post("transactional.sendBatch", json!({"notifications": []})).await.problem(400);
}

async fn a_template_is_tried_at_once(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    tenant.template("welcome", mjml("Hi {{ contact.email }}", "<mj-text>x</mj-text>")).await;
    let trial = json!({"template_id": "welcome", "integration_id": tenant.integration,
        "sender_id": "00000000-0000-4000-8000-000000000001", "recipient_email": "ana@shop.example",
        "email_options": {"from_name": "Zoë", "reply_to": "help@acme.example"}});
    let answer = tenant.post("transactional.testTemplate", trial.clone()).await.ok();
    assert_eq!(answer, json!({"success": true}));
    let mail = sink.received().remove(0);
    assert_eq!(mail.header("Subject").as_deref(), Some("Hi ana@shop.example"));
    assert_eq!(mail.header("Reply-To").as_deref(), Some("help@acme.example"));
    assert!(mail.header("From").unwrap().starts_with("=?utf-8?"));
    sink.script(|script| script.set(Stage::Rcpt, Act::answer("550 5.1.1 no such mailbox")));
    let answer = tenant.post("transactional.testTemplate", trial.clone()).await.ok();
    assert_eq!(answer["success"], false);
    assert!(answer["error"].as_str().unwrap().contains("550 5.1.1"));
    let mut unknown = trial;
    unknown["template_id"] = json!("unknown");
    assert_eq!(
        tenant.post("transactional.testTemplate", unknown).await.problem(404)["code"],
        "template_not_found"
    );
}

fn attached(files: &Value) -> Value {
    message(&json!({"email_options": {"attachments": files}}))
}

async fn files_arrive_byte_for_byte(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    tenant.notification("reset", mjml("Hi", "<mj-text>x</mj-text>")).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let files = json!([
        {"filename": "Rechnung März.pdf", "content": BASE64_STANDARD.encode(&every_byte), "content_type": "application/pdf"},
        {"filename": "logo.png", "content": "iVBORw0KGgo=", "disposition": "inline"},
    ]);
    let id = tenant.send(attached(&files)).await.ok()["message_id"].clone();
    let settled = tenant.settled(id.as_str().unwrap(), "queued").await;
    assert_eq!(settled["state"], "sent");
    assert_eq!(settled["attachments"][0]["filename"], "Rechnung März.pdf");
    assert_eq!(settled["attachments"][0]["checksum"].as_str().unwrap().len(), 64);
    assert_eq!(settled["attachments"][1]["content_type"], "image/png");
    assert_eq!(settled["attachments"][1]["disposition"], "inline");
    let mail = find(&sink, &id);
    let text = mail.text();
    let encoded: String = BASE64_STANDARD.encode(&every_byte);
    assert!(text.replace("\r\n", "").contains(&encoded));
    assert!(text.contains("Content-ID: <logo.png>"));
    assert!(text.contains("multipart/mixed") && text.contains("multipart/related"));
}

async fn a_bad_file_is_refused_with_its_place(server: &'static Server) {
    let tenant = server.tenant().await;
    tenant.notification("reset", mjml("Hi", "<mj-text>x</mj-text>")).await;
    let large = BASE64_STANDARD.encode(vec![0_u8; (3 << 20) + 1]);
    for (file, field) in [
        (json!({"filename": "../a.pdf", "content": "YQ=="}), "filename"),
        (json!({"filename": "a\r\nX-Y: z.pdf", "content": "YQ=="}), "filename"),
        (json!({"filename": "a.exe", "content": "YQ=="}), "filename"),
        (json!({"filename": "a.pdf", "content": "not base64!"}), "content"),
        (json!({"filename": "a.pdf", "content": ""}), "content"),
        (json!({"filename": "a.pdf", "content": large}), "content"),
        (json!({"filename": "a.pdf", "content": "YQ==", "content_type": "pdf\r\nX: y"}), "content_type"),
        (json!({"filename": "a.pdf", "content": "YQ==", "disposition": "hidden"}), "disposition"),
    ] {
        let problem = tenant.send(attached(&json!([file]))).await.problem(400);
        let pointer = format!("/notification/email_options/attachments/0/{field}");
        assert_eq!(problem["errors"][0]["pointer"], pointer);
    }
}

async fn too_many_or_too_large_files_are_refused(server: &'static Server) {
    let tenant = server.tenant().await;
    tenant.notification("reset", mjml("Hi", "<mj-text>x</mj-text>")).await;
    let small = json!({"filename": "a.txt", "content": "YQ=="});
    tenant.send(attached(&json!(vec![small.clone(); 20]))).await.ok();
    tenant.send(attached(&json!(vec![small; 21]))).await.problem(400);
    let large = json!({"filename": "a.bin", "content": BASE64_STANDARD.encode(vec![0_u8; 3 << 20])});
    tenant.send(attached(&json!(vec![large.clone(); 3]))).await.ok();
    let problem = tenant.send(attached(&json!(vec![large; 4]))).await.problem(400);
    assert!(problem["error"].as_str().unwrap().contains("10 MiB"));
}

/// Runs calls at the same time.
async fn futures<F: Future + Send>(calls: impl Iterator<Item = F>) -> Vec<F::Output> {
    futures_util::future::join_all(calls).await
}

async fn a_refused_recipient_fails_with_the_servers_words(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    tenant.notification("reset", mjml("Hi", "<mj-text>x</mj-text>")).await;
    sink.script(|script| script.set(Stage::Rcpt, Act::answer("550 5.1.1 no such mailbox")));
    let id = tenant.send(message(&json!({}))).await.ok()["message_id"].clone();
    let failed = tenant.settled(id.as_str().unwrap(), "queued").await;
    assert_eq!(failed["state"], "failed");
    assert!(failed["status_info"].as_str().unwrap().contains("550 5.1.1 no such mailbox"), "{failed}");
    assert!(failed["failed_at"].is_string() && failed.get("sent_at").is_none());
}

async fn a_deferred_mail_is_delivered_later(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    tenant.notification("reset", mjml("Hi", "<mj-text>x</mj-text>")).await;
    sink.script(|script| script.then(Stage::EndOfData, Act::answer("451 4.7.1 greylisted")));
    let id = tenant.send(message(&json!({}))).await.ok()["message_id"].clone();
    let sent = tenant.settled(id.as_str().unwrap(), "queued").await;
    assert_eq!(sent["state"], "sent");
    assert_eq!(sink.count(), 1);
}

async fn a_mail_server_that_is_away_loses_nothing(server: &'static Server) {
    let port = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&port).await;
    let address = port.addr();
    port.stop();
    drop(port);
    tenant.notification("reset", mjml("Hi", "<mj-text>x</mj-text>")).await;
    let id = tenant.send(message(&json!({}))).await.ok()["message_id"].clone();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let page = tenant.get("messages.list", &format!("id={}", id.as_str().unwrap())).await.ok();
        let waiting = &page["messages"][0];
        assert_eq!(waiting["state"], "queued");
        if waiting["status_info"].is_string() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "no attempt is noted");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let back = Sink::start(SinkOptions { port: address.port(), ..SinkOptions::default() }).await.unwrap();
    assert_eq!(tenant.settled(id.as_str().unwrap(), "queued").await["state"], "sent");
    assert_eq!(back.count(), 1);
}

async fn a_lost_answer_leaves_the_message_unknown(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    tenant.notification("reset", mjml("Hi", "<mj-text>x</mj-text>")).await;
    sink.script(|script| script.then(Stage::EndOfData, Act::TakeAndCut));
    let id = tenant.send(message(&json!({}))).await.ok()["message_id"].clone();
    assert_eq!(tenant.settled(id.as_str().unwrap(), "queued").await["state"], "unknown");
    let listed = tenant.get("messages.list", "state=unknown").await.ok();
    assert_eq!(listed["messages"][0]["id"], id);
    assert_eq!(tenant.get("messages.list", "state=sent").await.ok()["messages"], json!([]));
    tenant.get("messages.list", "state=lost").await.problem(400);
}

async fn what_is_missing_is_named(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let channels = json!({"email": {"template_id": "nowhere"}});
    let body = json!({"notification": {"id": "reset", "name": "Reset", "channels": channels}});
    let problem = tenant.post("transactional.create", body).await.problem(400);
    assert!(problem["error"].as_str().unwrap().starts_with("invalid template"));
    tenant.notification("reset", mjml("Hi", "<mj-text>x</mj-text>")).await;
    assert_eq!(tenant.send(message(&json!({}))).await.problem(422)["code"], "provider_missing");
    let with_provider = server.tenant().await;
    let unknown = with_provider.send(message(&json!({}))).await.problem(404);
    assert_eq!(unknown["error"], "Notification not found");
    with_provider.send(message(&json!({"channels": ["sms"]}))).await.problem(400);
}

on_both_databases! {
    a_send_arrives_as_asked
    blank_options_mean_the_default
    a_header_cannot_be_injected
    one_key_makes_one_mail
    many_calls_with_few_keys_make_few_mails
    a_key_of_the_header_is_good_for_one_content
    a_refused_recipient_fails_with_the_servers_words
    a_deferred_mail_is_delivered_later
    a_mail_server_that_is_away_loses_nothing
    a_lost_answer_leaves_the_message_unknown
    what_is_missing_is_named
    a_batch_answers_for_every_message
    a_template_is_tried_at_once
    files_arrive_byte_for_byte
    a_bad_file_is_refused_with_its_place
    too_many_or_too_large_files_are_refused
}
