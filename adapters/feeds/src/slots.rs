//! Bounds the open questions of each workspace, so that one slow feed leaves room for the others.

use domain::ids::WorkspaceId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Workspaces kept before those without questions are forgotten.
const KEPT: usize = 256;

/// The slots of all workspaces.
pub(crate) struct Slots {
    per_workspace: usize,
    workspaces: Mutex<HashMap<WorkspaceId, Arc<Semaphore>>>,
}

impl Slots {
    pub fn new(per_workspace: usize) -> Self {
        Self { per_workspace: per_workspace.max(1), workspaces: Mutex::default() }
    }

    /// Waits for a slot; it is free again when dropped.
    pub async fn slot(&self, workspace: &WorkspaceId) -> Option<OwnedSemaphorePermit> {
        self.of(workspace).acquire_owned().await.ok()
    }

    fn of(&self, workspace: &WorkspaceId) -> Arc<Semaphore> {
        let mut all = self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT {
            all.retain(|_, slots| Arc::strong_count(slots) > 1);
        }
        let slots =
            all.entry(workspace.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.per_workspace)));
        Arc::clone(slots)
    }
}
