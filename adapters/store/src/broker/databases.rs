//! Databases of workspaces come and go.

use super::{FIRST_OPEN, StoreBroker, key, options, refusal};
use crate::connector::EngineConnector;
use ::broker::Access;
use application::ports::{Purpose, StoreError, WorkspaceDatabases};
use async_trait::async_trait;
use domain::ids::WorkspaceId;
use std::time::Duration;

/// How long leases of a workspace that is removed have before they are interrupted.
const LAST_WORDS: Duration = Duration::from_secs(5);

#[async_trait]
impl WorkspaceDatabases for StoreBroker {
    async fn create(&self, workspace: &WorkspaceId) -> Result<(), StoreError> {
        let purpose = Purpose::interactive("create database");
        let database = self.database_of(workspace, purpose).await?;
        match &self.connector {
            EngineConnector::Sqlite(files) => files.create(&database).await?,
            EngineConnector::Postgres(server) => {
                let mut system = self.system(purpose, Access::Write).await?;
                server.create(system.connection(), &database).await?;
            }
        }
        let key = key(workspace);
        self.broker.readmit(&key);
        // The first open brings the tables up to date.
        self.names.announce(workspace, &database).await;
        let first = options(purpose, Access::Read).within(FIRST_OPEN);
        self.broker.lease(&key, first).await.map(drop).map_err(refusal)
    }

    async fn remove(&self, workspace: &WorkspaceId) -> Result<(), StoreError> {
        let purpose = Purpose::interactive("remove database");
        let database = self.database_of(workspace, purpose).await?;
        let key = key(workspace);
        self.names.forget(workspace).await;
        self.broker.retire(&key, LAST_WORDS).await.map_err(refusal)?;
        match &self.connector {
            EngineConnector::Sqlite(files) => files.remove(&database).await?,
            EngineConnector::Postgres(server) => {
                let mut system = self.system(purpose, Access::Write).await?;
                server.remove(system.connection(), &database).await?;
            }
        }
        self.names.forget(workspace).await;
        // From now on an open would find that there is no database.
        self.broker.readmit(&key);
        Ok(())
    }
}

impl StoreBroker {
    /// What the directory tells, in whatever state; otherwise the name that it would be given.
    async fn database_of(&self, workspace: &WorkspaceId, purpose: Purpose) -> Result<String, StoreError> {
        let entry = self.directory_entry(workspace, purpose).await?;
        Ok(entry.map_or_else(|| self.naming.database(workspace), |row| row.database_name))
    }
}
