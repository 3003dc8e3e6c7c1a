//! The schema check at the first open of a database.

use crate::connection::Connection;
use migration::{MigrationError, Migrator};
use moka::future::Cache;

/// The databases that this process has found, or brought, up to date.
pub(super) struct Schemas(Cache<String, ()>);

impl Schemas {
    const MOST: u64 = 100_000;

    pub(super) fn new() -> Self {
        Self(Cache::new(Self::MOST))
    }

    /// Compares the recorded version and takes the steps that are missing. Free of cost for a
    /// database that was looked at before.
    pub(super) async fn bring_up_to_date(
        &self,
        database: &str,
        migrator: &Migrator,
        connection: &Connection,
    ) -> Result<(), MigrationError> {
        if self.0.contains_key(database) {
            return Ok(());
        }
        if !migrator.is_current(connection).await? {
            let steps = migrator.up(connection).await?;
            tracing::info!(steps, "database brought up to date");
        }
        self.0.insert(database.to_owned(), ()).await;
        Ok(())
    }

    /// The database is gone.
    pub(super) async fn forget(&self, database: &str) {
        self.0.invalidate(database).await;
    }
}
