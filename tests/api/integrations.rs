//! E-mail providers of a workspace.

use crate::support::{PATIENCE, Server, smtp_provider};
use serde_json::{Value, json};

fn postmark() -> Value {
    json!({"kind": "postmark", "postmark": {"server_token": "pm-secret"},
           "senders": [{"email": "hello@acme.example", "name": "Acme", "is_default": true}],
           "rate_limit_per_minute": 600})
}

async fn a_provider_over_http_is_kept_without_showing_its_secret(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let body = json!({"name": "Postmark", "type": "email", "provider": postmark()});
    let made = tenant.post("workspaces.createIntegration", body).await.ok();
    let mut update = postmark();
    update["postmark"] = json!({"message_stream": "broadcasts"});
    let body = json!({"integration_id": made["integration_id"], "name": "Renamed", "provider": update});
    tenant.post("workspaces.updateIntegration", body).await.ok();
    let shown = tenant.owner.get(&format!("/api/workspaces.get?id={}", tenant.id)).await.ok();
    let shown = &shown["workspace"]["integrations"][0]["email_provider"];
    assert_eq!(shown["postmark"], json!({"message_stream": "broadcasts", "server_token_set": true}));
    assert!(shown.get("smtp").is_none() && !shown.to_string().contains("pm-secret"), "{shown}");
}

async fn another_kind_does_not_take_over_a_secret(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let body = json!({"name": "Postmark", "type": "email", "provider": postmark()});
    let made = tenant.post("workspaces.createIntegration", body).await.ok();
    let mut update = postmark();
    update["kind"] = json!("sendgrid");
    update["sendgrid"] = json!({});
    let body = json!({"integration_id": made["integration_id"], "name": "Other", "provider": update});
    let refused = tenant.post("workspaces.updateIntegration", body).await.problem(400);
    assert_eq!(refused["errors"][0]["pointer"], "/provider/sendgrid/api_key");
}

async fn a_provider_is_tried_before_it_is_kept(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let to = format!("try@{}.example", tenant.id);
    let body = json!({"to": to, "provider": smtp_provider(server.sink.addr())});
    let tried = tenant.post("email.testProvider", body).await.ok();
    assert_eq!(tried, json!({"success": true}));
    let arrived = |sink: &smtp::sink::Sink| sink.received().iter().any(|mail| mail.to == [to.clone()]);
    assert!(server.sink.wait_until(PATIENCE, arrived).await);
    let shown = tenant.owner.get(&format!("/api/workspaces.get?id={}", tenant.id)).await.ok();
    assert_eq!(shown["workspace"]["integrations"], json!([]));
}

async fn a_provider_that_does_not_take_the_test_is_told_in_the_answer(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let smtp = json!({"to": "a@b.example", "provider": smtp_provider(free)});
    let mut provider = postmark();
    provider["kind"] = json!("sparkpost");
    provider["sparkpost"] = json!({"endpoint": format!("http://{free}"), "api_key": "k"});
    for body in [smtp, json!({"to": "a@b.example", "provider": provider})] {
        let tried = tenant.post("email.testProvider", body).await.ok();
        assert_eq!(tried["success"], false, "{tried}");
        assert!(tried["error"].is_string(), "{tried}");
    }
}

async fn a_test_needs_an_address_and_every_secret(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let mut provider = postmark();
    provider["postmark"] = json!({});
    for (body, pointer) in [
        (json!({"to": "nobody", "provider": postmark()}), "/to"),
        (json!({"to": "a@b.example", "provider": provider}), "/provider/postmark/server_token"),
        (json!({"to": "a@b.example"}), "/provider"),
    ] {
        let refused = tenant.post("email.testProvider", body).await.problem(400);
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
}

/// The key of RFC 8463 §A.2, as PKCS #8.
const ED25519: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

async fn mails_of_a_sender_with_a_key_are_signed(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let mut provider = smtp_provider(server.sink.addr());
    provider["senders"] = json!([{"email": "hello@acme.example", "name": "Acme", "is_default": true,
        "dkim": {"selector": "s1", "private_key": ED25519}}]);
    let body = json!({"name": "Relay", "type": "email", "provider": provider});
    tenant.post("workspaces.createIntegration", body).await.ok();
    let shown = tenant.owner.get(&format!("/api/workspaces.get?id={}", tenant.id)).await.ok();
    let sender = &shown["workspace"]["integrations"][0]["email_provider"]["senders"][0];
    let wanted = json!({"domain": "acme.example", "selector": "s1", "algorithm": "ed25519",
        "private_key_set": true, "record_name": "s1._domainkey.acme.example",
        "record_value": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="});
    assert_eq!(sender["dkim"], wanted);
    let to = format!("signed@{}.example", tenant.id);
    tenant.post("email.testProvider", json!({"to": to, "provider": provider})).await.ok();
    let arrived = |sink: &smtp::sink::Sink| sink.received().iter().any(|mail| mail.to == [to.clone()]);
    assert!(server.sink.wait_until(PATIENCE, arrived).await);
    let mail = server.sink.received().into_iter().find(|mail| mail.to == [to.clone()]).unwrap();
    let signature = mail.header("dkim-signature").unwrap();
    assert!(signature.contains("a=ed25519-sha256") && signature.contains("d=acme.example"), "{signature}");
    provider["senders"][0]["dkim"]["private_key"] =
        json!("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----");
    let body = json!({"name": "Relay", "type": "email", "provider": provider});
    let refused = tenant.post("workspaces.createIntegration", body).await.problem(400);
    assert_eq!(refused["errors"][0]["pointer"], "/provider/senders/0/dkim/private_key");
}

on_both_databases! {
    mails_of_a_sender_with_a_key_are_signed
    a_provider_over_http_is_kept_without_showing_its_secret
    another_kind_does_not_take_over_a_secret
    a_provider_is_tried_before_it_is_kept
    a_provider_that_does_not_take_the_test_is_told_in_the_answer
    a_test_needs_an_address_and_every_secret
}
