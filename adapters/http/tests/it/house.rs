//! The surface of an installation in memory, and a client.

use application::{
    access::Access,
    api_keys::ApiKeys,
    broadcasts::Broadcasts,
    connections::Connections,
    contacts::Contacts,
    data_feeds::Feeds,
    deliveries::{BreakerPolicy, Deliveries, DeliveryConfig, DeliveryPorts},
    feedback::{FeedbackPorts, ProviderFeedback},
    integrations::Integrations,
    lists::Lists,
    members::Members,
    messages::Messages,
    platform::{Environment, Installation, Platform},
    ports::{
        BreakerState, Clock, ConnectionFigures, MailRoute, Mailbox, SystemConnections, Vault as _,
        WorkspaceConnections,
    },
    publications::Publications,
    rate_limit::RateLimiter,
    readiness::Readiness,
    subscriptions::{SubscriptionPorts, Subscriptions},
    templates::Templates,
    tracking::Tracking,
    transactional::{Retention, Transactional},
    users::Users,
    work::Work,
    workspaces::Workspaces,
};
use domain::{deliveries::RetryPolicy, email_address::EmailAddress, ids::WorkspaceId};
use http_api::{Features, HttpSettings, ShutdownGate, SiteCache};
use memory::{
    FixedClock, FixedMeter, FixedRandom, MemoryBroker, MemoryFeeds, MemoryMailer, MemoryRegistrar,
    PlainContactTokens, PlainDkimKeys, PlainReader, PlainRenderer, PlainTokens, PlainTrackingTokens,
    PlainVault, RecordingSignal, SequentialIds,
};
use poem::{
    Response,
    endpoint::BoxEndpoint,
    http::StatusCode,
    test::{TestClient, TestRequestBuilder, TestResponse},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

pub const ROOT: &str = "root@host.example";

pub struct House {
    pub client: TestClient<BoxEndpoint<'static, Response>>,
    pub clock: FixedClock,
    pub vault: PlainVault,
    pub gate: ShutdownGate,
    pub mailer: MemoryMailer,
    /// For the turns of a worker, which the house does not have.
    pub broadcasts: Broadcasts,
    pub deliveries: Arc<Deliveries>,
}

/// An answer, read.
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

impl House {
    /// In development, with the root user.
    pub async fn new() -> Self {
        Self::with(Environment::Development, |_| {}).await
    }

    pub async fn with(environment: Environment, change: impl FnOnce(&mut HttpSettings)) -> Self {
        let (broker, clock) = (MemoryBroker::new(), FixedClock::default());
        let (vault, ids) = (PlainVault::default(), Arc::new(SequentialIds::new()));
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let email = |text: &str| EmailAddress::parse(text).unwrap();
        let sites = SiteCache::default();
        let mailer = MemoryMailer::new();
        let platform = Arc::new(Platform {
            installation: Installation {
                environment,
                root_email: Some(email(ROOT)),
                api_endpoint: "https://mail.host.example".into(),
                mail_route: MailRoute::Outbox,
                mail_from: Mailbox { address: email("no-reply@host.example"), name: None },
                max_workspaces: 0,
                max_users: 0,
            },
            broker: Arc::new(broker.clone()),
            databases: Arc::new(broker.clone()),
            clock: time.clone(),
            ids: ids.clone(),
            random: Arc::new(FixedRandom::default()),
            vault: Arc::new(vault.clone()),
            dkim_keys: Arc::new(PlainDkimKeys),
            tokens: Arc::new(PlainTokens::default()),
            mailer: Arc::new(mailer.clone()),
            limiter: Arc::new(RateLimiter::new(time)),
            sites: Arc::new(sites.clone()),
        });
        let (features, broadcasts) = features(platform, sites);
        let deliveries = features.deliveries.clone();
        features.users.ensure_root_user().await.unwrap();
        let mut settings = HttpSettings::new(ids);
        change(&mut settings);
        let gate = settings.gate.clone();
        let client = TestClient::new(http_api::api(features, settings));
        Self { client, clock, vault, gate, mailer, broadcasts, deliveries }
    }

    /// With the workspace `acme`; answers also the token of its owner, who is root.
    pub async fn with_workspace() -> (Self, String) {
        let house = Self::new().await;
        let token = house.root().await;
        let made = house.post("/api/workspaces.create", Some(&token), &acme()).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        (house, token)
    }

    /// Signs root in and answers the token.
    pub async fn root(&self) -> String {
        self.clock.advance(chrono::Duration::seconds(1));
        let timestamp = self.clock.now().timestamp();
        let signature = self.vault.hash(&format!("{ROOT}:{timestamp}"));
        let body = json!({"email": ROOT, "timestamp": timestamp, "signature": signature});
        let answer = self.post("/api/user.rootSignin", None, &body).await;
        answer.body["token"].as_str().unwrap().to_owned()
    }

    pub async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Answer {
        self.send(self.client.post(path).body_json(body), token).await
    }

    pub async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        self.send(self.client.get(path), token).await
    }

    async fn send(
        &self,
        request: TestRequestBuilder<'_, BoxEndpoint<'static, Response>>,
        token: Option<&str>,
    ) -> Answer {
        let request = match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        read(request.send().await).await
    }
}

pub async fn read(response: TestResponse) -> Answer {
    let status = response.0.status();
    let text = response.0.into_body().into_string().await.unwrap();
    Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}

/// The features, and broadcasts once more for a worker.
fn features(platform: Arc<Platform>, sites: SiteCache) -> (Features, Broadcasts) {
    let of = |platform: &Arc<Platform>| platform.clone();
    let (broker, clock) = (platform.broker.clone(), platform.clock.clone());
    let (ids, vault) = (platform.ids.clone(), platform.vault.clone());
    let work = Arc::new(Work::new(broker.clone(), clock.clone(), Arc::new(RecordingSignal::new())));
    let renderer = Arc::new(PlainRenderer::new());
    let tokens = Arc::new(PlainTrackingTokens::default());
    let month = chrono::Duration::days(30);
    let retention = Retention { keys: month, attachments: month };
    let feeds = Arc::new(Feeds::new(Arc::new(MemoryFeeds::new()), vault.clone(), clock.clone()));
    let ports = DeliveryPorts {
        broker: broker.clone(),
        clock: clock.clone(),
        random: platform.random.clone(),
        vault: vault.clone(),
        mailer: platform.mailer.clone(),
        renderer: renderer.clone(),
        ids: ids.clone(),
        tracking_tokens: tokens.clone(),
        feeds: feeds.clone(),
        contact_tokens: Arc::new(PlainContactTokens::default()),
    };
    let config = DeliveryConfig {
        endpoint: platform.installation.api_endpoint.clone(),
        lease: chrono::Duration::minutes(1),
        batch: 50,
        retry: RetryPolicy::default(),
        key_retention: month,
        retry_unknown: false,
        message_retention: chrono::Duration::days(60),
        breaker: BreakerPolicy::default(),
        several_processes: false,
    };
    let deliveries = Arc::new(Deliveries::new(ports, config));
    let broadcasts = || {
        Broadcasts::new(
            broker.clone(),
            clock.clone(),
            ids.clone(),
            work.clone(),
            platform.sites.clone(),
            feeds.clone(),
        )
    };
    let second = broadcasts();
    let features = Features {
        access: Access::new(of(&platform)),
        api_keys: ApiKeys::new(of(&platform)),
        broadcasts: broadcasts(),
        connections: Connections::new(Arc::new(FixedMeter(figures())), clock.clone()),
        contacts: Contacts::new(broker.clone(), clock.clone()),
        deliveries: deliveries.clone(),
        feedback: ProviderFeedback::new(FeedbackPorts {
            broker: broker.clone(),
            clock: clock.clone(),
            vault: vault.clone(),
            reader: Arc::new(PlainReader),
            notices: Arc::new(PlainReader),
            registrar: Arc::new(MemoryRegistrar::default()),
            endpoint: platform.installation.api_endpoint.clone(),
        }),
        integrations: Integrations::new(of(&platform), platform.mailer.clone()),
        lists: Lists::new(broker.clone(), clock.clone()),
        members: Members::new(of(&platform)),
        messages: Messages::new(broker.clone(), vault.clone()),
        readiness: Readiness::new(broker.clone()),
        subscriptions: Subscriptions::new(SubscriptionPorts {
            broker: broker.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            tokens: Arc::new(PlainContactTokens::default()),
            work: work.clone(),
        }),
        publications: Publications::new(broker.clone(), clock.clone(), renderer.clone(), vault.clone()),
        sites,
        templates: Templates::new(broker.clone(), clock.clone(), renderer.clone(), platform.sites.clone()),
        tracking: Arc::new(Tracking::new(broker.clone(), clock.clone(), tokens)),
        transactional: Transactional::new(broker, clock, ids, vault, work, retention, deliveries),
        users: Users::new(of(&platform)),
        workspaces: Workspaces::new(platform),
    };
    (features, second)
}

/// Twelve connections, two of them for workspaces that may be listed.
fn figures() -> ConnectionFigures {
    let pool = |id: &str, in_use| WorkspaceConnections {
        workspace: WorkspaceId::parse(id).unwrap(),
        open: 2,
        in_use,
        idle: 2 - in_use,
        max: 4,
        waiting: 0,
        waits: 12,
        waited: Duration::from_micros(84_200),
        wait_p99: Duration::from_millis(14),
        opens: 7,
        closed_idle: 2,
        closed_lifetime: 1,
        closed_stolen: 3,
        closed_broken: 0,
        breaker: BreakerState::Closed,
        debt: Duration::ZERO,
    };
    ConnectionFigures {
        max: 40,
        max_per_workspace: 4,
        share: 40,
        effective_share: 40,
        open: 10,
        in_use: 4,
        idle: 6,
        system: SystemConnections {
            open: 6,
            in_use: 1,
            idle: 5,
            max: 6,
            waits: 9,
            waited: Duration::from_micros(3),
        },
        active_workspaces: 2,
        since_last_limit: Some(Duration::from_mins(1)),
        workspaces: vec![pool("acme", 2), pool("other", 1)],
        ..ConnectionFigures::default()
    }
}

/// What makes the workspace `acme`.
pub fn acme() -> Value {
    json!({"id": "acme", "name": "Acme", "settings": settings()})
}

pub fn settings() -> Value {
    json!({"timezone": "Europe/Paris", "default_language": "en", "languages": ["en", "fr"]})
}

impl Answer {
    /// The places of the bad fields.
    pub fn pointers(&self) -> Vec<&str> {
        self.body["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect()
    }
}
