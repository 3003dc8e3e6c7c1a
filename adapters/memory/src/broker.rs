//! Leases of databases that live in memory.

use crate::{
    locked,
    session::{MemorySession, Room},
    state::{SystemState, WorkspaceState},
};
use application::ports::{
    ConnectionBroker, Purpose, StoreError, SystemStore, SystemUnitOfWork, UnitOfWork, WorkspaceDatabases,
    WorkspaceStore,
};
use async_trait::async_trait;
use domain::{ids::WorkspaceId, workspaces::WorkspaceState as Standing};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A system database and any number of workspace databases in memory. Clones share them.
///
/// A database has one writer at a time, as SQLite has: a second one waits for the first to end. A
/// lease to read sees what was committed when it was taken, and refuses to write.
#[derive(Clone, Default)]
pub struct MemoryBroker(Arc<Databases>);

#[derive(Default)]
struct Databases {
    system: Arc<Room<SystemState>>,
    system_leases: AtomicUsize,
    workspaces: Mutex<BTreeMap<WorkspaceId, Arc<Room<WorkspaceState>>>>,
}

impl MemoryBroker {
    /// An empty system database and no workspace.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How often the system database was lent.
    #[must_use]
    pub fn system_leases(&self) -> usize {
        self.0.system_leases.load(Ordering::SeqCst)
    }

    /// The directory decides: without an active entry no database is lent.
    fn room(&self, workspace: &WorkspaceId) -> Result<Arc<Room<WorkspaceState>>, StoreError> {
        let entry = self.0.system.committed().workspaces.get(workspace).map(|w| w.state);
        let room = locked(&self.0.workspaces).get(workspace).cloned();
        room.filter(|_| entry == Some(Standing::Active)).ok_or(StoreError::WorkspaceMissing)
    }
}

#[async_trait]
impl ConnectionBroker for MemoryBroker {
    async fn read(&self, workspace: &WorkspaceId, _: Purpose) -> Result<Box<dyn WorkspaceStore>, StoreError> {
        Ok(Box::new(MemorySession::to_read(self.room(workspace)?)))
    }

    async fn write(&self, workspace: &WorkspaceId, _: Purpose) -> Result<Box<dyn UnitOfWork>, StoreError> {
        Ok(Box::new(MemorySession::to_write(self.room(workspace)?).await?))
    }

    async fn read_system(&self, _: Purpose) -> Result<Box<dyn SystemStore>, StoreError> {
        self.0.system_leases.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(MemorySession::to_read(Arc::clone(&self.0.system))))
    }

    async fn write_system(&self, _: Purpose) -> Result<Box<dyn SystemUnitOfWork>, StoreError> {
        self.0.system_leases.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(MemorySession::to_write(Arc::clone(&self.0.system)).await?))
    }
}

#[async_trait]
impl WorkspaceDatabases for MemoryBroker {
    async fn create(&self, workspace: &WorkspaceId) -> Result<(), StoreError> {
        locked(&self.0.workspaces).entry(workspace.clone()).or_default();
        Ok(())
    }

    async fn remove(&self, workspace: &WorkspaceId) -> Result<(), StoreError> {
        if let Some(room) = locked(&self.0.workspaces).remove(workspace) {
            room.close();
        }
        Ok(())
    }
}
