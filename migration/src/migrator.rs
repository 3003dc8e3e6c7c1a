//! Brings a database up to date, once, whoever asks at the same time.

use crate::step::Step;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

/// The steps of one kind of database.
pub struct Migrator {
    /// The table that records the steps taken.
    pub(crate) table: &'static str,
    /// Number of the advisory lock that a PostgreSQL server guards the steps with.
    pub(crate) lock: i64,
    /// All steps, oldest first.
    pub(crate) steps: &'static [Step],
}

/// Why a database could not be brought up to date. Nothing of the attempt is kept.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A later version of the product has used the database.
    #[error("the database knows the step {0}, which this version does not")]
    Newer(String),
    /// The statements of a step failed.
    #[error("the step {step} failed")]
    Step {
        /// Which.
        step: &'static str,
        /// Why.
        #[source]
        source: DbErr,
    },
    /// The steps taken could not be read or recorded.
    #[error("the record of steps could not be used")]
    Record(#[from] DbErr),
}

impl Migrator {
    /// Takes the steps that are missing, all or none. Answers how many.
    ///
    /// Nobody else may use the connection meanwhile. Two callers with a connection each wait for
    /// one another.
    ///
    /// # Errors
    /// When a step fails, or the database is newer than this program.
    pub async fn up(&self, connection: &impl ConnectionTrait) -> Result<usize, MigrationError> {
        let begin = match connection.get_database_backend() {
            DbBackend::Sqlite => "BEGIN IMMEDIATE",
            _ => "BEGIN",
        };
        connection.execute_unprepared(begin).await?;
        let outcome = self.take_missing(connection).await;
        let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = connection.execute_unprepared(end).await;
        let taken = outcome?;
        ended?;
        Ok(taken)
    }

    /// Whether no step is missing.
    ///
    /// # Errors
    /// When the record can't be read, or the database is newer than this program.
    pub async fn is_current(&self, connection: &impl ConnectionTrait) -> Result<bool, MigrationError> {
        Ok(self.taken(connection).await? == self.steps.len())
    }

    async fn take_missing(&self, connection: &impl ConnectionTrait) -> Result<usize, MigrationError> {
        let engine = connection.get_database_backend();
        if engine == DbBackend::Postgres {
            let lock = format!("SELECT pg_advisory_xact_lock({})", self.lock);
            connection.execute_unprepared(&lock).await?;
        }
        let record = format!(
            "CREATE TABLE IF NOT EXISTS {} (position integer PRIMARY KEY, name text NOT NULL)",
            self.table
        );
        connection.execute_unprepared(&record).await?;
        let taken = self.taken(connection).await?;
        for (position, step) in self.steps.iter().enumerate().skip(taken) {
            for sql in (step.statements)(engine) {
                let failed = |source| MigrationError::Step { step: step.name, source };
                connection.execute_unprepared(&sql).await.map_err(failed)?;
            }
            let insert = format!("INSERT INTO {} VALUES ({position}, '{}')", self.table, step.name);
            connection.execute_unprepared(&insert).await?;
        }
        Ok(self.steps.len() - taken)
    }

    /// How many steps were taken, after a look that they are ours.
    async fn taken(&self, connection: &impl ConnectionTrait) -> Result<usize, MigrationError> {
        let engine = connection.get_database_backend();
        let exists = match engine {
            DbBackend::Sqlite => format!("SELECT 1 FROM sqlite_master WHERE name = '{}'", self.table),
            _ => format!("SELECT 1 WHERE to_regclass('{}') IS NOT NULL", self.table),
        };
        if connection.query_one_raw(Statement::from_string(engine, exists)).await?.is_none() {
            return Ok(0);
        }
        let names = format!("SELECT name FROM {} ORDER BY position", self.table);
        let rows = connection.query_all_raw(Statement::from_string(engine, names)).await?;
        for (position, row) in rows.iter().enumerate() {
            let name: String = row.try_get("", "name")?;
            if self.steps.get(position).is_none_or(|step| step.name != name) {
                return Err(MigrationError::Newer(name));
            }
        }
        Ok(rows.len())
    }
}
