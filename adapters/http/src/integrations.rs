//! `workspaces.*Integration` and `email.testProvider`: e-mail providers of a workspace.

mod bodies;

pub(crate) use bodies::IntegrationBody;

use crate::{Bearer, Body, Created, Problem, features::Shared, tags::Tag};
use application::integrations::IntegrationDraft;
use bodies::{CreateBody, DeleteBody, TestBody, UpdateBody};
use domain::{ids::IntegrationId, validation::Invalid};
use poem_openapi::{Object, OpenApi, payload::Json};

pub(crate) struct IntegrationsApi(pub(crate) Shared);

#[derive(Object)]
#[oai(rename = "IntegrationCreated", skip_serializing_if_is_none)]
struct CreatedAnswer {
    /// Always `success`.
    status: String,
    integration_id: String,
    /// The address that the provider is to call. It is a secret.
    callback_url: Option<String>,
}

#[derive(Object)]
#[oai(rename = "IntegrationChanged")]
struct ChangedAnswer {
    /// Always `success`.
    status: String,
    /// What was done.
    message: String,
}

/// What became of a test.
#[derive(Object)]
#[oai(rename = "ProviderTested", skip_serializing_if_is_none)]
struct TestedAnswer {
    /// Whether the provider has taken the mail.
    success: bool,
    /// Otherwise its words.
    error: Option<String>,
}

fn changed(message: &str) -> Json<ChangedAnswer> {
    Json(ChangedAnswer { status: "success".to_owned(), message: message.to_owned() })
}

#[OpenApi(tag = "Tag::Integrations")]
impl IntegrationsApi {
    /// Adds an e-mail provider
    ///
    /// Secrets are sealed and never answered again. To send through it, name it in the settings of
    /// the workspace. The provider is asked to report deliveries, bounces and complaints, as by
    /// `webhooks.register`; when it refuses, the integration is kept all the same.
    #[oai(
        path = "/workspaces.createIntegration",
        method = "post",
        operation_id = "workspacesCreateIntegration"
    )]
    async fn create(
        &self,
        bearer: Bearer,
        Body(body): Body<CreateBody>,
    ) -> Result<Created<CreatedAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let integration = self.0.integrations.create(&caller, IntegrationDraft::try_from(body)?).await?;
        let subject = self.0.feedback.subject_of(&caller, integration.id).await.ok();
        let callback_url = subject.as_ref().map(|subject| subject.url().expose().to_owned());
        self.0.introduce(subject);
        Ok(Created(CreatedAnswer {
            status: "success".to_owned(),
            integration_id: integration.id.to_string(),
            callback_url,
        }))
    }

    /// Replaces name and provider of an integration
    ///
    /// A secret that is left out or empty is kept.
    #[oai(
        path = "/workspaces.updateIntegration",
        method = "post",
        operation_id = "workspacesUpdateIntegration"
    )]
    async fn update(
        &self,
        bearer: Bearer,
        Body(body): Body<UpdateBody>,
    ) -> Result<Json<ChangedAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let id = integration_id(&body.integration_id.0)?;
        self.0.integrations.update(&caller, id, IntegrationDraft::try_from(body)?).await?;
        Ok(changed("Integration updated"))
    }

    /// Removes an integration
    ///
    /// A workspace that sent through it has no provider then. The provider is asked to report nothing
    /// more.
    #[oai(
        path = "/workspaces.deleteIntegration",
        method = "post",
        operation_id = "workspacesDeleteIntegration"
    )]
    async fn delete(
        &self,
        bearer: Bearer,
        Body(body): Body<DeleteBody>,
    ) -> Result<Json<ChangedAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let id = integration_id(&body.integration_id.0)?;
        // an integration whose secrets cannot be opened can be deleted, too
        let subject = self.0.feedback.subject_of(&caller, id).await.ok();
        self.0.integrations.delete(&caller, id).await?;
        self.0.take_leave(subject);
        Ok(changed("Integration deleted"))
    }

    /// Tries an e-mail provider
    ///
    /// Sends a fixed mail from the first sender. Nothing is kept, so every secret must be given. A
    /// provider that does not take the mail is no failure of the call: `success` is false then.
    #[oai(path = "/email.testProvider", method = "post", operation_id = "emailTestProvider")]
    async fn test(&self, bearer: Bearer, Body(body): Body<TestBody>) -> Result<Json<TestedAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let (to, draft) = body.try_into()?;
        let sent = self.0.integrations.test(&caller, to, draft).await?;
        Ok(Json(TestedAnswer { success: sent.is_ok(), error: sent.err().map(|error| error.to_string()) }))
    }
}

pub(crate) fn integration_id(text: &str) -> Result<IntegrationId, Invalid> {
    IntegrationId::parse(text).map_err(|rule| Invalid::one("/integration_id", rule))
}
