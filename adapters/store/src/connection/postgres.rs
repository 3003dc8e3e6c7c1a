//! How a database of a PostgreSQL server is opened: one session.

use super::{Connection, ServerSide, Wire};
use crate::config::{Config, PostgresServer, TlsMode};
use domain::secret::Secret;
use sqlx::{
    ConnectOptions as _, PgConnection, Row as _,
    postgres::{PgConnectOptions, PgSslMode},
};
use std::time::Duration;

/// How sessions are opened.
#[derive(Debug, Clone)]
pub(crate) struct PostgresLink {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) tls: PgSslMode,
    /// The part of `application_name` before the lane.
    pub(crate) application: String,
    pub(crate) statement_timeout: Duration,
    pub(crate) idle_in_transaction_timeout: Duration,
    pub(crate) statement_cache: usize,
}

/// What a session is for; the last part of its `application_name`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lane {
    System,
    Workspace,
    Maintenance,
}

impl PostgresLink {
    /// How long the client waits for an answer beyond the server's own limit.
    const GRACE: Duration = Duration::from_secs(5);

    pub(crate) fn new(config: &Config, server: &PostgresServer) -> Self {
        Self {
            host: server.host.clone(),
            port: server.port,
            user: server.user.clone(),
            password: server.password.clone(),
            tls: match server.tls {
                TlsMode::Disable => PgSslMode::Disable,
                TlsMode::Allow => PgSslMode::Allow,
                TlsMode::Prefer => PgSslMode::Prefer,
                TlsMode::Require => PgSslMode::Require,
                TlsMode::VerifyCa => PgSslMode::VerifyCa,
                TlsMode::VerifyFull => PgSslMode::VerifyFull,
            },
            application: format!("notifuse/{}", config.instance),
            statement_timeout: config.statement_timeout,
            idle_in_transaction_timeout: config.idle_in_transaction_timeout,
            // With none kept the driver never tells the server to let go of one.
            statement_cache: config.statement_cache.max(1),
        }
    }

    /// Opens a session. The caller sets the deadline.
    pub(crate) async fn open(&self, database: &str, lane: Lane) -> Result<Connection, sqlx::Error> {
        let mut wire = self.options(database, lane).connect().await?;
        let server = server_side(&mut wire).await?;
        notice_our_end(&mut wire).await;
        Ok(Connection::new(Wire::Postgres(wire), self.statement_timeout + Self::GRACE, server))
    }

    fn options(&self, database: &str, lane: Lane) -> PgConnectOptions {
        let lane = match lane {
            Lane::System => "system",
            Lane::Workspace => "workspace",
            Lane::Maintenance => "maintenance",
        };
        let settings = [
            ("statement_timeout", self.statement_timeout.as_millis().to_string()),
            ("idle_in_transaction_session_timeout", self.idle_in_transaction_timeout.as_millis().to_string()),
        ];
        let options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .database(database)
            .ssl_mode(self.tls)
            .application_name(&format!("{}/{lane}", self.application))
            .statement_cache_capacity(self.statement_cache)
            .options(settings)
            .disable_statement_logging();
        if self.password.is_empty() { options } else { options.password(self.password.expose()) }
    }
}

async fn server_side(wire: &mut PgConnection) -> Result<ServerSide, sqlx::Error> {
    let sql = "SELECT pid, backend_start::text AS started FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let row = sqlx::query(sql).persistent(false).fetch_one(wire).await?;
    Ok(ServerSide { pid: row.try_get("pid")?, started: row.try_get("started")? })
}

/// Lets the server end a statement when nobody is at the other end any more. Not every system that a
/// server runs on can.
async fn notice_our_end(wire: &mut PgConnection) {
    const SINCE: u32 = 140_000;
    if wire.server_version_num().is_some_and(|version| version >= SINCE) {
        let _ = sqlx::raw_sql("SET client_connection_check_interval = '5s'").execute(wire).await;
    }
}
