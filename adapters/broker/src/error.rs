//! Why a lease was not granted. Texts are constant and name no host, role or database.

use std::time::Duration;

use crate::WorkspaceKey;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// All connections are in use, or too many callers wait for them.
    #[error("the connection limit is reached")]
    ConnectionLimit {
        /// The budget: connections that all instances of the platform may have together.
        max: u32,
        /// Connections counted when the request was refused.
        current: u32,
        /// The workspace asked for; `None` for the system database.
        workspace: Option<WorkspaceKey>,
        /// When to try again: whole seconds from 1 to 30.
        retry_after: Duration,
        /// Which limit it was.
        reason: LimitReason,
    },
    /// The server is down, refuses connections, or has just failed for this workspace.
    #[error("the database is unavailable")]
    Unavailable {
        /// When to try again: whole seconds from 1 to 30.
        retry_after: Duration,
    },
    /// The workspace has no database.
    #[error("the workspace has no database")]
    DatabaseMissing {
        /// The workspace asked for.
        workspace: WorkspaceKey,
    },
    /// The workspace has been retired and not been readmitted.
    #[error("the workspace is retired")]
    Retired {
        /// The workspace asked for.
        workspace: WorkspaceKey,
    },
    /// The broker is shutting down.
    #[error("the platform is shutting down")]
    ShuttingDown,
}

/// Which limit a [`BrokerError::ConnectionLimit`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitReason {
    /// The caller waited as long as it was willing to.
    WaitTimedOut,
    /// No connection would have come in time; refused at arrival.
    PredictedTooLong,
    /// Too many callers wait for this workspace.
    WorkspaceQueueFull,
    /// Too many callers wait for all workspaces together.
    QueueFull,
}
