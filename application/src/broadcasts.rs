//! Broadcasts: making, changing, starting and planning them.

mod audit;
mod course;
mod feeds;
mod planning;
mod retry;
mod schedule;
mod testing;

pub use audit::Discrepancy;
pub(crate) use course::CANCELLED;
pub use feeds::TriedFeed;
pub use planning::Planned;
pub use testing::{TestResults, VariationOutcome};

use crate::{
    access::{Caller, Denied},
    data_feeds::Feeds,
    directory::active_workspace,
    failure::{Failure, FailureKind},
    page::{Counted, Page},
    ports::{
        AccountLine, Clock, ConnectionBroker, FeedError, IdGenerator, Purpose, SiteChanges, StoreError,
        UnitOfWork, WorkKind,
    },
    work::Work,
};
use domain::{
    broadcasts::{
        Audience, Broadcast, BroadcastDraft, EditError, IllegalTransition, Ledger, Rescheduling, Variation,
    },
    email_address::EmailAddress,
    ids::{BroadcastId, ListId, MessageId, TemplateId},
    permissions::{Permission, Resource},
    publications::Channels,
    templates::Template,
    validation::{FieldProblem, Invalid},
};
use std::{collections::HashMap, sync::Arc};

/// The use cases of broadcasts.
pub struct Broadcasts {
    broker: Arc<dyn ConnectionBroker>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    work: Arc<Work>,
    sites: Arc<dyn SiteChanges>,
    feeds: Arc<Feeds>,
}

/// Why a use case of broadcasts failed.
#[derive(Debug, thiserror::Error)]
pub enum BroadcastsError {
    /// No broadcast has this identifier.
    #[error("Broadcast not found")]
    NotFound,
    /// The list that is named does not exist.
    #[error("the list {0} does not exist")]
    UnknownList(ListId),
    /// The template that is named does not exist or is no e-mail.
    #[error("no e-mail template has the id {0}")]
    UnknownTemplate(TemplateId),
    /// The workspace has no provider for broadcasts.
    #[error("no e-mail provider: set marketing_email_provider_id in the workspace settings")]
    NoProvider,
    /// Nothing is compared in this broadcast.
    #[error("the broadcast compares no variations")]
    NoTest,
    /// The workspace has no domain for its pages.
    #[error("channels.web: set custom_endpoint_url in the workspace settings first")]
    NoDomain,
    /// Another page has the slug.
    #[error("web_settings.slug: another page of this workspace has this slug; choose another one")]
    SlugTaken,
    /// Lists, contents or provider are others than in the plan, or the number of recipients is.
    #[error("the plan has changed: {recipients} recipients would be mailed now; look at it again")]
    PlanChanged {
        /// How many would be mailed now.
        recipients: u64,
    },
    /// The contact that is named does not exist.
    #[error("Contact not found")]
    UnknownContact,
    /// The global feed gave no data, so that the broadcast was not started.
    #[error("the global feed failed: {0}")]
    GlobalFeed(#[source] FeedError),
    /// Somebody changed the global feed while it was being asked.
    #[error("the global feed was changed at the same moment; try again")]
    FeedChanged,
    /// The broadcast is in a state that does not allow this.
    #[error(transparent)]
    Transition(#[from] IllegalTransition),
    /// The input breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The caller may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<EditError> for BroadcastsError {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Transition(e) => Self::Transition(e),
            EditError::Invalid(e) => Self::Invalid(e),
        }
    }
}

impl Failure for BroadcastsError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NotFound | Self::UnknownContact => FailureKind::NotFound,
            Self::UnknownList(_) | Self::UnknownTemplate(_) | Self::NoDomain => FailureKind::Invalid,
            Self::NoProvider | Self::GlobalFeed(_) => FailureKind::Unprocessable,
            Self::FeedChanged
            | Self::NoTest
            | Self::SlugTaken
            | Self::PlanChanged { .. }
            | Self::Transition(_) => FailureKind::Conflict,
            Self::Invalid(e) => e.kind(),
            Self::Denied(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "broadcast-not-found",
            Self::NoDomain => "workspace-without-domain",
            Self::SlugTaken => "slug-taken",
            Self::UnknownList(_) => "list-unknown",
            Self::UnknownTemplate(_) => "template-unknown",
            Self::NoProvider => "provider-missing",
            Self::UnknownContact => "contact-not-found",
            Self::GlobalFeed(_) => "global-feed-failed",
            Self::FeedChanged => "global-feed-changed",
            Self::NoTest => "broadcast-without-test",
            Self::PlanChanged { .. } => "broadcast-plan-changed",
            Self::Transition(_) => "broadcast-status",
            Self::Invalid(e) => e.code(),
            Self::Denied(e) => e.code(),
            Self::Store(e) => e.code(),
        }
    }

    fn problems(&self) -> &[FieldProblem] {
        match self {
            Self::Invalid(e) => e.problems(),
            _ => &[],
        }
    }
}

impl Broadcasts {
    /// Takes its ports.
    pub fn new(
        broker: Arc<dyn ConnectionBroker>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
        work: Arc<Work>,
        sites: Arc<dyn SiteChanges>,
        feeds: Arc<Feeds>,
    ) -> Self {
        Self { broker, clock, ids, work, sites, feeds }
    }

    /// Stores a draft.
    ///
    /// # Errors
    /// Without `broadcasts:write`, when the draft breaks a rule, or its list is unknown.
    #[tracing::instrument(name = "broadcasts.create", skip_all)]
    pub async fn create(
        &self,
        caller: &Caller,
        mut draft: BroadcastDraft,
    ) -> Result<Broadcast, BroadcastsError> {
        caller.require(Permission::Write(Resource::Broadcasts))?;
        let id = BroadcastId::from_uuid(self.ids.uuid());
        let feeds = std::mem::take(&mut draft.feeds);
        let mut broadcast = draft.into_broadcast(id, self.clock.now())?;
        broadcast.take_feeds(self.feeds.changed(&broadcast.feeds, feeds)?)?;
        let purpose = Purpose::interactive("broadcasts.create");
        self.check_domain(caller, &broadcast.channels, purpose).await?;
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        known_lists(store.as_mut(), &broadcast.audience).await?;
        store.insert_broadcast(&broadcast).await.map_err(slug_taken)?;
        store.commit().await?;
        Ok(broadcast)
    }

    /// Replaces what a client gives of a broadcast, and moves its moment. When it was paused in the middle, mails that are
    /// in the queue stay as they were planned; whoever is planned later is mailed with the latest
    /// version of the template that is named now.
    ///
    /// # Errors
    /// Without `broadcasts:write`, when there is none, when it is neither a draft nor scheduled nor
    /// paused, when the draft breaks a rule, or its list or the template of a started one is unknown.
    #[tracing::instrument(name = "broadcasts.update", skip_all)]
    pub async fn update(
        &self,
        caller: &Caller,
        id: &BroadcastId,
        mut draft: BroadcastDraft,
        moment: Rescheduling,
    ) -> Result<Broadcast, BroadcastsError> {
        caller.require(Permission::Write(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.update");
        self.check_domain(caller, &draft.channels, purpose).await?;
        let promise = self.work.promise(&caller.workspace, WorkKind::Planning, purpose).await?;
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        let mut broadcast = store.broadcast_for_update(id).await?.ok_or(BroadcastsError::NotFound)?;
        let feeds = std::mem::take(&mut draft.feeds);
        broadcast.edit(draft, moment, self.clock.now())?;
        broadcast.take_feeds(self.feeds.changed(&broadcast.feeds, feeds)?)?;
        known_lists(store.as_mut(), &broadcast.audience).await?;
        if broadcast.launch.is_some() {
            let versions = latest_versions(store.as_mut(), &broadcast).await?;
            broadcast.use_template_versions(versions);
        }
        store.update_broadcast(&broadcast).await.map_err(slug_taken)?;
        promise.commit(store).await?;
        self.sites.changed(&caller.workspace);
        Ok(broadcast)
    }

    /// One broadcast.
    ///
    /// # Errors
    /// Without `broadcasts:read`, or when there is none.
    #[tracing::instrument(name = "broadcasts.get", skip_all)]
    pub async fn get(&self, caller: &Caller, id: &BroadcastId) -> Result<Broadcast, BroadcastsError> {
        caller.require(Permission::Read(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.get");
        let mut store = self.broker.read(&caller.workspace, purpose).await?;
        store.broadcast(id).await?.ok_or(BroadcastsError::NotFound)
    }

    /// Broadcasts with this status, newest first.
    ///
    /// # Errors
    /// Without `broadcasts:read`, or when the store fails.
    #[tracing::instrument(name = "broadcasts.list", skip_all)]
    pub async fn list(
        &self,
        caller: &Caller,
        status: Option<&str>,
        limit: u64,
        offset: u64,
    ) -> Result<Counted<Broadcast>, BroadcastsError> {
        caller.require(Permission::Read(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.list");
        let mut store = self.broker.read(&caller.workspace, purpose).await?;
        Ok(store.broadcasts(status, limit, offset).await?)
    }

    /// The latest versions of the templates of some broadcasts; those that were deleted are left out.
    ///
    /// # Errors
    /// Without `templates:read`, or when the store fails.
    #[tracing::instrument(name = "broadcasts.templates", skip_all)]
    pub async fn templates(
        &self,
        caller: &Caller,
        broadcasts: &[Broadcast],
    ) -> Result<HashMap<TemplateId, Template>, BroadcastsError> {
        caller.require(Permission::Read(Resource::Templates))?;
        let mut store =
            self.broker.read(&caller.workspace, Purpose::interactive("broadcasts.templates")).await?;
        let mut templates = HashMap::new();
        for Variation { template_id, .. } in broadcasts.iter().flat_map(|b| &b.variations) {
            if !templates.contains_key(template_id)
                && let Some(template) = store.template(template_id).await?
            {
                templates.insert(template_id.clone(), template);
            }
        }
        Ok(templates)
    }

    /// The account of a broadcast: how many recipients are in which state.
    ///
    /// # Errors
    /// Without `broadcasts:read`, or when there is none.
    #[tracing::instrument(name = "broadcasts.ledger", skip_all)]
    pub async fn ledger(&self, caller: &Caller, id: &BroadcastId) -> Result<Ledger, BroadcastsError> {
        caller.require(Permission::Read(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.ledger");
        let mut store = self.broker.read(&caller.workspace, purpose).await?;
        store.broadcast(id).await?.ok_or(BroadcastsError::NotFound)?;
        Ok(store.ledger(id).await?)
    }

    /// Lines of the account of a broadcast whose state has this name, all without one, by address.
    ///
    /// # Errors
    /// Without `broadcasts:read`, or when there is none.
    #[tracing::instrument(name = "broadcasts.recipients", skip_all)]
    pub async fn recipients(
        &self,
        caller: &Caller,
        id: &BroadcastId,
        state: Option<&'static str>,
        after: Option<&EmailAddress>,
        size: usize,
    ) -> Result<(Broadcast, Page<AccountLine>), BroadcastsError> {
        caller.require(Permission::Read(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.recipients");
        let mut store = self.broker.read(&caller.workspace, purpose).await?;
        let broadcast = store.broadcast(id).await?.ok_or(BroadcastsError::NotFound)?;
        let page = store.account_after(id, state, after, size).await?;
        Ok((broadcast, page))
    }

    fn next_message(&self) -> MessageId {
        MessageId::from_uuid(self.ids.uuid())
    }

    /// Pages need a domain of the workspace's own.
    async fn check_domain(
        &self,
        caller: &Caller,
        channels: &Channels,
        purpose: Purpose,
    ) -> Result<(), BroadcastsError> {
        if channels.web {
            let workspace = active_workspace(self.broker.as_ref(), &caller.workspace, purpose).await?;
            workspace.settings.custom_endpoint_host().ok_or(BroadcastsError::NoDomain)?;
        }
        Ok(())
    }
}

fn slug_taken(error: StoreError) -> BroadcastsError {
    match error {
        StoreError::Duplicate => BroadcastsError::SlugTaken,
        other => other.into(),
    }
}

/// All lists that an audience names must exist.
async fn known_lists(store: &mut dyn UnitOfWork, audience: &Audience) -> Result<(), BroadcastsError> {
    for list in audience.lists().into_iter().chain(&audience.excluded_lists) {
        store.list(list).await?.ok_or_else(|| BroadcastsError::UnknownList(list.clone()))?;
    }
    Ok(())
}

/// The latest versions of the templates of a broadcast, in the order of its contents.
async fn latest_versions(
    store: &mut dyn UnitOfWork,
    broadcast: &Broadcast,
) -> Result<Vec<i64>, BroadcastsError> {
    let mut versions = Vec::with_capacity(broadcast.variations.len());
    for Variation { template_id, .. } in &broadcast.variations {
        let found = store.template(template_id).await?.filter(|t| t.content.email().is_some());
        let version = found.map(|t| t.version);
        versions.push(version.ok_or_else(|| BroadcastsError::UnknownTemplate(template_id.clone()))?);
    }
    Ok(versions)
}
