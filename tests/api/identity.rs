//! Signing in, keys, members, integrations.

use crate::support::{Server, smtp_provider, workspace};
use serde_json::json;

async fn a_code_signs_in_once(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let who = format!("ann@{}.example", tenant.id);
    tenant.member(json!({})).await;
    let invite = json!({"workspace_id": tenant.id, "email": who});
    let invited = tenant.owner.post("/api/workspaces.inviteMember", &invite).await.ok();
    let anonymous = server.anonymous();
    anonymous.post("/api/workspaces.acceptInvitation", &json!({"token": invited["token"]})).await.ok();
    let asked = anonymous.post("/api/user.signin", &json!({"email": who})).await.ok();
    let code = asked["code"].as_str().expect("the code is answered in development");
    assert_eq!(code.len(), 6);
    let wrong = if code == "000000" { "000001" } else { "000000" };
    anonymous.post("/api/user.verify", &json!({"email": who, "code": wrong})).await.problem(401);
    let session = anonymous.post("/api/user.verify", &json!({"email": who, "code": code})).await.ok();
    anonymous.post("/api/user.verify", &json!({"email": who, "code": code})).await.problem(401);
    let ann = anonymous.with_token(session["token"].as_str().unwrap());
    let me = ann.get("/api/user.me").await.ok();
    assert_eq!(me["user"]["email"], who);
    assert_eq!(me["workspaces"][0]["id"], tenant.id);
    ann.post("/api/user.logout", &json!({})).await.ok();
    assert_eq!(ann.get("/api/user.me").await.problem(401)["error"], "Session expired");
}

async fn codes_cannot_be_guessed_at_will(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let who = format!("guess@{}.example", tenant.id);
    let anonymous = server.anonymous();
    let mut last = None;
    for _ in 0..6 {
        last = Some(anonymous.post("/api/user.verify", &json!({"email": who, "code": "123456"})).await);
    }
    let limited = last.unwrap();
    assert!(limited.headers.contains_key("retry-after"));
    limited.problem(429);
}

async fn a_key_works_until_it_is_revoked(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let made = tenant.post("workspaces.createAPIKey", json!({"email_prefix": tenant.id})).await.ok();
    let key = server.anonymous().with_token(made["token"].as_str().unwrap());
    let count = format!("/api/contacts.count?workspace_id={}", tenant.id);
    assert!(key.get(&count).await.ok()["total_contacts"].is_number());
    let again = tenant.post("workspaces.createAPIKey", json!({"email_prefix": tenant.id})).await;
    again.problem(409);
    let members = tenant.owner.get(&format!("/api/workspaces.members?id={}", tenant.id)).await.ok();
    let account = members["members"].as_array().unwrap().iter().find(|m| m["type"] == "api_key").unwrap();
    assert!(!members.to_string().contains(made["token"].as_str().unwrap()), "a key is shown once");
    tenant.post("workspaces.removeMember", json!({"user_id": account["user_id"]})).await.ok();
    key.get(&count).await.problem(401);
}

async fn secrets_of_a_provider_never_come_back(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let mut provider = smtp_provider("127.0.0.1:2525".parse().unwrap());
    provider["smtp"]["username"] = json!("acme");
    provider["smtp"]["password"] = json!("hunter2-canary");
    let body = json!({"name": "Relay", "type": "email", "provider": provider});
    let made = tenant.post("workspaces.createIntegration", body).await;
    assert_eq!(made.status, 201);
    let id = made.ok()["integration_id"].clone();
    let mut update = json!({"integration_id": id, "name": "Renamed", "provider": provider});
    update["provider"]["smtp"].as_object_mut().unwrap().remove("password");
    tenant.post("workspaces.updateIntegration", update).await.ok();
    let shown = tenant.owner.get(&format!("/api/workspaces.get?id={}", tenant.id)).await.ok();
    assert_eq!(shown["workspace"]["integrations"][0]["name"], "Renamed");
    assert!(!shown.to_string().contains("hunter2"));
}

async fn a_workspace_is_made_once_and_deleted_whole(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    tenant.owner.post("/api/workspaces.create", &workspace(&tenant.id)).await.problem(409);
    let fresh = tenant.get("contacts.count", "").await.ok();
    tenant.post("contacts.upsert", json!({"contact": {"email": "a@b.example"}})).await.ok();
    tenant.owner.post("/api/workspaces.delete", &json!({"id": tenant.id})).await.ok();
    tenant.get("contacts.count", "").await.problem(404);
    tenant.owner.post("/api/workspaces.create", &workspace(&tenant.id)).await.ok();
    assert_eq!(tenant.get("contacts.count", "").await.ok(), fresh, "nothing of the first is left");
}

async fn an_unknown_workspace_makes_no_database(server: &'static Server) {
    let root = server.root().await;
    root.get("/api/contacts.count?workspace_id=nowhere").await.problem(404);
    let bad = root.get("/api/contacts.count?workspace_id=No-Where").await.problem(400);
    assert_eq!(bad["errors"][0]["pointer"], "/workspace_id");
}

on_both_databases! {
    a_code_signs_in_once
    codes_cannot_be_guessed_at_will
    a_key_works_until_it_is_revoked
    secrets_of_a_provider_never_come_back
    a_workspace_is_made_once_and_deleted_whole
    an_unknown_workspace_makes_no_database
}
