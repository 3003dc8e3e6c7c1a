//! `workspaces.*Integration`.

use crate::house::House;
use poem::http::StatusCode;
use serde_json::{Value, json};

fn relay() -> Value {
    json!({
        "workspace_id": "acme", "name": "Relay", "type": "email",
        "provider": {
            "kind": "smtp",
            "smtp": {"host": "mx.acme.example", "port": 587, "use_tls": true, "username": "u", "password": "hunter2"},
            "senders": [{"id": "not-a-uuid", "email": "news@acme.example", "name": "Acme", "is_default": true}],
            "rate_limit_per_minute": 300
        }
    })
}

async fn shown(house: &House, token: &str) -> Value {
    let given = house.get("/api/workspaces.get?id=acme", Some(token)).await;
    given.body["workspace"]["integrations"].clone()
}

#[tokio::test]
async fn an_integration_is_shown_without_its_secrets() {
    let (house, token) = House::with_workspace().await;
    let made = house.post("/api/workspaces.createIntegration", Some(&token), &relay()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let shown = shown(&house, &token).await;
    assert_eq!(shown[0]["id"], made.body["integration_id"]);
    assert_eq!(
        shown[0]["email_provider"]["smtp"],
        json!({
            "host": "mx.acme.example", "port": 587, "use_tls": true, "username": "u",
            "password_set": true, "auth_type": "basic"
        })
    );
    assert!(!shown.to_string().contains("hunter2"));
}

#[tokio::test]
async fn an_update_keeps_the_secret_and_a_deletion_removes_all() {
    let (house, token) = House::with_workspace().await;
    let made = house.post("/api/workspaces.createIntegration", Some(&token), &relay()).await;
    let mut change = relay();
    change["integration_id"] = made.body["integration_id"].clone();
    change["name"] = json!("Other relay");
    change["provider"]["smtp"].as_object_mut().unwrap().remove("password");
    change["provider"]["smtp"]["port"] = json!(465);
    let done = house.post("/api/workspaces.updateIntegration", Some(&token), &change).await;
    assert_eq!(done.body["status"], "success", "{}", done.body);
    let kept = shown(&house, &token).await;
    assert_eq!((&kept[0]["name"], &kept[0]["type"]), (&json!("Other relay"), &json!("email")));
    assert_eq!(kept[0]["email_provider"]["smtp"]["password_set"], true);
    let body = json!({"workspace_id": "acme", "integration_id": made.body["integration_id"]});
    house.post("/api/workspaces.deleteIntegration", Some(&token), &body).await;
    assert_eq!(shown(&house, &token).await, json!([]));
}

#[tokio::test]
async fn what_is_not_supported_yet_is_told() {
    let (house, token) = House::with_workspace().await;
    let mut other_type = relay();
    other_type["type"] = json!("supabase");
    let mut other_sign_in = relay();
    other_sign_in["provider"]["smtp"]["auth_type"] = json!("oauth2");
    for body in [other_type, other_sign_in] {
        let answer = house.post("/api/workspaces.createIntegration", Some(&token), &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.body);
        assert!(answer.body["error"].as_str().unwrap().contains("not supported yet"));
    }
}

#[tokio::test]
async fn every_bad_field_of_a_provider_is_named() {
    let (house, token) = House::with_workspace().await;
    let mut body = relay();
    body["provider"]["smtp"]["port"] = json!(70_000);
    body["provider"]["senders"][0]["name"] = json!(1);
    body["provider"]["rate_limit_per_minute"] = json!(-1);
    let answer = house.post("/api/workspaces.createIntegration", Some(&token), &body).await;
    assert_eq!(
        answer.pointers(),
        ["/provider/smtp/port", "/provider/senders/0/name", "/provider/rate_limit_per_minute"]
    );
    let mut body = relay();
    body["provider"]["senders"][0] = json!({"email": "x", "name": "A\r\nBcc: y"});
    let answer = house.post("/api/workspaces.createIntegration", Some(&token), &body).await;
    assert_eq!(answer.pointers(), ["/provider/senders/0/email", "/provider/senders/0/name"]);
}
