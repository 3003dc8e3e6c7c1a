//! `workspaces.createAPIKey`: keys for programs.

use crate::{Bearer, Body, Problem, Text, features::Shared, tags::Tag};
use poem_openapi::{Object, OpenApi, payload::Json};

pub(crate) struct ApiKeysApi(pub(crate) Shared);

/// Making a key.
#[derive(Object)]
struct CreateApiKeyBody {
    workspace_id: Text,
    /// Names the key: 1 to 64 letters, digits, dots, hyphens, underscores or plus signs.
    email_prefix: Text,
}

#[derive(Object)]
struct ApiKeyAnswer {
    /// Always `success`.
    status: String,
    /// For the header `Authorization: Bearer <token>`. Shown this once.
    token: String,
    /// Stands for the key among the members.
    email: String,
}

#[OpenApi(tag = "Tag::ApiKeys")]
impl ApiKeysApi {
    /// Makes a key with every right of a member
    ///
    /// Revoke it with `workspaces.removeMember`.
    #[oai(path = "/workspaces.createAPIKey", method = "post", operation_id = "workspacesCreateAPIKey")]
    async fn create(
        &self,
        bearer: Bearer,
        Body(body): Body<CreateApiKeyBody>,
    ) -> Result<Json<ApiKeyAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let key = self.0.api_keys.create(&caller, &body.email_prefix.0).await?;
        Ok(Json(ApiKeyAnswer {
            status: "success".to_owned(),
            token: key.token.expose().to_owned(),
            email: key.email,
        }))
    }
}
