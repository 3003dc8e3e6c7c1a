//! `workspaces.*Integration`: e-mail providers of a workspace.

mod bodies;

pub(crate) use bodies::IntegrationBody;

use crate::{Bearer, Body, Created, Problem, features::Shared, tags::Tag};
use application::integrations::IntegrationDraft;
use bodies::{CreateBody, DeleteBody, UpdateBody};
use domain::{ids::IntegrationId, validation::Invalid};
use poem_openapi::{Object, OpenApi, payload::Json};

pub(crate) struct IntegrationsApi(pub(crate) Shared);

#[derive(Object)]
#[oai(rename = "IntegrationCreated")]
struct CreatedAnswer {
    /// Always `success`.
    status: String,
    integration_id: String,
}

#[derive(Object)]
#[oai(rename = "IntegrationChanged")]
struct ChangedAnswer {
    /// Always `success`.
    status: String,
    /// What was done.
    message: String,
}

fn changed(message: &str) -> Json<ChangedAnswer> {
    Json(ChangedAnswer { status: "success".to_owned(), message: message.to_owned() })
}

#[OpenApi(tag = "Tag::Integrations")]
impl IntegrationsApi {
    /// Adds an e-mail provider
    ///
    /// Secrets are sealed and never answered again. To send through it, name it in the settings of
    /// the workspace.
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
        Ok(Created(CreatedAnswer {
            status: "success".to_owned(),
            integration_id: integration.id.to_string(),
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
    /// A workspace that sent through it has no provider then.
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
        self.0.integrations.delete(&caller, integration_id(&body.integration_id.0)?).await?;
        Ok(changed("Integration deleted"))
    }
}

fn integration_id(text: &str) -> Result<IntegrationId, Invalid> {
    IntegrationId::parse(text).map_err(|rule| Invalid::one("/integration_id", rule))
}
