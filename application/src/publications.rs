//! Broadcasts as pages on a workspace's own domain.

mod preview;

pub use preview::{Preview, PreviewLink};

use crate::{
    access::{Caller, Denied},
    directory::active_workspace,
    failure::{Failure, FailureKind},
    page::Counted,
    ports::{
        Clock, CompileError, ConnectionBroker, PageContent, Purpose, Renderer, StoreError, Vault, VaultError,
        WorkspaceStore,
    },
};
use domain::{
    Timestamp,
    broadcasts::Broadcast,
    ids::{BroadcastId, WorkspaceId},
    languages::Language,
    permissions::{Permission, Resource},
    publications::{WebSettings, is_reserved},
    slug::Slug,
    workspaces::{Workspace, WorkspaceState},
};
use serde_json::json;
use std::sync::Arc;

/// The use cases of pages. What is public is read by anybody: the host of the request names the site.
pub struct Publications {
    broker: Arc<dyn ConnectionBroker>,
    clock: Arc<dyn Clock>,
    renderer: Arc<dyn Renderer>,
    vault: Arc<dyn Vault>,
}

/// Why a use case of pages failed.
#[derive(Debug, thiserror::Error)]
pub enum PublicationsError {
    /// There is no such page, or not for the public.
    #[error("page not found")]
    NotFound,
    /// No broadcast has this identifier.
    #[error("Broadcast not found")]
    NoBroadcast,
    /// The broadcast has no page.
    #[error("the broadcast is not on the web: set channels.web and web_settings first")]
    NotOnTheWeb,
    /// The workspace has no domain of its own.
    #[error("the workspace has no domain: set custom_endpoint_url in its settings first")]
    NoDomain,
    /// The link was not made by this installation, or is too old.
    #[error("this preview link is not valid or has expired; make a new one")]
    BadLink,
    /// The template cannot be turned into a page.
    #[error("the template cannot be rendered: {0}")]
    Broken(#[from] CompileError),
    /// What is stored cannot be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The caller may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for PublicationsError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NotFound | Self::NoBroadcast => FailureKind::NotFound,
            Self::NotOnTheWeb | Self::NoDomain | Self::Broken(_) => FailureKind::Unprocessable,
            Self::BadLink => FailureKind::Unauthenticated,
            Self::Vault(_) => FailureKind::Internal,
            Self::Denied(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "page-not-found",
            Self::NoBroadcast => "broadcast-not-found",
            Self::NotOnTheWeb => "broadcast-not-on-the-web",
            Self::NoDomain => "workspace-without-domain",
            Self::BadLink => "link-invalid",
            Self::Broken(_) => "template-broken",
            Self::Vault(_) => "secret-unreadable",
            Self::Denied(e) => e.code(),
            Self::Store(e) => e.code(),
        }
    }
}

/// What answers on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Whose.
    pub workspace: WorkspaceId,
    /// How its owner calls it.
    pub name: String,
    /// Scheme, host and port, without a slash at the end.
    pub base_url: String,
    /// Of its pages.
    pub language: Language,
    /// The owner's logo.
    pub logo_url: Option<String>,
    /// The owner's main site.
    pub website_url: Option<String>,
}

impl Site {
    /// `None` when the workspace has no domain of its own.
    fn of(workspace: &Workspace) -> Option<Self> {
        let settings = &workspace.settings;
        let url = url::Url::parse(settings.custom_endpoint_url.as_deref()?).ok()?;
        Some(Self {
            workspace: workspace.id.clone(),
            name: workspace.name.clone(),
            base_url: url.origin().ascii_serialization(),
            language: settings.default_language.clone(),
            logo_url: settings.logo_url.clone(),
            website_url: settings.website_url.clone(),
        })
    }
}

/// A page of a site.
#[derive(Debug, Clone, PartialEq)]
pub struct Post {
    /// The broadcast.
    pub broadcast: BroadcastId,
    /// How the broadcast is called.
    pub name: String,
    /// How it appears.
    pub settings: WebSettings,
    /// When it became public; for a preview of a draft, now.
    pub published_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Post {
    fn new(broadcast: Broadcast, settings: WebSettings, now: Timestamp) -> Self {
        Self {
            published_at: settings.published_at.unwrap_or(now),
            broadcast: broadcast.id,
            name: broadcast.name,
            settings,
            updated_at: broadcast.updated_at,
        }
    }

    /// The title of the page.
    #[must_use]
    pub fn title(&self) -> &str {
        self.settings.meta_title.as_deref().unwrap_or(&self.name)
    }

    /// The path of the page on its site.
    #[must_use]
    pub fn path(&self) -> String {
        self.settings.path(&self.broadcast)
    }
}

/// A page with its content.
#[derive(Debug, Clone, PartialEq)]
pub struct FullPost {
    /// The page.
    pub post: Post,
    /// Its content.
    pub content: PageContent,
}

/// Whether a slug can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlugVerdict {
    /// It has the form of a slug and is not reserved.
    pub valid: bool,
    /// No other page has it.
    pub available: bool,
    /// What is wrong with it.
    pub error: Option<String>,
}

impl Publications {
    /// Takes its ports.
    pub fn new(
        broker: Arc<dyn ConnectionBroker>,
        clock: Arc<dyn Clock>,
        renderer: Arc<dyn Renderer>,
        vault: Arc<dyn Vault>,
    ) -> Self {
        Self { broker, clock, renderer, vault }
    }

    /// What answers on a host, given in lower case without a port.
    ///
    /// # Errors
    /// When the store fails.
    #[tracing::instrument(name = "publications.site", skip_all)]
    pub async fn site(&self, host: &str) -> Result<Option<Site>, PublicationsError> {
        let mut system = self.broker.read_system(Purpose::interactive("publications.site")).await?;
        let workspace = system.workspace_by_host(host).await?;
        let active = workspace.filter(|workspace| workspace.state == WorkspaceState::Active);
        Ok(active.as_ref().and_then(Site::of))
    }

    /// Public pages, the latest first.
    ///
    /// # Errors
    /// When the store fails.
    #[tracing::instrument(name = "publications.posts", skip_all)]
    pub async fn posts(
        &self,
        site: &Site,
        limit: u64,
        offset: u64,
    ) -> Result<Counted<Post>, PublicationsError> {
        let now = self.clock.now();
        let mut store = self.broker.read(&site.workspace, Purpose::interactive("publications.posts")).await?;
        let found = store.publications(now, limit, offset).await?;
        let items = found.items.into_iter().filter_map(|broadcast| public(broadcast, now)).collect();
        Ok(Counted { items, total: found.total })
    }

    /// A public page.
    ///
    /// # Errors
    /// When there is none or its template is broken.
    #[tracing::instrument(name = "publications.post", skip_all)]
    pub async fn post(&self, site: &Site, id: &BroadcastId) -> Result<FullPost, PublicationsError> {
        let now = self.clock.now();
        let mut store = self.broker.read(&site.workspace, Purpose::interactive("publications.post")).await?;
        let broadcast = store.broadcast(id).await?.ok_or(PublicationsError::NotFound)?;
        let draft = Draft::read(store.as_mut(), site, &broadcast).await?;
        drop(store);
        let post = public(broadcast, now).ok_or(PublicationsError::NotFound)?;
        self.full(draft, post).await
    }

    /// The public page with this slug.
    ///
    /// # Errors
    /// When there is none.
    #[tracing::instrument(name = "publications.by_slug", skip_all)]
    pub async fn by_slug(&self, site: &Site, slug: &Slug) -> Result<Post, PublicationsError> {
        let mut store =
            self.broker.read(&site.workspace, Purpose::interactive("publications.by_slug")).await?;
        let broadcast = store.publication_by_slug(slug).await?;
        broadcast.and_then(|found| public(found, self.clock.now())).ok_or(PublicationsError::NotFound)
    }

    /// The latest public pages with their contents. Those whose template is broken are left out.
    ///
    /// # Errors
    /// When the store fails.
    #[tracing::instrument(name = "publications.latest", skip_all)]
    pub async fn latest(&self, site: &Site, limit: u64) -> Result<Vec<FullPost>, PublicationsError> {
        let now = self.clock.now();
        let mut store =
            self.broker.read(&site.workspace, Purpose::interactive("publications.latest")).await?;
        let mut drafts = Vec::new();
        for broadcast in store.publications(now, limit, 0).await?.items {
            let draft = match Draft::read(store.as_mut(), site, &broadcast).await {
                Ok(draft) => draft,
                Err(PublicationsError::NotFound) => continue,
                Err(error) => return Err(error),
            };
            drafts.extend(public(broadcast, now).map(|post| (draft, post)));
        }
        drop(store);
        let mut posts = Vec::with_capacity(drafts.len());
        for (draft, post) in drafts {
            match self.full(draft, post).await {
                Ok(post) => posts.push(post),
                Err(PublicationsError::Broken(error)) => {
                    tracing::warn!(workspace.id = %site.workspace, %error, "a page is left out of a feed");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(posts)
    }

    /// Whether a slug can be used for the page of a broadcast, or of a new one.
    ///
    /// # Errors
    /// Without `broadcasts:read`, or when the store fails.
    #[tracing::instrument(name = "publications.validate_slug", skip_all)]
    pub async fn validate_slug(
        &self,
        caller: &Caller,
        slug: &str,
        broadcast: Option<&BroadcastId>,
    ) -> Result<SlugVerdict, PublicationsError> {
        caller.require(Permission::Read(Resource::Broadcasts))?;
        let refused = |valid, error: String| SlugVerdict { valid, available: false, error: Some(error) };
        let slug = match Slug::parse(slug) {
            Ok(slug) if is_reserved(&slug) => {
                return Ok(refused(false, "is reserved for the server; choose another one".to_owned()));
            }
            Ok(slug) => slug,
            Err(rule) => return Ok(refused(false, rule.to_string())),
        };
        let purpose = Purpose::interactive("publications.validate_slug");
        let mut store = self.broker.read(&caller.workspace, purpose).await?;
        let holder = store.publication_by_slug(&slug).await?;
        if holder.is_some_and(|holder| broadcast != Some(&holder.id)) {
            return Ok(refused(true, "is used by another page of this workspace".to_owned()));
        }
        Ok(SlugVerdict { valid: true, available: true, error: None })
    }

    async fn full(&self, draft: Draft, post: Post) -> Result<FullPost, PublicationsError> {
        let content = self.renderer.page(&draft.content, &draft.data).await?;
        let updated_at = post.updated_at.max(draft.updated_at);
        Ok(FullPost { post: Post { updated_at, ..post }, content })
    }
}

fn public(broadcast: Broadcast, now: Timestamp) -> Option<Post> {
    let settings = broadcast.public_page(now)?.clone();
    Some(Post::new(broadcast, settings, now))
}

/// What a page is made from: the latest version of the template, and what everybody may know.
struct Draft {
    content: domain::templates::EmailContent,
    data: serde_json::Value,
    updated_at: Timestamp,
}

impl Draft {
    async fn read(
        store: &mut dyn WorkspaceStore,
        site: &Site,
        broadcast: &Broadcast,
    ) -> Result<Self, PublicationsError> {
        let (id, launched) = broadcast.page_template().ok_or(PublicationsError::NotFound)?;
        let template = match (store.template(id).await?, launched) {
            (Some(latest), _) => Some(latest),
            // deleted since: what was mailed stays on the web
            (None, Some(version)) => store.template_version(id, version).await?,
            (None, None) => None,
        };
        let template = template.ok_or(PublicationsError::NotFound)?;
        let content = template.content.email().ok_or(PublicationsError::NotFound)?.clone();
        let website = site.website_url.as_deref().unwrap_or_default().trim_end_matches('/');
        let data = json!({
            "workspace": { "name": site.name, "base_url": site.base_url, "website_url": website },
            "broadcast": { "id": broadcast.id, "name": broadcast.name },
        });
        Ok(Self { content, data, updated_at: template.updated_at })
    }
}
