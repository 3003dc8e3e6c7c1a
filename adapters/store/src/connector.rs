//! Both engines behind the connection broker.

mod maintenance;
mod postgres;
mod schemas;
pub(crate) mod shares;
mod sqlite;

pub(crate) use postgres::PostgresConnector;
pub(crate) use sqlite::SqliteConnector;

use crate::{
    config::{Config, Engine},
    connection::{Connection, ServerSide, Stop},
    fence::Fence,
};
use application::ports::StoreError;
use broker::{CleanStep, CloseProof, Connector, OpenError, Target, Unusable, ZombieProbe};
use domain::ids::WorkspaceId;
use moka::{future::Cache, policy::EvictionPolicy};
use std::{future::Future, pin::Pin, sync::Arc, time::Instant};

/// The engine in use.
#[derive(Clone)]
pub(crate) enum EngineConnector {
    Sqlite(Arc<SqliteConnector>),
    Postgres(Arc<PostgresConnector>),
}

/// Names a connection to whoever can tell whether it still exists.
#[derive(Debug, Clone)]
pub(crate) enum Handle {
    /// A file: closed when its connection is.
    File(Stop),
    /// A session of a server, and what stops its use on our side.
    Server(ServerSide, Stop),
    /// An attempt to open a session that was given up at this moment.
    Nameless(Instant),
}

/// What the directory tells about workspaces in use.
#[derive(Clone)]
pub(crate) struct Names(Cache<String, Entry>);

/// A workspace in use.
#[derive(Debug, Clone)]
struct Entry {
    database: Arc<str>,
    /// Whether it may be lent; otherwise its database is just being made.
    active: bool,
}

impl Names {
    /// The least recently used entry goes first, never one that is just being opened.
    const MOST: u64 = 100_000;

    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(Self::MOST).eviction_policy(EvictionPolicy::lru()).build())
    }

    /// The name of its database.
    pub(crate) async fn database(&self, workspace: &str) -> Option<Arc<str>> {
        self.0.get(workspace).await.map(|entry| entry.database)
    }

    /// Whether it is known to be active.
    pub(crate) async fn is_active(&self, workspace: &WorkspaceId) -> bool {
        self.0.get(workspace.as_str()).await.is_some_and(|entry| entry.active)
    }

    /// The directory has an active entry.
    pub(crate) async fn activate(&self, workspace: &WorkspaceId, database: &str) {
        self.0.insert(workspace.to_string(), Entry { database: database.into(), active: true }).await;
    }

    /// Its database is being made.
    pub(crate) async fn announce(&self, workspace: &WorkspaceId, database: &str) {
        let entry = async { Entry { database: database.into(), active: false } };
        self.0.get_with_by_ref(workspace.as_str(), entry).await;
    }

    /// It is no longer in use.
    pub(crate) async fn forget(&self, workspace: &WorkspaceId) {
        self.0.invalidate(workspace.as_str()).await;
    }
}

impl EngineConnector {
    pub(crate) fn new(config: &Config, names: Names, fence: Fence) -> Self {
        match &config.engine {
            Engine::Sqlite(files) => Self::Sqlite(Arc::new(SqliteConnector::new(config, files, names))),
            Engine::Postgres(server) => {
                Self::Postgres(Arc::new(PostgresConnector::new(config, server, names, fence)))
            }
        }
    }

    /// Makes the system database when it is absent.
    pub(crate) async fn create_system(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(files) => files.create_system().await,
            Self::Postgres(server) => server.create_system().await,
        }
    }

    /// Lets go of what is not lent: to be called after the broker's shutdown.
    pub(crate) async fn close_own(&self) {
        if let Self::Postgres(server) = self {
            server.maintenance().close().await;
        }
    }
}

impl Connector for EngineConnector {
    type Connection = Connection;
    type Handle = Handle;

    async fn open(&self, target: &Target) -> Result<Connection, OpenError<Handle>> {
        match self {
            Self::Sqlite(files) => files.open(target).await,
            Self::Postgres(server) => server.open(target).await,
        }
    }

    fn handle(&self, connection: &Connection) -> Handle {
        match self {
            Self::Sqlite(_) => Handle::File(connection.stop().clone()),
            Self::Postgres(_) => Handle::Server(connection.server_side().clone(), connection.stop().clone()),
        }
    }

    async fn clean(&self, connection: &mut Connection, step: CleanStep) -> Result<(), Unusable> {
        if !connection.is_sound() {
            return Err(Unusable);
        }
        match (self, step) {
            (Self::Sqlite(files), CleanStep::Rollback) => files.roll_back(connection).await,
            // Nothing but the transaction belongs to a file's session.
            (Self::Sqlite(_), CleanStep::Discard) => Ok(()),
            (Self::Postgres(server), CleanStep::Rollback) => server.roll_back(connection).await,
            (Self::Postgres(server), CleanStep::Discard) => server.discard(connection).await,
        }
    }

    async fn check(&self, connection: &mut Connection) -> Result<(), Unusable> {
        connection.ping().await.map_err(|_| Unusable)
    }

    async fn close(&self, connection: Connection) -> CloseProof<Handle> {
        match self {
            Self::Sqlite(files) => files.close(connection).await,
            Self::Postgres(server) => server.close(connection).await,
        }
    }

    async fn prove_gone(
        &self,
        system: Option<&mut Connection>,
        zombies: &[ZombieProbe<Handle>],
    ) -> Vec<bool> {
        match (self, system) {
            (Self::Sqlite(_), _) => vec![true; zombies.len()],
            (Self::Postgres(server), Some(system)) => server.prove_gone(system, zombies).await,
            (Self::Postgres(server), None) => server.prove_gone_apart(zombies).await,
        }
    }

    fn watch(&self, handle: &Handle) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        match (self, handle) {
            (Self::Postgres(server), Handle::Server(session, _)) => {
                Some(Box::pin(server.maintenance().ended(session.clone())))
            }
            _ => None,
        }
    }

    async fn interrupt(&self, handle: &Handle) {
        match (self, handle) {
            (_, Handle::File(stop)) => stop.now(),
            (Self::Postgres(server), Handle::Server(session, stop)) => {
                stop.now();
                server.maintenance().terminate(session).await;
            }
            _ => {}
        }
    }
}
