//! Brings all databases up to date at once, for whoever does not want to wait for the first use.

use super::{StoreBroker, key, options, refusal};
use ::broker::Access;
use application::ports::{Purpose, StoreError, WorkspaceDirectory as _};
use domain::{ids::WorkspaceId, workspaces::WorkspaceState};

/// How far it is.
#[derive(Debug)]
pub struct MigrationProgress<'a> {
    /// The workspace just looked at.
    pub workspace: &'a WorkspaceId,
    /// What became of it.
    pub outcome: &'a Result<(), StoreError>,
    /// Workspaces looked at, this one included.
    pub done: usize,
    /// Workspaces in all.
    pub total: usize,
}

impl StoreBroker {
    /// Brings the system database and the database of every active workspace up to date. Goes on
    /// when one fails. Answers how many failed.
    ///
    /// # Errors
    /// When the system database cannot be used.
    pub async fn migrate_all(
        &self,
        mut progress: impl FnMut(MigrationProgress<'_>) + Send,
    ) -> Result<usize, StoreError> {
        self.prepare().await?;
        let purpose = Purpose::background("migrate");
        let mut workspaces = self.system_session(purpose).await?.workspaces().await?;
        workspaces.retain(|workspace| workspace.state == WorkspaceState::Active);
        let mut failed = 0;
        for (position, workspace) in workspaces.iter().enumerate() {
            let outcome = self.open_once(&workspace.id, purpose).await;
            failed += usize::from(outcome.is_err());
            let (workspace, outcome) = (&workspace.id, &outcome);
            progress(MigrationProgress { workspace, outcome, done: position + 1, total: workspaces.len() });
        }
        Ok(failed)
    }

    async fn open_once(&self, workspace: &WorkspaceId, purpose: Purpose) -> Result<(), StoreError> {
        self.require_active(workspace, purpose).await?;
        let lease = self.broker.lease(&key(workspace), options(purpose, Access::Read)).await;
        lease.map(drop).map_err(refusal)
    }
}
