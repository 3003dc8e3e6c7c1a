//! Who belongs to which workspace.

use super::StoreError;
use async_trait::async_trait;
use domain::{
    ids::{InvitationId, UserId, WorkspaceId},
    users::{Invitation, Member, User},
};

/// Keeps memberships and invitations.
#[async_trait]
pub trait MemberStore {
    /// What a user is in a workspace.
    async fn member(&mut self, workspace: &WorkspaceId, user: UserId) -> Result<Option<Member>, StoreError>;

    /// All members with their accounts, oldest first.
    async fn members(&mut self, workspace: &WorkspaceId) -> Result<Vec<(Member, User)>, StoreError>;

    /// Fails with [`StoreError::Duplicate`] when the user is a member already.
    async fn insert_member(&mut self, member: &Member) -> Result<(), StoreError>;

    /// Replaces role and permissions. Answers whether the user was a member.
    async fn update_member(&mut self, member: &Member) -> Result<bool, StoreError>;

    /// Ends a membership. Answers whether there was one.
    async fn delete_member(&mut self, workspace: &WorkspaceId, user: UserId) -> Result<bool, StoreError>;

    /// The invitation.
    async fn invitation(&mut self, id: InvitationId) -> Result<Option<Invitation>, StoreError>;

    /// All invitations to a workspace, oldest first.
    async fn invitations(&mut self, workspace: &WorkspaceId) -> Result<Vec<Invitation>, StoreError>;

    /// Adds an invitation, replacing an earlier one of the same address to the same workspace.
    async fn put_invitation(&mut self, invitation: &Invitation) -> Result<(), StoreError>;

    /// Removes an invitation. Answers whether it was there.
    async fn delete_invitation(&mut self, id: InvitationId) -> Result<bool, StoreError>;
}
