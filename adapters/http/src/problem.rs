//! Failures as problem details (RFC 9457). The one place that knows status codes.

mod rejections;

pub(crate) use rejections::{Problems, panicked};

use application::failure::{Failure, FailureKind};
use domain::validation::FieldProblem;
use poem::{IntoResponse, Response, http::StatusCode, http::header};
use poem_openapi::{
    ApiResponse, Object,
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{ToJSON, Type},
};
use std::time::Duration;

/// What went wrong, ready to be answered.
#[derive(Debug)]
pub struct Problem(Box<ProblemBody>);

/// What went wrong (RFC 9457).
#[derive(Debug, Object)]
#[oai(rename = "Problem", skip_serializing_if_is_none)]
struct ProblemBody {
    /// Names the problem for programs; always the same for the same `code`.
    #[oai(rename = "type")]
    kind: String,
    /// Names the problem for people; always the same for the same `code`.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What went wrong this time, and what to do.
    detail: String,
    /// The same as `detail`.
    error: String,
    /// A stable name of the problem.
    code: String,
    /// Each bad field of the request.
    #[oai(skip_serializing_if_is_empty)]
    errors: Vec<FieldProblemBody>,
    /// With code `connection_limit`: the budget of database connections.
    max: Option<u32>,
    /// With code `connection_limit`: database connections in use.
    current: Option<u32>,
    /// With code `connection_limit`: the workspace whose connections are short.
    workspace: Option<String>,
    /// When to try again, in seconds; as in the header `Retry-After`.
    #[oai(rename = "retryAfter")]
    retry_after: Option<u64>,
}

/// One bad field of a request.
#[derive(Debug, Object)]
#[oai(rename = "FieldProblem")]
struct FieldProblemBody {
    /// Where: a JSON pointer (RFC 6901) into the body, or the name of a parameter behind a slash.
    pointer: String,
    /// What is wrong with it, and what to do.
    detail: String,
}

impl Problem {
    /// A problem that no use case knows of, such as an unknown path.
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(ProblemBody {
            kind: format!("/problems/{code}"),
            title: title(code),
            status: status.as_u16(),
            error: detail.clone(),
            detail,
            code: code.replace('-', "_"),
            errors: Vec::new(),
            max: None,
            current: None,
            workspace: None,
            retry_after: None,
        }))
    }

    /// The server's own fault; the details are for the log only.
    pub(crate) fn internal() -> Self {
        let detail =
            "the server could not carry this out; its log tells why, under this answer's X-Request-Id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    #[must_use]
    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        self.0.retry_after = Some(seconds.max(1));
        self
    }

    fn fields(mut self, problems: &[FieldProblem]) -> Self {
        let field =
            |p: &FieldProblem| FieldProblemBody { pointer: p.pointer.clone(), detail: p.message.clone() };
        self.0.errors = problems.iter().map(field).collect();
        self
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// `connection-limit` becomes `Connection limit`.
fn title(code: &str) -> String {
    let words = code.replace('-', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

fn status_of(kind: FailureKind) -> StatusCode {
    match kind {
        FailureKind::Invalid => StatusCode::BAD_REQUEST,
        FailureKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        FailureKind::Forbidden => StatusCode::FORBIDDEN,
        FailureKind::NotFound => StatusCode::NOT_FOUND,
        FailureKind::Conflict => StatusCode::CONFLICT,
        FailureKind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        FailureKind::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
        FailureKind::Unavailable(_) | FailureKind::ConnectionLimit { .. } => StatusCode::SERVICE_UNAVAILABLE,
        FailureKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Every failure of a use case becomes a problem; one that is nobody's fault but ours is logged here,
/// once, with its chain.
impl<E: Failure + 'static> From<E> for Problem {
    fn from(failure: E) -> Self {
        let kind = failure.kind();
        let chain: &(dyn std::error::Error + 'static) = &failure;
        let mut problem = match kind {
            FailureKind::Internal => {
                tracing::error!(code = failure.code(), error = chain, "a use case failed");
                return Self::internal();
            }
            FailureKind::Unavailable(_) | FailureKind::ConnectionLimit { .. } => {
                tracing::warn!(
                    code = failure.code(),
                    error = chain,
                    "a use case could not be carried out now"
                );
                Self::new(status_of(kind), failure.code(), failure.to_string())
            }
            _ => Self::new(status_of(kind), failure.code(), failure.to_string()),
        };
        if let FailureKind::ConnectionLimit { max, current, workspace, .. } = kind {
            (problem.0.max, problem.0.current) = (Some(max), Some(current));
            problem.0.workspace = workspace.map(|workspace| workspace.as_str().to_owned());
        }
        if let Some(after) = kind.retry_after() {
            problem = problem.retry_after(after);
        }
        problem.fields(failure.problems())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = Response::builder()
            .status(status)
            .content_type("application/problem+json")
            .body(self.0.to_json_string());
        let headers = response.headers_mut();
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Problem> for poem::Error {
    fn from(problem: Problem) -> Self {
        Self::from_response(problem.into_response())
    }
}

impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        let content =
            MetaMediaType { content_type: "application/problem+json", schema: ProblemBody::schema_ref() };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "What went wrong",
                status: None,
                status_range: None,
                content: vec![content],
                headers: Vec::new(),
            }],
        }
    }

    fn register(registry: &mut Registry) {
        ProblemBody::register(registry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use application::ports::StoreError;
    use domain::validation::Invalid;
    use serde_json::{Value, json};

    async fn answered(problem: impl Into<Problem>) -> (Response, Value) {
        let mut response = problem.into().into_response();
        let body = response.take_body().into_string().await.unwrap();
        (response, serde_json::from_str(&body).unwrap())
    }

    #[tokio::test]
    async fn the_connection_limit_is_told_with_its_figures() {
        let retry_after = Duration::from_millis(1_200);
        let workspace = Some(domain::ids::WorkspaceId::parse("acme").unwrap());
        let limit = StoreError::ConnectionLimit { max: 100, current: 99, workspace, retry_after };
        let (response, body) = answered(limit).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.header("retry-after"), Some("2"));
        let detail = "the limit of 100 database connections is reached";
        assert_eq!(
            body,
            json!({
                "type": "/problems/connection-limit", "title": "Connection limit", "status": 503,
                "detail": detail, "error": detail, "code": "connection_limit",
                "max": 100, "current": 99, "workspace": "acme", "retryAfter": 2
            })
        );
    }

    #[tokio::test]
    async fn our_own_fault_is_told_without_details() {
        let cause = std::io::Error::other("postgres://user:hunter2@db");
        let (response, body) = answered(StoreError::Internal(Box::new(cause))).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!body.to_string().contains("hunter2") && !body.to_string().contains("database"));
    }

    #[tokio::test]
    async fn bad_fields_are_listed_and_summed_up() {
        let (response, body) = answered(Invalid::one("/contact/email", "is required")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(body["error"], "contact.email: is required");
        assert_eq!(body["errors"], json!([{"pointer": "/contact/email", "detail": "is required"}]));
        assert_eq!(body["code"], "invalid_input");
    }
}
