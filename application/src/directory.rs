//! Looking workspaces up for other use cases.

use crate::ports::{ConnectionBroker, Purpose, StoreError};
use domain::{
    ids::WorkspaceId,
    workspaces::{Workspace, WorkspaceState},
};

/// The workspace, when it is in use.
pub(crate) async fn active_workspace(
    broker: &dyn ConnectionBroker,
    id: &WorkspaceId,
    purpose: Purpose,
) -> Result<Workspace, StoreError> {
    let mut system = broker.read_system(purpose).await?;
    let workspace = system.workspace(id).await?;
    workspace.filter(|w| w.state == WorkspaceState::Active).ok_or(StoreError::WorkspaceMissing)
}
