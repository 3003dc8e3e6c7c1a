//! The ways to get a `SELECT 1` answered: ours, and those that others go.

use super::ground::{Ground, connect, options};
use broker::{BrokerError, BrokerStats, Class, LeaseOptions, Limits, StatsPage, WorkspaceKey};
use domain::{ids::WorkspaceId, secret::Secret};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool, postgres::PgConnectOptions};
use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use store::{Config, Engine, PostgresServer, TlsMode, raw::RawBroker};
use tokio::sync::Semaphore;

const SELECT: &str = "SELECT 1";

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Served,
    /// Told at once or in time that there is no connection.
    Refused,
    /// Anything else.
    Failed,
}

/// Answers one query of a client on a database.
pub(crate) trait Way: Send + Sync + 'static {
    fn select_one(&self, client: usize, database: usize) -> impl Future<Output = Outcome> + Send;
}

async fn ask(connection: &mut PgConnection) -> Outcome {
    match sqlx::query(SELECT).execute(connection).await {
        Ok(_) => Outcome::Served,
        Err(_) => Outcome::Failed,
    }
}

/// The broker with the connector of the program.
pub(crate) struct Ours {
    broker: RawBroker,
    keys: Vec<WorkspaceKey>,
    statement: &'static str,
}

impl Ours {
    /// Workspaces share the databases there are, in turn: to the broker they are different ones.
    pub(crate) async fn new(ground: &Ground, limits: Limits, workspaces: usize) -> anyhow::Result<Self> {
        ground.limit_to(limits.max_connections).await?;
        let server = PostgresServer {
            host: ground.role.host.clone(),
            port: ground.role.port,
            user: ground.role.user.clone(),
            password: Secret::new(&*ground.role.password),
            database: ground.system(),
            prefix: ground.prefix().to_owned(),
            tls: TlsMode::Disable,
        };
        let config = Config { limits, ..Config::new(Engine::Postgres(server), "bench") };
        let broker = RawBroker::new(&config)?;
        let mut keys = Vec::new();
        for number in 0..workspaces {
            let workspace = WorkspaceId::parse(&format!("w{number}"))?;
            broker.announce(&workspace, &ground.databases[number % ground.databases.len()]).await;
            keys.push(WorkspaceKey::from(workspace.as_str()));
        }
        let ours = Self { broker, keys, statement: SELECT };
        // Tables are made at the first open, which is not to be measured.
        for database in 0..workspaces.min(ground.databases.len()) {
            ours.select_one(0, database).await;
        }
        Ok(ours)
    }

    /// Holds each connection for ten milliseconds, as much as a transaction of a few statements with
    /// a client some way off, and as long as in the simulator. It costs no more processor time than
    /// `SELECT 1`: what is short is places, not processors.
    pub(crate) fn holding(self) -> Self {
        Self { statement: "SELECT pg_sleep(0.01)", ..self }
    }

    pub(crate) fn stats(&self) -> BrokerStats {
        self.broker.stats(StatsPage { limit: 0, ..StatsPage::default() })
    }

    pub(crate) async fn end(&self) {
        self.broker.shutdown(Duration::from_secs(10)).await;
    }
}

impl Way for Ours {
    async fn select_one(&self, _: usize, database: usize) -> Outcome {
        let options = LeaseOptions::read(Class::Interactive, "bench");
        match self.broker.lease(&self.keys[database], options).await {
            Ok(mut lease) => match lease.execute(self.statement).await {
                Ok(_) => Outcome::Served,
                Err(_) => Outcome::Failed,
            },
            Err(BrokerError::ConnectionLimit { .. }) => Outcome::Refused,
            Err(_) => Outcome::Failed,
        }
    }
}

/// A connection of its own for each client, opened beforehand.
pub(crate) struct Direct(Vec<tokio::sync::Mutex<PgConnection>>);

impl Direct {
    pub(crate) async fn new(ground: &Ground, clients: usize, databases: usize) -> anyhow::Result<Self> {
        let mut connections = Vec::new();
        for client in 0..clients {
            let database = &ground.databases[client % databases];
            connections.push(tokio::sync::Mutex::new(connect(ground.server, database).await?));
        }
        Ok(Self(connections))
    }

    pub(crate) async fn end(self) {
        for connection in self.0 {
            let _ = connection.into_inner().close().await;
        }
    }
}

impl Way for Direct {
    async fn select_one(&self, client: usize, _: usize) -> Outcome {
        // Nobody else has it: the lock is always free.
        ask(&mut *self.0[client].lock().await).await
    }
}

/// A new connection for each query.
pub(crate) struct PerQuery(Vec<PgConnectOptions>);

impl PerQuery {
    pub(crate) fn new(ground: &Ground) -> Self {
        Self(ground.databases.iter().map(|database| options(ground.server, database)).collect())
    }
}

impl Way for PerQuery {
    async fn select_one(&self, _: usize, database: usize) -> Outcome {
        let Ok(mut connection) = self.0[database].connect().await else { return Outcome::Failed };
        let outcome = ask(&mut connection).await;
        let _ = connection.close().await;
        outcome
    }
}

/// The pool of the driver's library with its defaults, which include a ping before each use.
pub(crate) struct Library(PgPool);

impl Library {
    pub(crate) async fn new(ground: &Ground) -> anyhow::Result<Self> {
        let options = options(ground.server, &ground.databases[0]);
        Ok(Self(sqlx::postgres::PgPoolOptions::new().connect_with(options).await?))
    }

    pub(crate) async fn end(&self) {
        self.0.close().await;
    }
}

impl Way for Library {
    async fn select_one(&self, _: usize, _: usize) -> Outcome {
        match self.0.acquire().await {
            Ok(mut connection) => ask(&mut connection).await,
            Err(_) => Outcome::Failed,
        }
    }
}

/// A pool for each tenant, and the least recently used pool closed when there are too many
/// connections: admission by the count of the moment, an error at once when nothing can be closed, a
/// ping before each use, opens under one lock.
pub(crate) struct PoolPerTenant {
    options: Vec<PgConnectOptions>,
    budget: u32,
    cap: usize,
    pools: Mutex<HashMap<usize, Arc<Tenant>>>,
    opening: tokio::sync::Mutex<()>,
}

struct Tenant {
    idle: Mutex<Vec<PgConnection>>,
    open: std::sync::atomic::AtomicU32,
    turns: Semaphore,
    used: Mutex<Instant>,
}

impl PoolPerTenant {
    pub(crate) fn new(ground: &Ground, budget: u32, cap: usize) -> Self {
        let options = ground.databases.iter().map(|database| options(ground.server, database)).collect();
        Self { options, budget, cap, pools: Mutex::default(), opening: tokio::sync::Mutex::default() }
    }

    fn pools(&self) -> std::sync::MutexGuard<'_, HashMap<usize, Arc<Tenant>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> u32 {
        self.pools().values().map(|tenant| tenant.open()).sum()
    }

    /// The pool of a tenant; made when there is room, or room can be made.
    async fn tenant(&self, database: usize) -> Option<Arc<Tenant>> {
        if let Some(tenant) = self.pools().get(&database) {
            return Some(Arc::clone(tenant));
        }
        let _one = self.opening.lock().await;
        if let Some(tenant) = self.pools().get(&database) {
            return Some(Arc::clone(tenant));
        }
        while self.count() >= self.budget {
            let victim = {
                let mut pools = self.pools();
                let unused = pools.iter().filter(|(_, tenant)| tenant.is_unused());
                let oldest = unused.min_by_key(|(_, tenant)| *tenant.used()).map(|(name, _)| *name);
                oldest.and_then(|name| pools.remove(&name))
            };
            for connection in victim?.take_all() {
                let _ = connection.close().await;
            }
        }
        let tenant = Arc::new(Tenant::new(self.cap));
        self.pools().insert(database, Arc::clone(&tenant));
        Some(tenant)
    }

    pub(crate) async fn end(&self) {
        let all: Vec<_> = self.pools().drain().collect();
        for (_, tenant) in all {
            for connection in tenant.take_all() {
                let _ = connection.close().await;
            }
        }
    }
}

impl Tenant {
    fn new(cap: usize) -> Self {
        Self {
            idle: Mutex::default(),
            open: std::sync::atomic::AtomicU32::new(0),
            turns: Semaphore::new(cap),
            used: Mutex::new(Instant::now()),
        }
    }

    fn open(&self) -> u32 {
        self.open.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn used(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_unused(&self) -> bool {
        self.open() as usize == self.idle().len()
    }

    async fn idle_and_alive(&self) -> Option<PgConnection> {
        loop {
            let mut connection = self.idle().pop()?;
            if connection.ping().await.is_ok() {
                return Some(connection);
            }
            self.changed_by(false);
        }
    }

    fn take_all(&self) -> Vec<PgConnection> {
        std::mem::take(&mut *self.idle())
    }

    fn changed_by(&self, more: bool) {
        let ordering = std::sync::atomic::Ordering::Relaxed;
        if more {
            self.open.fetch_add(1, ordering)
        } else {
            self.open.fetch_sub(1, ordering)
        };
    }
}

impl Way for PoolPerTenant {
    async fn select_one(&self, _: usize, database: usize) -> Outcome {
        let Some(tenant) = self.tenant(database).await else { return Outcome::Refused };
        let Ok(_turn) = tenant.turns.acquire().await else { return Outcome::Failed };
        *tenant.used() = Instant::now();
        let idle = tenant.idle_and_alive().await;
        let mut connection = if let Some(connection) = idle {
            connection
        } else {
            let _one = self.opening.lock().await;
            let Ok(connection) = self.options[database].connect().await else { return Outcome::Failed };
            tenant.changed_by(true);
            connection
        };
        let outcome = ask(&mut connection).await;
        let is_current = self.pools().get(&database).is_some_and(|current| Arc::ptr_eq(current, &tenant));
        if outcome == Outcome::Served && is_current {
            tenant.idle().push(connection);
        } else {
            tenant.changed_by(false);
            let _ = connection.close().await;
        }
        outcome
    }
}

/// Closes, opens and asks, over and over: the most that so many openers can do.
pub(crate) struct CloseOpenAsk {
    options: Vec<PgConnectOptions>,
    held: Vec<tokio::sync::Mutex<Option<PgConnection>>>,
}

impl CloseOpenAsk {
    pub(crate) fn new(ground: &Ground, openers: usize) -> Self {
        let options = ground.databases.iter().map(|database| options(ground.server, database)).collect();
        Self { options, held: (0..openers).map(|_| tokio::sync::Mutex::default()).collect() }
    }

    pub(crate) async fn end(self) {
        for connection in self.held.into_iter().filter_map(tokio::sync::Mutex::into_inner) {
            let _ = connection.close().await;
        }
    }
}

impl Way for CloseOpenAsk {
    async fn select_one(&self, client: usize, database: usize) -> Outcome {
        let mut held = self.held[client].lock().await;
        if let Some(connection) = held.take() {
            let _ = connection.close().await;
        }
        let Ok(mut connection) = self.options[database].connect().await else { return Outcome::Failed };
        let outcome = ask(&mut connection).await;
        *held = Some(connection);
        outcome
    }
}
