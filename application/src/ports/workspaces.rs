//! The directory of workspaces.

use super::StoreError;
use async_trait::async_trait;
use domain::{
    ids::{UserId, WorkspaceId},
    workspaces::Workspace,
};

/// Keeps the directory of workspaces.
#[async_trait]
pub trait WorkspaceDirectory {
    /// The workspace, in whatever state.
    async fn workspace(&mut self, id: &WorkspaceId) -> Result<Option<Workspace>, StoreError>;

    /// The workspace, in whatever state, that answers on this host (see
    /// [`WorkspaceSettings::custom_endpoint_host`](domain::workspaces::WorkspaceSettings::custom_endpoint_host)).
    async fn workspace_by_host(&mut self, host: &str) -> Result<Option<Workspace>, StoreError>;

    /// All workspaces in whatever state, newest first.
    async fn workspaces(&mut self) -> Result<Vec<Workspace>, StoreError>;

    /// Active workspaces that the user is a member of, newest first.
    async fn workspaces_of(&mut self, user: UserId) -> Result<Vec<Workspace>, StoreError>;

    /// Fails with [`StoreError::Duplicate`] when the identifier or the host is taken.
    async fn insert_workspace(&mut self, workspace: &Workspace) -> Result<(), StoreError>;

    /// Replaces all but the moment of creation. Answers whether the workspace was there. Fails with
    /// [`StoreError::Duplicate`] when another one answers on its host.
    async fn update_workspace(&mut self, workspace: &Workspace) -> Result<bool, StoreError>;

    /// Removes the workspace with its memberships, invitations, integrations, work entries and the
    /// accounts of its API keys. Answers whether it was there.
    async fn delete_workspace(&mut self, id: &WorkspaceId) -> Result<bool, StoreError>;
}
