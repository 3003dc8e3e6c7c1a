//! Who belongs to which workspace.

use crate::{MemorySession, state::SystemState};
use application::ports::{MemberStore, StoreError};
use async_trait::async_trait;
use domain::{
    ids::{InvitationId, UserId, WorkspaceId},
    users::{Invitation, Member, User},
};
use std::collections::btree_map::Entry;

#[async_trait]
impl MemberStore for MemorySession<SystemState> {
    async fn member(&mut self, workspace: &WorkspaceId, user: UserId) -> Result<Option<Member>, StoreError> {
        self.look(|state| state.members.get(&(workspace.clone(), user)).cloned())
    }

    async fn members(&mut self, workspace: &WorkspaceId) -> Result<Vec<(Member, User)>, StoreError> {
        self.look(|state| {
            let of = state.members.values().filter(|m| m.workspace == *workspace);
            let mut found: Vec<_> =
                of.filter_map(|m| Some((m.clone(), state.users.get(&m.user)?.clone()))).collect();
            found.sort_by_key(|(member, _)| member.created_at);
            found
        })
    }

    async fn insert_member(&mut self, member: &Member) -> Result<(), StoreError> {
        self.change(|state| match state.members.entry((member.workspace.clone(), member.user)) {
            Entry::Occupied(_) => Err(StoreError::Duplicate),
            Entry::Vacant(place) => {
                place.insert(member.clone());
                Ok(())
            }
        })
    }

    async fn update_member(&mut self, member: &Member) -> Result<bool, StoreError> {
        self.change(|state| {
            let Some(kept) = state.members.get_mut(&(member.workspace.clone(), member.user)) else {
                return Ok(false);
            };
            *kept = Member { created_at: kept.created_at, ..member.clone() };
            Ok(true)
        })
    }

    async fn delete_member(&mut self, workspace: &WorkspaceId, user: UserId) -> Result<bool, StoreError> {
        self.change(|state| Ok(state.members.remove(&(workspace.clone(), user)).is_some()))
    }

    async fn invitation(&mut self, id: InvitationId) -> Result<Option<Invitation>, StoreError> {
        self.look(|state| state.invitations.get(&id).cloned())
    }

    async fn invitations(&mut self, workspace: &WorkspaceId) -> Result<Vec<Invitation>, StoreError> {
        self.look(|state| {
            let all = state.invitations.values();
            let mut found: Vec<_> = all.filter(|i| i.workspace == *workspace).cloned().collect();
            found.sort_by_key(|i| i.created_at);
            found
        })
    }

    async fn put_invitation(&mut self, invitation: &Invitation) -> Result<(), StoreError> {
        self.change(|state| {
            let replaced =
                |i: &Invitation| i.workspace == invitation.workspace && i.email == invitation.email;
            state.invitations.retain(|_, i| !replaced(i));
            state.invitations.insert(invitation.id, invitation.clone());
            Ok(())
        })
    }

    async fn delete_invitation(&mut self, id: InvitationId) -> Result<bool, StoreError> {
        self.change(|state| Ok(state.invitations.remove(&id).is_some()))
    }
}
