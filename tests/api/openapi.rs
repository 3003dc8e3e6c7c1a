//! The document.

use crate::support::sqlite;
use serde_json::Value;
use std::path::Path;

fn document() -> Value {
    serde_json::from_str(&http_api::document()).unwrap()
}

#[test]
fn the_document_is_the_reviewed_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/openapi.json");
    let reviewed: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(reviewed == document(), "run `just openapi` and review the change of openapi/openapi.json");
}

#[test]
fn no_path_stands_twice_in_the_document() {
    // A parsed document would hide a second one: the text is searched.
    let text = http_api::document();
    for path in document()["paths"].as_object().unwrap().keys() {
        assert_eq!(text.matches(&format!("\"{path}\":")).count(), 1, "{path}");
    }
}

#[test]
fn every_operation_has_a_name_and_a_tag() {
    let document = document();
    let mut names = std::collections::HashSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap_or_default();
            assert!(!name.is_empty() && !name.contains('.'), "{method} {path}");
            assert!(names.insert(name.to_owned()), "{name} names two operations");
            assert!(operation["tags"][0].is_string(), "{name} has no tag");
        }
    }
}

#[tokio::test]
async fn the_server_serves_its_document_and_its_pages() {
    let client = sqlite().anonymous();
    assert_eq!(client.get("/openapi.json").await.ok(), document());
    let docs = client.get("/docs").await;
    assert!(docs.status.is_success());
    let page = docs.body.as_str().unwrap();
    assert!(page.contains("swagger-ui"));
    assert!(!page.contains("src=\"http"), "nothing is loaded from elsewhere");
}
