//! Leases and units of work: a copy that is published at the commit.

use crate::{
    locked,
    state::{SystemState, WorkspaceState},
};
use application::ports::{StoreError, SystemStore, SystemUnitOfWork, UnitOfWork, WorkspaceStore};
use async_trait::async_trait;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// How long a writer waits for the one before it. Whoever takes a lease inside another is so told,
/// instead of hanging.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// One database: what was committed, and whose turn it is to write.
#[derive(Default)]
pub(crate) struct Room<S> {
    committed: Mutex<Arc<S>>,
    turn: Arc<Turn<()>>,
    closed: AtomicBool,
}

impl<S> Room<S> {
    /// Ends all leases: from now on they answer that the workspace is missing.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// What a new lease sees.
    pub(crate) fn committed(&self) -> Arc<S> {
        Arc::clone(&locked(&self.committed))
    }

    fn check_open(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::SeqCst) { Err(StoreError::WorkspaceMissing) } else { Ok(()) }
    }
}

/// A lease of one database. As a unit of work it has a copy of its own, which the commit publishes
/// and dropping forgets.
pub struct MemorySession<S> {
    room: Arc<Room<S>>,
    state: Arc<S>,
    unit: Option<Unit>,
}

struct Unit {
    _turn: OwnedMutexGuard<()>,
    abandoned: bool,
}

impl<S: Clone + Send + Sync> MemorySession<S> {
    pub(crate) fn to_read(room: Arc<Room<S>>) -> Self {
        let state = room.committed();
        Self { room, state, unit: None }
    }

    pub(crate) async fn to_write(room: Arc<Room<S>>) -> Result<Self, StoreError> {
        let waiting = Arc::clone(&room.turn).lock_owned();
        let turn = tokio::time::timeout(LONGEST_WAIT, waiting).await.map_err(|_| {
            let retry_after = Duration::from_secs(1);
            StoreError::ConnectionLimit { max: 1, current: 1, workspace: None, retry_after }
        })?;
        room.check_open()?;
        let state = room.committed();
        Ok(Self { room, state, unit: Some(Unit { _turn: turn, abandoned: false }) })
    }

    /// A statement that only looks.
    pub(crate) fn look<T>(&mut self, statement: impl FnOnce(&S) -> T) -> Result<T, StoreError> {
        self.check()?;
        Ok(statement(&self.state))
    }

    /// A statement that changes. When it fails, the unit of work is abandoned.
    pub(crate) fn change<T>(
        &mut self,
        statement: impl FnOnce(&mut S) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.check()?;
        let Some(unit) = &mut self.unit else {
            return Err(failed("a lease to read was asked to write"));
        };
        let result = statement(Arc::make_mut(&mut self.state));
        unit.abandoned = result.is_err();
        result
    }

    fn check(&self) -> Result<(), StoreError> {
        self.room.check_open()?;
        if self.unit.as_ref().is_some_and(|u| u.abandoned) { Err(StoreError::Abandoned) } else { Ok(()) }
    }

    fn publish(self) -> Result<(), StoreError> {
        self.check()?;
        *locked(&self.room.committed) = self.state;
        Ok(())
    }
}

/// A statement that breaks a rule which the databases enforce as well.
pub(crate) fn failed(why: &'static str) -> StoreError {
    StoreError::Internal(why.into())
}

impl WorkspaceStore for MemorySession<WorkspaceState> {}

#[async_trait]
impl UnitOfWork for MemorySession<WorkspaceState> {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.publish()
    }
}

impl SystemStore for MemorySession<SystemState> {}

#[async_trait]
impl SystemUnitOfWork for MemorySession<SystemState> {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.publish()
    }
}
