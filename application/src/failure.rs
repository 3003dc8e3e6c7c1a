//! How a use case can fail, in terms that every caller understands.

use crate::ports::StoreError;
use domain::{
    ids::WorkspaceId,
    validation::{FieldProblem, Invalid},
};
use std::{fmt, time::Duration};

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
        /// Whose connections are short; `None` for the installation's own.
        workspace: Option<WorkspaceTag>,
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

/// The identifier of a workspace by value, so that a kind of failure can be copied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WorkspaceTag {
    text: [u8; Self::LONGEST],
    length: usize,
}

impl WorkspaceTag {
    /// As long as an identifier may be, in bytes.
    const LONGEST: usize = 20;

    /// The identifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..self.length]).unwrap_or_default()
    }
}

impl From<&WorkspaceId> for WorkspaceTag {
    fn from(id: &WorkspaceId) -> Self {
        let bytes = id.as_str().as_bytes();
        let length = bytes.len().min(Self::LONGEST);
        let mut text = [0; Self::LONGEST];
        text[..length].copy_from_slice(&bytes[..length]);
        Self { text, length }
    }
}

impl fmt::Debug for WorkspaceTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
            Self::ConnectionLimit { max, current, workspace, retry_after } => FailureKind::ConnectionLimit {
                max: *max,
                current: *current,
                workspace: workspace.as_ref().map(WorkspaceTag::from),
                retry_after: *retry_after,
            },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_limit_tells_whose_connections_are_short() {
        let longest = WorkspaceId::parse("abcdefghijklmnopqrst").unwrap();
        let limit = StoreError::ConnectionLimit {
            max: 100,
            current: 99,
            workspace: Some(longest.clone()),
            retry_after: Duration::from_secs(1),
        };
        let FailureKind::ConnectionLimit { workspace: Some(tag), .. } = limit.kind() else {
            panic!("{:?}", limit.kind())
        };
        assert_eq!(tag.as_str(), longest.as_str());
    }
}
