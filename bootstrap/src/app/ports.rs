//! Which adapter stands behind which port.

use super::mailers::WorkspaceMailer;
use crate::{
    settings::{self, Database, Settings, SystemMail},
    telemetry::MeteredMailer,
};
use anyhow::Context as _;
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
    ports::{MailRoute, Mailbox, Mailer, WorkSignal},
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
use crypto::{
    AesVault, HmacContactTokens, HmacTrackingTokens, JwtTokens, OsRandom, SystemClock, UuidGenerator,
};
use domain::{
    deliveries::RetryPolicy,
    integrations::{ProviderSettings, SmtpSecurity, SmtpSettings},
    secret::Secret,
};
use feeds::HttpFeedReader;
use http_api::{Features, SiteCache};
use providers::{HttpMailer, HttpRegistrar, SignedFeedback};
use render::MjmlRenderer;
use smtp::{DkimKeyReader, MailNotices, MailRouter};
use std::sync::Arc;
use store::{Engine, PostgresServer, SqliteFiles, StoreBroker, TlsMode, WorkChannel};
use worker::{Wakeup, Worker};

/// The port of implicit TLS (RFC 8314).
const SUBMISSIONS: u16 = 465;

/// Mails claimed from the queue of a workspace at once.
const BATCH: usize = 200;

/// The adapters of one installation.
pub(super) struct Ports {
    pub(super) store: StoreBroker,
    /// Takes the SMTP mails of workspaces, who choose their servers themselves.
    pub(super) smtp: Arc<MailRouter>,
    /// Takes the installation's own mails, whose server the operator has chosen.
    pub(super) system_smtp: Arc<MailRouter>,
    /// Takes all mails of workspaces.
    mailer: Arc<dyn Mailer>,
    platform: Arc<Platform>,
    /// Checks and reads the calls of providers.
    signed: Arc<SignedFeedback>,
    /// Tells providers whom to call.
    registrar: Arc<HttpRegistrar>,
    renderer: Arc<MjmlRenderer>,
    work: Arc<Work>,
    /// Makes and hands over mails: for the worker, and at once for a request.
    deliveries: Arc<Deliveries>,
    /// Asks for data that mails are made with.
    feeds: Arc<Feeds>,
    retention: Retention,
    sites: SiteCache,
    pub(super) tracking: Arc<Tracking>,
    contact_tokens: Arc<HmacContactTokens>,
    /// How processes tell each other of work; only on a server.
    pub(super) channel: Option<Arc<WorkChannel>>,
}

impl Ports {
    pub(super) fn new(settings: &Settings, secret_key: Secret, wakeup: Arc<Wakeup>) -> anyhow::Result<Self> {
        let store = StoreBroker::new(&store_config(settings))?;
        let broker = Arc::new(store.clone());
        let channel = store.work_channel(wakeup.clone()).map(Arc::new);
        let signal: Arc<dyn WorkSignal> = match &channel {
            Some(channel) => channel.clone(),
            None => wakeup,
        };
        let clock = Arc::new(SystemClock);
        let router = |allow_private_hosts| {
            let mut config =
                smtp::Config { outbox: settings.outbox(), allow_private_hosts, ..smtp::Config::default() };
            config.timeouts.connect = settings.dial_timeout;
            MailRouter::new(&config, clock.clone()).map(Arc::new).context("mail cannot be sent safely")
        };
        let allow_private_hosts = settings.environment == settings::Environment::Development;
        let (smtp, system_smtp) = (router(allow_private_hosts)?, router(true)?);
        let (http, signed, registrar) = over_http(allow_private_hosts, &clock)?;
        let mailer = metered(Arc::new(WorkspaceMailer { smtp: smtp.clone(), http }));
        let sites = SiteCache::default();
        let former = settings.previous_secret_key.as_slice();
        let tracking_tokens = Arc::new(HmacTrackingTokens::new(&secret_key, former));
        let contact_tokens = Arc::new(HmacContactTokens::new(&secret_key, former));
        let tracking = Arc::new(Tracking::new(broker.clone(), clock.clone(), tracking_tokens.clone()));
        let platform = Platform {
            installation: installation(settings),
            broker: broker.clone(),
            databases: broker.clone(),
            clock: clock.clone(),
            ids: Arc::new(UuidGenerator),
            random: Arc::new(OsRandom),
            tokens: Arc::new(JwtTokens::new(&secret_key)),
            vault: Arc::new(former.iter().fold(AesVault::new(secret_key), AesVault::opening)),
            dkim_keys: Arc::new(DkimKeyReader),
            mailer: metered(system_smtp.clone()),
            limiter: Arc::new(RateLimiter::new(clock.clone())),
            sites: Arc::new(sites.clone()),
        };
        let allow_private = settings.data_feed_allow_private;
        let reader = HttpFeedReader::new(feeds::Config { allow_private, ..feeds::Config::default() })
            .context("feeds cannot be asked safely")?;
        let feeds = Arc::new(Feeds::new(Arc::new(reader), platform.vault.clone(), clock.clone()));
        let renderer = Arc::new(MjmlRenderer::new(clock.clone()));
        let retention = retention(settings)?;
        let deliveries = Arc::new(deliveries(
            settings,
            &platform,
            mailer.clone(),
            renderer.clone(),
            Tokens { tracking: tracking_tokens, contacts: contact_tokens.clone() },
            retention,
            feeds.clone(),
        ));
        Ok(Self {
            store,
            smtp,
            system_smtp,
            mailer,
            platform: Arc::new(platform),
            signed: Arc::new(signed),
            registrar: Arc::new(registrar),
            renderer,
            work: Arc::new(Work::new(broker, clock, signal)),
            feeds,
            retention,
            sites,
            deliveries,
            tracking,
            contact_tokens,
            channel,
        })
    }

    pub(super) fn users(&self) -> Users {
        Users::new(self.platform.clone())
    }

    pub(super) fn broadcasts(&self) -> Broadcasts {
        let Platform { broker, clock, ids, sites, .. } = &*self.platform;
        Broadcasts::new(
            broker.clone(),
            clock.clone(),
            ids.clone(),
            self.work.clone(),
            sites.clone(),
            self.feeds.clone(),
        )
    }

    pub(super) fn features(&self) -> Features {
        let Platform { broker, clock, ids, vault, sites, .. } = &*self.platform;
        Features {
            access: Access::new(self.platform.clone()),
            api_keys: ApiKeys::new(self.platform.clone()),
            broadcasts: self.broadcasts(),
            deliveries: self.deliveries.clone(),
            connections: Connections::new(Arc::new(self.store.clone()), clock.clone()),
            contacts: Contacts::new(broker.clone(), clock.clone()),
            feedback: ProviderFeedback::new(FeedbackPorts {
                broker: broker.clone(),
                clock: clock.clone(),
                vault: vault.clone(),
                reader: self.signed.clone(),
                registrar: self.registrar.clone(),
                notices: Arc::new(MailNotices),
                endpoint: self.platform.installation.api_endpoint.clone(),
            }),
            integrations: Integrations::new(self.platform.clone(), self.mailer.clone()),
            lists: Lists::new(broker.clone(), clock.clone()),
            members: Members::new(self.platform.clone()),
            messages: Messages::new(broker.clone(), vault.clone()),
            publications: Publications::new(
                broker.clone(),
                clock.clone(),
                self.renderer.clone(),
                vault.clone(),
            ),
            sites: self.sites.clone(),
            subscriptions: Subscriptions::new(SubscriptionPorts {
                broker: broker.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
                tokens: self.contact_tokens.clone(),
                work: self.work.clone(),
            }),
            readiness: Readiness::new(broker.clone()),
            templates: Templates::new(broker.clone(), clock.clone(), self.renderer.clone(), sites.clone()),
            tracking: self.tracking.clone(),
            transactional: Transactional::new(
                broker.clone(),
                clock.clone(),
                ids.clone(),
                vault.clone(),
                self.work.clone(),
                self.retention,
                self.deliveries.clone(),
            ),
            users: self.users(),
            workspaces: Workspaces::new(self.platform.clone()),
        }
    }

    pub(super) fn worker(&self, wakeup: Arc<Wakeup>) -> Worker {
        Worker::new(
            self.deliveries.clone(),
            Arc::new(self.broadcasts()),
            self.work.clone(),
            wakeup,
            worker::Config::default(),
        )
    }
}

/// What speaks with providers over HTTP.
fn over_http(
    allow_private_hosts: bool,
    clock: &Arc<SystemClock>,
) -> anyhow::Result<(HttpMailer, SignedFeedback, HttpRegistrar)> {
    let reach = providers::Config { allow_private_hosts, ..providers::Config::default() };
    let signed = SignedFeedback::new(&reach, clock.clone());
    let registrar = HttpRegistrar::new(reach.clone(), clock.clone());
    let mailer = HttpMailer::new(reach, clock.clone());
    let unsafe_to_reach = "providers cannot be reached safely";
    Ok((
        mailer.context(unsafe_to_reach)?,
        signed.context(unsafe_to_reach)?,
        registrar.context(unsafe_to_reach)?,
    ))
}

fn breaker(pause: std::time::Duration) -> BreakerPolicy {
    let usual = BreakerPolicy::default();
    let pause = chrono::Duration::from_std(pause).unwrap_or(usual.pause);
    BreakerPolicy { pause, longest: pause * 15, ..usual }
}

fn retention(settings: &Settings) -> anyhow::Result<Retention> {
    let keys = chrono::Duration::from_std(settings.key_retention);
    let attachments = chrono::Duration::from_std(settings.attachment_retention);
    Ok(Retention {
        keys: keys.context("IDEMPOTENCY_KEY_RETENTION is too long")?,
        attachments: attachments.context("ATTACHMENT_RETENTION is too long")?,
    })
}

/// What signs the links of mails.
struct Tokens {
    tracking: Arc<HmacTrackingTokens>,
    contacts: Arc<HmacContactTokens>,
}

fn deliveries(
    settings: &Settings,
    platform: &Platform,
    mailer: Arc<dyn Mailer>,
    renderer: Arc<MjmlRenderer>,
    tokens: Tokens,
    retention: Retention,
    feeds: Arc<Feeds>,
) -> Deliveries {
    let Platform { broker, clock, ids, random, vault, installation, .. } = platform;
    let base = chrono::Duration::from_std(settings.retry_base).unwrap_or(RetryPolicy::default().base);
    let config = DeliveryConfig {
        endpoint: installation.api_endpoint.clone(),
        retry: RetryPolicy { base, ..RetryPolicy::default() },
        lease: chrono::Duration::from_std(settings.claim).unwrap_or(chrono::Duration::minutes(1)),
        batch: BATCH,
        retry_unknown: settings.retry_unknown,
        key_retention: retention.keys,
        message_retention: chrono::Duration::from_std(settings.message_retention)
            .unwrap_or(chrono::Duration::days(3_650)),
        breaker: breaker(settings.breaker_pause),
        several_processes: matches!(settings.database, Database::PostgreSql(_)),
    };
    let ports = DeliveryPorts {
        broker: broker.clone(),
        clock: clock.clone(),
        random: random.clone(),
        vault: vault.clone(),
        mailer,
        renderer,
        ids: ids.clone(),
        feeds,
        tracking_tokens: tokens.tracking,
        contact_tokens: tokens.contacts,
    };
    Deliveries::new(ports, config)
}

fn metered(mailer: Arc<dyn Mailer>) -> Arc<dyn Mailer> {
    Arc::new(MeteredMailer::new(mailer))
}

fn store_config(settings: &Settings) -> store::Config {
    let engine = match &settings.database {
        Database::Embedded => Engine::Sqlite(SqliteFiles::new(&settings.data_dir)),
        Database::PostgreSql(server) => Engine::Postgres(PostgresServer {
            host: server.host.clone(),
            port: server.port,
            user: server.user.clone(),
            password: server.password.clone(),
            database: server.database.clone(),
            prefix: server.prefix.clone(),
            tls: match server.tls {
                settings::TlsMode::Disable => TlsMode::Disable,
                settings::TlsMode::Allow => TlsMode::Allow,
                settings::TlsMode::Prefer => TlsMode::Prefer,
                settings::TlsMode::Require => TlsMode::Require,
                settings::TlsMode::VerifyCa => TlsMode::VerifyCa,
                settings::TlsMode::VerifyFull => TlsMode::VerifyFull,
            },
        }),
    };
    store::Config {
        limits: settings.limits.clone(),
        statement_timeout: settings.sessions.statement_timeout,
        statement_timeout_background: settings.sessions.statement_timeout_background,
        budget_clamp: settings.budget_clamp,
        listens: settings.worker_enabled,
        cluster: settings.cluster.map(|cluster| store::Cluster { ttl: cluster.ttl }),
        idle_in_transaction_timeout: settings.sessions.idle_in_transaction_timeout,
        statement_cache: usize::try_from(settings.sessions.statement_cache).unwrap_or(usize::MAX),
        ..store::Config::new(engine, instance())
    }
}

/// A name for this run of the process.
fn instance() -> String {
    use application::ports::IdGenerator as _;
    let id = UuidGenerator.uuid().simple().to_string();
    id[id.len() - 12..].to_owned()
}

fn installation(settings: &Settings) -> Installation {
    Installation {
        environment: match settings.environment {
            settings::Environment::Production => Environment::Production,
            settings::Environment::Development => Environment::Development,
        },
        root_email: Some(settings.root_email.clone()),
        api_endpoint: settings.public_address(),
        mail_route: system_mail_route(&settings.system_mail),
        mail_from: Mailbox { address: settings.from_email.clone(), name: Some(settings.from_name.clone()) },
        max_workspaces: settings.max_workspaces.unwrap_or_default(),
        max_users: settings.max_users.unwrap_or_default(),
    }
}

fn system_mail_route(system_mail: &SystemMail) -> MailRoute {
    let SystemMail::Smtp(smtp) = system_mail else { return MailRoute::Outbox };
    let security = match (smtp.use_tls, smtp.port) {
        (false, _) => SmtpSecurity::None,
        (true, SUBMISSIONS) => SmtpSecurity::Implicit,
        (true, _) => SmtpSecurity::StartTls,
    };
    let settings = SmtpSettings {
        host: smtp.host.clone(),
        port: smtp.port,
        security,
        ehlo_hostname: smtp.ehlo_hostname.clone(),
        username: smtp.username.clone(),
        password: smtp.password.clone(),
    };
    MailRoute::Provider { pool: None, settings: Arc::new(ProviderSettings::Smtp(settings)) }
}
