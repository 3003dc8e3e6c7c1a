//! How a database of a PostgreSQL server is opened: one session.

use super::{Connection, ServerSide, Wire};
use crate::config::{Config, PostgresServer, TlsMode};
use domain::secret::Secret;
use sqlx::{
    ConnectOptions as _, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// How sessions are opened.
#[derive(Debug, Clone)]
pub(crate) struct PostgresLink {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) tls: PgSslMode,
    /// The part of `application_name` before lane and number.
    pub(crate) application: String,
    pub(crate) statement_timeout: Duration,
    pub(crate) idle_in_transaction_timeout: Duration,
    pub(crate) statement_cache: usize,
    /// Whether the server can notice our end; shared by all clones.
    notices_our_end: Arc<AtomicBool>,
}

/// What a session is for; the part of its `application_name` before its number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lane {
    System,
    Workspace,
    Maintenance,
    Listener,
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
            statement_cache: config.statement_cache,
            notices_our_end: Arc::default(),
        }
    }

    /// Opens a session. The caller sets the deadline.
    pub(crate) async fn open(&self, database: &str, lane: Lane) -> Result<Connection, sqlx::Error> {
        let known = self.notices_our_end.load(Ordering::Relaxed);
        let server = self.name(lane);
        let mut wire = self.options(database, &server, known).connect().await?;
        if !known && notice_our_end(&mut wire).await {
            self.notices_our_end.store(true, Ordering::Relaxed);
        }
        let connection = Connection::new(Wire::Postgres(wire), self.statement_timeout, Self::GRACE, server);
        Ok(connection.preparing(self.statement_cache > 0))
    }

    /// A name for a session that none of this process had before; another process has another
    /// instance. So a session is known without asking for its process at the server.
    pub(super) fn name(&self, lane: Lane) -> ServerSide {
        static SESSIONS: AtomicU64 = AtomicU64::new(1);
        let lane = match lane {
            Lane::System => "system",
            Lane::Workspace => "workspace",
            Lane::Maintenance => "maintenance",
            Lane::Listener => "listener",
        };
        let number = SESSIONS.fetch_add(1, Ordering::Relaxed);
        ServerSide(format!("{}/{lane}/{number}", self.application).into())
    }

    pub(super) fn options(
        &self,
        database: &str,
        server: &ServerSide,
        notices_our_end: bool,
    ) -> PgConnectOptions {
        let mut settings = vec![
            ("statement_timeout", self.statement_timeout.as_millis().to_string()),
            ("idle_in_transaction_session_timeout", self.idle_in_transaction_timeout.as_millis().to_string()),
            // The server lets go of a peer that is silent; the client has its own deadlines. Neither
            // means anything to a Unix socket.
            ("tcp_user_timeout", SILENCE.as_millis().to_string()),
            ("tcp_keepalives_idle", SILENCE.as_secs().to_string()),
        ];
        if notices_our_end {
            settings.push(("client_connection_check_interval", CHECK_INTERVAL.to_owned()));
        }
        let options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .database(database)
            .ssl_mode(self.tls)
            .application_name(&server.0)
            .statement_cache_capacity(self.statement_cache)
            .options(settings)
            .disable_statement_logging();
        if self.password.is_empty() { options } else { options.password(self.password.expose()) }
    }
}

/// For so long a peer may leave what it was sent unacknowledged.
const SILENCE: Duration = Duration::from_secs(15);

/// In milliseconds.
const CHECK_INTERVAL: &str = "5000";

/// Lets the server end a statement when nobody is at the other end any more. Not every system that a
/// server runs on can; once it is known that this one can, sessions are opened with it.
async fn notice_our_end(wire: &mut PgConnection) -> bool {
    const SINCE: u32 = 140_000;
    if wire.server_version_num().is_none_or(|version| version < SINCE) {
        return false;
    }
    let set = format!("SET client_connection_check_interval = {CHECK_INTERVAL}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(set)).execute(wire).await.is_ok()
}
