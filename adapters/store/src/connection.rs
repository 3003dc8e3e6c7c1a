//! One connection of either engine behind SeaORM: no pool, no ping, closed when we say so.

mod listener;
mod postgres;
mod sqlite;
#[cfg(test)]
mod tests;

pub(crate) use listener::Listener;
pub(crate) use postgres::{Lane, PostgresLink};
pub(crate) use sqlite::SqliteLink;

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement,
    sea_query::{Value, Values},
};
use sea_query_sqlx::SqlxValues;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};
use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Mutex, MutexGuard, Notify};

/// The connection itself.
enum Wire {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// One connection. It notices when a statement was given up midway, after which it must be closed.
pub struct Connection {
    wire: Mutex<Wire>,
    backend: DbBackend,
    /// How long a statement may take, in milliseconds; zero for any time. A server has been told.
    timeout: AtomicU64,
    /// How much longer an answer may be on its way.
    grace: Duration,
    /// Whether statements are prepared and kept.
    prepares: bool,
    unsound: AtomicBool,
    stop: Stop,
    server: ServerSide,
}

/// Stops what a connection does, and whatever it is asked later.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<Stopping>);

#[derive(Debug, Default)]
struct Stopping {
    called: AtomicBool,
    heard: Notify,
}

impl Stop {
    pub(crate) fn now(&self) {
        self.0.called.store(true, Ordering::Release);
        self.0.heard.notify_waiters();
    }

    fn is_called(&self) -> bool {
        self.0.called.load(Ordering::Acquire)
    }

    async fn called(&self) {
        let heard = self.0.heard.notified();
        // Called between the first look and this one, it was not heard.
        if !self.is_called() {
            heard.await;
        }
    }
}

/// How the server names this connection: its `application_name`, which no other has. Empty for
/// SQLite.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct ServerSide(pub(crate) Arc<str>);

impl Connection {
    /// A statement may take `timeout` (zero: any time); without an answer for `grace` longer the
    /// connection is given up.
    fn new(wire: Wire, timeout: Duration, grace: Duration, server: ServerSide) -> Self {
        let backend = match wire {
            Wire::Postgres(_) => DbBackend::Postgres,
            Wire::Sqlite(_) => DbBackend::Sqlite,
        };
        let (unsound, stop) = (AtomicBool::new(false), Stop::default());
        let timeout = AtomicU64::new(millis(timeout));
        Self { wire: Mutex::new(wire), backend, timeout, grace, prepares: true, unsound, stop, server }
    }

    /// Prepares and keeps statements only if told so.
    fn preparing(self, prepares: bool) -> Self {
        Self { prepares, ..self }
    }

    /// Lets a statement take this long from now on; zero for any time. Costs a round trip only when
    /// it is a change.
    pub(crate) async fn allow(&self, timeout: Duration) -> Result<(), DbErr> {
        let timeout = millis(timeout);
        if self.timeout.load(Ordering::Acquire) == timeout {
            return Ok(());
        }
        if self.backend == DbBackend::Postgres {
            self.execute_unprepared(&format!("SET statement_timeout = {timeout}")).await?;
        }
        self.timeout.store(timeout, Ordering::Release);
        Ok(())
    }

    /// Undoes whatever its holders have done to the session of a server. Prepared statements go as
    /// well: those of the driver, then those that somebody has named.
    pub(crate) async fn discard(&self, timeout: Duration) -> Result<(), DbErr> {
        {
            let mut running = self.run().await;
            let outcome = match &mut *running.wire {
                Wire::Postgres(wire) => wire.clear_cached_statements().await,
                Wire::Sqlite(wire) => wire.clear_cached_statements().await,
            };
            running.finish(outcome)?;
        }
        self.execute_unprepared("DISCARD ALL").await?;
        self.timeout.store(millis(timeout), Ordering::Release);
        Ok(())
    }

    /// The answer of a server, or an error as soon as nobody may wait for it any more.
    async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        tokio::select! {
            biased;
            () = self.stop.called() => Err(sqlx::Error::Io(io::Error::other("stopped"))),
            answer = within(self.deadline(), work) => answer,
        }
    }

    /// When a statement that begins now is given up.
    fn deadline(&self) -> Option<Duration> {
        let timeout = self.timeout.load(Ordering::Acquire);
        (timeout > 0).then(|| Duration::from_millis(timeout) + self.grace)
    }

    /// What stops it. The server of a PostgreSQL connection has to be asked as well.
    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// How the server names this connection. Empty for SQLite.
    pub(crate) fn server_side(&self) -> &ServerSide {
        &self.server
    }

    /// Whether every statement so far was carried through to its answer.
    pub(crate) fn is_sound(&self) -> bool {
        !self.unsound.load(Ordering::Acquire) && !self.stop.is_called()
    }

    /// Says goodbye. For SQLite all is closed when this returns; a PostgreSQL server may need a
    /// few more milliseconds.
    pub(crate) async fn close(self) -> Result<(), sqlx::Error> {
        match self.wire.into_inner() {
            Wire::Postgres(wire) if self.unsound.into_inner() => wire.close_hard().await,
            Wire::Postgres(wire) => wire.close().await,
            Wire::Sqlite(wire) => wire.close().await,
        }
    }

    /// One round trip.
    pub(crate) async fn ping(&self) -> Result<(), DbErr> {
        self.execute_unprepared("SELECT 1").await.map(drop)
    }

    async fn run(&self) -> Running<'_> {
        let wire = self.wire.lock().await;
        let sound = !self.unsound.swap(true, Ordering::AcqRel);
        Running { wire, connection: self, sound, finished: false }
    }
}

/// A statement on its way. Unless it is finished, the connection is unsound from then on.
struct Running<'a> {
    wire: MutexGuard<'a, Wire>,
    connection: &'a Connection,
    sound: bool,
    finished: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.connection.stop.now();
        }
    }
}

impl Running<'_> {
    fn finish<T>(mut self, outcome: Result<T, sqlx::Error>) -> Result<T, DbErr> {
        self.finished = true;
        let lost = outcome.as_ref().is_err_and(ends_connection);
        if lost {
            self.connection.stop.now();
        } else if self.sound {
            self.connection.unsound.store(false, Ordering::Release);
        }
        outcome.map_err(|e| DbErr::Query(RuntimeErr::SqlxError(e.into())))
    }
}

/// A busy SQLite file can be asked again over the same connection; anything else that is lost
/// can't.
fn ends_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(e) if e.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() => false,
        other => crate::failure::is_loss(other),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

async fn within<T>(
    deadline: Option<Duration>,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let Some(deadline) = deadline else { return work.await };
    let late = |_| sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
    tokio::time::timeout(deadline, work).await.map_err(late)?
}

/// Moments are bound to SQLite as text of fixed width, so that their order is that of time.
fn sqlite_value(value: Value) -> Value {
    match value {
        Value::ChronoDateTimeUtc(at) => {
            Value::String(at.map(|at| at.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()))
        }
        other => other,
    }
}

fn bound(statement: Statement) -> (AssertSqlSafe<String>, SqlxValues) {
    let values = statement.values.unwrap_or_else(|| Values(Vec::new()));
    let values = match statement.db_backend {
        DbBackend::Sqlite => Values(values.0.into_iter().map(sqlite_value).collect()),
        _ => values,
    };
    (AssertSqlSafe(statement.sql), SqlxValues(values))
}

#[async_trait::async_trait]
impl ConnectionTrait for Connection {
    fn get_database_backend(&self) -> DbBackend {
        self.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let (sql, values) = bound(statement);
        let mut running = self.run().await;
        let outcome = match &mut *running.wire {
            Wire::Postgres(wire) => {
                let work = sqlx::query_with(sql, values).persistent(self.prepares).execute(wire);
                self.unless_stopped(work).await.map(ExecResult::from)
            }
            Wire::Sqlite(wire) => {
                let work = sqlx::query_with(sql, values).persistent(self.prepares).execute(wire);
                within(self.deadline(), work).await.map(ExecResult::from)
            }
        };
        running.finish(outcome)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        let mut running = self.run().await;
        let outcome = match &mut *running.wire {
            Wire::Postgres(wire) => self.unless_stopped(wire.execute(sql)).await.map(ExecResult::from),
            Wire::Sqlite(wire) => within(self.deadline(), wire.execute(sql)).await.map(ExecResult::from),
        };
        running.finish(outcome)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let (sql, values) = bound(statement);
        let mut running = self.run().await;
        let outcome = match &mut *running.wire {
            Wire::Postgres(wire) => {
                let work = sqlx::query_with(sql, values).persistent(self.prepares).fetch_optional(wire);
                self.unless_stopped(work).await.map(|row| row.map(QueryResult::from))
            }
            Wire::Sqlite(wire) => {
                let work = sqlx::query_with(sql, values).persistent(self.prepares).fetch_optional(wire);
                within(self.deadline(), work).await.map(|row| row.map(QueryResult::from))
            }
        };
        running.finish(outcome)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let (sql, values) = bound(statement);
        let mut running = self.run().await;
        let outcome = match &mut *running.wire {
            Wire::Postgres(wire) => {
                let work = sqlx::query_with(sql, values).persistent(self.prepares).fetch_all(wire);
                self.unless_stopped(work).await.map(|rows| rows.into_iter().map(Into::into).collect())
            }
            Wire::Sqlite(wire) => {
                let work = sqlx::query_with(sql, values).persistent(self.prepares).fetch_all(wire);
                within(self.deadline(), work).await.map(|rows| rows.into_iter().map(Into::into).collect())
            }
        };
        running.finish(outcome)
    }
}
