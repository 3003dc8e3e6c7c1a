//! A workspace with a provider, a list and a template, over memory.

use application::{
    access::{Caller, Identity},
    broadcasts::Broadcasts,
    contacts::Contacts,
    data_feeds::Feeds,
    deliveries::{BreakerPolicy, Deliveries, DeliveryConfig, DeliveryPorts},
    feedback::{FeedbackPorts, ProviderFeedback},
    lists::{ListDraft, Lists},
    messages::Messages,
    ports::{ConnectionBroker as _, Learned, Purpose, Vault as _, WorkspaceDatabases as _},
    publications::Publications,
    subscriptions::{SubscriptionPorts, Subscriptions},
    templates::Templates,
    transactional::{Retention, Transactional},
    work::Work,
};
use chrono::Duration;
use domain::{
    Timestamp,
    contacts::ContactPatch,
    deliveries::RetryPolicy,
    email_address::EmailAddress,
    ids::{IntegrationId, ListId, NotificationId, SenderId, TemplateId, UserId, WorkspaceId},
    integrations::{EmailProvider, Integration, ProviderSettings, Sender, SmtpSecurity, SmtpSettings},
    languages::Language,
    mail_name::MailName,
    permissions::{Access, Permissions, Resource, Role},
    secret::{Sealed, Secret},
    templates::{EmailBody, EmailContent, TemplateContent, TemplateDraft},
    timezones::Timezone,
    transactional::{EmailChannel, MailTracking, NotificationDraft},
    users::UserKind,
    utm::UtmParameters,
    workspaces::{Workspace, WorkspaceSettings, WorkspaceState},
};
use memory::{
    FixedClock, FixedRandom, MemoryBroker, MemoryFeeds, MemoryMailer, MemoryRegistrar, PlainContactTokens,
    PlainReader, PlainRenderer, PlainTrackingTokens, PlainVault, RecordingSignal, RecordingSites,
    SequentialIds,
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc};

pub struct Stage {
    pub broker: MemoryBroker,
    pub clock: FixedClock,
    pub mailer: MemoryMailer,
    pub feeds: MemoryFeeds,
    pub renderer: PlainRenderer,
    pub signal: RecordingSignal,
    pub work: Arc<Work>,
    pub contacts: Contacts,
    pub lists: Lists,
    pub templates: Templates,
    pub transactional: Transactional,
    pub broadcasts: Broadcasts,
    pub deliveries: Arc<Deliveries>,
    pub messages: Messages,
    pub subscriptions: Subscriptions,
    pub feedback: ProviderFeedback,
    pub publications: Publications,
    pub sites: RecordingSites,
}

pub fn workspace() -> WorkspaceId {
    WorkspaceId::parse("acme").unwrap()
}

pub fn integration() -> IntegrationId {
    IntegrationId::from_uuid(SequentialIds::nth(900))
}

pub fn news() -> ListId {
    ListId::parse("news").unwrap()
}

pub fn welcome() -> TemplateId {
    TemplateId::parse("welcome").unwrap()
}

pub fn reset() -> NotificationId {
    NotificationId::parse("reset").unwrap()
}

pub fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "called with json! literals")]
pub fn patch(value: Value) -> ContactPatch {
    ContactPatch::from_json(&value).unwrap()
}

fn caller_with(role: Role, permissions: Permissions) -> Caller {
    let user = UserId::from_uuid(SequentialIds::nth(1));
    let identity = Identity { user, kind: UserKind::Person, session: None, is_root: false };
    Caller { identity, workspace: workspace(), role, permissions }
}

pub fn owner() -> Caller {
    caller_with(Role::Owner, Permissions::default())
}

/// A member with every permission but one.
pub fn all_but(resource: Resource, wanted: Access) -> Caller {
    let everything = Permissions::all();
    let mut access: BTreeMap<_, _> = everything.iter().collect();
    let kept = access[&resource];
    access.insert(resource, Access { read: kept.read && !wanted.read, write: kept.write && !wanted.write });
    caller_with(Role::Member, Permissions::new(access))
}

pub const READ: Access = Access { read: true, write: false };
pub const WRITE: Access = Access { read: false, write: true };

pub fn mail(subject: &str, body: &str) -> TemplateDraft {
    TemplateDraft {
        id: welcome(),
        name: "Welcome".into(),
        content: TemplateContent::Email(EmailContent {
            body: EmailBody::Code { mjml_source: format!("<mjml><mj-body>{body}</mj-body></mjml>") },
            sender_id: None,
            reply_to: Some(email("replies@acme.example")),
            subject: subject.into(),
            subject_preview: None,
            compiled_preview: None,
            text: None,
        }),
        category: "transactional".into(),
        macro_id: None,
        test_data: Map::new(),
        settings: Map::new(),
        translations: BTreeMap::new(),
    }
}

pub fn list_draft(id: &ListId) -> ListDraft {
    ListDraft {
        id: id.clone(),
        name: "News".into(),
        is_double_optin: false,
        is_public: true,
        description: String::new(),
        double_optin_template: None,
    }
}

pub fn notification_draft() -> NotificationDraft {
    NotificationDraft {
        id: reset(),
        name: "Reset".into(),
        description: String::new(),
        email: EmailChannel { template_id: welcome(), settings: None },
        utm: UtmParameters::default(),
        tracking: MailTracking::default(),
        metadata: Map::new(),
    }
}

impl Stage {
    /// An active workspace with an SMTP provider for everything, and nothing else.
    pub async fn new() -> Self {
        Self::with_rate(60_000).await
    }

    pub async fn with_rate(rate_limit_per_minute: u32) -> Self {
        Self::made(rate_limit_per_minute, false).await
    }

    /// The same, but what was handed over without an answer is sent again.
    pub async fn that_retries_unknown() -> Self {
        let stage = Self::made(60_000, true).await;
        stage.furnish().await;
        stage
    }

    /// The same, whose registrations at providers bring this to light.
    pub async fn whose_providers_tell(learned: Learned) -> Self {
        Self::made_with(60_000, false, learned).await
    }

    /// That with the template `welcome` and the list `news` with `members` active members.
    pub async fn that_retries_unknown_with_list(members: usize) -> Self {
        Self::made(60_000, true).await.filled(members).await
    }

    async fn made(rate_limit_per_minute: u32, retry_unknown: bool) -> Self {
        Self::made_with(rate_limit_per_minute, retry_unknown, Learned::default()).await
    }

    async fn made_with(rate_limit_per_minute: u32, retry_unknown: bool, learned: Learned) -> Self {
        let now: Timestamp = "2026-06-01T08:00:00Z".parse().unwrap();
        let broker = MemoryBroker::new();
        let clock = FixedClock::at(now);
        let vault = PlainVault::with_key("installation");
        let (sites, registrar) = (RecordingSites::default(), MemoryRegistrar::that_tells(learned));
        let (mailer, renderer, signal) = (MemoryMailer::new(), PlainRenderer::new(), RecordingSignal::new());
        store_workspace(&broker, &vault, rate_limit_per_minute, now).await;
        let shared: Arc<dyn application::ports::ConnectionBroker> = Arc::new(broker.clone());
        let time: Arc<dyn application::ports::Clock> = Arc::new(clock.clone());
        let ids: Arc<dyn application::ports::IdGenerator> = Arc::new(SequentialIds::new());
        let sealing: Arc<dyn application::ports::Vault> = Arc::new(vault.clone());
        let work = Arc::new(Work::new(shared.clone(), time.clone(), Arc::new(signal.clone())));
        let feeds = MemoryFeeds::new();
        let asking = Arc::new(Feeds::new(Arc::new(feeds.clone()), sealing.clone(), time.clone()));
        let ports = DeliveryPorts {
            broker: shared.clone(),
            clock: time.clone(),
            random: Arc::new(FixedRandom::default()),
            vault: sealing.clone(),
            mailer: Arc::new(mailer.clone()),
            renderer: Arc::new(renderer.clone()),
            ids: ids.clone(),
            tracking_tokens: Arc::new(PlainTrackingTokens::default()),
            feeds: asking.clone(),
            contact_tokens: Arc::new(PlainContactTokens::default()),
        };
        let deliveries = Arc::new(Deliveries::new(ports, config(retry_unknown)));
        Self {
            contacts: Contacts::new(shared.clone(), time.clone()),
            lists: Lists::new(shared.clone(), time.clone()),
            templates: Templates::new(
                shared.clone(),
                time.clone(),
                Arc::new(renderer.clone()),
                Arc::new(sites.clone()),
            ),
            transactional: Transactional::new(
                shared.clone(),
                time.clone(),
                ids.clone(),
                sealing.clone(),
                work.clone(),
                Retention { keys: Duration::days(30), attachments: Duration::days(30) },
                deliveries.clone(),
            ),
            broadcasts: Broadcasts::new(
                shared.clone(),
                time.clone(),
                ids.clone(),
                work.clone(),
                Arc::new(sites.clone()),
                asking,
            ),
            feeds,
            deliveries,
            messages: Messages::new(shared.clone(), sealing.clone()),
            publications: Publications::new(
                shared.clone(),
                time.clone(),
                Arc::new(renderer.clone()),
                sealing.clone(),
            ),
            feedback: ProviderFeedback::new(FeedbackPorts {
                broker: shared.clone(),
                clock: time.clone(),
                vault: sealing.clone(),
                reader: Arc::new(PlainReader),
                notices: Arc::new(PlainReader),
                registrar: Arc::new(registrar),
                endpoint: "https://mail.acme.email".into(),
            }),
            subscriptions: Subscriptions::new(SubscriptionPorts {
                broker: shared,
                clock: time,
                ids,
                tokens: Arc::new(PlainContactTokens::default()),
                work: work.clone(),
            }),
            sites,
            broker,
            clock,
            mailer,
            renderer,

            signal,
            work,
        }
    }

    /// A process of several that deliver for this installation.
    pub fn another_process(&self) -> Deliveries {
        let ports = DeliveryPorts {
            feeds: Arc::new(Feeds::new(
                Arc::new(self.feeds.clone()),
                Arc::new(PlainVault::with_key("installation")),
                Arc::new(self.clock.clone()),
            )),
            broker: Arc::new(self.broker.clone()),
            clock: Arc::new(self.clock.clone()),
            random: Arc::new(FixedRandom::default()),
            vault: Arc::new(PlainVault::with_key("installation")),
            mailer: Arc::new(self.mailer.clone()),
            renderer: Arc::new(self.renderer.clone()),
            ids: Arc::new(SequentialIds::new()),
            tracking_tokens: Arc::new(PlainTrackingTokens::default()),
            contact_tokens: Arc::new(PlainContactTokens::default()),
        };
        Deliveries::new(ports, DeliveryConfig { several_processes: true, ..config(false) })
    }

    pub fn clock_now(&self) -> Timestamp {
        use application::ports::Clock as _;
        self.clock.now()
    }

    /// The same with the template `welcome` and the notification `reset`.
    pub async fn with_notification() -> Self {
        let stage = Self::new().await;
        stage.furnish().await;
        stage
    }

    pub async fn furnish(&self) {
        let draft = mail("Hello {{ contact.first_name }}", "<mj-text>{{ code }}</mj-text>");
        self.templates.create(&owner(), draft).await.unwrap();
        self.transactional.create(&owner(), notification_draft()).await.unwrap();
    }

    /// The same with the template `welcome` and the list `news` with `members` active members.
    pub async fn with_list(members: usize) -> Self {
        Self::new().await.filled(members).await
    }

    async fn filled(self, members: usize) -> Self {
        let stage = self;
        stage
            .templates
            .create(&owner(), mail("News", "{{ contact.email }} {{ unsubscribe_url }}"))
            .await
            .unwrap();
        stage.lists.create(&owner(), list_draft(&news())).await.unwrap();
        let rows: Vec<_> = (0..members).map(|n| json!({"email": format!("c{n:05}@shop.example")})).collect();
        stage.contacts.import(&owner(), &rows, &[news()]).await.unwrap();
        stage
    }

    /// Takes turns until nothing is due; answers how many mails were tried.
    pub async fn deliver_all(&self) -> usize {
        let mut tried = 0;
        loop {
            let batch = self.deliveries.claim(&workspace()).await.unwrap();
            if batch.items().is_empty() {
                return tried;
            }
            let items: Vec<_> = batch.items().iter().collect();
            assert_eq!(self.deliveries.begin(&batch, &items).await.unwrap().len(), items.len());
            let mut settled = Vec::new();
            for item in items {
                settled.push(self.deliveries.deliver(&batch, item).await);
            }
            tried += settled.len();
            self.deliveries.record(&batch, &settled).await.unwrap();
        }
    }
}

fn config(retry_unknown: bool) -> DeliveryConfig {
    DeliveryConfig {
        endpoint: "https://mail.acme.example".into(),
        lease: Duration::minutes(5),
        batch: 50,
        retry: RetryPolicy { max_attempts: 3, ..RetryPolicy::default() },
        key_retention: Duration::days(30),
        message_retention: Duration::days(60),
        retry_unknown,
        breaker: BreakerPolicy::default(),
        several_processes: false,
    }
}

async fn store_workspace(broker: &MemoryBroker, vault: &PlainVault, rate: u32, now: Timestamp) {
    let en = Language::parse("en").unwrap();
    let fr = Language::parse("fr").unwrap();
    let mut settings = WorkspaceSettings::new(Timezone::UTC, en.clone(), vec![en, fr]);
    settings.transactional_email_provider_id = Some(integration());
    settings.marketing_email_provider_id = Some(integration());
    let acme = Workspace {
        id: workspace(),
        name: "Acme".into(),
        settings,
        secret_key: vault.seal(&Secret::new("workspace key")),
        state: WorkspaceState::Active,
        created_at: now,
        updated_at: now,
    };
    let provider: EmailProvider<Sealed> = EmailProvider {
        settings: ProviderSettings::Smtp(SmtpSettings {
            host: "mx.acme.example".into(),
            port: 587,
            security: SmtpSecurity::StartTls,
            ehlo_hostname: None,
            username: Some("acme".into()),
            password: Some(vault.seal(&Secret::new("hunter2"))),
        }),
        senders: vec![Sender {
            id: SenderId::from_uuid(SequentialIds::nth(901)),
            email: email("hello@acme.example"),
            name: MailName::parse("Acme").unwrap(),
            is_default: true,
            dkim: None,
        }],
        rate_limit_per_minute: rate,
    };
    let relay = Integration {
        id: integration(),
        workspace: workspace(),
        name: "Relay".into(),
        provider,
        created_at: now,
        updated_at: now,
    };
    let mut system = broker.write_system(Purpose::interactive("stage")).await.unwrap();
    system.insert_workspace(&acme).await.unwrap();
    system.insert_integration(&relay).await.unwrap();
    system.commit().await.unwrap();
    broker.create(&workspace()).await.unwrap();
}
