//! The server that is measured on: databases, roles, and whoever counts sessions.

use anyhow::Context as _;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tests::postgres::{Databases, Server, server};
use tokio::{task::JoinHandle, time::MissedTickBehavior};

/// What is set aside on the server for one run.
pub(crate) struct Ground {
    pub(crate) server: &'static Server,
    pub(crate) databases: Vec<String>,
    /// Owns the databases; its limit is the budget of the moment.
    pub(crate) role: Server,
    names: Databases,
}

impl Ground {
    /// Makes databases that are deleted with the run.
    pub(crate) async fn new(databases: usize) -> anyhow::Result<Self> {
        let names = Databases::new();
        let role = names.limited_to(1);
        let mut admin = connect(server(), &server().database).await?;
        let system = names.system();
        let workspaces: Vec<_> = (0..databases).map(|n| format!("{}_ws_{n}", names.prefix())).collect();
        for name in workspaces.iter().chain([&system]) {
            let sql = format!("CREATE DATABASE \"{name}\" OWNER \"{}\"", role.user);
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await?;
        }
        admin.close().await?;
        Ok(Self { server: server(), databases: workspaces, role, names })
    }

    pub(crate) fn system(&self) -> String {
        self.names.system()
    }

    pub(crate) fn prefix(&self) -> &str {
        self.names.prefix()
    }

    /// The server refuses the role one session more than that.
    pub(crate) async fn limit_to(&self, sessions: u32) -> anyhow::Result<()> {
        let mut admin = connect(self.server, &self.server.database).await?;
        let sql = format!("ALTER ROLE \"{}\" CONNECTION LIMIT {sessions}", self.role.user);
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await?;
        Ok(admin.close().await?)
    }

    /// The version of the server, and what it was started with.
    pub(crate) async fn describe(&self) -> anyhow::Result<String> {
        let mut admin = connect(self.server, &self.server.database).await?;
        let sql = "SELECT 'PostgreSQL ' || current_setting('server_version') || ', fsync ' || \
                   current_setting('fsync') || ', max_connections ' || current_setting('max_connections')";
        let text = sqlx::query_scalar(sql).fetch_one(&mut admin).await?;
        admin.close().await?;
        Ok(text)
    }
}

/// A session as any client opens it.
pub(crate) async fn connect(server: &Server, database: &str) -> anyhow::Result<PgConnection> {
    options(server, database).connect().await.context("no connection to the server")
}

pub(crate) fn options(server: &Server, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(&server.host)
        .port(server.port)
        .username(&server.user)
        .password(&server.password)
        .database(database)
        .ssl_mode(PgSslMode::Disable)
        .disable_statement_logging()
}

/// Counts sessions of a role as the server does, fifty times a second.
pub(crate) struct Sampler {
    stop: Arc<AtomicBool>,
    peak: JoinHandle<anyhow::Result<i64>>,
}

impl Sampler {
    pub(crate) async fn start(ground: &Ground, role: &str) -> anyhow::Result<Self> {
        let mut session = connect(ground.server, &ground.server.database).await?;
        let (stop, role) = (Arc::new(AtomicBool::new(false)), role.to_owned());
        let stopped = Arc::clone(&stop);
        let peak = tokio::spawn(async move {
            let mut every = tokio::time::interval(Duration::from_millis(20));
            every.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut peak = 0;
            while !stopped.load(Ordering::Relaxed) {
                every.tick().await;
                let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE usename = $1";
                peak = peak.max(sqlx::query_scalar(sql).bind(&role).fetch_one(&mut session).await?);
            }
            session.close().await?;
            Ok(peak)
        });
        Ok(Self { stop, peak })
    }

    /// The highest number.
    pub(crate) async fn peak(self) -> anyhow::Result<i64> {
        self.stop.store(true, Ordering::Relaxed);
        self.peak.await?
    }
}
