//! Integrations of workspaces.

use super::StoreError;
use async_trait::async_trait;
use domain::{
    ids::{IntegrationId, WorkspaceId},
    integrations::Integration,
};

/// Keeps integrations, their secrets sealed.
#[async_trait]
pub trait IntegrationStore {
    /// The integration of a workspace.
    async fn integration(
        &mut self,
        workspace: &WorkspaceId,
        id: IntegrationId,
    ) -> Result<Option<Integration>, StoreError>;

    /// All integrations of the given workspaces, oldest first.
    async fn integrations(&mut self, workspaces: &[WorkspaceId]) -> Result<Vec<Integration>, StoreError>;

    /// Adds an integration.
    async fn insert_integration(&mut self, integration: &Integration) -> Result<(), StoreError>;

    /// Replaces all but the moment of creation. Answers whether the integration was there.
    async fn update_integration(&mut self, integration: &Integration) -> Result<bool, StoreError>;

    /// Removes an integration. Answers whether it was there.
    async fn delete_integration(
        &mut self,
        workspace: &WorkspaceId,
        id: IntegrationId,
    ) -> Result<bool, StoreError>;
}
