//! Waking the worker when work is committed in this process.

use application::ports::{WorkKind, WorkSignal};
use domain::ids::WorkspaceId;
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};
use tokio::sync::Notify;

/// Collects where work was committed and wakes the worker.
#[derive(Default)]
pub struct Wakeup {
    where_to: Mutex<HashSet<(WorkspaceId, WorkKind)>>,
    notify: Notify,
}

impl Wakeup {
    /// Ends when work was committed since the last [`Wakeup::drain`]. Can be dropped and asked again.
    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }

    /// Where work was committed since the last call.
    pub(crate) fn drain(&self) -> HashSet<(WorkspaceId, WorkKind)> {
        std::mem::take(&mut *self.where_to.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl WorkSignal for Wakeup {
    fn notify(&self, workspace: &WorkspaceId, kind: WorkKind) {
        self.where_to.lock().unwrap_or_else(PoisonError::into_inner).insert((workspace.clone(), kind));
        self.notify.notify_one();
    }
}
