//! Where a broadcast stands, and what may become of it.

use crate::Timestamp;

/// How far a broadcast has come on its course.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Waits for its moment.
    Scheduled {
        /// When it begins.
        due_at: Timestamp,
    },
    /// Recipients are being planned and mails sent.
    Processing {
        /// When it was started.
        started_at: Timestamp,
    },
    /// The sample of its test is being planned and mailed.
    Testing {
        /// When it was started.
        started_at: Timestamp,
    },
    /// The sample is planned; the rest waits for the choice of a content.
    TestCompleted {
        /// When it was started.
        started_at: Timestamp,
        /// When the rates choose; `None` when a person does.
        due_at: Option<Timestamp>,
    },
    /// A content was chosen: the rest is being planned and mailed.
    WinnerSelected {
        /// When it was started.
        started_at: Timestamp,
    },
    /// Every recipient has been planned; mails may still wait in the queue.
    Processed {
        /// When it was started.
        started_at: Timestamp,
        /// When the last recipient was planned.
        completed_at: Timestamp,
    },
}

impl Progress {
    /// The name on the wire and in storage.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Scheduled { .. } => "scheduled",
            Self::Processing { .. } => "processing",
            Self::Testing { .. } => "testing",
            Self::TestCompleted { .. } => "test_completed",
            Self::WinnerSelected { .. } => "winner_selected",
            Self::Processed { .. } => "processed",
        }
    }

    /// When it begins or its content is chosen, while it waits for that.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        match self {
            Self::Scheduled { due_at } => Some(*due_at),
            Self::TestCompleted { due_at, .. } => *due_at,
            _ => None,
        }
    }

    /// When it was started.
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        match self {
            Self::Scheduled { .. } => None,
            Self::Processing { started_at }
            | Self::Testing { started_at }
            | Self::TestCompleted { started_at, .. }
            | Self::WinnerSelected { started_at }
            | Self::Processed { started_at, .. } => Some(*started_at),
        }
    }

    /// When the last recipient was planned.
    #[must_use]
    pub fn completed_at(&self) -> Option<Timestamp> {
        match self {
            Self::Processed { completed_at, .. } => Some(*completed_at),
            _ => None,
        }
    }
}

/// Where a broadcast stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BroadcastState {
    /// Can be changed.
    Draft,
    /// On its course.
    Running(Progress),
    /// Nobody is planned and no mail is begun until it is resumed.
    Paused {
        /// Where it goes on.
        before: Progress,
        /// When it was paused.
        paused_at: Timestamp,
        /// Why, when nobody asked for it.
        reason: Option<String>,
    },
    /// Ended for good: what had not been begun is never sent.
    Cancelled {
        /// How far it had come.
        before: Progress,
        /// When it was cancelled.
        cancelled_at: Timestamp,
    },
}

impl BroadcastState {
    /// The name on the wire and in storage.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running(progress) => progress.name(),
            Self::Paused { .. } => "paused",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// How far it has come; `None` for a draft.
    #[must_use]
    pub fn progress(&self) -> Option<&Progress> {
        match self {
            Self::Draft => None,
            Self::Running(progress)
            | Self::Paused { before: progress, .. }
            | Self::Cancelled { before: progress, .. } => Some(progress),
        }
    }

    /// When it was started.
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        self.progress()?.started_at()
    }

    /// When the last recipient was planned.
    #[must_use]
    pub fn completed_at(&self) -> Option<Timestamp> {
        self.progress()?.completed_at()
    }

    /// When it was paused, while it is.
    #[must_use]
    pub fn paused_at(&self) -> Option<Timestamp> {
        match self {
            Self::Paused { paused_at, .. } => Some(*paused_at),
            _ => None,
        }
    }

    /// Why it is paused, when nobody asked for it.
    #[must_use]
    pub fn pause_reason(&self) -> Option<&str> {
        match self {
            Self::Paused { reason, .. } => reason.as_deref(),
            _ => None,
        }
    }

    /// When it was cancelled.
    #[must_use]
    pub fn cancelled_at(&self) -> Option<Timestamp> {
        match self {
            Self::Cancelled { cancelled_at, .. } => Some(*cancelled_at),
            _ => None,
        }
    }

    pub(super) fn refuse(&self, wanted: &'static str, allowed: &'static str) -> IllegalTransition {
        IllegalTransition { status: self.name(), wanted, allowed }
    }
}

/// The broadcast is in a state that does not allow this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a broadcast with status {status} cannot be {wanted}; allowed: {allowed}")]
pub struct IllegalTransition {
    /// Where it stands.
    pub status: &'static str,
    /// What was wanted, such as `scheduled`.
    pub wanted: &'static str,
    /// From which states that is allowed.
    pub allowed: &'static str,
}
