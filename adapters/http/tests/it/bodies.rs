//! Bad bodies: every wrong field is named, with what to do.

use crate::house::{House, read};
use poem::http::StatusCode;
use serde_json::{Value, json};

async fn refused(body: &str) -> Value {
    let house = House::new().await;
    let answer = read(house.client.post("/api/user.rootSignin").body(body.to_owned()).send().await).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
    answer.body
}

#[tokio::test]
async fn every_missing_and_mistyped_field_is_named() {
    let body = refused(r#"{"email": 1, "timestamp": "x", "other": true}"#).await;
    assert_eq!(
        body["errors"],
        json!([
            {"pointer": "/email", "detail": "must be a string"},
            {"pointer": "/timestamp", "detail": "must be a whole number"},
            {"pointer": "/signature", "detail": "is required"}
        ])
    );
    assert_eq!(
        body["error"],
        "email: must be a string; timestamp: must be a whole number; signature: is required"
    );
}

#[tokio::test]
async fn malformed_json_is_located() {
    let body = refused("{\"email\": \n oops}").await;
    assert_eq!(body["code"], "body_malformed");
    assert!(body["error"].as_str().unwrap().contains("line 2"));
}

#[tokio::test]
async fn a_missing_body_is_told() {
    for body in ["", "  \n"] {
        assert_eq!(refused(body).await["code"], "body_missing");
    }
}

#[tokio::test]
async fn what_is_no_object_is_told() {
    for body in ["null", "[]", "1", "\"a\""] {
        assert_eq!(refused(body).await["errors"][0]["detail"], "must be an object", "{body}");
    }
}

#[tokio::test]
async fn deep_nesting_is_refused() {
    let body = refused(&("[".repeat(5_000) + &"]".repeat(5_000))).await;
    assert_eq!(body["error"], "the body is nested too deeply");
}

#[tokio::test]
async fn unknown_members_are_ignored() {
    let house = House::new().await;
    let body = json!({"email": "ana@shop.example", "colour": "red"});
    assert_eq!(house.post("/api/user.signin", None, &body).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_rejected_value_is_never_repeated() {
    let secret = "hunter2hunter2";
    let body = refused(&json!({"email": [secret], "timestamp": secret, "signature": 5}).to_string()).await;
    assert!(!body.to_string().contains(secret));
}

#[tokio::test]
async fn a_missing_parameter_is_named() {
    let house = House::new().await;
    let token = house.root().await;
    let answer = house.get("/api/workspaces.get", Some(&token)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.body["errors"], json!([{"pointer": "/id", "detail": "is required"}]));
}
