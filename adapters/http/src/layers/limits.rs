//! Bounds on the size of a body and on the time that a request takes.

use super::{is_callback, is_import, is_send};
use crate::problem::Problem;
use futures_util::StreamExt as _;
use poem::{
    Body, Endpoint, Error, IntoResponse, Middleware, Request, Response, Result,
    http::{StatusCode, header},
};
use std::time::Duration;

/// A body over the limit.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the body is too large; the limit is {} MiB", .limit >> 20)]
pub(crate) struct TooLarge {
    limit: usize,
}

impl TooLarge {
    /// Finds the refusal of a body inside of the error of whoever read it.
    pub(crate) fn within(error: &Error) -> Option<Self> {
        if let Some(found) = error.downcast_ref::<Self>() {
            return Some(*found);
        }
        let read = error.downcast_ref::<poem::error::ReadBodyError>()?;
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(read);
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(*found);
            }
            let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            cause = match inside {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        None
    }
}

#[derive(Clone, Copy)]
pub(super) struct BodyLimit {
    pub(super) usual: usize,
    pub(super) import: usize,
    pub(super) send: usize,
    pub(super) callback: usize,
}

impl BodyLimit {
    fn of(self, path: &str) -> usize {
        if is_import(path) {
            self.import
        } else if is_send(path) {
            self.send
        } else if is_callback(path) {
            self.callback
        } else {
            self.usual
        }
    }
}

pub(super) struct BodyLimitEndpoint<E> {
    inner: E,
    limit: BodyLimit,
}

impl<E: Endpoint> Middleware<E> for BodyLimit {
    type Output = BodyLimitEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        BodyLimitEndpoint { inner, limit: *self }
    }
}

impl<E: Endpoint> Endpoint for BodyLimitEndpoint<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> Result<E::Output> {
        let limit = self.limit.of(request.uri().path());
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        match announced {
            Some(length) if length > limit as u64 => {
                return Err(Error::new(TooLarge { limit }, StatusCode::PAYLOAD_TOO_LARGE));
            }
            Some(_) => {}
            None => {
                let mut seen = 0;
                let counted = request.take_body().into_bytes_stream().map(move |chunk| {
                    let chunk = chunk?;
                    seen += chunk.len();
                    if seen > limit { Err(std::io::Error::other(TooLarge { limit })) } else { Ok(chunk) }
                });
                request.set_body(Body::from_bytes_stream(counted));
            }
        }
        self.inner.call(request).await
    }
}

pub(super) struct Timeout {
    pub(super) usual: Duration,
    pub(super) import: Duration,
}

pub(super) struct TimeoutEndpoint<E> {
    inner: E,
    usual: Duration,
    import: Duration,
}

impl<E: Endpoint> Middleware<E> for Timeout {
    type Output = TimeoutEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        TimeoutEndpoint { inner, usual: self.usual, import: self.import }
    }
}

impl<E: Endpoint> Endpoint for TimeoutEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let limit = if is_import(request.uri().path()) { self.import } else { self.usual };
        if let Ok(answered) = tokio::time::timeout(limit, self.inner.call(request)).await {
            return answered.map(IntoResponse::into_response);
        }
        let detail = "the request took too long and was given up; nothing of it is kept unless it had ended";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", detail);
        Ok(problem.retry_after(Duration::from_secs(5)).into_response())
    }
}
