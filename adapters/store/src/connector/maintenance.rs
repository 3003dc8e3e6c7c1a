//! The one session that is not lent: it asks the server which of our sessions still exist.
//!
//! The driver hides its socket, so the end of a session can't be seen on our side. This session is
//! part of the budget: the broker is given one connection less.

use crate::connection::{Connection, Lane, PostgresLink, ServerSide};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use std::{
    collections::HashSet,
    future::Future,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

/// Where a session that ends is told.
type Told = oneshot::Sender<()>;

/// Asks the server, one question for all sessions that are ending.
pub(crate) struct Maintenance {
    link: PostgresLink,
    database: String,
    connect_timeout: Duration,
    ending: Mutex<Ending>,
    watched: Mutex<Ending>,
    session: tokio::sync::Mutex<Option<Connection>>,
}

#[derive(Default)]
struct Ending {
    waiting: Vec<(ServerSide, Told)>,
    /// Whether the task that asks is there.
    asking: bool,
}

impl Maintenance {
    /// The server needs a few milliseconds to end a session.
    const SOON: Duration = Duration::from_millis(2);
    const LATER: Duration = Duration::from_millis(100);
    const AFTER_FAILURE: Duration = Duration::from_millis(500);
    /// How often it is asked whether sessions that nobody uses still exist.
    const WATCH: Duration = Duration::from_secs(5);

    pub(super) fn new(link: PostgresLink, database: String, connect_timeout: Duration) -> Self {
        let session = tokio::sync::Mutex::new(None);
        let (ending, watched) = (Mutex::default(), Mutex::default());
        Self { link, database, connect_timeout, ending, watched, session }
    }

    /// Returns when the server no longer has the session. Answers false when the runtime ends first.
    pub(super) async fn gone(self: &Arc<Self>, session: ServerSide) -> bool {
        let (tell, told) = oneshot::channel();
        let start = {
            let mut ending = lock(&self.ending);
            ending.waiting.push((session, tell));
            !std::mem::replace(&mut ending.asking, true)
        };
        if start {
            tokio::spawn(Arc::clone(self).ask_until_none_waits());
        }
        told.await.is_ok()
    }

    /// Returns when the server has ended the session, ours or not: within seconds, as its socket
    /// can't be watched.
    pub(super) fn ended(self: &Arc<Self>, session: ServerSide) -> impl Future<Output = ()> + Send + use<> {
        let (tell, told) = oneshot::channel();
        let start = {
            let mut watched = lock(&self.watched);
            watched.waiting.push((session, tell));
            !std::mem::replace(&mut watched.asking, true)
        };
        if start {
            tokio::spawn(watch(Arc::downgrade(self)));
        }
        async move {
            if told.await.is_err() {
                // Nobody asks any more: not known.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Asks once about all sessions that are watched. Answers whether there are any.
    async fn look(&self) -> bool {
        let asked: Vec<ServerSide> = {
            let mut watched = lock(&self.watched);
            watched.waiting.retain(|(_, told)| !told.is_closed());
            if watched.waiting.is_empty() {
                watched.asking = false;
                return false;
            }
            watched.waiting.iter().map(|(session, _)| session.clone()).collect()
        };
        // A server that does not answer has told nothing.
        if let Ok(living) = self.with_session(async |c| living(c, &asked).await).await {
            tell_the_ended(&mut lock(&self.watched), &asked, &living);
        }
        true
    }

    /// Ends a session, whatever it does.
    pub(super) async fn terminate(&self, session: &ServerSide) {
        if let Err(error) = self.with_session(async |c| terminate(c, session).await).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a session could not be terminated");
        }
    }

    /// Closes the session; the next question opens another.
    pub(super) async fn close(&self) {
        lock(&self.watched).waiting.clear();
        if let Some(connection) = self.session.lock().await.take() {
            // The server frees it whether or not the goodbye arrives.
            let _ = connection.close().await;
        }
    }

    async fn ask_until_none_waits(self: Arc<Self>) {
        let mut pause = Self::SOON;
        loop {
            sleep(pause).await;
            let asked: Vec<ServerSide> = {
                let mut ending = lock(&self.ending);
                if ending.waiting.is_empty() {
                    ending.asking = false;
                    return;
                }
                ending.waiting.iter().map(|(session, _)| session.clone()).collect()
            };
            pause = match self.with_session(async |c| living(c, &asked).await).await {
                Ok(living) => self.tell_the_rest(&asked, &living, pause),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the server does not tell which sessions have ended"
                    );
                    Self::AFTER_FAILURE
                }
            };
        }
    }

    /// Answers how long to wait before asking again.
    fn tell_the_rest(&self, asked: &[ServerSide], living: &HashSet<ServerSide>, pause: Duration) -> Duration {
        let any = tell_the_ended(&mut lock(&self.ending), asked, living);
        if any { Self::SOON } else { (pause * 2).clamp(Self::SOON, Self::LATER) }
    }

    /// Works over the session. It must not be held up for long: whoever closes a connection waits.
    pub(crate) async fn with_session<T>(
        &self,
        work: impl AsyncFnOnce(&Connection) -> Result<T, DbErr>,
    ) -> Result<T, DbErr> {
        let mut session = self.session.lock().await;
        let connection = match session.take() {
            Some(connection) => connection,
            None => self.open(&self.database).await?,
        };
        let outcome = work(&connection).await;
        if connection.is_sound() {
            *session = Some(connection);
        } else {
            let _ = connection.close().await;
        }
        outcome
    }

    /// Works once over a session to another database, in the place of the usual one.
    pub(super) async fn with_database<T>(
        &self,
        database: &str,
        work: impl AsyncFnOnce(&Connection) -> Result<T, DbErr>,
    ) -> Result<T, DbErr> {
        let mut session = self.session.lock().await;
        if let Some(connection) = session.take() {
            let _ = connection.close().await;
        }
        let connection = self.open(database).await?;
        let outcome = work(&connection).await;
        let _ = connection.close().await;
        outcome
    }

    async fn open(&self, database: &str) -> Result<Connection, DbErr> {
        let opening = self.link.open(database, Lane::Maintenance);
        let late = |_| DbErr::Custom("no connection in time".to_owned());
        let opened = timeout(self.connect_timeout, opening).await.map_err(late)?;
        opened.map_err(|e| DbErr::Conn(sea_orm::RuntimeErr::SqlxError(e.into())))
    }
}

fn lock(sessions: &Mutex<Ending>) -> std::sync::MutexGuard<'_, Ending> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers whether any has ended.
fn tell_the_ended(sessions: &mut Ending, asked: &[ServerSide], living: &HashSet<ServerSide>) -> bool {
    let before = sessions.waiting.len();
    let asked: HashSet<_> = asked.iter().collect();
    for (session, told) in std::mem::take(&mut sessions.waiting) {
        if asked.contains(&session) && !living.contains(&session) {
            // Whoever no longer listens has been told by another way.
            let _ = told.send(());
        } else {
            sessions.waiting.push((session, told));
        }
    }
    sessions.waiting.len() < before
}

async fn watch(maintenance: Weak<Maintenance>) {
    loop {
        sleep(Maintenance::WATCH).await;
        let Some(maintenance) = maintenance.upgrade() else { return };
        if !maintenance.look().await {
            return;
        }
    }
}

/// Those of the sessions that the server still has. Without the joins of `pg_stat_activity`.
pub(super) async fn living(
    connection: &Connection,
    sessions: &[ServerSide],
) -> Result<HashSet<ServerSide>, DbErr> {
    let names: Vec<&str> = sessions.iter().map(|session| &*session.0).collect();
    let sql = "SELECT application_name AS name FROM pg_stat_get_activity(NULL) \
               WHERE application_name = ANY (string_to_array($1, ','))";
    let query = Statement::from_sql_and_values(DbBackend::Postgres, sql, [names.join(",").into()]);
    let rows = connection.query_all_raw(query).await?;
    rows.iter().map(|row| Ok(ServerSide(row.try_get::<String>("", "name")?.into()))).collect()
}

/// Ends a session if the server still has it.
pub(super) async fn terminate(connection: &Connection, session: &ServerSide) -> Result<(), DbErr> {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_get_activity(NULL) WHERE application_name = $1";
    let query = Statement::from_sql_and_values(DbBackend::Postgres, sql, [(*session.0).into()]);
    connection.query_all_raw(query).await.map(drop)
}
