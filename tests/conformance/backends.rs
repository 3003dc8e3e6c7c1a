//! A store to try a case on: a system database and one workspace, both empty.

use crate::samples;
use application::ports::{
    ConnectionBroker, Purpose, StoreError, SystemStore, SystemUnitOfWork, UnitOfWork, WorkspaceDatabases,
    WorkspaceStore,
};
use domain::{
    ids::WorkspaceId,
    secret::Secret,
    workspaces::{Workspace, WorkspaceState},
};
use std::{any::Any, sync::Arc, time::Duration};
use store::{Config, Engine, PostgresServer, SqliteFiles, StoreBroker, TlsMode};
use tests::postgres::Databases;
use tokio::sync::OnceCell;

const PURPOSE: Purpose = Purpose::interactive("conformance");

/// Everything that a store offers.
pub trait Stores: ConnectionBroker + WorkspaceDatabases {}
impl<T: ConnectionBroker + WorkspaceDatabases> Stores for T {}

/// The store under test. Clones share it.
#[derive(Clone)]
pub struct Store {
    stores: Arc<dyn Stores>,
    database: Option<StoreBroker>,
    /// Whether the workspace has its database; cases of the system database do without.
    furnished: Arc<OnceCell<()>>,
    /// What must outlive the store, such as its folder.
    _kept: Arc<dyn Any + Send + Sync>,
}

/// The store that lives in memory.
pub async fn memory() -> Store {
    let stores = Arc::new(memory::MemoryBroker::new());
    Store::on(stores, None, ()).await
}

/// The embedded database, in a folder of its own.
pub async fn sqlite() -> Store {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::Sqlite(SqliteFiles::new(folder.path()));
    Store::of(&Config::new(engine, "conformance"), folder).await
}

/// The server of this process, with databases of its own.
pub async fn postgres() -> Store {
    let databases = tokio::task::spawn_blocking(Databases::new).await.unwrap();
    let server = tests::postgres::server();
    let engine = Engine::Postgres(PostgresServer {
        host: server.host.clone(),
        port: server.port,
        user: server.user.clone(),
        password: Secret::new(server.password.clone()),
        database: databases.system(),
        prefix: databases.prefix().to_owned(),
        tls: TlsMode::Disable,
    });
    Store::of(&Config::new(engine, "conformance"), databases).await
}

impl Store {
    async fn of(config: &Config, kept: impl Any + Send + Sync) -> Self {
        let broker = StoreBroker::new(config).unwrap();
        broker.prepare().await.unwrap();
        Self::on(Arc::new(broker.clone()), Some(broker), kept).await
    }

    async fn on(
        stores: Arc<dyn Stores>,
        database: Option<StoreBroker>,
        kept: impl Any + Send + Sync,
    ) -> Self {
        let store = Self { stores, database, furnished: Arc::default(), _kept: Arc::new(kept) };
        store.enter(&samples::acme()).await;
        store
    }

    async fn enter(&self, id: &WorkspaceId) {
        let mut system = self.write_system().await;
        system.insert_workspace(&samples::workspace(id.as_str(), 0)).await.unwrap();
        system.commit().await.unwrap();
    }

    async fn furnish(&self) {
        self.furnished.get_or_init(async || self.stores.create(&samples::acme()).await.unwrap()).await;
    }

    /// Makes another workspace.
    pub async fn open_workspace(&self, id: &WorkspaceId) {
        self.enter(id).await;
        self.stores.create(id).await.unwrap();
    }

    /// Sets the standing of a workspace in the directory.
    pub async fn set_standing(&self, id: &WorkspaceId, state: WorkspaceState) {
        let mut system = self.write_system().await;
        let workspace = Workspace { state, ..samples::workspace(id.as_str(), 0) };
        assert!(system.update_workspace(&workspace).await.unwrap());
        system.commit().await.unwrap();
    }

    /// The part that makes and drops databases.
    pub fn databases(&self) -> &dyn Stores {
        self.stores.as_ref()
    }

    /// A lease to read the workspace.
    pub async fn read(&self) -> Box<dyn WorkspaceStore> {
        self.furnish().await;
        self.stores.read(&samples::acme(), PURPOSE).await.unwrap()
    }

    /// A unit of work in the workspace.
    pub async fn write(&self) -> Box<dyn UnitOfWork> {
        self.furnish().await;
        self.stores.write(&samples::acme(), PURPOSE).await.unwrap()
    }

    /// A unit of work in any workspace.
    pub async fn write_in(&self, workspace: &WorkspaceId) -> Result<Box<dyn UnitOfWork>, StoreError> {
        self.stores.write(workspace, PURPOSE).await
    }

    /// A lease to read any workspace.
    pub async fn read_in(&self, workspace: &WorkspaceId) -> Result<Box<dyn WorkspaceStore>, StoreError> {
        self.stores.read(workspace, PURPOSE).await
    }

    /// A lease to read the system database.
    pub async fn read_system(&self) -> Box<dyn SystemStore> {
        self.stores.read_system(PURPOSE).await.unwrap()
    }

    /// A unit of work in the system database.
    pub async fn write_system(&self) -> Box<dyn SystemUnitOfWork> {
        self.stores.write_system(PURPOSE).await.unwrap()
    }

    /// Gives all connections back before the runtime ends.
    pub async fn close(self) {
        if let Some(database) = &self.database {
            database.shutdown(Duration::from_secs(5)).await;
        }
    }
}

/// Whether a unit of work or a lease was refused because the workspace is missing.
pub fn is_missing<T>(result: Result<T, StoreError>) -> bool {
    matches!(result.err(), Some(StoreError::WorkspaceMissing))
}
