//! How a use case can fail, in terms that every caller understands.

use crate::ports::StoreError;
use domain::validation::{FieldProblem, Invalid};
use std::time::Duration;

/// What kind of failure it is; adapters turn it into status codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The input breaks a rule.
    Invalid,
    /// The caller is not known, or no longer.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// What the request names does not exist.
    NotFound,
    /// It collides with what exists.
    Conflict,
    /// The input is well-formed but cannot be carried out with what is configured or stored.
    Unprocessable,
    /// Too often; to be tried again after the given time.
    RateLimited(Duration),
    /// No capacity or no connection; to be tried again after the given time.
    Unavailable(Duration),
    /// All database connections are in use; to be tried again after the given time.
    ConnectionLimit {
        /// The budget.
        max: u32,
        /// Connections counted now.
        current: u32,
        /// When to try again.
        retry_after: Duration,
    },
    /// Not the caller's fault.
    Internal,
}

impl FailureKind {
    /// When to try again, where trying again can help.
    #[must_use]
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::RateLimited(after)
            | Self::Unavailable(after)
            | Self::ConnectionLimit { retry_after: after, .. } => Some(after),
            _ => None,
        }
    }
}

/// A failure of a use case.
pub trait Failure: std::error::Error {
    /// What kind of failure it is.
    fn kind(&self) -> FailureKind;

    /// A stable name for programs, such as `contact-not-found`.
    fn code(&self) -> &'static str;

    /// The bad fields of the input, when that is the failure.
    fn problems(&self) -> &[FieldProblem] {
        &[]
    }
}

impl Failure for Invalid {
    fn kind(&self) -> FailureKind {
        FailureKind::Invalid
    }

    fn code(&self) -> &'static str {
        "invalid-input"
    }

    fn problems(&self) -> &[FieldProblem] {
        &self.0
    }
}

impl Failure for StoreError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Duplicate => FailureKind::Conflict,
            Self::ConnectionLimit { max, current, retry_after } => {
                FailureKind::ConnectionLimit { max: *max, current: *current, retry_after: *retry_after }
            }
            Self::Unavailable { retry_after } => FailureKind::Unavailable(*retry_after),
            Self::ShuttingDown => FailureKind::Unavailable(Duration::from_secs(1)),
            Self::WorkspaceMissing => FailureKind::NotFound,
            Self::Abandoned | Self::Internal(_) => FailureKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::ConnectionLimit { .. } => "connection-limit",
            Self::Unavailable { .. } => "database-unavailable",
            Self::ShuttingDown => "shutting-down",
            Self::WorkspaceMissing => "workspace-not-available",
            Self::Abandoned | Self::Internal(_) => "internal",
        }
    }
}
