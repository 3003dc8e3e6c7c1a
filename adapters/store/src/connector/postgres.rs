//! Sessions of a server, with the proof that a closed one is gone.

use super::{
    Handle, Names,
    maintenance::{self, Maintenance},
    schemas::Schemas,
    sqlite::migration_error,
};
use crate::{
    config::{Config, PostgresServer},
    connection::{Connection, Lane, Listener, PostgresLink},
    failure::store_error,
    fence::Fence,
};
use application::ports::StoreError;
use broker::{CloseProof, OpenError, OpenFailure, Target, Unusable, ZombieProbe};
use migration::{SYSTEM, WORKSPACE};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use std::{
    io::ErrorKind,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

/// Opens sessions of one server.
pub(crate) struct PostgresConnector {
    link: PostgresLink,
    system: String,
    names: Names,
    schemas: Schemas,
    connect_timeout: Duration,
    maintenance: Arc<Maintenance>,
    fence: Fence,
}

impl PostgresConnector {
    /// Every server has it; only there another one can be made when the system database is absent.
    const FIRST_DATABASE: &str = "postgres";
    /// A goodbye that a silent peer does not take is not waited for.
    const GOODBYE: Duration = Duration::from_millis(500);
    /// After that the server has noticed that nobody is at the other end of a new session.
    const NAMELESS: Duration = Duration::from_secs(5);

    pub(super) fn new(config: &Config, server: &PostgresServer, names: Names, fence: Fence) -> Self {
        let link = PostgresLink::new(config, server);
        let connect_timeout = config.limits.connect_timeout;
        let maintenance = Maintenance::new(link.clone(), server.database.clone(), connect_timeout);
        Self {
            link,
            system: server.database.clone(),
            names,
            schemas: Schemas::new(),
            connect_timeout,
            maintenance: Arc::new(maintenance),
            fence,
        }
    }

    pub(crate) fn maintenance(&self) -> &Arc<Maintenance> {
        &self.maintenance
    }

    pub(super) async fn open(&self, target: &Target) -> Result<Connection, OpenError<Handle>> {
        // The last moment to notice that others may have been given our share.
        if !self.fence.is_open() {
            return Err(OpenError::proven(OpenFailure::Down));
        }
        let (name, lane, migrator) = match target {
            Target::System => (self.system.as_str().into(), Lane::System, &SYSTEM),
            Target::Workspace(key) => {
                let name =
                    self.names.database(key.as_str()).await.ok_or(OpenError::proven(OpenFailure::Other))?;
                (name, Lane::Workspace, &WORKSPACE)
            }
        };
        let connection = match timeout(self.connect_timeout, self.link.open(&name, lane)).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(open_error(&error)),
            Err(_) => return Err(given_up(OpenFailure::Down)),
        };
        if let Err(error) = self.schemas.bring_up_to_date(&name, migrator, &connection).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a database could not be brought up to date"
            );
            return Err(OpenError { failure: OpenFailure::Other, proof: self.close(connection).await });
        }
        Ok(connection)
    }

    /// Opens the one session that hears what other processes tell.
    pub(crate) async fn listen(&self, channel: &str) -> Result<Listener, DbErr> {
        let late = || sqlx::Error::Io(std::io::Error::new(ErrorKind::TimedOut, "no connection in time"));
        let opening = self.link.listen(&self.system, channel, self.connect_timeout);
        let opened = match timeout(self.connect_timeout, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(late()),
        };
        if opened.as_ref().is_err_and(|error| !matches!(error, sqlx::Error::Database(_))) {
            // The server may have taken it for a session; the next one is not to be one too many.
            sleep(Self::NAMELESS).await;
        }
        opened.map_err(|e| DbErr::Conn(sea_orm::RuntimeErr::SqlxError(e.into())))
    }

    /// Returns when the server no longer has the session.
    pub(crate) async fn end_listener(&self, listener: Listener) {
        let session = listener.server_side().clone();
        if timeout(Self::GOODBYE, listener.close()).await.is_err() {
            self.maintenance.terminate(&session).await;
        }
        self.maintenance.gone(session).await;
    }

    /// Brings the system database up to date over the session that is not lent: before a share of the
    /// budget can be asked for, its table must be there.
    pub(crate) async fn migrate_system(&self) -> Result<(), StoreError> {
        let work = async |connection: &Connection| {
            Ok(self.schemas.bring_up_to_date(&self.system, &SYSTEM, connection).await)
        };
        self.maintenance.with_session(work).await.map_err(store_error)?.map_err(migration_error)
    }

    pub(super) async fn roll_back(&self, connection: &Connection) -> Result<(), Unusable> {
        connection.execute_unprepared("ROLLBACK").await.map(drop).map_err(|_| Unusable)
    }

    pub(super) async fn discard(&self, connection: &Connection) -> Result<(), Unusable> {
        connection.discard(self.link.statement_timeout).await.map_err(|_| Unusable)
    }

    pub(super) async fn close(&self, connection: Connection) -> CloseProof<Handle> {
        let (session, stop) = (connection.server_side().clone(), connection.stop().clone());
        let sound = connection.is_sound();
        // The proof counts, not the goodbye.
        let _ = timeout(Self::GOODBYE, connection.close()).await;
        if !sound {
            self.maintenance.terminate(&session).await;
        }
        if self.maintenance.gone(session.clone()).await {
            CloseProof::Free
        } else {
            CloseProof::NotProven(Handle::Server(session, stop))
        }
    }

    pub(super) async fn prove_gone(&self, system: &Connection, zombies: &[ZombieProbe<Handle>]) -> Vec<bool> {
        let sessions: Vec<_> = zombies
            .iter()
            .filter_map(|zombie| match &zombie.handle {
                Handle::Server(session, _) => Some((session.clone(), zombie.terminate)),
                _ => None,
            })
            .collect();
        for (session, _) in sessions.iter().filter(|(_, terminate)| *terminate) {
            // The answer to the question below counts.
            let _ = maintenance::terminate(system, session).await;
        }
        let sessions: Vec<_> = sessions.into_iter().map(|(session, _)| session).collect();
        let Ok(living) = maintenance::living(system, &sessions).await else {
            return vec![false; zombies.len()];
        };
        let gone = |zombie: &ZombieProbe<Handle>| match &zombie.handle {
            Handle::File(_) => true,
            Handle::Server(session, _) => !living.contains(session),
            Handle::Nameless(since) => since.elapsed() >= Self::NAMELESS,
        };
        zombies.iter().map(gone).collect()
    }

    /// The same over the session that is not lent: a process whose share has run out may open nothing
    /// else, and gets another share only when all that it had is known to be gone.
    pub(super) async fn prove_gone_apart(&self, zombies: &[ZombieProbe<Handle>]) -> Vec<bool> {
        let asked = async |connection: &Connection| Ok(self.prove_gone(connection, zombies).await);
        self.maintenance.with_session(asked).await.unwrap_or_else(|_| vec![false; zombies.len()])
    }

    pub(super) async fn create_system(&self) -> Result<(), StoreError> {
        let missing = |e: &DbErr| sqlx_code(e).is_some_and(|code| code == "3D000");
        match self.maintenance.with_database(&self.system, async |c| c.ping().await).await {
            Err(error) if missing(&error) => {}
            outcome => return outcome.map_err(store_error),
        }
        let work = async |c: &Connection| create_database(c, &self.system).await;
        self.maintenance.with_database(Self::FIRST_DATABASE, work).await.map_err(store_error)
    }

    /// Makes the database of a workspace when it is absent, over a lent connection.
    pub(crate) async fn create(&self, system: &Connection, database: &str) -> Result<(), StoreError> {
        create_database(system, database).await.map_err(store_error)
    }

    /// Drops the database of a workspace when it is present, over a lent connection.
    pub(crate) async fn remove(&self, system: &Connection, database: &str) -> Result<(), StoreError> {
        self.schemas.forget(database).await;
        let drop_it = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(database));
        system.execute_unprepared(&drop_it).await.map(drop).map_err(store_error)
    }
}

/// Byte order for texts, as the embedded engine has it. Whoever else makes it at the same time may
/// win.
async fn create_database(connection: &Connection, database: &str) -> Result<(), DbErr> {
    let sql = "SELECT 1 FROM pg_database WHERE datname = $1";
    let query = Statement::from_sql_and_values(DbBackend::Postgres, sql, [database.into()]);
    if connection.query_one_raw(query).await?.is_some() {
        return Ok(());
    }
    let create = format!(
        "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
        quoted(database)
    );
    match connection.execute_unprepared(&create).await {
        Err(e) if sqlx_code(&e).is_some_and(|code| matches!(code.as_str(), "42P04" | "23505")) => Ok(()),
        outcome => outcome.map(drop),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn sqlx_code(error: &DbErr) -> Option<String> {
    let (DbErr::Conn(e) | DbErr::Exec(e) | DbErr::Query(e)) = error else { return None };
    let sea_orm::RuntimeErr::SqlxError(e) = e else { return None };
    Some(e.as_database_error()?.code()?.into_owned())
}

/// A server that says why it refuses ends the session by itself.
fn open_error(error: &sqlx::Error) -> OpenError<Handle> {
    match error {
        sqlx::Error::Database(e) => OpenError::proven(refusal(e.code().as_deref().unwrap_or_default())),
        sqlx::Error::Io(e) if matches!(e.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => {
            OpenError::proven(OpenFailure::Down)
        }
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => given_up(OpenFailure::Down),
        _ => given_up(OpenFailure::Other),
    }
}

fn given_up(failure: OpenFailure) -> OpenError<Handle> {
    OpenError::unproven(failure, Handle::Nameless(Instant::now()))
}

fn refusal(code: &str) -> OpenFailure {
    match code {
        "53300" => OpenFailure::Limit,
        "3D000" => OpenFailure::DatabaseMissing,
        "28000" | "28P01" => OpenFailure::Auth,
        "57P01" | "57P02" | "57P03" => OpenFailure::Down,
        _ => OpenFailure::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_classified() {
        for (code, failure) in [
            ("53300", OpenFailure::Limit),
            ("57P03", OpenFailure::Down),
            ("3D000", OpenFailure::DatabaseMissing),
            ("28P01", OpenFailure::Auth),
            ("42501", OpenFailure::Other),
        ] {
            assert_eq!(refusal(code), failure, "{code}");
        }
    }

    #[test]
    fn a_name_is_quoted() {
        assert_eq!(quoted(r#"a"b"#), r#""a""b""#);
    }
}
