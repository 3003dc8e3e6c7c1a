//! What development opens is closed in production.

use crate::support::{ROOT, production, smtp_provider, workspace};
use serde_json::json;

#[tokio::test]
async fn a_sign_in_code_is_mailed_not_answered() {
    let anonymous = production().anonymous();
    let answer = anonymous.post("/api/user.signin", &json!({"email": ROOT})).await.ok();
    assert!(answer.get("code").is_none(), "{answer}");
    let unknown = anonymous.post("/api/user.signin", &json!({"email": "nobody@acme.example"})).await.ok();
    assert_eq!(unknown, answer, "whether an account exists is not told");
}

#[tokio::test]
async fn an_invitation_is_mailed_not_answered() {
    let root = production().root().await;
    root.post("/api/workspaces.create", &workspace("invites")).await.ok();
    let body = json!({"workspace_id": "invites", "email": "ann@acme.example"});
    let invited = root.post("/api/workspaces.inviteMember", &body).await.ok();
    assert_eq!(invited["token"], "");
}

#[tokio::test]
async fn mail_servers_on_private_addresses_are_refused() {
    let root = production().root().await;
    root.post("/api/workspaces.create", &workspace("private")).await.ok();
    for address in ["127.0.0.1:25", "10.0.0.1:25", "192.168.1.1:25", "169.254.169.254:25"] {
        let provider = smtp_provider(address.parse().unwrap());
        let body = json!({"workspace_id": "private", "name": "Relay", "type": "email", "provider": provider});
        let refused = root.post("/api/workspaces.createIntegration", &body).await;
        assert!(refused.status.is_client_error(), "{address}: {}", refused.body);
    }
}
