//! `workspaces.*`: who belongs to a workspace, and who is invited.

mod bodies;

use crate::{Bearer, Body, Problem, features::Shared, tags::Tag};
use bodies::{
    AcceptedAnswer, InvitationAnswer, InvitationIdBody, InviteBody, InvitedAnswer, MembersAnswer,
    PermissionsBody, RemoveBody, SetPermissionsBody, TokenBody,
};
use domain::{
    email_address::EmailAddress,
    ids::{InvitationId, UserId},
    validation::Invalid,
};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};

pub(crate) struct MembersApi(pub(crate) Shared);

#[derive(Object)]
#[oai(rename = "MembersChanged")]
struct DoneAnswer {
    /// Always `success`.
    status: String,
    /// What was done.
    message: String,
}

fn done(message: &str) -> Json<DoneAnswer> {
    Json(DoneAnswer { status: "success".to_owned(), message: message.to_owned() })
}

#[OpenApi(tag = "Tag::Members")]
impl MembersApi {
    /// Lists members and open invitations
    #[oai(path = "/workspaces.members", method = "get", operation_id = "workspacesMembers")]
    async fn list(
        &self,
        bearer: Bearer,
        /// The workspace.
        id: Query<String>,
    ) -> Result<Json<MembersAnswer>, Problem> {
        let caller = self.0.enter_named(&bearer, "/id", &id.0).await?;
        Ok(Json(self.0.members.list(&caller).await?.into()))
    }

    /// Invites a person, or adds one who has an account
    ///
    /// An invitation is sent by mail and is good for 15 days. Inviting again replaces it.
    #[oai(path = "/workspaces.inviteMember", method = "post", operation_id = "workspacesInviteMember")]
    async fn invite(
        &self,
        bearer: Bearer,
        Body(body): Body<InviteBody>,
    ) -> Result<Json<InvitedAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let email = EmailAddress::parse(&body.email.0).map_err(|rule| Invalid::one("/email", rule))?;
        let permissions = PermissionsBody(body.permissions).try_into()?;
        Ok(Json(self.0.members.invite(&caller, &email, permissions).await?.into()))
    }

    /// Replaces the permissions of a member
    ///
    /// The member is signed out everywhere.
    #[oai(
        path = "/workspaces.setUserPermissions",
        method = "post",
        operation_id = "workspacesSetUserPermissions"
    )]
    async fn set_permissions(
        &self,
        bearer: Bearer,
        Body(body): Body<SetPermissionsBody>,
    ) -> Result<Json<DoneAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let user = user_id(&body.user_id.0)?;
        let permissions = PermissionsBody(Some(body.permissions)).try_into()?;
        self.0.members.set_permissions(&caller, user, permissions).await?;
        Ok(done("Permissions updated"))
    }

    /// Removes a member, or revokes an API key
    #[oai(path = "/workspaces.removeMember", method = "post", operation_id = "workspacesRemoveMember")]
    async fn remove(
        &self,
        bearer: Bearer,
        Body(body): Body<RemoveBody>,
    ) -> Result<Json<DoneAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        self.0.members.remove(&caller, user_id(&body.user_id.0)?).await?;
        Ok(done("Member removed"))
    }

    /// Takes an invitation back
    #[oai(
        path = "/workspaces.deleteInvitation",
        method = "post",
        operation_id = "workspacesDeleteInvitation"
    )]
    async fn delete_invitation(
        &self,
        bearer: Bearer,
        Body(body): Body<InvitationIdBody>,
    ) -> Result<Json<DoneAnswer>, Problem> {
        let id = InvitationId::parse(&body.invitation_id.0)
            .map_err(|rule| Invalid::one("/invitation_id", rule))?;
        self.0.members.delete_invitation(&bearer.0, id).await?;
        Ok(done("Invitation deleted"))
    }

    /// Tells what an invitation is about
    #[oai(
        path = "/workspaces.verifyInvitationToken",
        method = "post",
        operation_id = "workspacesVerifyInvitationToken"
    )]
    async fn verify_invitation(
        &self,
        Body(body): Body<TokenBody>,
    ) -> Result<Json<InvitationAnswer>, Problem> {
        Ok(Json(self.0.members.verify_invitation(&body.token.0).await?.into()))
    }

    /// Accepts an invitation and signs in
    #[oai(
        path = "/workspaces.acceptInvitation",
        method = "post",
        operation_id = "workspacesAcceptInvitation"
    )]
    async fn accept_invitation(&self, Body(body): Body<TokenBody>) -> Result<Json<AcceptedAnswer>, Problem> {
        Ok(Json(self.0.members.accept_invitation(&body.token.0).await?.into()))
    }
}

fn user_id(text: &str) -> Result<UserId, Invalid> {
    UserId::parse(text).map_err(|rule| Invalid::one("/user_id", rule))
}
