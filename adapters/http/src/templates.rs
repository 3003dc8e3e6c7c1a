//! `templates.*`: what mails are made from.

mod bodies;
pub(crate) mod compile;

use crate::{Bearer, Body, Created, Problem, features::Shared, tags::Tag};
pub(crate) use bodies::TemplateBody;
use bodies::{DeleteBody, DeletedAnswer, DraftBody, TemplateAnswer, TemplatesAnswer};
use compile::{CompileAnswer, CompileBody};
use domain::{ids::TemplateId, validation::Invalid};
use poem_openapi::{OpenApi, param::Query, payload::Json};

pub(crate) struct TemplatesApi(pub(crate) Shared);

#[OpenApi(tag = "Tag::Templates")]
impl TemplatesApi {
    /// Makes a template
    ///
    /// The body is a tree of MJML blocks (`visual_editor_tree`) or MJML source (`editor_mode` `code`).
    /// Subject, preview, texts, URLs and attributes may hold Liquid.
    #[oai(path = "/templates.create", method = "post", operation_id = "templatesCreate")]
    async fn create(
        &self,
        bearer: Bearer,
        Body(body): Body<DraftBody>,
    ) -> Result<Created<TemplateAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        Ok(Created(self.0.templates.create(&caller, body.try_into()?).await?.into()))
    }

    /// Stores the next version of a template
    ///
    /// Everything is replaced; `editor_mode` stays as it was.
    #[oai(path = "/templates.update", method = "post", operation_id = "templatesUpdate")]
    async fn update(
        &self,
        bearer: Bearer,
        Body(body): Body<DraftBody>,
    ) -> Result<Json<TemplateAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        Ok(Json(self.0.templates.update(&caller, body.try_into()?).await?.into()))
    }

    /// One template
    #[oai(path = "/templates.get", method = "get", operation_id = "templatesGet")]
    async fn get(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// The template.
        id: Query<String>,
        /// A version; the latest by default.
        version: Query<Option<i64>>,
    ) -> Result<Json<TemplateAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let id = template_id("/id", &id.0)?;
        Ok(Json(self.0.templates.get(&caller, &id, version.0).await?.into()))
    }

    /// Lists templates, last changed first
    #[oai(path = "/templates.list", method = "get", operation_id = "templatesList")]
    async fn list(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// Only of this category.
        category: Query<Option<String>>,
        /// Only `email` or `web`.
        channel: Query<Option<String>>,
    ) -> Result<Json<TemplatesAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let category = category.0.filter(|t| !t.is_empty());
        let channel = channel.0.filter(|t| !t.is_empty());
        let templates = self.0.templates.list(&caller, category.as_deref(), channel.as_deref()).await?;
        Ok(Json(templates.into()))
    }

    /// Deletes a template
    ///
    /// Mails that wait in the queue are still made from it. Its id stays taken.
    #[oai(path = "/templates.delete", method = "post", operation_id = "templatesDelete")]
    async fn delete(
        &self,
        bearer: Bearer,
        Body(body): Body<DeleteBody>,
    ) -> Result<Json<DeletedAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        self.0.templates.delete(&caller, &template_id("/id", &body.id.0)?).await?;
        Ok(Json(DeletedAnswer { success: true }))
    }

    /// Compiles a content for a preview
    ///
    /// A content with mistakes is answered with `success` false and where the mistakes are.
    #[oai(path = "/templates.compile", method = "post", operation_id = "templatesCompile")]
    async fn compile(
        &self,
        bearer: Bearer,
        Body(body): Body<CompileBody>,
    ) -> Result<Json<CompileAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let (request, utm) = body.try_into()?;
        Ok(Json(self.0.templates.compile(&caller, &request, utm).await?.into()))
    }
}

fn template_id(pointer: &str, text: &str) -> Result<TemplateId, Invalid> {
    TemplateId::parse(text).map_err(|rule| Invalid::one(pointer, rule))
}
