//! `workspaces.*`: tenants.

use crate::house::{House, acme, settings};
use poem::http::StatusCode;
use serde_json::{Value, json};

#[tokio::test]
async fn a_made_workspace_is_answered_listed_and_given() {
    let (house, token) = House::with_workspace().await;
    let list = house.get("/api/workspaces.list", Some(&token)).await.body;
    let given = house.get("/api/workspaces.get?id=acme", Some(&token)).await.body;
    assert_eq!(list, json!([given["workspace"]]));
    assert_eq!(
        given["workspace"],
        json!({
            "id": "acme",
            "name": "Acme",
            "settings": {
                "timezone": "Europe/Paris",
                "default_language": "en",
                "languages": ["en", "fr"],
                "email_tracking_enabled": true
            },
            "integrations": [],
            "created_at": "2026-01-01T00:00:01Z",
            "updated_at": "2026-01-01T00:00:01Z"
        })
    );
}

#[tokio::test]
async fn a_taken_identifier_is_a_conflict() {
    let (house, token) = House::with_workspace().await;
    let again = house.post("/api/workspaces.create", Some(&token), &acme()).await;
    assert_eq!((again.status, &again.body["code"]), (StatusCode::CONFLICT, &json!("workspace_id_taken")));
}

#[tokio::test]
async fn bad_settings_are_named_one_by_one() {
    let (house, token) = House::with_workspace().await;
    let mut change = acme();
    change["settings"] = json!({
        "timezone": "Mars/Base", "default_language": "xx", "languages": ["en", "yy"],
        "marketing_email_provider_id": "1"
    });
    let answer = house.post("/api/workspaces.update", Some(&token), &change).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer.pointers(),
        [
            "/settings/timezone",
            "/settings/default_language",
            "/settings/languages/1",
            "/settings/marketing_email_provider_id"
        ]
    );
}

#[tokio::test]
async fn an_update_clears_what_is_empty_null_or_left_out() {
    let (house, token) = House::with_workspace().await;
    let mut change = acme();
    change["name"] = json!("New");
    change["settings"]["website_url"] = json!("https://acme.example");
    change["settings"]["custom_field_labels"] = json!({"custom_string_1": "Plan"});
    let answer = house.post("/api/workspaces.update", Some(&token), &change).await;
    assert_eq!(answer.body["settings"]["custom_field_labels"], json!({"custom_string_1": "Plan"}));
    for nothing in [json!(""), Value::Null] {
        change["settings"] = settings();
        change["settings"]["website_url"] = nothing;
        let answer = house.post("/api/workspaces.update", Some(&token), &change).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let mut cleared = settings();
        cleared["email_tracking_enabled"] = json!(false);
        assert_eq!(answer.body["settings"], cleared);
    }
}

#[tokio::test]
async fn a_deleted_workspace_is_unknown() {
    let (house, token) = House::with_workspace().await;
    let done = house.post("/api/workspaces.delete", Some(&token), &json!({"id": "acme"})).await;
    assert_eq!(done.body, json!({"status": "success"}));
    let gone = house.get("/api/workspaces.get?id=acme", Some(&token)).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_malformed_identifier_is_named() {
    let (house, token) = House::with_workspace().await;
    let answer = house.get("/api/workspaces.get?id=ACME!", Some(&token)).await;
    assert_eq!((answer.status, answer.pointers()), (StatusCode::BAD_REQUEST, vec!["/id"]));
}
