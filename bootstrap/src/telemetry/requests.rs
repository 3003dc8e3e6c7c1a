//! Continues the caller's trace and measures each request.

use opentelemetry::{
    KeyValue, global,
    metrics::{Histogram, UpDownCounter},
    propagation::Extractor,
    trace::FutureExt as _,
};
use poem::{Endpoint, IntoResponse, Middleware, PathPattern, Request, Response, Result, http::HeaderMap};
use std::time::Instant;

/// Answers that belong to no route share one name, so that nobody fills the metrics with paths.
const UNMATCHED: &str = "unmatched";

/// Bounds of the duration histogram, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Measures every request. Spans made inside belong to the trace that the caller named.
pub struct Measured;

/// The endpoint with its measurements.
pub struct MeasuredEndpoint<E> {
    inner: E,
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
}

impl<E: Endpoint> Middleware<E> for Measured {
    type Output = MeasuredEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        let meter = global::meter("notifuse");
        MeasuredEndpoint {
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

impl<E: Endpoint> Endpoint for MeasuredEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let method = known_method(&request);
        let parent = global::get_text_map_propagator(|p| p.extract(&Headers(request.headers())));
        let begun = Instant::now();
        self.active.add(1, &[KeyValue::new("http.request.method", method)]);
        let active = Active { counter: &self.active, method };
        let response = match self.inner.call(request).with_context(parent).await {
            Ok(answer) => answer.into_response(),
            Err(error) => error.into_response(),
        };
        drop(active);
        let route = response.data::<PathPattern>().map_or_else(|| UNMATCHED.to_owned(), |p| p.0.to_string());
        let status = response.status().as_u16();
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
