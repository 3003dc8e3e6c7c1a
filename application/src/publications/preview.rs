//! Looking at a page before the public may: with a link that the server has signed.

use super::{
    Broadcast, BroadcastId, Caller, Draft, FullPost, Permission, Post, Publications, PublicationsError,
    Purpose, Resource, Site, Timestamp, active_workspace,
};
use chrono::Duration;
use domain::workspaces::Workspace;

/// How long a link is good.
const LIFETIME: Duration = Duration::hours(24);

/// A link to a page that need not be public. Whoever has it sees the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewLink {
    /// The address.
    pub url: String,
    /// Useless from then on.
    pub expires_at: Timestamp,
}

/// What a link says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Which broadcast.
    pub broadcast: BroadcastId,
    /// Seconds since 1970 at which it ends.
    pub expires: i64,
    /// Keyed hash of both.
    pub signature: String,
}

impl Publications {
    /// Makes a link to the page of a broadcast in whatever state, good for 24 hours.
    ///
    /// # Errors
    /// Without `broadcasts:read`, when there is no broadcast, it is not on the web, or the workspace
    /// has no domain.
    #[tracing::instrument(name = "publications.preview_link", skip_all)]
    pub async fn preview_link(
        &self,
        caller: &Caller,
        id: &BroadcastId,
    ) -> Result<PreviewLink, PublicationsError> {
        caller.require(Permission::Read(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("publications.preview_link");
        let workspace = active_workspace(self.broker.as_ref(), &caller.workspace, purpose).await?;
        let mut store = self.broker.read(&caller.workspace, purpose).await?;
        let broadcast = store.broadcast(id).await?.ok_or(PublicationsError::NoBroadcast)?;
        drop(store);
        let site = Site::of(&workspace).ok_or(PublicationsError::NoDomain)?;
        shown(&broadcast)?;
        let expires_at = self.clock.now() + LIFETIME;
        let expires = expires_at.timestamp();
        let signature = self.sign(&workspace, id, expires)?;
        let url = format!("{}/preview/{id}?expires={expires}&signature={signature}", site.base_url);
        Ok(PreviewLink { url, expires_at })
    }

    /// The page behind a link.
    ///
    /// # Errors
    /// When the link is not good, the page is gone or its template is broken.
    #[tracing::instrument(name = "publications.preview", skip_all)]
    pub async fn preview(&self, site: &Site, link: &Preview) -> Result<FullPost, PublicationsError> {
        let purpose = Purpose::interactive("publications.preview");
        let workspace = active_workspace(self.broker.as_ref(), &site.workspace, purpose).await?;
        let wanted = self.sign(&workspace, &link.broadcast, link.expires)?;
        let now = self.clock.now();
        if !self.vault.same(&wanted, &link.signature) || link.expires <= now.timestamp() {
            return Err(PublicationsError::BadLink);
        }
        let mut store = self.broker.read(&site.workspace, purpose).await?;
        let broadcast = store.broadcast(&link.broadcast).await?.ok_or(PublicationsError::NotFound)?;
        let draft = Draft::read(store.as_mut(), site, &broadcast).await?;
        drop(store);
        let settings = shown(&broadcast)?.clone();
        self.full(draft, Post::new(broadcast, settings, now)).await
    }

    fn sign(
        &self,
        workspace: &Workspace,
        id: &BroadcastId,
        expires: i64,
    ) -> Result<String, PublicationsError> {
        let key = self.vault.open(&workspace.secret_key)?;
        Ok(self.vault.hash_with(&key, &format!("page preview {id} until {expires}")))
    }
}

fn shown(broadcast: &Broadcast) -> Result<&domain::publications::WebSettings, PublicationsError> {
    broadcast.web.as_ref().filter(|_| broadcast.channels.web).ok_or(PublicationsError::NotOnTheWeb)
}
