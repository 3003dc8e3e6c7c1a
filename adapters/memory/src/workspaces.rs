//! The directory of workspaces.

use crate::{MemorySession, state::SystemState};
use application::ports::{StoreError, WorkspaceDirectory};
use async_trait::async_trait;
use domain::{
    ids::{UserId, WorkspaceId},
    users::UserKind,
    workspaces::{Workspace, WorkspaceState as Standing},
};
use std::{cmp::Reverse, collections::btree_map::Entry};

#[async_trait]
impl WorkspaceDirectory for MemorySession<SystemState> {
    async fn workspace(&mut self, id: &WorkspaceId) -> Result<Option<Workspace>, StoreError> {
        self.look(|state| state.workspaces.get(id).cloned())
    }

    async fn workspace_by_host(&mut self, host: &str) -> Result<Option<Workspace>, StoreError> {
        self.look(|state| {
            let mut all = state.workspaces.values();
            all.find(|w| w.settings.custom_endpoint_host().as_deref() == Some(host)).cloned()
        })
    }

    async fn workspaces(&mut self) -> Result<Vec<Workspace>, StoreError> {
        self.look(|state| newest_first(state.workspaces.values()))
    }

    async fn workspaces_of(&mut self, user: UserId) -> Result<Vec<Workspace>, StoreError> {
        self.look(|state| {
            let active = state.workspaces.values().filter(|w| w.state == Standing::Active);
            newest_first(active.filter(|w| state.members.contains_key(&(w.id.clone(), user))))
        })
    }

    async fn insert_workspace(&mut self, workspace: &Workspace) -> Result<(), StoreError> {
        self.change(|state| {
            if host_taken(state, workspace) {
                return Err(StoreError::Duplicate);
            }
            match state.workspaces.entry(workspace.id.clone()) {
                Entry::Occupied(_) => Err(StoreError::Duplicate),
                Entry::Vacant(place) => {
                    place.insert(workspace.clone());
                    Ok(())
                }
            }
        })
    }

    async fn update_workspace(&mut self, workspace: &Workspace) -> Result<bool, StoreError> {
        self.change(|state| {
            if host_taken(state, workspace) {
                return Err(StoreError::Duplicate);
            }
            let Some(kept) = state.workspaces.get_mut(&workspace.id) else { return Ok(false) };
            *kept = Workspace { created_at: kept.created_at, ..workspace.clone() };
            Ok(true)
        })
    }

    async fn delete_workspace(&mut self, id: &WorkspaceId) -> Result<bool, StoreError> {
        self.change(|state| {
            if state.workspaces.remove(id).is_none() {
                return Ok(false);
            }
            let members =
                state.members.keys().filter(|(workspace, _)| workspace == id).map(|(_, user)| *user);
            let is_key = |user: &UserId| state.users.get(user).is_some_and(|u| u.kind == UserKind::ApiKey);
            for key in members.filter(is_key).collect::<Vec<_>>() {
                state.remove_user(key);
            }
            state.members.retain(|(workspace, _), _| workspace != id);
            state.invitations.retain(|_, i| i.workspace != *id);
            state.integrations.retain(|_, i| i.workspace != *id);
            state.gates.retain(|id, _| state.integrations.contains_key(id));
            state.work.retain(|(workspace, _), _| workspace != id);
            Ok(true)
        })
    }
}

fn host_taken(state: &SystemState, workspace: &Workspace) -> bool {
    let host = workspace.settings.custom_endpoint_host();
    let mut others = state.workspaces.values().filter(|other| other.id != workspace.id);
    host.is_some() && others.any(|other| other.settings.custom_endpoint_host() == host)
}

fn newest_first<'a>(workspaces: impl Iterator<Item = &'a Workspace>) -> Vec<Workspace> {
    let mut workspaces: Vec<_> = workspaces.cloned().collect();
    workspaces.sort_by_key(|w| Reverse(w.created_at));
    workspaces
}
