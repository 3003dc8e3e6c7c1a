//! The steps that touch both the directory and a workspace's database. Each can be repeated.

use super::{Workspaces, WorkspacesError};
use crate::ports::{Purpose, StoreError};
use domain::{ids::WorkspaceId, workspaces::WorkspaceState};

impl Workspaces {
    /// Carries on every creation and deletion that was interrupted. For the start of the process.
    /// One that fails is logged and left for the next time.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub async fn carry_on(&self) -> Result<(), StoreError> {
        let mut store = self.platform.broker.read_system(Purpose::background("workspaces.carryOn")).await?;
        let all = store.workspaces().await?;
        drop(store);
        for workspace in all {
            let done = match workspace.state {
                WorkspaceState::Active => continue,
                WorkspaceState::Creating => self.finish_creation(&workspace.id).await,
                WorkspaceState::Deleting => self.finish_deletion(&workspace.id).await,
            };
            if let Err(error) = done {
                let error: &dyn std::error::Error = &error;
                tracing::error!(workspace.id = %workspace.id, error, "an interrupted step failed again");
            }
        }
        Ok(())
    }

    pub(super) async fn finish_creation(&self, id: &WorkspaceId) -> Result<(), WorkspacesError> {
        self.platform.databases.create(id).await?;
        let mut store = self.platform.broker.write_system(Purpose::interactive("workspaces.create")).await?;
        let mut workspace = store.workspace(id).await?.ok_or(WorkspacesError::NotFound)?;
        if workspace.state == WorkspaceState::Deleting {
            return Err(WorkspacesError::NotFound); // deleted meanwhile
        }
        workspace.state = WorkspaceState::Active;
        store.update_workspace(&workspace).await?;
        store.commit().await?;
        Ok(())
    }

    pub(super) async fn finish_deletion(&self, id: &WorkspaceId) -> Result<(), WorkspacesError> {
        self.platform.databases.remove(id).await?;
        let mut store = self.platform.broker.write_system(Purpose::interactive("workspaces.delete")).await?;
        store.delete_workspace(id).await?;
        store.commit().await?;
        Ok(())
    }
}
