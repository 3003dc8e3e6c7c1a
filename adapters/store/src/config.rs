//! What the store is told by whoever starts it.

use broker::Limits;
use domain::secret::Secret;
use std::{path::PathBuf, time::Duration};

/// Where data is kept and how connections are used.
#[derive(Debug, Clone)]
pub struct Config {
    /// The engine and where it is.
    pub engine: Engine,
    /// Budget and times of the connection broker.
    pub limits: Limits,
    /// Names this process to the server: 1 to 20 lower-case letters, digits and hyphens, new at
    /// every start.
    pub instance: String,
    /// How long a statement may run; zero for any time.
    pub statement_timeout: Duration,
    /// The same for background work.
    pub statement_timeout_background: Duration,
    /// How long a transaction may wait for its next statement.
    pub idle_in_transaction_timeout: Duration,
    /// Prepared statements kept by each connection; zero prepares none.
    pub statement_cache: usize,
    /// Whether to make do with fewer connections than the budget when the server gives fewer.
    pub budget_clamp: bool,
    /// How processes share the budget; `None` when this is the only one.
    pub cluster: Option<Cluster>,
    /// Whether it is told of work that other processes on the same server commit. Takes a connection
    /// of the budget; files belong to one process and need none.
    pub listens: bool,
}

impl Config {
    /// The usual limits and times.
    #[must_use]
    pub fn new(engine: Engine, instance: impl Into<String>) -> Self {
        Self {
            engine,
            limits: Limits::default(),
            instance: instance.into(),
            statement_timeout: Duration::from_secs(30),
            statement_timeout_background: Duration::from_mins(10),
            idle_in_transaction_timeout: Duration::from_secs(30),
            statement_cache: 128,
            budget_clamp: false,
            cluster: None,
            listens: false,
        }
    }

    /// Connections of the budget that are never lent: one asks the server which sessions have ended, or
    /// makes a file; one waits for what other processes tell.
    pub(crate) fn own_connections(&self) -> u32 {
        1 + u32::from(self.hears_others())
    }

    pub(crate) fn hears_others(&self) -> bool {
        self.listens && matches!(self.engine, Engine::Postgres(_))
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let word = |text: &str, extra: char| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == extra;
            !text.is_empty() && text.chars().all(plain)
        };
        if !word(&self.instance, '-') || self.instance.len() > 20 {
            return Err(ConfigError::Instance);
        }
        if let Engine::Postgres(server) = &self.engine
            && (!word(&server.prefix, '_') || server.prefix.len() > 39)
        {
            return Err(ConfigError::Prefix);
        }
        if self.cluster.is_some() && matches!(self.engine, Engine::Sqlite(_)) {
            return Err(ConfigError::Cluster);
        }
        self.limits.validate().map_err(|problems| broker::InvalidLimits { problems })?;
        Ok(())
    }
}

/// Several processes on one budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster {
    /// A process that has not been heard of for so long loses its part.
    pub ttl: Duration,
}

/// The database engine.
#[derive(Debug, Clone)]
pub enum Engine {
    /// Files in a folder: one for the system, one for each workspace.
    Sqlite(SqliteFiles),
    /// Databases of one server.
    Postgres(PostgresServer),
}

/// Where the files of the embedded database are.
#[derive(Debug, Clone)]
pub struct SqliteFiles {
    /// Made when absent; holds `system.db` and `workspaces/<id>.db`.
    pub folder: PathBuf,
    /// How long to wait for another writer of the same file.
    pub busy_timeout: Duration,
    /// Whether each commit waits for the disk. Without it the last commits may be lost when the
    /// machine loses power; the files are sound either way.
    pub full_sync: bool,
}

impl SqliteFiles {
    /// Files in a folder, with the usual settings.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), busy_timeout: Duration::from_secs(5), full_sync: false }
    }
}

/// How to reach a PostgreSQL server.
#[derive(Debug, Clone)]
pub struct PostgresServer {
    /// Host name, address, or folder of the Unix socket.
    pub host: String,
    /// TCP port, also part of the name of a Unix socket.
    pub port: u16,
    /// The role that owns the databases.
    pub user: String,
    /// Its password; empty for none.
    pub password: Secret,
    /// The system database, made when absent.
    pub database: String,
    /// Databases of workspaces are called `<prefix>_ws_<id>`: 1 to 39 lower-case letters, digits
    /// and underscores.
    pub prefix: String,
    /// Whether the connection is protected.
    pub tls: TlsMode,
}

/// Protection of a connection, as the `sslmode` of PostgreSQL's own clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Never TLS.
    Disable,
    /// TLS only when the server insists.
    Allow,
    /// TLS when the server offers it.
    Prefer,
    /// TLS, whoever the server is.
    Require,
    /// TLS with a trusted certificate.
    VerifyCa,
    /// TLS with a trusted certificate of that very host.
    VerifyFull,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The instance has a name that cannot be given to a server.
    #[error("the instance needs a name of 1 to 20 lower-case letters, digits and hyphens")]
    Instance,
    /// The prefix cannot be part of a database's name.
    #[error("the prefix of databases needs 1 to 39 lower-case letters, digits and underscores")]
    Prefix,
    /// Files belong to one process.
    #[error("an embedded database belongs to one process and is not shared")]
    Cluster,
    /// The broker's limits are out of range or do not go together.
    #[error(transparent)]
    Limits(#[from] broker::InvalidLimits),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(prefix: &str) -> Config {
        let server = PostgresServer {
            host: "localhost".into(),
            port: 5432,
            user: "app".into(),
            password: Secret::new("canary"),
            database: "app".into(),
            prefix: prefix.into(),
            tls: TlsMode::Prefer,
        };
        Config::new(Engine::Postgres(server), "a1b2")
    }

    #[test]
    fn a_prefix_is_safe_in_a_name() {
        assert!(config("notifuse_2").check().is_ok());
        for bad in ["", "a\"b", "A", "a-b", &"x".repeat(40)] {
            assert!(matches!(config(bad).check(), Err(ConfigError::Prefix)), "{bad}");
        }
    }

    #[test]
    fn an_instance_is_safe_in_a_name() {
        for bad in ["", "a/b", "A", &"x".repeat(21)] {
            let config = Config { instance: bad.into(), ..config("p") };
            assert!(matches!(config.check(), Err(ConfigError::Instance)), "{bad}");
        }
    }

    #[test]
    fn debug_output_hides_the_password() {
        assert!(!format!("{:?}", config("p")).contains("canary"));
    }
}
