//! Broadcasts: making, changing, starting and planning them.

mod audit;
mod course;
mod retry;

pub use audit::Discrepancy;
pub(crate) use course::CANCELLED;

use crate::{
    access::{Caller, Denied},
    directory::active_workspace,
    failure::{Failure, FailureKind},
    page::Counted,
    ports::{Clock, ConnectionBroker, IdGenerator, Purpose, StoreError, UnitOfWork, WorkKind},
    work::Work,
};
use domain::{
    broadcasts::{
        Broadcast, BroadcastDraft, BroadcastState, EditError, IllegalTransition, Launch, Ledger, Recipient,
        RecipientState,
    },
    ids::{BroadcastId, ListId, MessageId, TemplateId, WorkspaceId},
    permissions::{Permission, Resource},
    validation::{FieldProblem, Invalid},
};
use std::{collections::HashSet, sync::Arc};

/// The use cases of broadcasts.
pub struct Broadcasts {
    broker: Arc<dyn ConnectionBroker>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    work: Arc<Work>,
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
            Self::NotFound => FailureKind::NotFound,
            Self::UnknownList(_) | Self::UnknownTemplate(_) => FailureKind::Invalid,
            Self::NoProvider => FailureKind::Unprocessable,
            Self::Transition(_) => FailureKind::Conflict,
            Self::Invalid(e) => e.kind(),
            Self::Denied(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "broadcast-not-found",
            Self::UnknownList(_) => "list-unknown",
            Self::UnknownTemplate(_) => "template-unknown",
            Self::NoProvider => "provider-missing",
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
    /// Recipients planned in one unit of work.
    const PLAN_BATCH: usize = 500;

    /// Takes its ports.
    pub fn new(
        broker: Arc<dyn ConnectionBroker>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
        work: Arc<Work>,
    ) -> Self {
        Self { broker, clock, ids, work }
    }

    /// Stores a draft.
    ///
    /// # Errors
    /// Without `broadcasts:write`, when the draft breaks a rule, or its list is unknown.
    #[tracing::instrument(name = "broadcasts.create", skip_all)]
    pub async fn create(&self, caller: &Caller, draft: BroadcastDraft) -> Result<Broadcast, BroadcastsError> {
        caller.require(Permission::Write(Resource::Broadcasts))?;
        let id = BroadcastId::from_uuid(self.ids.uuid());
        let broadcast = draft.into_broadcast(id, self.clock.now())?;
        let purpose = Purpose::interactive("broadcasts.create");
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        let list = &broadcast.audience.list;
        store.list(list).await?.ok_or_else(|| BroadcastsError::UnknownList(list.clone()))?;
        store.insert_broadcast(&broadcast).await?;
        store.commit().await?;
        Ok(broadcast)
    }

    /// Replaces what a client gives of a broadcast. When it was paused in the middle, mails that are
    /// in the queue stay as they were planned; whoever is planned later is mailed with the latest
    /// version of the template that is named now.
    ///
    /// # Errors
    /// Without `broadcasts:write`, when there is none, when it is neither a draft nor paused, when
    /// the draft breaks a rule, or its list or the template of a started one is unknown.
    #[tracing::instrument(name = "broadcasts.update", skip_all)]
    pub async fn update(
        &self,
        caller: &Caller,
        id: &BroadcastId,
        draft: BroadcastDraft,
    ) -> Result<Broadcast, BroadcastsError> {
        caller.require(Permission::Write(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.update");
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        let mut broadcast = store.broadcast_for_update(id).await?.ok_or(BroadcastsError::NotFound)?;
        broadcast.edit(draft, self.clock.now())?;
        let list = &broadcast.audience.list;
        store.list(list).await?.ok_or_else(|| BroadcastsError::UnknownList(list.clone()))?;
        if broadcast.launch.is_some() {
            let version = latest_version(store.as_mut(), &broadcast).await?;
            broadcast.use_template_version(version);
        }
        store.update_broadcast(&broadcast).await?;
        store.commit().await?;
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

    /// Starts a draft at once.
    ///
    /// # Errors
    /// Without `broadcasts:write`, when it is no draft, or its template or a provider is missing.
    #[tracing::instrument(name = "broadcasts.send_now", skip_all)]
    pub async fn send_now(&self, caller: &Caller, id: &BroadcastId) -> Result<(), BroadcastsError> {
        caller.require(Permission::Write(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.schedule");
        let workspace = active_workspace(self.broker.as_ref(), &caller.workspace, purpose).await?;
        let integration =
            workspace.settings.marketing_email_provider_id.ok_or(BroadcastsError::NoProvider)?;
        let promise = self.work.promise(&caller.workspace, WorkKind::Planning, purpose).await?;
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        let mut broadcast = store.broadcast_for_update(id).await?.ok_or(BroadcastsError::NotFound)?;
        let version = latest_version(store.as_mut(), &broadcast).await?;
        broadcast.start(Launch { template_version: version, integration }, self.clock.now())?;
        store.update_broadcast(&broadcast).await?;
        promise.commit(store).await?;
        Ok(())
    }

    /// Plans the next part of the audience of one running broadcast: its recipients and their mails
    /// are stored together with how far it got. Answers whether more is to be planned.
    ///
    /// # Errors
    /// When the store fails; nothing of the part is then kept.
    #[tracing::instrument(name = "broadcasts.plan", skip_all)]
    pub async fn plan(&self, workspace: &WorkspaceId) -> Result<bool, StoreError> {
        let purpose = Purpose::delivery("broadcasts.plan");
        let promise = self.work.promise(workspace, WorkKind::Deliveries, purpose).await?;
        let mut store = self.broker.write(workspace, purpose).await?;
        let running = store.broadcasts_in_planning().await?;
        let Some(id) = running.first() else {
            return Ok(false);
        };
        let Some(mut broadcast) = store.broadcast_for_update(id).await? else {
            return Ok(running.len() > 1);
        };
        // Paused, cancelled or completed since the list was read.
        if !matches!(broadcast.state, BroadcastState::Processing { .. }) {
            return Ok(running.len() > 1);
        }
        let now = self.clock.now();
        let Some(launch) = broadcast.launch.clone().filter(|_| broadcast.template().is_some()) else {
            broadcast.complete(now);
            store.update_broadcast(&broadcast).await?;
            store.commit().await?;
            return Ok(running.len() > 1);
        };
        let list = broadcast.audience.list.clone();
        let emails = store.active_members_after(&list, broadcast.cursor.as_ref(), Self::PLAN_BATCH).await?;
        let recipients: Vec<_> = emails
            .iter()
            .map(|email| Recipient {
                broadcast: broadcast.id.clone(),
                email: email.clone(),
                list: list.clone(),
                variation: 0,
                message: self.next_message(),
                state: RecipientState::Queued,
                planned_at: now,
            })
            .collect();
        let planned: HashSet<_> = store.insert_recipients_if_absent(&recipients).await?.into_iter().collect();
        let deliveries: Vec<_> = recipients
            .iter()
            .filter(|line| planned.contains(&line.message))
            .filter_map(|line| self.mail(&broadcast, &launch, line))
            .collect();
        store.insert_deliveries(&deliveries).await?;
        let more = emails.len() == Self::PLAN_BATCH;
        if let Some(last) = emails.last() {
            broadcast.advance(last.clone(), deliveries.len() as u64, now);
        }
        if !more {
            broadcast.complete(now);
        }
        store.update_broadcast(&broadcast).await?;
        promise.commit(store).await?;
        Ok(more || running.len() > 1)
    }

    fn next_message(&self) -> MessageId {
        MessageId::from_uuid(self.ids.uuid())
    }
}

/// The latest version of the template of a broadcast.
async fn latest_version(store: &mut dyn UnitOfWork, broadcast: &Broadcast) -> Result<i64, BroadcastsError> {
    let Some(template) = broadcast.template() else {
        return Err(Invalid::one("/test_settings/variations", "must name exactly one template").into());
    };
    let found = store.template(template).await?.filter(|t| t.content.email().is_some());
    found.map(|t| t.version).ok_or_else(|| BroadcastsError::UnknownTemplate(template.clone()))
}
