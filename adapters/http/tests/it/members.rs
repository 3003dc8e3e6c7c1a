//! `workspaces.*`: members and invitations.

use crate::house::House;
use poem::http::StatusCode;
use serde_json::{Value, json};

async fn invite(house: &House, token: &str) -> Value {
    let body = json!({
        "workspace_id": "acme", "email": "bob@shop.example",
        "permissions": {"lists": {"read": true, "write": false}}
    });
    let answer = house.post("/api/workspaces.inviteMember", Some(token), &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body
}

#[tokio::test]
async fn an_invitation_is_listed_with_the_members() {
    let (house, token) = House::with_workspace().await;
    let invited = invite(&house, &token).await;
    assert_eq!(invited["invitation"]["permissions"], json!({"lists": {"read": true, "write": false}}));
    let members = house.get("/api/workspaces.members?id=acme", Some(&token)).await.body;
    let [owner, invitation] = &members["members"].as_array().unwrap()[..] else { panic!("{members}") };
    assert_eq!((&owner["role"], owner.get("invitation_expires_at")), (&json!("owner"), Some(&Value::Null)));
    assert_eq!(owner["permissions"].as_object().unwrap().len(), 10);
    assert_eq!(invitation["invitation_expires_at"], "2026-01-16T00:00:01Z");
    assert_eq!((&invitation["user_id"], &invitation["type"]), (&json!(""), &json!("user")));
}

#[tokio::test]
async fn an_invitation_shows_no_more_of_the_workspace_than_its_name() {
    let (house, token) = House::with_workspace().await;
    let invited = invite(&house, &token).await;
    let body = json!({"token": invited["token"]});
    let view = house.post("/api/workspaces.verifyInvitationToken", None, &body).await.body;
    assert_eq!(view["workspace"], json!({"id": "acme", "name": "Acme"}));
    assert_eq!(view["valid"], true);
}

#[tokio::test]
async fn who_accepts_is_signed_in() {
    let (house, token) = House::with_workspace().await;
    let invited = invite(&house, &token).await;
    let body = json!({"token": invited["token"]});
    let accepted = house.post("/api/workspaces.acceptInvitation", None, &body).await.body;
    assert_eq!((&accepted["workspace_id"], &accepted["email"]), (&json!("acme"), &json!("bob@shop.example")));
    let me = house.get("/api/user.me", accepted["token"].as_str()).await;
    assert_eq!(me.body["workspaces"][0]["id"], "acme");
    let denied = house.get("/api/workspaces.members?id=acme", accepted["token"].as_str()).await;
    assert_eq!((denied.status, &denied.body["code"]), (StatusCode::FORBIDDEN, &json!("permission_missing")));
    assert_eq!(denied.body["error"], "this needs the permission workspace:read");
}

#[tokio::test]
async fn an_unknown_resource_is_refused() {
    let (house, token) = House::with_workspace().await;
    let body = json!({"workspace_id": "acme", "email": "bob@shop.example", "permissions": {"money": {"read": true}}});
    let answer = house.post("/api/workspaces.inviteMember", Some(&token), &body).await;
    assert_eq!((answer.status, answer.pointers()), (StatusCode::BAD_REQUEST, vec!["/permissions"]));
}

#[tokio::test]
async fn permissions_change_and_a_membership_ends() {
    let (house, token) = House::with_workspace().await;
    let invited = invite(&house, &token).await;
    let accepted =
        house.post("/api/workspaces.acceptInvitation", None, &json!({"token": invited["token"]})).await.body;
    let mut body = json!({
        "workspace_id": "acme", "user_id": accepted["user"]["id"],
        "permissions": {"contacts": {"read": true}}
    });
    let changed = house.post("/api/workspaces.setUserPermissions", Some(&token), &body).await;
    assert_eq!(changed.body["status"], "success", "{}", changed.body);
    body.as_object_mut().unwrap().remove("permissions");
    let removed = house.post("/api/workspaces.removeMember", Some(&token), &body).await;
    assert_eq!(removed.body["status"], "success", "{}", removed.body);
    let again = house.post("/api/workspaces.removeMember", Some(&token), &body).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_invitation_is_taken_back() {
    let (house, token) = House::with_workspace().await;
    let invited = invite(&house, &token).await;
    let body = json!({"invitation_id": invited["invitation"]["id"]});
    let done = house.post("/api/workspaces.deleteInvitation", Some(&token), &body).await;
    assert_eq!(done.body["status"], "success");
    let body = json!({"token": invited["token"]});
    let gone = house.post("/api/workspaces.verifyInvitationToken", None, &body).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}
