//! `user.*`.

use crate::house::{House, ROOT};
use application::platform::Environment;
use poem::http::StatusCode;
use serde_json::json;

#[tokio::test]
async fn a_code_signs_in() {
    let house = House::new().await;
    let asked = house.post("/api/user.signin", None, &json!({"email": ROOT})).await;
    let code = &asked.body["code"];
    let signed_in = house.post("/api/user.verify", None, &json!({"email": ROOT, "code": code})).await;
    assert_eq!(signed_in.status, StatusCode::OK);
    assert_eq!(signed_in.body["expires_at"], "2026-01-31T00:00:00Z");
    let me = house.get("/api/user.me", signed_in.body["token"].as_str()).await;
    assert_eq!(
        me.body,
        json!({
            "user": {
                "id": "00000000-0000-0000-0000-000000000001",
                "type": "user",
                "email": ROOT,
                "name": "Root User",
                "language": "en",
                "created_at": "2026-01-01T00:00:00Z",
                "updated_at": "2026-01-01T00:00:00Z"
            },
            "workspaces": []
        })
    );
}

#[tokio::test]
async fn production_does_not_tell_whether_an_account_exists() {
    let house = House::with(Environment::Production, |_| {}).await;
    let known = house.post("/api/user.signin", None, &json!({"email": ROOT})).await;
    let unknown = house.post("/api/user.signin", None, &json!({"email": "nobody@shop.example"})).await;
    assert_eq!((known.status, known.body), (unknown.status, unknown.body));
}

#[tokio::test]
async fn a_wrong_code_is_unauthenticated() {
    let house = House::new().await;
    let answer = house.post("/api/user.verify", None, &json!({"email": ROOT, "code": "000000"})).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (StatusCode::UNAUTHORIZED, &json!("sign_in_code_wrong"))
    );
}

#[tokio::test]
async fn a_bad_address_is_named() {
    let house = House::new().await;
    let answer = house.post("/api/user.signin", None, &json!({"email": "x"})).await;
    assert_eq!((answer.status, answer.pointers()), (StatusCode::BAD_REQUEST, vec!["/email"]));
}

#[tokio::test]
async fn a_signed_out_session_is_expired() {
    let house = House::new().await;
    let token = house.root().await;
    let out = house.post("/api/user.logout", Some(&token), &json!({})).await;
    assert_eq!(out.status, StatusCode::OK);
    let answer = house.get("/api/user.me", Some(&token)).await;
    assert_eq!((answer.status, &answer.body["error"]), (StatusCode::UNAUTHORIZED, &json!("Session expired")));
}

#[tokio::test]
async fn a_language_is_chosen() {
    let house = House::new().await;
    let token = house.root().await;
    let done = house.post("/api/user.updateLanguage", Some(&token), &json!({"language": "pt-BR"})).await;
    assert_eq!(done.status, StatusCode::OK);
    let me = house.get("/api/user.me", Some(&token)).await;
    assert_eq!(me.body["user"]["language"], "pt-BR");
    let refused = house.post("/api/user.updateLanguage", Some(&token), &json!({"language": "xx"})).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}
