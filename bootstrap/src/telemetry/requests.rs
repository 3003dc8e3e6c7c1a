//! A span and the usual measurements for each request.

use opentelemetry::{
    KeyValue, global,
    metrics::{Histogram, UpDownCounter},
    propagation::Extractor,
};
use poem::{Endpoint, IntoResponse, Middleware, PathPattern, Request, Response, Result, http::HeaderMap};
use std::time::Instant;
use tracing::{Instrument as _, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Answers that belong to no route share one name, so that nobody fills the metrics with paths.
const UNMATCHED: &str = "unmatched";

/// Bounds of the duration histogram, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Traces and measures every request. Outermost, since it turns errors into answers.
pub struct Traced;

/// The endpoint with its measurements.
pub struct TracedEndpoint<E> {
    inner: E,
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
}

impl<E: Endpoint> Middleware<E> for Traced {
    type Output = TracedEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        let meter = global::meter("notifuse");
        TracedEndpoint {
            inner,
            duration: meter
                .f64_histogram("http.server.request.duration")
                .with_description("Time to answer a request")
                .with_unit("s")
                .with_boundaries(SECONDS.to_vec())
                .build(),
            active: meter
                .i64_up_down_counter("http.server.active_requests")
                .with_description("Requests being answered")
                .build(),
        }
    }
}

impl<E: Endpoint> Endpoint for TracedEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let method = known_method(&request);
        let span = tracing::info_span!(
            "request",
            otel.kind = "server",
            otel.name = Empty,
            http.request.method = method,
            http.route = Empty,
            http.response.status_code = Empty,
        );
        let parent = global::get_text_map_propagator(|p| p.extract(&Headers(request.headers())));
        // Fails only where spans are not exported, and then nothing is lost.
        let _ = span.set_parent(parent);
        let begun = Instant::now();
        self.active.add(1, &[KeyValue::new("http.request.method", method)]);
        let active = Active { counter: &self.active, method };
        let response = match self.inner.call(request).instrument(span.clone()).await {
            Ok(answer) => answer.into_response(),
            Err(error) => error.into_response(),
        };
        drop(active);
        let route = response.data::<PathPattern>().map_or_else(|| UNMATCHED.to_owned(), |p| p.0.to_string());
        let status = response.status().as_u16();
        note(&span, method, &route, status);
        let labels = [
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ];
        self.duration.record(begun.elapsed().as_secs_f64(), &labels);
        Ok(response)
    }
}

/// Counts a request down again, also when the caller went away in the middle of it.
struct Active<'a> {
    counter: &'a UpDownCounter<i64>,
    method: &'static str,
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.counter.add(-1, &[KeyValue::new("http.request.method", self.method)]);
    }
}

fn note(span: &Span, method: &str, route: &str, status: u16) {
    span.record("otel.name", format!("{method} {route}"));
    span.record("http.route", route);
    span.record("http.response.status_code", status);
}

fn known_method(request: &Request) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"];
    KNOWN.into_iter().find(|name| *name == request.method().as_str()).unwrap_or("_OTHER")
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(poem::http::HeaderName::as_str).collect()
    }
}
