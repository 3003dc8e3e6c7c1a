//! What every request passes: methods, limits, origins, names.

use crate::house::{House, read};
use application::platform::Environment;
use poem::{Body, http::StatusCode};
use serde_json::json;

#[tokio::test]
async fn the_server_tells_that_it_runs() {
    let house = House::new().await;
    for path in ["/api", "/api/"] {
        let answer = house.get(path, None).await;
        assert_eq!(answer.body, json!({"status": "api running"}), "{path}");
    }
}

#[tokio::test]
async fn health_is_answered_to_get_and_head() {
    let house = House::new().await;
    let answer = house.get("/healthz", None).await;
    assert_eq!((answer.status, answer.body), (StatusCode::OK, json!({"status": "ok"})));
    house.client.head("/healthz").send().await.assert_status_is_ok();
}

#[tokio::test]
async fn an_unknown_path_is_a_problem() {
    let house = House::new().await;
    for path in ["/api/nothing.here", "/nothing", "/api/user.me/"] {
        let response = house.client.get(path).send().await;
        response.assert_content_type("application/problem+json");
        let answer = read(response).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.body["code"], "path_not_found");
        assert_eq!(answer.body["error"], answer.body["detail"]);
        assert_eq!(answer.body["title"], "Path not found");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told() {
    let house = House::new().await;
    let answer = house.get("/api/user.signin", None).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(answer.body["error"].as_str().unwrap().contains("POST"));
}

#[tokio::test]
async fn a_missing_or_malformed_token_is_told() {
    let house = House::new().await;
    for header in [None, Some("abc"), Some("Basic abc"), Some("Bearer")] {
        let request = house.client.get("/api/user.me");
        let request = match header {
            Some(value) => request.header("authorization", value),
            None => request,
        };
        let response = request.send().await;
        response.assert_header("www-authenticate", "Bearer");
        let answer = read(response).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{header:?}");
        assert_eq!(answer.body["code"], "token_missing");
    }
    let answer = house.get("/api/user.me", Some("abc")).await;
    assert_eq!((answer.status, &answer.body["code"]), (StatusCode::UNAUTHORIZED, &json!("token_invalid")));
}

#[tokio::test]
async fn a_body_needs_no_content_type() {
    let house = House::new().await;
    for kind in [None, Some("application/x-www-form-urlencoded"), Some("text/plain; charset=utf-8")] {
        let request = house.client.post("/api/user.signin").body(r#"{"email":"a@shop.example"}"#);
        let request = match kind {
            Some(kind) => request.content_type(kind),
            None => request,
        };
        request.send().await.assert_status_is_ok();
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_json_is_refused() {
    let house = House::new().await;
    let request = house.client.post("/api/user.signin").content_type("multipart/form-data; boundary=x");
    let answer = read(request.body("--x--").send().await).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(answer.body["error"].as_str().unwrap().contains("application/json"));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_announced_or_not() {
    let house = House::with(Environment::Production, |s| s.body_limit = 1 << 20).await;
    let large = "x".repeat((1 << 20) + 1);
    let announced = house.client.post("/api/user.signin").header("content-length", large.len());
    let announced = announced.body(large.clone()).send().await;
    let stream = futures_util::stream::iter([Ok::<_, std::io::Error>(large.into_bytes())]);
    let streamed = house.client.post("/api/user.signin").body(Body::from_bytes_stream(stream)).send().await;
    for response in [announced, streamed] {
        let answer = read(response).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", answer.body);
        assert_eq!(answer.body["error"], "the body is too large; the limit is 1 MiB");
    }
}

#[tokio::test]
async fn an_import_may_be_larger() {
    let house = House::with(Environment::Production, |s| s.body_limit = 10).await;
    let body = "x".repeat(100);
    let usual = house.client.post("/api/user.signin").body(body.clone()).send().await;
    usual.assert_status(StatusCode::PAYLOAD_TOO_LARGE);
    let import = house.client.post("/api/any.import").body(body).send().await;
    import.assert_status(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn options_are_answered_to_everybody_even_while_shutting_down() {
    let house = House::new().await;
    house.gate.close();
    let response = house.client.options("/api/user.me").send().await;
    response.assert_status_is_ok();
    response.assert_header("access-control-allow-origin", "*");
    response.assert_header_is_not_exist("access-control-allow-credentials");
}

#[tokio::test]
async fn listed_origins_are_let_in_with_credentials() {
    let settings =
        |s: &mut http_api::HttpSettings| s.cors_allow_origin = "https://a.example, https://b.example".into();
    let house = House::with(Environment::Production, settings).await;
    let known = house.client.get("/api").header("origin", "https://b.example").send().await;
    known.assert_header("access-control-allow-origin", "https://b.example");
    known.assert_header("access-control-allow-credentials", "true");
    let unknown = house.client.get("/api").header("origin", "https://c.example").send().await;
    unknown.assert_header_is_not_exist("access-control-allow-origin");
    unknown.assert_header("vary", "Origin");
}

#[tokio::test]
async fn a_closed_gate_sends_requests_away() {
    let house = House::new().await;
    house.gate.close();
    let response = house.client.get("/healthz").send().await;
    response.assert_header("retry-after", "1");
    response.assert_header("connection", "close");
    let answer = read(response).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("shutting_down"))
    );
}

#[tokio::test]
async fn a_request_keeps_its_name_or_gets_one() {
    let house = House::new().await;
    let named = house.client.get("/api").header("x-request-id", "abc-1").send().await;
    named.assert_header("x-request-id", "abc-1");
    let unfit = house.client.get("/nothing").header("x-request-id", "a b").send().await;
    assert_ne!(unfit.0.header("x-request-id"), Some("a b"));
    unfit.assert_header_exist("x-request-id");
}

#[tokio::test]
async fn the_sixth_attempt_is_told_when_to_come_again() {
    let house = House::new().await;
    let body = json!({"email": "ana@shop.example"});
    for _ in 0..5 {
        house.post("/api/user.signin", None, &body).await;
    }
    let response = house.client.post("/api/user.signin").body_json(&body).send().await;
    response.assert_header("retry-after", "300");
    let answer = read(response).await;
    assert_eq!((answer.status, &answer.body["retryAfter"]), (StatusCode::TOO_MANY_REQUESTS, &json!(300)));
}
