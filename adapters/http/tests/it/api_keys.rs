//! `workspaces.createAPIKey`.

use crate::house::House;
use poem::http::StatusCode;
use serde_json::json;

#[tokio::test]
async fn a_key_works_until_it_is_removed() {
    let (house, token) = House::with_workspace().await;
    let body = json!({"workspace_id": "acme", "email_prefix": "crm"});
    let made = house.post("/api/workspaces.createAPIKey", Some(&token), &body).await.body;
    assert_eq!((&made["status"], &made["email"]), (&json!("success"), &json!("crm@mail.host.example")));
    let key = made["token"].as_str();
    let me = house.get("/api/user.me", key).await.body;
    assert_eq!(me["user"]["type"], "api_key");
    let body = json!({"workspace_id": "acme", "user_id": me["user"]["id"]});
    house.post("/api/workspaces.removeMember", Some(&token), &body).await;
    assert_eq!(house.get("/api/user.me", key).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_key_makes_no_keys() {
    let (house, token) = House::with_workspace().await;
    let body = json!({"workspace_id": "acme", "email_prefix": "crm"});
    let made = house.post("/api/workspaces.createAPIKey", Some(&token), &body).await.body;
    let refused = house.post("/api/workspaces.createAPIKey", made["token"].as_str(), &body).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_key_of_one_workspace_does_not_enter_another() {
    let (house, token) = House::with_workspace().await;
    let body = json!({"workspace_id": "acme", "email_prefix": "crm"});
    let made = house.post("/api/workspaces.createAPIKey", Some(&token), &body).await.body;
    let mut other = crate::house::acme();
    other["id"] = json!("other");
    house.post("/api/workspaces.create", Some(&token), &other).await;
    for workspace in ["other", "nowhere"] {
        let path = format!("/api/workspaces.get?id={workspace}");
        let refused = house.get(&path, made["token"].as_str()).await;
        assert_eq!((refused.status, &refused.body["code"]), (StatusCode::FORBIDDEN, &json!("not_a_member")));
    }
}
