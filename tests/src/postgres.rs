//! A PostgreSQL server for tests: one for each test process, from wherever it can be had.
//!
//! In this order: `TEST_DATABASE_URL`; a container when Docker answers; a cluster of its own made
//! with the server's programs on this machine. When none can be had, the test fails.

mod cluster;
#[cfg(feature = "containers")]
mod container;

use sqlx::{
    ConnectOptions as _, Connection as _,
    postgres::{PgConnectOptions, PgSslMode},
};
use std::{
    fmt::Write as _,
    process::Child,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// A running server. Its role may make databases and terminate its own sessions.
#[derive(Debug, Clone)]
pub struct Server {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// Its password; empty for none.
    pub password: String,
    /// A database that exists.
    pub database: String,
    /// The folder of its Unix socket, where it is known. Such a server also speaks TLS, with a
    /// certificate that nobody has signed.
    pub socket_folder: Option<String>,
}

impl Server {
    /// The address of a database of this server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let mut url = format!("postgres://{}", encoded(&self.user));
        if !self.password.is_empty() {
            let _ = write!(url, ":{}", encoded(&self.password));
        }
        let _ = write!(url, "@{}:{}/{database}?sslmode=disable", self.host, self.port);
        url
    }

    fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .password(&self.password)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
            .disable_statement_logging()
    }
}

/// Names of databases that nobody else uses. They are dropped with this value.
#[derive(Debug)]
pub struct Databases {
    prefix: String,
}

static MADE: AtomicU32 = AtomicU32::new(0);

impl Databases {
    /// Names on the server of this process, which is started when there is none yet.
    ///
    /// # Panics
    /// When no server can be had.
    #[must_use]
    pub fn new() -> Self {
        let _ = server();
        Self { prefix: format!("t{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed)) }
    }

    /// What all the names begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A name for a system database.
    #[must_use]
    pub fn system(&self) -> String {
        format!("{}_system", self.prefix)
    }
}

impl Default for Databases {
    fn default() -> Self {
        Self::new()
    }
}

impl Databases {
    /// The server as a role that may make databases but have no more than so many sessions. The role
    /// is dropped with the databases.
    ///
    /// # Panics
    /// When the role cannot be made.
    #[must_use]
    pub fn limited_to(&self, sessions: u32) -> Server {
        let role = Server { user: self.prefix.clone(), password: "limited".into(), ..server().clone() };
        let create = format!(
            "CREATE ROLE \"{}\" LOGIN CREATEDB PASSWORD '{}' CONNECTION LIMIT {sessions}",
            role.user, role.password
        );
        apart(async move { run(&[create]).await }).expect("the role could not be made");
        role
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        // What is left over has a name that nobody uses again.
        let _ = apart(clear(self.prefix.clone()));
    }
}

/// Runs in a thread and runtime of its own, as those of the test may be ending.
fn apart<T: Send + 'static>(
    work: impl Future<Output = Result<T, sqlx::Error>> + Send + 'static,
) -> Result<T, sqlx::Error> {
    let thread = std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
    });
    thread.join().unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

async fn clear(prefix: String) -> Result<(), sqlx::Error> {
    let server = server();
    let mut connection = server.options(&server.database).connect().await?;
    let sql = "SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)";
    let names: Vec<String> =
        sqlx::query_scalar(sql).bind(format!("{prefix}_")).fetch_all(&mut connection).await?;
    connection.close().await?;
    let drop = |name: String| format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)");
    let mut statements: Vec<String> = names.into_iter().map(drop).collect();
    statements.push(format!("DROP ROLE IF EXISTS \"{prefix}\""));
    run(&statements).await
}

async fn run(statements: &[String]) -> Result<(), sqlx::Error> {
    let server = server();
    let mut connection = server.options(&server.database).connect().await?;
    for sql in statements {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.as_str())).execute(&mut connection).await?;
    }
    connection.close().await
}

/// The server of this process.
///
/// # Panics
/// When no server can be had.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        if let Some(server) = named_by_environment() {
            return server;
        }
        let no_container = match in_container() {
            Ok(server) => return server,
            Err(reason) => reason,
        };
        match cluster::start() {
            Ok(server) => server,
            Err(no_cluster) => panic!(
                "these tests need a PostgreSQL server. Set TEST_DATABASE_URL to one whose role may make \
                 databases, or start Docker ({no_container}), or install the server ({no_cluster})"
            ),
        }
    })
}

#[cfg(feature = "containers")]
fn in_container() -> Result<Server, String> {
    container::start()
}

#[cfg(not(feature = "containers"))]
fn in_container() -> Result<Server, String> {
    Err("not built with it".to_owned())
}

fn named_by_environment() -> Option<Server> {
    #[expect(clippy::disallowed_methods, reason = "tests have no settings of their own")]
    let text = std::env::var("TEST_DATABASE_URL").ok()?;
    let url = url::Url::parse(&text).expect("TEST_DATABASE_URL is no URL");
    let part = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some(Server {
        host: url.host_str().unwrap_or("localhost").to_owned(),
        port: url.port().unwrap_or(5432),
        user: part(url.username()),
        password: part(url.password().unwrap_or_default()),
        database: part(url.path().trim_start_matches('/')),
        socket_folder: None,
    })
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Keeps a process whose standard input ends with this one, however it ends.
fn keep(child: Child) {
    static KEPT: std::sync::Mutex<Vec<Child>> = std::sync::Mutex::new(Vec::new());
    KEPT.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(child);
}
