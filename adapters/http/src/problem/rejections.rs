//! What poem itself rejects, such as an unknown path, told as problems that say what to do.

use super::Problem;
use crate::layers::TooLarge;
use domain::validation::Invalid;
use poem::{
    Endpoint, Error, IntoResponse, Middleware, PathPattern, Request, Response, Result,
    error::{MethodNotAllowedError, NotFoundError, ReadBodyError},
    http::StatusCode,
};
use poem_openapi::error::{
    AuthorizationError, ContentTypeError, ParseMultipartError, ParseParamError, ParsePathError,
    ParseRequestPayloadError,
};

/// Turns every error into a response with a problem; nothing but responses comes out.
pub(crate) struct Problems;

pub(crate) struct ProblemsEndpoint<E>(E);

impl<E: Endpoint> Middleware<E> for Problems {
    type Output = ProblemsEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        ProblemsEndpoint(inner)
    }
}

impl<E: Endpoint> Endpoint for ProblemsEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let error = match self.0.call(request).await {
            Ok(output) => return Ok(output.into_response()),
            Err(error) => error,
        };
        let pattern = error.data::<PathPattern>().cloned();
        let mut response = if error.is_from_response() {
            error.into_response()
        } else {
            Problem::from_rejection(&error).into_response()
        };
        if let Some(pattern) = pattern {
            response.set_data(pattern);
        }
        Ok(response)
    }
}

/// The answer when a handler panicked. The panic itself is reported by the process's panic hook.
pub(crate) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Problem::internal().into_response()
}

impl Problem {
    fn from_rejection(error: &Error) -> Self {
        if error.is::<AuthorizationError>() {
            let detail = "this operation needs a token; send the header Authorization: Bearer <token>";
            return Self::new(StatusCode::UNAUTHORIZED, "token-missing", detail);
        }
        if error.is::<NotFoundError>() {
            let detail = "there is nothing at this path; the operations are listed at /docs";
            return Self::new(StatusCode::NOT_FOUND, "path-not-found", detail);
        }
        if error.is::<MethodNotAllowedError>() {
            let detail = "this path takes another method: GET reads, POST changes; see /docs";
            return Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail);
        }
        if error.is::<ContentTypeError>() {
            let detail = "the body must be sent as application/json";
            return Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type-unsupported", detail);
        }
        if let Some(too_large) = TooLarge::within(error) {
            return Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", too_large.to_string());
        }
        if let Some(parameter) = error.downcast_ref::<ParseParamError>() {
            return Invalid::one(format!("/{}", parameter.name), reason(&parameter.reason)).into();
        }
        let unreadable = error.is::<ParseRequestPayloadError>()
            || error.is::<ParseMultipartError>()
            || error.is::<ParsePathError>()
            || error.is::<ReadBodyError>();
        if unreadable {
            return Self::new(StatusCode::BAD_REQUEST, "request-unreadable", "the request cannot be read");
        }
        match error.status() {
            status if status.is_server_error() => {
                tracing::error!(status = status.as_u16(), "a request failed outside of the use cases");
                Self::internal()
            }
            status => {
                let reason = status.canonical_reason().unwrap_or("the request was refused");
                Self::new(status, "request-refused", reason.to_lowercase())
            }
        }
    }
}

/// What is wrong with a parameter, in our words and without its value.
fn reason(poems: &str) -> String {
    if poems.contains("expects an input value") {
        return "is required".to_owned();
    }
    let wanted = poems.split('"').nth(1).unwrap_or_default();
    match wanted {
        _ if wanted.starts_with("integer") || wanted.starts_with("uinteger") => "must be a whole number",
        _ if wanted.starts_with("number") => "must be a number",
        _ if wanted.starts_with("boolean") => "must be true or false",
        _ if wanted.contains("date-time") => {
            "must be an RFC 3339 date and time, such as 2026-02-01T09:00:00Z"
        }
        _ => "is not one of the accepted values; see /docs",
    }
    .to_owned()
}
