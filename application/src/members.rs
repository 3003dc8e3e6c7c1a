//! Who belongs to a workspace.

mod invitations;

pub use invitations::{Accepted, InvitationView, Invited};

use crate::{
    access::{Caller, Denied},
    failure::{Failure, FailureKind},
    platform::Platform,
    ports::{Purpose, StoreError},
};
use domain::{
    ids::UserId,
    permissions::{Permission, Permissions, Resource, Role},
    users::{Invitation, Member, User, UserKind},
};
use std::sync::Arc;

/// The use cases of members and invitations.
pub struct Members {
    platform: Arc<Platform>,
}

/// Why a use case of members failed.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    /// The user is no member of the workspace.
    #[error("no member of this workspace has this user_id")]
    NotFound,
    /// The address belongs to a member.
    #[error("this person is a member of the workspace already")]
    AlreadyMember,
    /// The address belongs to an API key.
    #[error("this address belongs to an API key, which cannot be invited")]
    ApiKey,
    /// An owner has every right.
    #[error("an owner has every permission; they cannot be changed")]
    Owner,
    /// The caller named themselves.
    #[error("you cannot remove yourself; another owner has to do it")]
    Yourself,
    /// The workspace has as many people as the operator allows.
    #[error("the team member limit of this installation ({0}) is reached")]
    Quota(u32),
    /// The token is not that of an open invitation.
    #[error("the invitation is not valid or has expired; ask for a new one")]
    BadInvitation,
    /// The invitation was accepted, replaced or deleted.
    #[error("the invitation does not exist any more; ask for a new one")]
    InvitationGone,
    /// The caller may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for MembersError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NotFound | Self::InvitationGone => FailureKind::NotFound,
            Self::AlreadyMember | Self::ApiKey | Self::Owner | Self::Yourself => FailureKind::Conflict,
            Self::Quota(_) => FailureKind::Forbidden,
            Self::BadInvitation => FailureKind::Unauthenticated,
            Self::Denied(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "member-not-found",
            Self::AlreadyMember => "member-exists",
            Self::ApiKey => "member-is-api-key",
            Self::Owner => "member-is-owner",
            Self::Yourself => "member-is-yourself",
            Self::Quota(_) => "team-member-limit",
            Self::BadInvitation => "invitation-invalid",
            Self::InvitationGone => "invitation-not-found",
            Self::Denied(e) => e.code(),
            Self::Store(e) => e.code(),
        }
    }
}

/// Everybody in a workspace, and who is invited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// Members with their accounts, oldest first.
    pub members: Vec<(Member, User)>,
    /// Open invitations, oldest first.
    pub invitations: Vec<Invitation>,
}

impl Members {
    /// Takes its ports.
    #[must_use]
    pub fn new(platform: Arc<Platform>) -> Self {
        Self { platform }
    }

    /// Everybody in the workspace. Owners are shown with every right.
    ///
    /// # Errors
    /// Without `workspace:read`.
    #[tracing::instrument(name = "members.list", skip_all)]
    pub async fn list(&self, caller: &Caller) -> Result<Roster, MembersError> {
        caller.require(Permission::Read(Resource::Workspace))?;
        let now = self.platform.clock.now();
        let mut store = self.platform.broker.read_system(Purpose::interactive("workspaces.members")).await?;
        let mut members = store.members(&caller.workspace).await?;
        for (member, _) in members.iter_mut().filter(|(m, _)| m.role == Role::Owner) {
            member.permissions = Permissions::all();
        }
        let mut invitations = store.invitations(&caller.workspace).await?;
        invitations.retain(|i| now < i.expires_at);
        Ok(Roster { members, invitations })
    }

    /// Replaces the rights of a member, and ends their sessions.
    ///
    /// # Errors
    /// For others than owners, when the user is no member or an owner.
    #[tracing::instrument(name = "members.set_permissions", skip_all)]
    pub async fn set_permissions(
        &self,
        caller: &Caller,
        user: UserId,
        permissions: Permissions,
    ) -> Result<(), MembersError> {
        caller.require(Permission::Own)?;
        let purpose = Purpose::interactive("workspaces.setUserPermissions");
        let mut store = self.platform.broker.write_system(purpose).await?;
        let mut member = store.member(&caller.workspace, user).await?.ok_or(MembersError::NotFound)?;
        if member.role == Role::Owner {
            return Err(MembersError::Owner);
        }
        member.permissions = permissions;
        member.updated_at = self.platform.clock.now();
        store.update_member(&member).await?;
        store.delete_sessions(user).await?;
        store.commit().await?;
        Ok(())
    }

    /// Ends a membership. An API key is removed altogether and stops working at once.
    ///
    /// # Errors
    /// For others than owners, for the caller themselves, or when the user is no member.
    #[tracing::instrument(name = "members.remove", skip_all)]
    pub async fn remove(&self, caller: &Caller, user: UserId) -> Result<(), MembersError> {
        caller.require(Permission::Own)?;
        if user == caller.identity.user {
            return Err(MembersError::Yourself);
        }
        let purpose = Purpose::interactive("workspaces.removeMember");
        let mut store = self.platform.broker.write_system(purpose).await?;
        if !store.delete_member(&caller.workspace, user).await? {
            return Err(MembersError::NotFound);
        }
        if store.user(user).await?.is_some_and(|u| u.kind == UserKind::ApiKey) {
            store.delete_user(user).await?;
        }
        store.commit().await?;
        Ok(())
    }
}
