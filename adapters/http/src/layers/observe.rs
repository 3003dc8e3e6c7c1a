//! A span, a name and a line in the log for every request. Neither queries nor bodies nor addresses.

use application::ports::IdGenerator;
use poem::{
    Endpoint, IntoResponse, Middleware, PathPattern, Request, Response, Result,
    http::{HeaderName, HeaderValue},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::{Instrument as _, field::Empty};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(super) struct Observe(pub(super) Arc<dyn IdGenerator>);

pub(super) struct ObserveEndpoint<E>(E, Arc<dyn IdGenerator>);

impl<E: Endpoint> Middleware<E> for Observe {
    type Output = ObserveEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        ObserveEndpoint(inner, self.0.clone())
    }
}

impl<E: Endpoint> Endpoint for ObserveEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let begun = Instant::now();
        let id = given_id(&request).unwrap_or_else(|| self.1.uuid().to_string());
        let method = request.method().clone();
        let span = tracing::info_span!(
            "http.request",
            otel.kind = "server",
            otel.name = Empty,
            http.request.method = %method,
            http.route = Empty,
            http.response.status_code = Empty,
            request.id = %id,
            workspace.id = Empty,
        );
        let mut response = self.0.call(request).instrument(span.clone()).await?.into_response();
        let route = response.data::<PathPattern>().map_or_else(|| "unmatched".into(), |p| p.0.to_string());
        let status = response.status().as_u16();
        span.record("otel.name", format!("{method} {route}"));
        span.record("http.route", &route);
        span.record("http.response.status_code", status);
        span.in_scope(|| report(&route, begun.elapsed()));
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        Ok(response)
    }
}

/// Route and status are fields of the span.
fn report(route: &str, lasted: Duration) {
    let duration_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
    if matches!(route, "/health" | "/healthz") {
        tracing::debug!(duration_ms, "answered");
    } else {
        tracing::info!(duration_ms, "answered");
    }
}

/// The name that the client or a proxy gave, when it is fit for a log.
fn given_id(request: &Request) -> Option<String> {
    let id = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let fit = (1..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.');
    fit.then(|| id.to_owned())
}
