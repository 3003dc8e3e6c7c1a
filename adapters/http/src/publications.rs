//! Broadcasts on the web: what editors ask about pages, and the pages themselves.

mod bodies;
mod cache;
mod conditional;
mod feeds;
mod pages;
mod site;
mod words;

pub use cache::SiteCache;
pub(crate) use site::{SiteEndpoint, workspace_of_host};

use crate::{Bearer, Body, Problem, features::Shared, tags::Tag};
use bodies::{PreviewAnswer, SlugAnswer, SlugBody};
use domain::{ids::BroadcastId, validation::Invalid};
use poem_openapi::{OpenApi, param::Query, payload::Json};

pub(crate) struct PublicationsApi(pub(crate) Shared);

#[OpenApi(tag = "Tag::Broadcasts")]
impl PublicationsApi {
    /// Whether a slug can be used for the page of a broadcast
    #[oai(path = "/broadcasts.validate_slug", method = "post", operation_id = "broadcastsValidateSlug")]
    async fn validate_slug(
        &self,
        bearer: Bearer,
        Body(body): Body<SlugBody>,
    ) -> Result<Json<SlugAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let (slug, broadcast) = body.read()?;
        let verdict = self.0.publications.validate_slug(&caller, &slug, broadcast.as_ref()).await?;
        Ok(Json(verdict.into()))
    }

    /// The same as `broadcasts.validate_slug`
    #[oai(path = "/broadcast.validate_slug", method = "post", operation_id = "broadcastValidateSlug")]
    async fn validate_slug_singular(
        &self,
        bearer: Bearer,
        body: Body<SlugBody>,
    ) -> Result<Json<SlugAnswer>, Problem> {
        self.validate_slug(bearer, body).await
    }

    /// A link to the page of a broadcast that need not be public yet
    ///
    /// Whoever has the link sees the page; it is good for 24 hours.
    #[oai(path = "/broadcasts.webPreview", method = "get", operation_id = "broadcastsWebPreview")]
    async fn web_preview(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// The broadcast.
        id: Query<String>,
    ) -> Result<Json<PreviewAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let id = BroadcastId::parse(&id.0).map_err(|rule| Invalid::one("/id", rule))?;
        Ok(Json(self.0.publications.preview_link(&caller, &id).await?.into()))
    }
}
