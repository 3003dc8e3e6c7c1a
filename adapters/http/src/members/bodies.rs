//! What the operations of members read and answer.

use crate::{Moment, Text, users::UserBody};
use application::members::{Accepted, InvitationView, Invited, Roster};
use domain::{
    permissions::{Access, Permissions, Resource},
    users::{Invitation, Member, User},
    validation::{Check, Invalid},
    workspaces::Workspace,
};
use poem_openapi::Object;
use std::collections::BTreeMap;

/// What a member may do with one resource.
#[derive(Object, Default, Clone, Copy)]
#[oai(rename = "ResourcePermissions", default)]
pub(super) struct RightsBody {
    /// May look.
    read: bool,
    /// May change.
    write: bool,
}

/// Rights by resource; what is left out is denied.
type RightsByResource = BTreeMap<String, RightsBody>;

/// Inviting a person.
#[derive(Object)]
#[oai(rename = "InviteMemberBody")]
pub(super) struct InviteBody {
    pub(super) workspace_id: Text,
    /// Whom.
    pub(super) email: Text,
    /// By resource: `contacts`, `lists`, `templates`, `broadcasts`, `transactional`, `workspace`,
    /// `message_history`, `blog`, `automations`, `llm`. What is left out is denied.
    #[oai(nullable)]
    pub(super) permissions: Option<RightsByResource>,
}

/// Changing what a member may do.
#[derive(Object)]
pub(super) struct SetPermissionsBody {
    pub(super) workspace_id: Text,
    pub(super) user_id: Text,
    /// By resource, as when inviting.
    pub(super) permissions: RightsByResource,
}

/// Ending a membership.
#[derive(Object)]
#[oai(rename = "RemoveMemberBody")]
pub(super) struct RemoveBody {
    pub(super) workspace_id: Text,
    pub(super) user_id: Text,
}

#[derive(Object)]
pub(super) struct InvitationIdBody {
    pub(super) invitation_id: Text,
}

#[derive(Object)]
#[oai(rename = "InvitationTokenBody")]
pub(super) struct TokenBody {
    /// The token of the invitation's link.
    pub(super) token: Text,
}

/// Permissions of a request on their way to the domain.
pub(super) struct PermissionsBody(pub(super) Option<RightsByResource>);

impl TryFrom<PermissionsBody> for Permissions {
    type Error = Invalid;

    fn try_from(body: PermissionsBody) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let mut access = BTreeMap::new();
        for (name, rights) in body.0.unwrap_or_default() {
            let Some(resource) = Resource::ALL.into_iter().find(|r| r.name() == name) else {
                let known = Resource::ALL.map(Resource::name).join(", ");
                check.problem("/permissions", format!("names an unknown resource; known are {known}"));
                continue;
            };
            access.insert(resource, Access { read: rights.read, write: rights.write });
        }
        check.finish()?;
        Ok(Self::new(access))
    }
}

fn by_resource(permissions: &Permissions) -> Option<RightsByResource> {
    let rights = |access: Access| RightsBody { read: access.read, write: access.write };
    let all: RightsByResource =
        permissions.iter().map(|(resource, access)| (resource.name().to_owned(), rights(access))).collect();
    Some(all).filter(|all| !all.is_empty())
}

/// A member, or an open invitation, which has no `user_id`.
#[derive(Object)]
#[oai(rename = "Member")]
struct MemberBody {
    user_id: String,
    workspace_id: String,
    /// `owner` or `member`.
    role: String,
    #[oai(skip_serializing_if_is_none)]
    permissions: Option<RightsByResource>,
    created_at: Moment,
    updated_at: Moment,
    email: String,
    /// `user` or `api_key`.
    #[oai(rename = "type")]
    kind: String,
    language: String,
    /// Null for members.
    #[oai(nullable)]
    invitation_expires_at: Option<Moment>,
    #[oai(skip_serializing_if_is_none)]
    invitation_id: Option<String>,
}

#[derive(Object)]
pub(super) struct MembersAnswer {
    members: Vec<MemberBody>,
}

impl From<Roster> for MembersAnswer {
    fn from(roster: Roster) -> Self {
        let members = roster.members.into_iter().map(MemberBody::from);
        let invitations = roster.invitations.into_iter().map(MemberBody::from);
        Self { members: members.chain(invitations).collect() }
    }
}

impl From<(Member, User)> for MemberBody {
    fn from((member, user): (Member, User)) -> Self {
        Self {
            user_id: member.user.to_string(),
            workspace_id: member.workspace.to_string(),
            role: member.role.name().to_owned(),
            permissions: by_resource(&member.permissions),
            created_at: member.created_at.into(),
            updated_at: member.updated_at.into(),
            email: user.email,
            kind: user.kind.name().to_owned(),
            language: user.language,
            invitation_expires_at: None,
            invitation_id: None,
        }
    }
}

impl From<Invitation> for MemberBody {
    fn from(invitation: Invitation) -> Self {
        Self {
            user_id: String::new(),
            workspace_id: invitation.workspace.to_string(),
            role: "member".to_owned(),
            permissions: by_resource(&invitation.permissions),
            created_at: invitation.created_at.into(),
            updated_at: invitation.updated_at.into(),
            email: invitation.email.into(),
            kind: "user".to_owned(),
            language: String::new(),
            invitation_expires_at: Some(invitation.expires_at.into()),
            invitation_id: Some(invitation.id.to_string()),
        }
    }
}

/// An invitation to a workspace.
#[derive(Object)]
#[oai(rename = "Invitation", skip_serializing_if_is_none)]
struct InvitationBody {
    id: String,
    workspace_id: String,
    inviter_id: String,
    email: String,
    permissions: Option<RightsByResource>,
    expires_at: Moment,
    created_at: Moment,
    updated_at: Moment,
}

impl From<Invitation> for InvitationBody {
    fn from(invitation: Invitation) -> Self {
        Self {
            id: invitation.id.to_string(),
            workspace_id: invitation.workspace.to_string(),
            inviter_id: invitation.inviter.to_string(),
            permissions: by_resource(&invitation.permissions),
            email: invitation.email.into(),
            expires_at: invitation.expires_at.into(),
            created_at: invitation.created_at.into(),
            updated_at: invitation.updated_at.into(),
        }
    }
}

/// What became of an invitation. One who had an account is a member now, without `invitation`.
#[derive(Object)]
#[oai(rename = "MemberInvited", skip_serializing_if_is_none)]
pub(super) struct InvitedAnswer {
    /// Always `success`.
    status: String,
    message: String,
    invitation: Option<InvitationBody>,
    /// Of the invitation; empty unless the environment is `development`.
    token: Option<String>,
}

impl From<Invited> for InvitedAnswer {
    fn from(invited: Invited) -> Self {
        let (message, invitation, token) = match invited {
            Invited::Added => ("Member added", None, None),
            Invited::Invitation { invitation, token } => {
                let token = token.map(|token| token.expose().to_owned()).unwrap_or_default();
                ("Invitation sent", Some(invitation.into()), Some(token))
            }
        };
        Self { status: "success".to_owned(), message: message.to_owned(), invitation, token }
    }
}

/// A workspace as the invited person sees it.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct InvitingWorkspace {
    id: String,
    name: String,
    logo_url: Option<String>,
}

impl From<Workspace> for InvitingWorkspace {
    fn from(workspace: Workspace) -> Self {
        Self { id: workspace.id.to_string(), name: workspace.name, logo_url: workspace.settings.logo_url }
    }
}

#[derive(Object)]
pub(super) struct InvitationAnswer {
    /// Always `success`.
    status: String,
    invitation: InvitationBody,
    workspace: InvitingWorkspace,
    /// Always true.
    valid: bool,
}

impl From<InvitationView> for InvitationAnswer {
    fn from(view: InvitationView) -> Self {
        Self {
            status: "success".to_owned(),
            invitation: view.invitation.into(),
            workspace: view.workspace.into(),
            valid: true,
        }
    }
}

#[derive(Object)]
#[oai(rename = "InvitationAccepted")]
pub(super) struct AcceptedAnswer {
    /// Always `success`.
    status: String,
    message: String,
    workspace_id: String,
    email: String,
    /// For the header `Authorization: Bearer <token>`.
    token: String,
    user: UserBody,
    /// End of the session.
    expires_at: Moment,
}

impl From<Accepted> for AcceptedAnswer {
    fn from(accepted: Accepted) -> Self {
        let signed_in = accepted.signed_in;
        Self {
            status: "success".to_owned(),
            message: "Invitation accepted".to_owned(),
            workspace_id: accepted.workspace.to_string(),
            email: signed_in.user.email.clone(),
            token: signed_in.token.expose().to_owned(),
            user: signed_in.user.into(),
            expires_at: signed_in.expires_at.into(),
        }
    }
}
