//! Whether the server runs, and whether it can serve.

use crate::{features::Shared, tags::Tag};
use poem::{Endpoint, Response, RouteMethod, endpoint::make, http::StatusCode};
use poem_openapi::{Object, OpenApi, payload::Json};
use std::time::Duration;

pub(crate) struct StatusApi;

#[derive(Object)]
struct StatusAnswer {
    /// Always `api running`.
    status: String,
}

#[OpenApi]
#[expect(clippy::unused_async, reason = "poem-openapi's operations are async")]
impl StatusApi {
    /// Tells that the server runs
    #[oai(path = "/", method = "get", operation_id = "status", tag = "Tag::Status")]
    async fn status(&self) -> Json<StatusAnswer> {
        Json(StatusAnswer { status: "api running".to_owned() })
    }
}

/// How long the system database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers 200 while the system database answers, else 503. `GET` and `HEAD`.
pub(crate) fn healthz(shared: Shared) -> impl Endpoint<Output = Response> {
    let check = move |_| {
        let shared = shared.clone();
        async move {
            let healthy =
                matches!(tokio::time::timeout(PATIENCE, shared.readiness.check()).await, Ok(Ok(())));
            let (status, body) = if healthy {
                (StatusCode::OK, r#"{"status":"ok"}"#)
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"unavailable"}"#)
            };
            Response::builder().status(status).content_type("application/json").body(body)
        }
    };
    RouteMethod::new().get(make(check))
}
