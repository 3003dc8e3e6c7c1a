//! Waking the worker when work is committed, here or in another process.

use application::ports::{WorkKind, WorkSignal};
use domain::ids::WorkspaceId;
use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Collects where work was committed and wakes the worker.
#[derive(Default)]
pub struct Wakeup {
    calls: Mutex<Calls>,
    notify: Notify,
}

/// What the worker was called for.
#[derive(Default)]
pub(crate) struct Calls {
    /// Where work was committed.
    pub(crate) places: HashSet<(WorkspaceId, WorkKind)>,
    /// Whether more may have been committed than was heard of.
    pub(crate) missed: bool,
}

impl Wakeup {
    /// Ends when work was committed since the last [`Wakeup::drain`]. Can be dropped and asked again.
    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }

    /// What the worker was called for since the last time.
    pub(crate) fn drain(&self) -> Calls {
        std::mem::take(&mut *self.calls())
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkSignal for Wakeup {
    fn notify(&self, workspace: &WorkspaceId, kind: WorkKind) {
        self.calls().places.insert((workspace.clone(), kind));
        self.notify.notify_one();
    }

    fn missed(&self) {
        self.calls().missed = true;
        self.notify.notify_one();
    }
}
