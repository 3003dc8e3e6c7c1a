//! Refusing new requests while the process ends.

use crate::problem::Problem;
use poem::{
    Endpoint, IntoResponse, Middleware, Request, Response, Result,
    http::{HeaderValue, StatusCode, header},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Open until the process ends. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct ShutdownGate(Arc<AtomicBool>);

impl ShutdownGate {
    /// From now on new requests are answered with 503; those under way go on.
    pub fn close(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_closed(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

pub(super) struct Gate(pub(super) ShutdownGate);

pub(super) struct GateEndpoint<E>(E, ShutdownGate);

impl<E: Endpoint> Middleware<E> for Gate {
    type Output = GateEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        GateEndpoint(inner, self.0.clone())
    }
}

impl<E: Endpoint> Endpoint for GateEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        if !self.1.is_closed() {
            return self.0.call(request).await.map(IntoResponse::into_response);
        }
        let detail = "the server is shutting down; try again in a moment";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "shutting-down", detail);
        let mut response = problem.retry_after(Duration::from_secs(1)).into_response();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        Ok(response)
    }
}
