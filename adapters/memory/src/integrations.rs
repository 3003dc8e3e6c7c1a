//! Integrations of workspaces.

use crate::{MemorySession, state::SystemState};
use application::ports::{Gate, GateStore, IntegrationStore, StoreError};
use async_trait::async_trait;
use domain::{
    ids::{IntegrationId, WorkspaceId},
    integrations::Integration,
};
use std::collections::btree_map::Entry;

#[async_trait]
impl IntegrationStore for MemorySession<SystemState> {
    async fn integration(
        &mut self,
        workspace: &WorkspaceId,
        id: IntegrationId,
    ) -> Result<Option<Integration>, StoreError> {
        self.look(|state| state.integrations.get(&id).filter(|i| i.workspace == *workspace).cloned())
    }

    async fn integrations(&mut self, workspaces: &[WorkspaceId]) -> Result<Vec<Integration>, StoreError> {
        self.look(|state| {
            let all = state.integrations.values();
            let mut found: Vec<_> = all.filter(|i| workspaces.contains(&i.workspace)).cloned().collect();
            found.sort_by_key(|i| i.created_at);
            found
        })
    }

    async fn insert_integration(&mut self, integration: &Integration) -> Result<(), StoreError> {
        self.change(|state| match state.integrations.entry(integration.id) {
            Entry::Occupied(_) => Err(StoreError::Duplicate),
            Entry::Vacant(place) => {
                place.insert(integration.clone());
                state.gates.insert(integration.id, Gate::unused(integration.id));
                Ok(())
            }
        })
    }

    async fn update_integration(&mut self, integration: &Integration) -> Result<bool, StoreError> {
        self.change(|state| {
            let kept = state.integrations.get_mut(&integration.id);
            let Some(kept) = kept.filter(|i| i.workspace == integration.workspace) else { return Ok(false) };
            *kept = Integration { created_at: kept.created_at, ..integration.clone() };
            Ok(true)
        })
    }

    async fn delete_integration(
        &mut self,
        workspace: &WorkspaceId,
        id: IntegrationId,
    ) -> Result<bool, StoreError> {
        self.change(|state| {
            let is_there = state.integrations.get(&id).is_some_and(|i| i.workspace == *workspace);
            if is_there {
                state.integrations.remove(&id);
                state.gates.remove(&id);
            }
            Ok(is_there)
        })
    }
}

#[async_trait]
impl GateStore for MemorySession<SystemState> {
    async fn gates(&mut self, integrations: &[IntegrationId]) -> Result<Vec<Gate>, StoreError> {
        self.look(|state| integrations.iter().filter_map(|id| state.gates.get(id).copied()).collect())
    }

    async fn gates_for_update(&mut self, integrations: &[IntegrationId]) -> Result<Vec<Gate>, StoreError> {
        // A unit of work is alone from its beginning.
        self.gates(integrations).await
    }

    async fn update_gate(&mut self, gate: &Gate) -> Result<(), StoreError> {
        self.change(|state| {
            if let Some(kept) = state.gates.get_mut(&gate.integration) {
                *kept = *gate;
            }
            Ok(())
        })
    }
}
