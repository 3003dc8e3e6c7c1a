//! Bad input: the right status, and a text that says what to do.

use crate::support::{Server, sqlite};
use serde_json::json;

#[tokio::test]
async fn malformed_bodies_are_refused() {
    let tenant = sqlite().bare_tenant().await;
    let post = |body: &str| {
        tenant
            .owner
            .request("post", "/api/contacts.upsert")
            .header("content-type", "application/json")
            .body(body.to_owned())
    };
    for body in ["", "{", "[1,2", "null", "\"text\"", "{\"workspace_id\": 1}"] {
        let problem = tenant.owner.send(post(body)).await.problem(400);
        assert!(!problem["error"].as_str().unwrap().is_empty(), "{body}");
    }
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    tenant.owner.send(post(&deep)).await.problem(400);
}

#[tokio::test]
async fn a_missing_content_type_is_json_and_another_is_refused() {
    let tenant = sqlite().bare_tenant().await;
    let body = json!({"workspace_id": tenant.id, "contact": {"email": "a@x.example"}}).to_string();
    let plain = tenant.owner.request("post", "/api/contacts.upsert").body(body.clone());
    assert!(tenant.owner.send(plain).await.status.is_success());
    let text = tenant
        .owner
        .request("post", "/api/contacts.upsert")
        .header("content-type", "application/xml")
        .body(body);
    tenant.owner.send(text).await.problem(415);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let anonymous = sqlite().anonymous();
    anonymous.get("/api/contacts.unknown").await.problem(404);
    anonymous.post("/api/contacts.list", &json!({})).await.problem(405);
    anonymous.get("/api/contacts.upsert").await.problem(405);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_sent() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(sqlite().address()).await.unwrap();
    let head = "POST /api/contacts.upsert HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\
                Content-Type: application/json\r\nContent-Length: 11534336\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer[..read]).starts_with("HTTP/1.1 413"), "{answer:?}");
}

#[tokio::test]
async fn any_site_may_ask_and_credentials_stay_out() {
    let anonymous = sqlite().anonymous();
    let asked = anonymous.request("options", "/api/contacts.list").header("origin", "https://app.example");
    let answer = anonymous.send(asked.header("access-control-request-method", "GET")).await;
    assert!(answer.status.is_success());
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
}

async fn what_no_database_can_store_is_refused(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    for contact in [
        json!({"email": "a@x.example", "first_name": "A\0"}),
        json!({"email": "a@x.example", "custom_json_1": {"a": ["\0"]}}),
        json!({"email": "a@x.example", "custom_json_1": {"a\0": 1}}),
    ] {
        let problem = tenant.post("contacts.upsert", json!({"contact": contact})).await.problem(400);
        assert!(problem["error"].as_str().unwrap().contains("NUL"), "{problem}");
    }
}

async fn parameters_are_checked_together(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let problem = tenant
        .get("messages.list", "is_sent=maybe&sent_after=yesterday&contact_email=x&limit=5")
        .await
        .problem(400);
    let pointers: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["pointer"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(pointers, ["/contact_email", "/is_sent", "/sent_after"]);
    tenant.owner.get("/api/messages.list").await.problem(400);
    tenant.get("contacts.list", "limit=many").await.problem(400);
}

on_both_databases! {
    parameters_are_checked_together
    what_no_database_can_store_is_refused
}
