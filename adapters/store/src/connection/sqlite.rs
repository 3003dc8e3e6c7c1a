//! How an embedded database is opened: one handle to one file.

use super::{Connection, ServerSide, Wire};
use sqlx::{
    ConnectOptions as _,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{path::Path, time::Duration};

/// About a tenth of a millisecond: how soon a statement stops that nobody waits for.
const OPERATIONS_BETWEEN_LOOKS: i32 = 10_000;

/// How files are opened.
#[derive(Debug, Clone)]
pub(crate) struct SqliteLink {
    /// How long to wait for another writer.
    pub(crate) busy_timeout: Duration,
    /// How long a statement may take.
    pub(crate) statement_timeout: Duration,
    /// Whether each commit waits for the disk. Without it the last commits may be lost when the
    /// machine loses power; the file is sound either way.
    pub(crate) full_sync: bool,
    /// Prepared statements kept by a connection.
    pub(crate) statement_cache: usize,
}

impl SqliteLink {
    /// Opens a file, which is made first only if `create` says so.
    pub(crate) async fn open(&self, file: &Path, create: bool) -> Result<Connection, sqlx::Error> {
        let options = self.options().filename(file).create_if_missing(create);
        self.connection(options.journal_mode(SqliteJournalMode::Wal).connect().await?).await
    }

    /// Opens a database that ends with its connection.
    #[cfg(test)]
    pub(crate) async fn open_in_memory(&self) -> Result<Connection, sqlx::Error> {
        self.connection(self.options().in_memory(true).connect().await?).await
    }

    async fn connection(&self, wire: sqlx::SqliteConnection) -> Result<Connection, sqlx::Error> {
        let (timeout, grace) = (self.statement_timeout, self.busy_timeout);
        let mut connection = Connection::new(Wire::Sqlite(wire), timeout, grace, ServerSide::default());
        let stop = connection.stop.clone();
        if let Wire::Sqlite(wire) = connection.wire.get_mut() {
            let go_on = move || !stop.is_called();
            wire.lock_handle().await?.set_progress_handler(OPERATIONS_BETWEEN_LOOKS, go_on);
        }
        Ok(connection.preparing(self.statement_cache > 0))
    }

    fn options(&self) -> SqliteConnectOptions {
        let synchronous = if self.full_sync { SqliteSynchronous::Full } else { SqliteSynchronous::Normal };
        SqliteConnectOptions::new()
            .foreign_keys(true)
            .busy_timeout(self.busy_timeout)
            .synchronous(synchronous)
            .statement_cache_capacity(self.statement_cache)
            .disable_statement_logging()
    }
}

impl Default for SqliteLink {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            full_sync: false,
            statement_cache: 128,
        }
    }
}
