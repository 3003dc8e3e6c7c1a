//! Checking that all accounts add up.

use super::Broadcasts;
use crate::ports::{Purpose, StoreError};
use domain::{
    broadcasts::Audit,
    ids::{BroadcastId, WorkspaceId},
    workspaces::WorkspaceState,
};

/// An account that does not add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrepancy {
    /// Of which broadcast.
    pub broadcast: BroadcastId,
    /// What was counted.
    pub audit: Audit,
}

impl Broadcasts {
    /// Accounts counted with one lease.
    const AUDIT_BATCH: usize = 20;

    /// The workspaces whose accounts can be checked. For the operator: there is no caller.
    ///
    /// # Errors
    /// When the system database cannot be read.
    #[tracing::instrument(name = "broadcasts.audited_workspaces", skip_all)]
    pub async fn audited_workspaces(&self) -> Result<Vec<WorkspaceId>, StoreError> {
        let mut system = self.broker.read_system(Purpose::background("broadcasts.audit")).await?;
        let active = system.workspaces().await?.into_iter().filter(|w| w.state == WorkspaceState::Active);
        Ok(active.map(|w| w.id).collect())
    }

    /// Counts every account of a workspace, each at one moment, beside a server that may be at work.
    /// Answers how many there are, and those that do not add up. For the operator: there is no caller.
    ///
    /// # Errors
    /// When the store fails.
    #[tracing::instrument(name = "broadcasts.audit", skip_all)]
    pub async fn audit(&self, workspace: &WorkspaceId) -> Result<(u64, Vec<Discrepancy>), StoreError> {
        let purpose = Purpose::background("broadcasts.audit");
        let (mut counted, mut wrong) = (0, Vec::new());
        let mut after: Option<BroadcastId> = None;
        loop {
            let mut store = self.broker.read(workspace, purpose).await?;
            let ids = store.broadcast_ids_after(after.as_ref(), Self::AUDIT_BATCH).await?;
            for broadcast in &ids {
                let audit = store.audit(broadcast).await?;
                if !audit.adds_up() {
                    wrong.push(Discrepancy { broadcast: broadcast.clone(), audit });
                }
                counted += 1;
            }
            if ids.len() < Self::AUDIT_BATCH {
                return Ok((counted, wrong));
            }
            after = ids.last().cloned();
        }
    }
}
