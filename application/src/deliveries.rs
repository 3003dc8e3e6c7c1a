//! Delivering what waits in a workspace's queue: claim, hand over, record.
//!
//! A worker leases, claims and commits; begins a few at a time; sends without a lease; leases, records
//! and commits. What was begun by a process that ended is recorded as unknown, and sent again only when
//! the operator's policy says so; what was only claimed waits again.

mod at_once;
mod draft;
mod feeds;
mod files;
mod forecast;
mod gates;
mod record;
mod trial;
mod upkeep;
mod variables;

use crate::subscriptions::built_in;
use crate::{
    contacts::ContactView,
    data_feeds::Feeds,
    directory::active_workspace,
    feedback,
    messages::open_data,
    ports::{
        Claim, Clock, ConnectionBroker, ContactTokens, DkimIdentity, IdGenerator, MailRoute, Mailer,
        OutgoingMail, Purpose, Random, Renderer, SendError, Settled, StoreError, TrackingTokens, UnitOfWork,
        Vault, VaultError,
    },
};
pub(crate) use at_once::Trial;
use chrono::Duration;
pub use domain::circuits::BreakerPolicy;
use domain::{
    Timestamp,
    broadcasts::{Broadcast, SkipReason},
    circuits::Sign,
    contacts::{Contact, ContactField},
    deliveries::{Delivery, DeliverySource, Outcome, RetryPolicy, reason},
    email_address::EmailAddress,
    feedback::{Bounce, Feedback, FeedbackKind, SuppressionReason, names_nobody},
    ids::{BroadcastId, FeedbackId, IntegrationId, ListId, MessageId, SenderId, WorkspaceId},
    integrations::{EmailProvider, Integration},
    lists::{List, Membership, MembershipStatus},
    messages::Message,
    secret::Secret,
    templates::Template,
    transactional::{MailTracking, Notification},
    utm::UtmParameters,
    workspaces::Workspace,
};
use draft::{Draft, Unsendable};
pub use forecast::{Forecast, Sample, Warning, WarningKind};
use gates::{Gates, Setup, Setups};
use record::{record, record_lapsed};
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
pub use trial::TrialError;

/// The use cases of the delivery worker. They have no caller: nobody but the process itself asks.
pub struct Deliveries {
    ports: DeliveryPorts,
    config: DeliveryConfig,
    gates: Gates,
}

/// What deliveries need from the outside.
#[expect(missing_docs, reason = "each port says what it is")]
pub struct DeliveryPorts {
    pub broker: Arc<dyn ConnectionBroker>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub vault: Arc<dyn Vault>,
    pub mailer: Arc<dyn Mailer>,
    pub renderer: Arc<dyn Renderer>,
    pub ids: Arc<dyn IdGenerator>,
    pub tracking_tokens: Arc<dyn TrackingTokens>,
    pub feeds: Arc<Feeds>,
    pub contact_tokens: Arc<dyn ContactTokens>,
}

/// How deliveries are made.
#[derive(Debug, Clone)]
pub struct DeliveryConfig {
    /// Public base URL of the installation, without a slash at its end.
    pub endpoint: String,
    /// How long a claim is good unless it is held.
    pub lease: Duration,
    /// Deliveries claimed at once.
    pub batch: usize,
    /// When and how often a delivery is tried again.
    pub retry: RetryPolicy,
    /// Whether a mail that was handed over without an answer is sent again; it may then arrive twice.
    pub retry_unknown: bool,
    /// How long the key of a request is good.
    pub key_retention: Duration,
    /// How long messages stay in the history.
    pub message_retention: Duration,
    /// When a provider that fails is left alone.
    pub breaker: BreakerPolicy,
    /// Whether other processes may deliver for the same installation: rates and circuits of providers
    /// are then kept in the system database.
    pub several_processes: bool,
}

/// Claimed deliveries with all that is needed to make their mails.
pub struct Batch {
    workspace: Arc<Workspace>,
    key: Secret,
    providers: HashMap<IntegrationId, Provider>,
    items: Vec<Item>,
    next: Option<Timestamp>,
}

#[expect(clippy::struct_field_names, reason = "the provider itself, beside what is made from it")]
struct Provider {
    provider: EmailProvider<Secret>,
    /// Who signs for which sender.
    identities: HashMap<SenderId, Arc<DkimIdentity>>,
    route: MailRoute,
    /// When the integration was last changed.
    version: Timestamp,
}

impl Provider {
    fn open(vault: &dyn Vault, integration: Integration) -> Result<Self, VaultError> {
        let sealed = integration.provider;
        let settings = sealed.settings.try_map_secrets(|_, secret| vault.open(secret))?;
        let route = MailRoute::Provider {
            pool: Some((integration.workspace, integration.id)),
            settings: Arc::new(settings.clone()),
        };
        let provider = EmailProvider {
            settings,
            senders: sealed.senders,
            rate_limit_per_minute: sealed.rate_limit_per_minute,
        };
        let mut identities = HashMap::new();
        for sender in &provider.senders {
            if let Some(dkim) = &sender.dkim {
                let identity = DkimIdentity {
                    domain: dkim.domain.clone(),
                    selector: dkim.selector.clone(),
                    private_key: vault.open(&dkim.private_key)?,
                };
                identities.insert(sender.id, Arc::new(identity));
            }
        }
        Ok(Self { provider, identities, route, version: integration.updated_at })
    }

    fn setup(&self) -> Setup {
        Setup { per_minute: self.provider.rate_limit_per_minute, version: self.version }
    }
}

/// One claimed delivery.
pub struct Item {
    delivery: Delivery,
    contact: Option<Contact>,
    memberships: Vec<Membership>,
    suppressed: Option<SuppressionReason>,
    message: Option<Message>,
    template: Option<Arc<Template>>,
    notification: Option<Arc<Notification>>,
    broadcast: Option<Arc<Broadcast>>,
    list: Option<Arc<List>>,
    /// What the global feed of the broadcast said.
    global_feed: Option<Arc<Value>>,
}

impl Batch {
    /// The claimed deliveries, in the order in which they should be handed over.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// When to look again after an empty batch; `None` when nothing waits.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.next
    }
}

impl Deliveries {
    /// Takes its ports.
    #[must_use]
    pub fn new(ports: DeliveryPorts, config: DeliveryConfig) -> Self {
        let common = config.several_processes.then(|| ports.broker.clone());
        let gates = Gates::new(config.breaker, common);
        Self { ports, config, gates }
    }

    /// Claims the next deliveries of a workspace within the rate limits of its providers, after
    /// giving back what an ended process had claimed, and recording as unknown what it had begun.
    ///
    /// # Errors
    /// When a store fails; nothing is then claimed.
    #[tracing::instrument(name = "deliveries.claim", skip_all)]
    pub async fn claim(&self, workspace: &WorkspaceId) -> Result<Batch, StoreError> {
        let purpose = Purpose::delivery("deliveries.claim");
        let (workspace, key, providers) = self.configuration(workspace, purpose).await?;
        let now = self.ports.clock.now();
        let setups: Setups = providers.iter().map(|(id, provider)| (*id, provider.setup())).collect();
        let openings = self.gates.openings(&setups, now);
        let (except, opens) = (openings.closed.clone(), openings.next);
        let mut store = self.ports.broker.write(&workspace.id, purpose).await?;
        let ending = |attempts, why: &str| self.unanswered(attempts, why);
        record_lapsed(store.as_mut(), now, self.config.batch, ending).await?;
        let limit = openings.most().map_or(self.config.batch, |most| most.min(self.config.batch));
        let lease_until = now + self.config.lease;
        let mut claimed = if limit == 0 {
            Vec::new()
        } else {
            store.claim_deliveries(limit, &except, now, lease_until).await?
        };
        let over = openings.keep(&mut claimed);
        store.release_deliveries(&over).await?;
        let next = if claimed.is_empty() {
            let due = next_due(store.as_mut(), &except, opens).await?;
            earlier(due, self.forget(store.as_mut(), now).await?)
        } else {
            Some(now)
        };
        let items = gather(store.as_mut(), claimed).await?;
        store.commit().await?;
        let mut batch = Batch { workspace, key, providers, items, next };
        self.settle_rates(&mut batch, &setups, now).await?;
        Ok(batch)
    }

    /// Forgets what is no longer needed. Answers when to look again.
    async fn forget(
        &self,
        store: &mut dyn UnitOfWork,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        upkeep::forget(store, self.config.key_retention, self.config.message_retention, now).await
    }

    /// Uses the rates for a batch, and gives back what other processes were faster with.
    async fn settle_rates(
        &self,
        batch: &mut Batch,
        setups: &Setups,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut claimed: Vec<_> = batch.items.iter().map(|item| item.delivery.clone()).collect();
        let all: Vec<_> = claimed.iter().map(|delivery| delivery.message.clone()).collect();
        let (over, next) = match self.gates.take(&mut claimed, setups, now).await {
            Ok(taken) => taken,
            Err(error) => {
                self.release(batch, &all).await?;
                return Err(error);
            }
        };
        if !over.is_empty() {
            self.release(batch, &over).await?;
            let over: HashSet<_> = over.into_iter().collect();
            batch.items.retain(|item| !over.contains(&item.delivery.message));
            if batch.items.is_empty() {
                batch.next = next;
            }
        }
        Ok(())
    }

    /// Notes that some deliveries of a batch are about to be handed over. Answers which may be: not
    /// those whose claim lapsed meanwhile, nor those whose provider has begun to fail.
    ///
    /// # Errors
    /// When the store fails; none of them may then be handed over.
    #[tracing::instrument(name = "deliveries.begin", skip_all)]
    pub async fn begin(&self, batch: &Batch, items: &[&Item]) -> Result<Vec<MessageId>, StoreError> {
        let claim =
            |item: &&Item| Claim { message: item.delivery.message.clone(), attempts: item.delivery.attempts };
        let now = self.ports.clock.now();
        let mut claims = Vec::with_capacity(items.len());
        for item in items {
            if self.gates.admits(item.delivery.integration, now).await {
                claims.push(claim(item));
            }
        }
        let purpose = Purpose::delivery("deliveries.begin");
        let mut store = self.ports.broker.write(&batch.workspace.id, purpose).await?;
        let begun = store.begin_deliveries(&claims).await?;
        store.commit().await?;
        Ok(begun)
    }

    /// Makes and hands over one mail of a batch, which must have begun. Holds no lease.
    #[tracing::instrument(name = "deliveries.deliver", skip_all)]
    pub async fn deliver(&self, batch: &Batch, item: &Item) -> Settled {
        let outcome = match item.skip_reason() {
            Some(why) => Outcome::Skipped { why },
            None => match self.compose(batch, item).await {
                Ok((provider, mail)) => self.hand_over(provider, &mail, item).await,
                Err(Unsendable::Failed(why)) => {
                    self.gates.note_nothing(item.delivery.integration, self.ports.clock.now()).await;
                    Outcome::Failed { reason: reason(&why) }
                }
                Err(Unsendable::Feed(error)) => {
                    self.gates.note_nothing(item.delivery.integration, self.ports.clock.now()).await;
                    self.without_feed(item, &error)
                }
                Err(Unsendable::Later(error)) => {
                    self.gates.note_nothing(item.delivery.integration, self.ports.clock.now()).await;
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a mail could not be put together"
                    );
                    self.later(item.delivery.attempts, "the files of this message could not be read")
                }
            },
        };
        Settled { message: item.delivery.message.clone(), outcome }
    }

    /// Stores how the deliveries of a batch ended: queue, history and account change together.
    ///
    /// # Errors
    /// When the store fails; nothing is then kept, and the claims lapse into unknown.
    #[tracing::instrument(name = "deliveries.record", skip_all)]
    pub async fn record(&self, batch: &Batch, settled: &[Settled]) -> Result<(), StoreError> {
        let now = self.ports.clock.now();
        let purpose = Purpose::delivery("deliveries.record");
        let mut store = self.ports.broker.write(&batch.workspace.id, purpose).await?;
        let by_message: HashMap<_, _> =
            batch.items.iter().map(|i| (&i.delivery.message, &i.delivery)).collect();
        let ended: Vec<_> =
            settled.iter().filter_map(|s| Some((*by_message.get(&s.message)?, &s.outcome))).collect();
        let held = record(store.as_mut(), &ended, now).await?;
        let refused = ended.iter().filter(|(delivery, _)| held.contains(&delivery.message));
        let bounces: Vec<_> =
            refused.filter_map(|(delivery, outcome)| self.bounce(batch, delivery, outcome, now)).collect();
        feedback::apply(store.as_mut(), &bounces, now).await?;
        store.commit().await
    }

    /// The bounce of a mail that was refused at once, because its recipient does not exist.
    fn bounce(
        &self,
        batch: &Batch,
        delivery: &Delivery,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Option<Feedback> {
        let Outcome::Failed { reason } = outcome else { return None };
        let provider = batch.providers.get(&delivery.integration)?;
        names_nobody(reason).then(|| Feedback {
            id: FeedbackId::from_uuid(self.ports.ids.uuid()),
            kind: FeedbackKind::Bounced(Bounce::refused(reason)),
            source: provider.provider.settings.kind().to_owned(),
            integration: Some(delivery.integration),
            recipient: delivery.recipient.clone(),
            message: Some(delivery.message.to_string()),
            at: domain::to_microseconds(now),
            payload: String::new(),
            created_at: domain::to_microseconds(now),
        })
    }

    /// How often [`Deliveries::hold`] is to be called while a batch is handed over.
    #[must_use]
    pub fn hold_every(&self) -> std::time::Duration {
        (self.config.lease / 3).to_std().unwrap_or_default()
    }

    /// Extends the claims of a batch that is still being handed over, so that a claim need not last
    /// as long as the slowest batch: what a process claimed is known to be lost soon after its end.
    ///
    /// # Errors
    /// When the store fails.
    #[tracing::instrument(name = "deliveries.hold", skip_all)]
    pub async fn hold(&self, batch: &Batch) -> Result<(), StoreError> {
        let messages: Vec<_> = batch.items.iter().map(|i| i.delivery.message.clone()).collect();
        let until = self.ports.clock.now() + self.config.lease;
        let purpose = Purpose::delivery("deliveries.hold");
        let mut store = self.ports.broker.write(&batch.workspace.id, purpose).await?;
        store.hold_deliveries(&messages, until).await?;
        store.commit().await
    }

    /// Gives claimed deliveries back untried, when the process is about to end.
    ///
    /// # Errors
    /// When the store fails; the claims then lapse into unknown.
    #[tracing::instrument(name = "deliveries.release", skip_all)]
    pub async fn release(&self, batch: &Batch, untried: &[MessageId]) -> Result<(), StoreError> {
        let purpose = Purpose::delivery("deliveries.release");
        let mut store = self.ports.broker.write(&batch.workspace.id, purpose).await?;
        store.release_deliveries(untried).await?;
        store.commit().await
    }

    async fn configuration(
        &self,
        id: &WorkspaceId,
        purpose: Purpose,
    ) -> Result<(Arc<Workspace>, Secret, HashMap<IntegrationId, Provider>), StoreError> {
        let workspace = active_workspace(self.ports.broker.as_ref(), id, purpose).await?;
        let mut system = self.ports.broker.read_system(purpose).await?;
        let integrations = system.integrations(std::slice::from_ref(id)).await?;
        let ids: Vec<_> = integrations.iter().map(|integration| integration.id).collect();
        self.gates.learn(system.as_mut(), &ids).await?;
        drop(system);
        let vault = self.ports.vault.as_ref();
        let unreadable = |e| StoreError::Internal(Box::new(e));
        let key = vault.open(&workspace.secret_key).map_err(unreadable)?;
        let mut providers = HashMap::new();
        for integration in integrations {
            let id = integration.id;
            providers.insert(id, Provider::open(vault, integration).map_err(unreadable)?);
        }
        Ok((Arc::new(workspace), key, providers))
    }

    async fn compose<'b>(
        &self,
        batch: &'b Batch,
        item: &'b Item,
    ) -> Result<(&'b Provider, OutgoingMail), Unsendable> {
        let (provider, draft) = self.drafted(batch, item).await?;
        Ok((provider, self.write(draft).await?))
    }

    /// What a mail of a batch is made from. Holds no lease.
    async fn drafted<'b>(
        &self,
        batch: &'b Batch,
        item: &'b Item,
    ) -> Result<(&'b Provider, Draft<'b>), Unsendable> {
        let delivery = &item.delivery;
        let provider = batch
            .providers
            .get(&delivery.integration)
            .ok_or("the e-mail provider of this message was removed from the workspace")?;
        let contact = item.contact.as_ref().ok_or("the contact was deleted")?;
        let template = item.template.as_ref().ok_or("the template of this message is gone")?;
        let mut data = match &item.message {
            Some(message) => open_data(self.ports.vault.as_ref(), &batch.key, message)
                .map_err(|_| "the stored variables of this message cannot be opened")?,
            None => serde_json::Map::new(),
        };
        self.add_feeds(&batch.workspace, item, contact, &mut data).await?;
        let memberships = match delivery.source {
            DeliverySource::Transactional { .. } | DeliverySource::Subscription { .. } => {
                Some(item.memberships.clone())
            }
            DeliverySource::Broadcast { .. } => None,
        };
        let asked = item.message.as_ref().map(|message| message.options.clone()).unwrap_or_default();
        let usual = item.notification.as_ref().map(|notification| notification.email.options());
        let draft = Draft {
            workspace: &batch.workspace,
            provider: &provider.provider,
            message: &delivery.message,
            contact: ContactView { contact: contact.clone(), memberships },
            template,
            language: contact.text(ContactField::Language),
            sender: None,
            options: asked.or(usual.unwrap_or_default()),
            data,
            list: item.list.as_deref(),
            broadcast: item.broadcast.as_deref(),
            utm: item.utm(&batch.workspace),
            tracked: item.is_tracked(&batch.workspace),
            identities: &provider.identities,
        };
        Ok((provider, draft))
    }

    async fn hand_over(&self, provider: &Provider, mail: &OutgoingMail, item: &Item) -> Outcome {
        let sent = self.ports.mailer.send(&provider.route, mail).await;
        let (integration, now) = (item.delivery.integration, self.ports.clock.now());
        match &sent {
            Ok(()) | Err(SendError::Refused { .. } | SendError::Deferred { .. }) => {
                self.gates.note(integration, provider.version, Sign::Works, now).await;
            }
            Err(SendError::Provider { .. } | SendError::Unconfirmed { .. }) => {
                self.gates.note(integration, provider.version, Sign::Fails, now).await;
            }
            Err(SendError::Malformed { .. }) => self.gates.note_nothing(integration, now).await,
        }
        match sent {
            Ok(()) => Outcome::Sent,
            Err(error @ (SendError::Refused { .. } | SendError::Malformed { .. })) => {
                Outcome::Failed { reason: reason(&error.to_string()) }
            }
            Err(error @ SendError::Unconfirmed { .. }) => {
                self.unanswered(item.delivery.attempts, &error.to_string())
            }
            Err(error @ (SendError::Deferred { .. } | SendError::Provider { .. })) => {
                self.later(item.delivery.attempts, &error.to_string())
            }
        }
    }

    /// The outcome of a mail that was handed over without an answer. It is sent again only where the
    /// operator would rather have it twice than not at all.
    fn unanswered(&self, attempts: u32, why: &str) -> Outcome {
        if self.config.retry_unknown && attempts < self.config.retry.max_attempts {
            self.later(attempts, why)
        } else {
            Outcome::Unknown { reason: reason(why) }
        }
    }

    /// The outcome of a failure that may pass.
    fn later(&self, attempts: u32, why: &str) -> Outcome {
        let now = self.ports.clock.now();
        self.config.retry.after_transient(attempts, why, now, self.ports.random.jitter())
    }
}

impl Item {
    /// The message of this delivery.
    #[must_use]
    pub fn message(&self) -> &MessageId {
        &self.delivery.message
    }

    /// Why a mail must not be sent. One of a broadcast goes to who is an active member at the moment of
    /// sending, one that asks for a confirmation to whose subscription still waits for it, and neither to
    /// an address that bounced or complained, through whichever list.
    fn skip_reason(&self) -> Option<SkipReason> {
        if matches!(self.delivery.source, DeliverySource::Transactional { .. }) {
            return None;
        }
        if self.contact.is_none() {
            return Some(SkipReason::Deleted);
        }
        if let Some(reason) = self.suppressed {
            return Some(reason.skip());
        }
        if self.memberships.iter().any(|m| m.status == MembershipStatus::Complained) {
            return Some(SkipReason::Complained);
        }
        if self.memberships.iter().any(|m| m.status == MembershipStatus::Bounced) {
            return Some(SkipReason::Bounced);
        }
        let (list, wanted) = match &self.delivery.source {
            DeliverySource::Broadcast { list, .. } => (list, MembershipStatus::Active),
            DeliverySource::Subscription { list: Some(list) } => (list, MembershipStatus::Pending),
            DeliverySource::Subscription { list: None } | DeliverySource::Transactional { .. } => {
                return None;
            }
        };
        let excluded = self.broadcast.as_ref().map(|b| &b.audience.excluded_lists);
        if excluded.is_some_and(|lists| self.memberships.iter().any(|m| lists.contains(&m.list))) {
            return Some(SkipReason::Excluded);
        }
        match self.memberships.iter().find(|m| m.list == *list).map(|m| m.status) {
            Some(standing) if standing == wanted => None,
            Some(MembershipStatus::Unsubscribed) => Some(SkipReason::Unsubscribed),
            _ => Some(SkipReason::NotMember),
        }
    }

    /// The workspace decides for all its mails, a notification for its own.
    fn is_tracked(&self, workspace: &Workspace) -> bool {
        let of_notification = self.notification.as_ref().map(|notification| notification.tracking);
        workspace.settings.email_tracking_enabled && of_notification != Some(MailTracking::Off)
    }

    fn utm(&self, workspace: &Workspace) -> UtmParameters {
        if let (DeliverySource::Subscription { .. }, Some(list)) = (&self.delivery.source, &self.list) {
            return UtmParameters {
                source: workspace.settings.website_url.clone().unwrap_or_default(),
                medium: "email".to_owned(),
                campaign: list.name.clone(),
                content: self.delivery.message.to_string(),
                ..UtmParameters::default()
            };
        }
        let mut utm = match (&self.broadcast, &self.notification) {
            (Some(broadcast), _) => broadcast.utm.clone(),
            (None, Some(notification)) => notification.utm.clone(),
            (None, None) => UtmParameters::default(),
        };
        if !utm.is_empty() && utm.content.is_empty() {
            utm.content = self.delivery.template.to_string();
        }
        utm
    }
}

/// When something is due for the providers that may be used, or for the others once one of them may be.
async fn next_due(
    store: &mut dyn UnitOfWork,
    except: &[IntegrationId],
    free: Option<Timestamp>,
) -> Result<Option<Timestamp>, StoreError> {
    let due = store.next_delivery_due(except).await?;
    if except.is_empty() {
        return Ok(due);
    }
    let later = store.next_delivery_due(&[]).await?.map(|any| free.map_or(any, |free| any.max(free)));
    Ok(earlier(due, later))
}

/// The earlier of two moments, where there are any.
fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}

/// Loads what the mails of claimed deliveries are made from, a query per kind.
async fn gather(store: &mut dyn UnitOfWork, claimed: Vec<Delivery>) -> Result<Vec<Item>, StoreError> {
    if claimed.is_empty() {
        return Ok(Vec::new());
    }
    let emails: Vec<EmailAddress> =
        claimed.iter().map(|d| d.recipient.clone()).collect::<HashSet<_>>().into_iter().collect();
    let contacts: HashMap<_, _> =
        store.contacts(&emails).await?.into_iter().map(|c| (c.email.clone(), c)).collect();
    let mut memberships: HashMap<EmailAddress, Vec<Membership>> = HashMap::new();
    for membership in store.memberships(&emails).await? {
        memberships.entry(membership.email.clone()).or_default().push(membership);
    }
    let suppressed: HashMap<_, _> = store.suppressions(&emails).await?.into_iter().collect();
    let ids: Vec<_> = claimed.iter().map(|d| d.message.clone()).collect();
    let mut messages: HashMap<_, _> =
        store.messages(&ids).await?.into_iter().map(|m| (m.id.clone(), m)).collect();
    let mut templates = HashMap::new();
    let mut notifications = HashMap::new();
    let mut broadcasts = HashMap::new();
    let mut lists: HashMap<ListId, Option<Arc<List>>> = HashMap::new();
    let mut feeds: HashMap<BroadcastId, Option<Arc<Value>>> = HashMap::new();
    let mut items = Vec::with_capacity(claimed.len());
    for delivery in claimed {
        let version = (delivery.template.clone(), delivery.template_version);
        if !templates.contains_key(&version) {
            let template = match built_in(&delivery) {
                Some(template) => Some(template),
                None => store.template_version(&version.0, version.1).await?,
            };
            let template = template.map(Arc::new);
            templates.insert(version.clone(), template);
        }
        let (mut notification, mut broadcast, mut list, mut global_feed) = (None, None, None, None);
        match &delivery.source {
            DeliverySource::Transactional { notification: id } => {
                if !notifications.contains_key(id) {
                    notifications.insert(id.clone(), store.notification(id).await?.map(Arc::new));
                }
                notification.clone_from(&notifications[id]);
            }
            DeliverySource::Broadcast { broadcast: id, list: list_id } => {
                if !broadcasts.contains_key(id) {
                    let found = store.broadcast(id).await?.map(Arc::new);
                    let feed = match found.as_ref().and_then(|b| b.feeds.active_global()) {
                        Some(_) => store.global_feed(id).await?,
                        None => None,
                    };
                    feeds.insert(id.clone(), feed.map(|data| Arc::new(Value::Object(data))));
                    broadcasts.insert(id.clone(), found);
                }
                if !lists.contains_key(list_id) {
                    lists.insert(list_id.clone(), store.list(list_id).await?.map(Arc::new));
                }
                broadcast.clone_from(&broadcasts[id]);
                global_feed.clone_from(&feeds[id]);
                list.clone_from(&lists[list_id]);
            }
            DeliverySource::Subscription { list: Some(list_id) } => {
                if !lists.contains_key(list_id) {
                    lists.insert(list_id.clone(), store.list(list_id).await?.map(Arc::new));
                }
                list.clone_from(&lists[list_id]);
            }
            DeliverySource::Subscription { list: None } => {}
        }
        items.push(Item {
            contact: contacts.get(&delivery.recipient).cloned(),
            memberships: memberships.get(&delivery.recipient).cloned().unwrap_or_default(),
            suppressed: suppressed.get(&delivery.recipient).copied(),
            message: messages.remove(&delivery.message),
            template: templates[&version].clone(),
            notification,
            broadcast,
            list,
            global_feed,
            delivery,
        });
    }
    Ok(items)
}
