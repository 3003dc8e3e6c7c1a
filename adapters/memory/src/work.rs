//! The index of due work, and whom it wakes.

use crate::{MemorySession, locked, state::SystemState};
use application::ports::{StoreError, WorkItem, WorkKind, WorkSignal, WorkStore};
use async_trait::async_trait;
use domain::{Timestamp, ids::WorkspaceId};
use std::sync::{Arc, Mutex};

#[async_trait]
impl WorkStore for MemorySession<SystemState> {
    async fn promise_work(&mut self, item: &WorkItem) -> Result<(), StoreError> {
        self.change(|state| {
            let entry = state.work.entry((item.workspace.clone(), item.kind)).or_insert_with(|| item.clone());
            entry.due_at = entry.due_at.min(item.due_at);
            entry.promised_at = entry.promised_at.max(item.promised_at);
            Ok(())
        })
    }

    async fn due_work(&mut self, now: Timestamp, limit: usize) -> Result<Vec<WorkItem>, StoreError> {
        self.look(|state| {
            let mut due: Vec<_> = state.work.values().filter(|w| w.due_at <= now).cloned().collect();
            due.sort_by_key(|w| w.due_at);
            due.truncate(limit);
            due
        })
    }

    async fn next_work_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.look(|state| state.work.values().map(|w| w.due_at).min())
    }

    async fn conclude_work(
        &mut self,
        seen: &WorkItem,
        next_due: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        self.change(|state| {
            let key = (seen.workspace.clone(), seen.kind);
            let Some(entry) = state.work.get_mut(&key).filter(|w| w.promised_at == seen.promised_at) else {
                return Ok(false);
            };
            if let Some(next_due) = next_due {
                entry.due_at = next_due;
            } else {
                state.work.remove(&key);
            }
            Ok(true)
        })
    }
}

/// Remembers who was to be woken. Clones share the memory.
#[derive(Clone, Default)]
pub struct RecordingSignal(Arc<Mutex<Vec<(WorkspaceId, WorkKind)>>>);

impl RecordingSignal {
    /// Nothing was signalled yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every signal so far, in order.
    #[must_use]
    pub fn signals(&self) -> Vec<(WorkspaceId, WorkKind)> {
        locked(&self.0).clone()
    }
}

impl WorkSignal for RecordingSignal {
    fn notify(&self, workspace: &WorkspaceId, kind: WorkKind) {
        locked(&self.0).push((workspace.clone(), kind));
    }

    /// There is no other process.
    fn missed(&self) {}
}
