//! What the tests of this crate share: both engines, empty and by themselves.

use crate::{
    Config, Engine, PostgresServer, SqliteFiles, StoreBroker, TlsMode,
    connection::{Connection, Lane, PostgresLink, SqliteLink},
    session::Session,
};
use application::ports::{ConnectionBroker as _, Purpose, WorkspaceDatabases as _};
use domain::{
    Timestamp,
    ids::{UserId, WorkspaceId},
    languages::Language,
    secret::{Sealed, Secret},
    timezones::Timezone,
    users::{User, UserKind},
    workspaces::{Workspace, WorkspaceSettings, WorkspaceState},
};
use migration::WORKSPACE;
use sea_orm::ConnectionTrait as _;
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tests::postgres::{Databases, Server, server};

/// Runs each of these tests, which take a [`Place`], on both engines.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(crate::testing::Place::on_sqlite().await).await; })*
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name(crate::testing::Place::on_postgres().await).await; })*
        }
    };
}
pub(crate) use on_both_engines;

/// An installation without workspaces.
pub(crate) struct Place {
    pub(crate) store: StoreBroker,
    pub(crate) instance: String,
    pub(crate) files: Option<tempfile::TempDir>,
    /// Dropped last.
    pub(crate) databases: Option<Databases>,
}

pub(crate) const TEST: Purpose = Purpose::interactive("test");

/// Connections of an installation.
pub(crate) const BUDGET: u32 = 20;

static INSTANCES: AtomicU32 = AtomicU32::new(0);

impl Place {
    pub(crate) async fn on_sqlite() -> Self {
        let files = tempfile::tempdir().unwrap();
        let engine = Engine::Sqlite(SqliteFiles::new(files.path()));
        Self::prepared(engine, Some(files), None).await
    }

    pub(crate) async fn on_postgres() -> Self {
        let databases = Databases::new();
        let engine = Engine::Postgres(postgres_server(server(), &databases));
        Self::prepared(engine, None, Some(databases)).await
    }

    /// The server itself refuses one session more than the budget.
    pub(crate) async fn on_limited_postgres() -> Self {
        let databases = Databases::new();
        let engine = Engine::Postgres(postgres_server(&databases.limited_to(BUDGET), &databases));
        Self::prepared(engine, None, Some(databases)).await
    }

    /// The server itself refuses one session more than so many; everything else is as told.
    pub(crate) async fn on_postgres_with(sessions: u32, change: impl FnOnce(&mut Config)) -> Self {
        let databases = Databases::new();
        let engine = Engine::Postgres(postgres_server(&databases.limited_to(sessions), &databases));
        Self::configured(engine, None, Some(databases), change).await
    }

    /// As [`Place::on_postgres_with`], before the start.
    pub(crate) fn unprepared_postgres(sessions: u32, change: impl FnOnce(&mut Config)) -> Self {
        let databases = Databases::new();
        let engine = Engine::Postgres(postgres_server(&databases.limited_to(sessions), &databases));
        Self::unprepared(engine, None, Some(databases), change)
    }

    async fn prepared(
        engine: Engine,
        files: Option<tempfile::TempDir>,
        databases: Option<Databases>,
    ) -> Self {
        Self::configured(engine, files, databases, |_| {}).await
    }

    async fn configured(
        engine: Engine,
        files: Option<tempfile::TempDir>,
        databases: Option<Databases>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let place = Self::unprepared(engine, files, databases, change);
        place.store.prepare().await.unwrap();
        place
    }

    fn unprepared(
        engine: Engine,
        files: Option<tempfile::TempDir>,
        databases: Option<Databases>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let number = INSTANCES.fetch_add(1, Ordering::Relaxed);
        let instance = format!("t{}-{number}", std::process::id());
        let mut config = Config::new(engine, &*instance);
        config.limits.max_connections = BUDGET;
        config.limits.acquire_timeout = Duration::from_secs(30);
        config.limits.panic_on_nested = true;
        change(&mut config);
        let store = StoreBroker::new(&config).unwrap();
        Self { store, instance, files, databases }
    }

    /// Makes active workspaces, whose names begin alike.
    pub(crate) async fn workspaces(&self, name: &str, number: usize) -> Vec<WorkspaceId> {
        let mut made = Vec::new();
        for n in 0..number {
            made.push(self.workspace(&format!("{name}{n}")).await);
        }
        made
    }

    /// Makes an active workspace.
    pub(crate) async fn workspace(&self, id: &str) -> WorkspaceId {
        let id = WorkspaceId::parse(id).unwrap();
        self.directory_entry(&id, WorkspaceState::Active).await;
        self.store.create(&id).await.unwrap();
        id
    }

    /// Adds a workspace to the directory, without a database.
    pub(crate) async fn directory_entry(&self, id: &WorkspaceId, state: WorkspaceState) {
        let mut unit = self.store.write_system(TEST).await.unwrap();
        unit.insert_workspace(&workspace_row(id, state)).await.unwrap();
        unit.commit().await.unwrap();
    }

    /// The databases or files of workspaces that exist, by name.
    pub(crate) async fn workspace_databases(&self) -> Vec<String> {
        if let Some(files) = &self.files {
            let entries = std::fs::read_dir(files.path().join("workspaces")).into_iter().flatten();
            return entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        }
        let prefix = self.databases.as_ref().unwrap().prefix();
        let sql = format!("SELECT datname::text FROM pg_database WHERE starts_with(datname, '{prefix}_ws_')");
        let server = postgres_connection(&server().database).await;
        let query = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, sql);
        let rows = server.query_all_raw(query).await.unwrap();
        server.close().await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }
}

/// Another process' broker on the databases of a place, as the role with its limit. Not yet prepared.
pub(crate) fn another(prefix: &str, change: impl FnOnce(&mut Config)) -> StoreBroker {
    let role = Server { user: prefix.to_owned(), password: "limited".to_owned(), ..server().clone() };
    let engine = Engine::Postgres(PostgresServer {
        host: role.host,
        port: role.port,
        user: role.user,
        password: Secret::new(role.password),
        database: format!("{prefix}_system"),
        prefix: prefix.to_owned(),
        tls: TlsMode::Disable,
    });
    let number = INSTANCES.fetch_add(1, Ordering::Relaxed);
    let mut config = Config::new(engine, format!("o{}-{number}", std::process::id()));
    change(&mut config);
    StoreBroker::new(&config).unwrap()
}

fn postgres_server(server: &Server, databases: &Databases) -> PostgresServer {
    PostgresServer {
        host: server.host.clone(),
        port: server.port,
        user: server.user.clone(),
        password: Secret::new(&*server.password),
        database: databases.system(),
        prefix: databases.prefix().to_owned(),
        tls: TlsMode::Disable,
    }
}

/// A connection to a database of the test server, beside any broker.
pub(crate) async fn postgres_connection(database: &str) -> Connection {
    let databases =
        PostgresServer { database: database.to_owned(), ..postgres_server(server(), &Databases::new()) };
    let config = Config::new(Engine::Postgres(databases.clone()), "beside");
    PostgresLink::new(&config, &databases).open(database, Lane::Maintenance).await.unwrap()
}

/// An empty workspace database that ends with the session.
pub(crate) async fn workspace() -> Session {
    let connection = SqliteLink::default().open_in_memory().await.unwrap();
    WORKSPACE.up(&connection).await.unwrap();
    Session::bare(connection)
}

/// A moment, in seconds after an arbitrary one.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

/// A person with an address made from the number.
pub(crate) fn person(number: u128) -> User {
    User {
        id: UserId::from_uuid(uuid::Uuid::from_u128(number)),
        kind: UserKind::Person,
        email: format!("person{number}@example.com"),
        name: None,
        language: "en".into(),
        token_hash: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

/// What the directory keeps of a workspace.
pub(crate) fn workspace_row(id: &WorkspaceId, state: WorkspaceState) -> Workspace {
    let english = Language::parse("en").unwrap();
    Workspace {
        id: id.clone(),
        name: id.to_string(),
        settings: WorkspaceSettings::new(Timezone::UTC, english.clone(), vec![english]),
        secret_key: Sealed::new("abcd"),
        state,
        created_at: at(0),
        updated_at: at(0),
    }
}
