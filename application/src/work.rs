//! Promising work before it is committed, so that it is never missed.

use crate::ports::{
    Clock, ConnectionBroker, Purpose, StoreError, UnitOfWork, WorkItem, WorkKind, WorkSignal,
};
use chrono::Duration;
use domain::{Timestamp, ids::WorkspaceId};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The index of due work, as use cases see it.
pub struct Work {
    broker: Arc<dyn ConnectionBroker>,
    clock: Arc<dyn Clock>,
    signal: Arc<dyn WorkSignal>,
    promised: Mutex<HashMap<(WorkspaceId, WorkKind), Timestamp>>,
}

/// A written entry of the index, good for the commit of one unit of work.
#[must_use = "the unit of work is committed through the promise"]
pub struct Promise<'a> {
    work: &'a Work,
    workspace: WorkspaceId,
    kinds: Vec<WorkKind>,
    promised_at: Timestamp,
}

impl Work {
    /// An entry is kept for so long after it was last promised, even when nothing was found to do:
    /// a unit of work that began before the look may commit after it.
    pub const GRACE: Duration = Duration::minutes(3);
    /// A promise of this age is written anew; a younger one covers further units of work.
    const FRESH: Duration = Duration::seconds(30);
    /// A unit of work may commit until so long after its promise. Below [`Work::GRACE`] by more than
    /// clocks of several servers may differ and a commit may last.
    const COMMIT_WITHIN: Duration = Duration::seconds(90);
    /// Promises remembered before old ones are swept out.
    const REMEMBERED: usize = 10_000;

    /// Takes its ports.
    pub fn new(
        broker: Arc<dyn ConnectionBroker>,
        clock: Arc<dyn Clock>,
        signal: Arc<dyn WorkSignal>,
    ) -> Self {
        Self { broker, clock, signal, promised: Mutex::default() }
    }

    /// Writes that this workspace is about to have work of this kind. To be called before the unit
    /// of work is begun, as no lease may be taken inside another.
    ///
    /// # Errors
    /// When the system database cannot be written.
    #[tracing::instrument(name = "work.promise", skip_all)]
    pub async fn promise(
        &self,
        workspace: &WorkspaceId,
        kind: WorkKind,
        purpose: Purpose,
    ) -> Result<Promise<'_>, StoreError> {
        let now = self.clock.now();
        let key = (workspace.clone(), kind);
        let known = self.promised().get(&key).copied().filter(|at| now - *at < Self::FRESH);
        let promised_at = if let Some(at) = known {
            at
        } else {
            let item = WorkItem { workspace: workspace.clone(), kind, due_at: now, promised_at: now };
            let mut system = self.broker.write_system(purpose).await?;
            system.promise_work(&item).await?;
            system.commit().await?;
            let mut promised = self.promised();
            if promised.len() >= Self::REMEMBERED {
                promised.retain(|_, at| now - *at < Self::FRESH);
            }
            promised.insert(key, now);
            now
        };
        Ok(Promise { work: self, workspace: workspace.clone(), kinds: vec![kind], promised_at })
    }

    /// After a look at the work of an entry: keeps the entry until its next moment, and at least
    /// through its grace; removes it when there is nothing to come.
    ///
    /// # Errors
    /// When the system database cannot be written.
    #[tracing::instrument(name = "work.conclude", skip_all)]
    pub async fn conclude(&self, seen: &WorkItem, next_due: Option<Timestamp>) -> Result<(), StoreError> {
        let grace_ends = seen.promised_at + Self::GRACE;
        let next = match next_due {
            _ if self.clock.now() >= grace_ends => next_due,
            Some(due) => Some(due.min(grace_ends)),
            None => Some(grace_ends),
        };
        let mut system = self.broker.write_system(Purpose::background("work.conclude")).await?;
        system.conclude_work(seen, next).await?;
        system.commit().await
    }

    /// Entries that are due, the longest due first.
    ///
    /// # Errors
    /// When the system database cannot be read.
    #[tracing::instrument(name = "work.due", skip_all)]
    pub async fn due(&self, limit: usize) -> Result<Vec<WorkItem>, StoreError> {
        let now = self.clock.now();
        let mut system = self.broker.read_system(Purpose::background("work.due")).await?;
        system.due_work(now, limit).await
    }

    /// Every entry behind which unheard work may be: those that are due, and those that are only kept
    /// because they were looked at between promise and commit. The longest due first.
    ///
    /// # Errors
    /// When the system database cannot be read.
    #[tracing::instrument(name = "work.recent", skip_all)]
    pub async fn recent(&self, limit: usize) -> Result<Vec<WorkItem>, StoreError> {
        let until = self.clock.now() + Self::GRACE;
        let mut system = self.broker.read_system(Purpose::background("work.recent")).await?;
        system.due_work(until, limit).await
    }

    fn promised(&self) -> std::sync::MutexGuard<'_, HashMap<(WorkspaceId, WorkKind), Timestamp>> {
        self.promised.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Promise<'_> {
    /// Both promises as one, for a unit of work of the same workspace that makes work of both kinds.
    pub fn and(mut self, other: Self) -> Self {
        self.kinds.extend(other.kinds);
        self.promised_at = self.promised_at.min(other.promised_at);
        self
    }

    /// Commits the unit of work that makes the promised work, and wakes whoever does it.
    ///
    /// # Errors
    /// When the unit took so long that the entry may be gone, or the commit fails.
    #[tracing::instrument(name = "work.commit", skip_all)]
    pub async fn commit(self, unit: Box<dyn UnitOfWork>) -> Result<(), StoreError> {
        if self.work.clock.now() - self.promised_at > Work::COMMIT_WITHIN {
            return Err(StoreError::Abandoned);
        }
        unit.commit().await?;
        for kind in self.kinds {
            self.work.signal.notify(&self.workspace, kind);
        }
        Ok(())
    }
}
