//! The pages behind the links of a mail.

use crate::support::{Server, sqlite};
use serde_json::json;

#[tokio::test]
async fn a_forged_link_is_told_apart_and_changes_nothing() {
    let tenant = sqlite().bare_tenant().await;
    tenant.list("news").await;
    let rows = json!({"contacts": [{"email": "a@x.example"}], "subscribe_to_lists": ["news"]});
    tenant.post("contacts.import", rows).await.ok();
    let query = format!("wid={}&email=a@x.example&email_hmac={}&lids=news", tenant.id, "0".repeat(64));
    let anonymous = sqlite().anonymous();
    assert_eq!(anonymous.get(&format!("/notification-center?{query}")).await.status, 403);
    anonymous.post(&format!("/unsubscribe-oneclick?{query}"), &json!({})).await.problem(400);
    let form = anonymous.request("post", &format!("/unsubscribe-oneclick?{query}"));
    anonymous.send(form).await.problem(401);
    assert_eq!(tenant.get("lists.stats", "list_id=news").await.ok()["stats"]["total_active"], 1);
}

#[tokio::test]
async fn a_page_is_plain_and_locked_down() {
    let answer = sqlite().anonymous().get("/notification-center?wid=%3Cscript%3E&email=x&email_hmac=y").await;
    let page = answer.body.as_str().unwrap();
    assert!(!page.contains("<script"));
    assert!(answer.headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    assert_eq!(answer.headers["cache-control"], "no-store");
}

async fn the_server_tells_that_it_lives(server: &'static Server) {
    let anonymous = server.anonymous();
    assert_eq!(anonymous.get("/healthz").await.ok(), json!({"status": "ok"}));
    assert_eq!(anonymous.get("/api").await.ok(), json!({"status": "api running"}));
    assert!(anonymous.send(anonymous.request("head", "/healthz")).await.status.is_success());
}

on_both_databases! { the_server_tells_that_it_lives }
