//! The OpenAPI document.

use crate::house::House;
use poem::http::{Method, StatusCode};
use serde_json::Value;
use std::collections::BTreeSet;

fn operations(document: &Value) -> Vec<(&String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, methods)| methods.as_object().unwrap().values().map(move |o| (path, o)))
        .collect()
}

#[tokio::test]
async fn the_served_document_is_the_printed_one() {
    let house = House::new().await;
    let served = house.client.get("/openapi.json").send().await.0.into_body().into_string().await.unwrap();
    assert_eq!(served, http_api::document());
}

#[tokio::test]
async fn swagger_ui_comes_from_the_binary() {
    let house = House::new().await;
    for path in ["/docs", "/docs/"] {
        let response = house.client.get(path).send().await;
        response.assert_status_is_ok();
        let page = response.0.into_body().into_string().await.unwrap();
        assert!(!page.contains("src=\"http") && !page.contains("href=\"http"), "{path}");
    }
}

#[test]
fn no_path_is_written_twice() {
    let text = http_api::document();
    let document: Value = serde_json::from_str(&text).unwrap();
    for path in document["paths"].as_object().unwrap().keys() {
        assert_eq!(text.matches(&format!("\"{path}\":")).count(), 1, "{path}");
    }
}

#[test]
fn every_operation_has_a_name_a_tag_a_summary_and_a_problem() {
    let document: Value = serde_json::from_str(&http_api::document()).unwrap();
    let mut names = BTreeSet::new();
    for (path, operation) in operations(&document) {
        assert!(names.insert(operation["operationId"].as_str().unwrap()), "{path}");
        assert!(operation["tags"][0].is_string(), "{path}");
        assert!(operation["summary"].is_string(), "{path}");
        if path != "/api/" {
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
            assert!(problem.is_object(), "{path}: {}", operation["responses"]);
        }
    }
}

/// The operations that anybody may call.
const PUBLIC: [&str; 6] = [
    "status",
    "userRootSignin",
    "userSignin",
    "userVerify",
    "workspacesAcceptInvitation",
    "workspacesVerifyInvitationToken",
];

#[tokio::test]
async fn every_operation_but_the_public_ones_demands_a_token() {
    let house = House::new().await;
    let document: Value = serde_json::from_str(&http_api::document()).unwrap();
    let mut public = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation["security"].is_null() {
                public.insert(operation["operationId"].as_str().unwrap());
                continue;
            }
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let answered = house.client.request(method, path).body("{}").send().await;
            answered.assert_status(StatusCode::UNAUTHORIZED);
        }
    }
    assert_eq!(public.into_iter().collect::<Vec<_>>(), PUBLIC);
}
