//! The index of due work, so that no workspace database is ever polled.
//!
//! System and workspace databases share no transaction. An entry is therefore *promised* before the
//! workspace's transaction commits, and it outlives an empty look by a grace period longer than
//! any unit of work may last. A crash can so cause an extra look, never a missed one.

use super::StoreError;
use async_trait::async_trait;
use domain::{Timestamp, ids::WorkspaceId};

/// What is to be done in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkKind {
    /// Mails wait in the queue.
    Deliveries,
    /// Recipients of a broadcast wait to be planned.
    Planning,
}

impl WorkKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Deliveries, Self::Planning];

    /// The stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deliveries => "deliveries",
            Self::Planning => "planning",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }
}

/// An entry of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkItem {
    /// Where.
    pub workspace: WorkspaceId,
    /// What.
    pub kind: WorkKind,
    /// Not before this moment.
    pub due_at: Timestamp,
    /// When it was last promised.
    pub promised_at: Timestamp,
}

/// Keeps the index: at most one entry per workspace and kind.
#[async_trait]
pub trait WorkStore {
    /// Adds the entry, or moves an existing one: `due_at` to the earlier of both moments,
    /// `promised_at` to the later.
    async fn promise_work(&mut self, item: &WorkItem) -> Result<(), StoreError>;

    /// Entries that are due, the longest due first.
    async fn due_work(&mut self, now: Timestamp, limit: usize) -> Result<Vec<WorkItem>, StoreError>;

    /// The earliest moment at which an entry is due.
    async fn next_work_due(&mut self) -> Result<Option<Timestamp>, StoreError>;

    /// After a look at the work: sets the entry to its next moment, or removes it. Does nothing when
    /// it was promised anew since `seen` was read. Answers whether it did.
    async fn conclude_work(
        &mut self,
        seen: &WorkItem,
        next_due: Option<Timestamp>,
    ) -> Result<bool, StoreError>;
}

/// Wakes whoever does the work.
pub trait WorkSignal: Send + Sync {
    /// Work of this kind was committed in this workspace.
    fn notify(&self, workspace: &WorkspaceId, kind: WorkKind);

    /// What other processes committed may have gone unheard: the index is to be looked through, as
    /// [`crate::work::Work::recent`] does.
    fn missed(&self);
}
