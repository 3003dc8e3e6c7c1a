//! Inviting people, and accepting.

use super::{Members, MembersError};
use crate::{
    access::{Caller, Denied, Identity},
    ports::{Claims, Purpose, SystemStore},
    system_mails::SystemMail,
    users::SignedIn,
};
use domain::{
    Timestamp,
    email_address::EmailAddress,
    ids::{InvitationId, SessionId, WorkspaceId},
    permissions::{Permission, Permissions, Role},
    secret::Secret,
    users::{Invitation, Member, Session, User, UserKind},
    workspaces::{Workspace, WorkspaceState},
};

/// What became of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invited {
    /// The person has an account and is a member now.
    Added,
    /// A mail is on its way.
    Invitation {
        /// The invitation.
        invitation: Invitation,
        /// Its token, in development only.
        token: Option<Secret>,
    },
}

/// An invitation as the invited person sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationView {
    /// The invitation.
    pub invitation: Invitation,
    /// Where to.
    pub workspace: Workspace,
}

/// An accepted invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The workspace that was joined.
    pub workspace: WorkspaceId,
    /// The session of the new member.
    pub signed_in: SignedIn,
}

impl Members {
    /// Adds a person who has an account, or invites one who has not. Inviting again replaces the
    /// earlier invitation. A mail that is not taken is logged and changes nothing.
    ///
    /// # Errors
    /// For others than owners, for a member or an API key, or when the quota is reached.
    pub async fn invite(
        &self,
        caller: &Caller,
        email: &EmailAddress,
        permissions: Permissions,
    ) -> Result<Invited, MembersError> {
        caller.require(Permission::Own)?;
        let platform = &self.platform;
        let now = platform.clock.now();
        let purpose = Purpose::interactive("workspaces.inviteMember");
        let mut store = platform.broker.write_system(purpose).await?;
        let inviter = store.user(caller.identity.user).await?.ok_or(Denied::NotMember)?;
        let workspace = store.workspace(&caller.workspace).await?.ok_or(Denied::NotMember)?;
        let known = store.user_by_email(email.as_str()).await?;
        if let Some(user) = &known {
            if user.kind == UserKind::ApiKey {
                return Err(MembersError::ApiKey);
            }
            if store.member(&workspace.id, user.id).await?.is_some() {
                return Err(MembersError::AlreadyMember);
            }
        }
        self.check_quota(&mut *store, &workspace.id, email, now).await?;
        let (language, outcome, link) = if let Some(user) = known {
            store.insert_member(&new_member(&user, &workspace.id, permissions, now)).await?;
            let link = format!("{}/console/signin", platform.installation.api_endpoint);
            (user.language, Invited::Added, link)
        } else {
            let invitation = Invitation {
                id: InvitationId::from_uuid(platform.ids.uuid()),
                workspace: workspace.id.clone(),
                inviter: inviter.id,
                email: email.clone(),
                permissions,
                expires_at: now + Invitation::LIFETIME,
                created_at: now,
                updated_at: now,
            };
            store.put_invitation(&invitation).await?;
            let token = platform.tokens.issue(&claims(&invitation), now);
            let endpoint = &platform.installation.api_endpoint;
            let link = format!("{endpoint}/console/accept-invitation?token={}", token.expose());
            let token = platform.installation.is_development().then_some(token);
            (inviter.language.clone(), Invited::Invitation { invitation, token }, link)
        };
        store.commit().await?;
        let (inviter, workspace) = (inviter.name.as_deref().unwrap_or(&inviter.email), &*workspace.name);
        let mail = match &outcome {
            Invited::Added => SystemMail::Added { inviter, workspace, link: &link },
            Invited::Invitation { .. } => SystemMail::Invitation { inviter, workspace, link: &link },
        };
        if let Err(error) = platform.send_system_mail(email, &language, &mail).await {
            tracing::warn!(workspace.id = %caller.workspace, %error, "the invitation was not mailed");
        }
        Ok(outcome)
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// For others than owners of the invitation's workspace, or when there is no such invitation.
    pub async fn delete_invitation(&self, identity: &Identity, id: InvitationId) -> Result<(), MembersError> {
        let purpose = Purpose::interactive("workspaces.deleteInvitation");
        let mut store = self.platform.broker.write_system(purpose).await?;
        let invitation = store.invitation(id).await?.ok_or(MembersError::InvitationGone)?;
        let member = store.member(&invitation.workspace, identity.user).await?;
        let member = member.ok_or(MembersError::InvitationGone)?;
        if member.role != Role::Owner {
            return Err(Denied::Permission(Permission::Own).into());
        }
        store.delete_invitation(id).await?;
        store.commit().await?;
        Ok(())
    }

    /// What an invitation is about, for who has its token.
    ///
    /// # Errors
    /// When the token is not good, or the invitation is gone.
    pub async fn verify_invitation(&self, token: &str) -> Result<InvitationView, MembersError> {
        let purpose = Purpose::interactive("workspaces.verifyInvitationToken");
        let mut store = self.platform.broker.read_system(purpose).await?;
        self.invited(&mut *store, token, self.platform.clock.now()).await
    }

    /// Makes the invited person a member, and their account when they have none, and signs them in.
    ///
    /// # Errors
    /// When the token is not good, the invitation is gone, the person is a member already, or the
    /// quota is reached.
    pub async fn accept_invitation(&self, token: &str) -> Result<Accepted, MembersError> {
        let platform = &self.platform;
        let now = platform.clock.now();
        let purpose = Purpose::interactive("workspaces.acceptInvitation");
        let mut store = platform.broker.write_system(purpose).await?;
        let InvitationView { invitation, workspace } = self.invited(&mut *store, token, now).await?;
        let user = match store.user_by_email(invitation.email.as_str()).await? {
            Some(user) if user.kind == UserKind::ApiKey => return Err(MembersError::ApiKey),
            Some(user) => user,
            None => {
                let inviter = store.user(invitation.inviter).await?;
                let language = inviter.map_or_else(|| "en".to_owned(), |u| u.language);
                let user = platform.new_person(&invitation.email, None, &language, now);
                store.insert_user(&user).await?;
                user
            }
        };
        store.delete_invitation(invitation.id).await?;
        if store.member(&workspace.id, user.id).await?.is_some() {
            store.commit().await?;
            return Err(MembersError::AlreadyMember);
        }
        self.check_quota(&mut *store, &workspace.id, &invitation.email, now).await?;
        store.insert_member(&new_member(&user, &workspace.id, invitation.permissions, now)).await?;
        let session = Session::open(SessionId::from_uuid(platform.ids.uuid()), user.id, now);
        store.insert_session(&session).await?;
        store.commit().await?;
        Ok(Accepted { workspace: workspace.id, signed_in: platform.signed_in(user, &session, now) })
    }

    async fn invited(
        &self,
        store: &mut dyn SystemStore,
        token: &str,
        now: Timestamp,
    ) -> Result<InvitationView, MembersError> {
        let claims = self.platform.tokens.verify(token, now).map_err(|_| MembersError::BadInvitation)?;
        let Claims::Invitation { invitation, workspace, email, .. } = claims else {
            return Err(MembersError::BadInvitation);
        };
        let invitation = store.invitation(invitation).await?.ok_or(MembersError::InvitationGone)?;
        let same = invitation.workspace == workspace && invitation.email.as_str() == email;
        if !same || now >= invitation.expires_at {
            return Err(MembersError::BadInvitation);
        }
        let workspace = store.workspace(&workspace).await?;
        let workspace = workspace.filter(|w| w.state == WorkspaceState::Active);
        Ok(InvitationView { workspace: workspace.ok_or(MembersError::InvitationGone)?, invitation })
    }

    /// Whether one more person fits: people and open invitations count, except one to `email`.
    async fn check_quota(
        &self,
        store: &mut dyn SystemStore,
        workspace: &WorkspaceId,
        email: &EmailAddress,
        now: Timestamp,
    ) -> Result<(), MembersError> {
        let max = self.platform.installation.max_users;
        if max == 0 {
            return Ok(());
        }
        let members = store.members(workspace).await?;
        let people = members.iter().filter(|(_, u)| u.kind == UserKind::Person).count();
        let invitations = store.invitations(workspace).await?;
        let open = invitations.iter().filter(|i| now < i.expires_at && i.email != *email).count();
        if people + open >= max as usize { Err(MembersError::Quota(max)) } else { Ok(()) }
    }
}

fn new_member(user: &User, workspace: &WorkspaceId, permissions: Permissions, now: Timestamp) -> Member {
    Member {
        user: user.id,
        workspace: workspace.clone(),
        role: Role::Member,
        permissions,
        created_at: now,
        updated_at: now,
    }
}

fn claims(invitation: &Invitation) -> Claims {
    Claims::Invitation {
        invitation: invitation.id,
        workspace: invitation.workspace.clone(),
        email: invitation.email.as_str().to_owned(),
        expires_at: invitation.expires_at,
    }
}
