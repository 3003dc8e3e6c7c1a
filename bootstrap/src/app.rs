//! The application: every adapter in its port, started and stopped in order.

mod mailers;
mod ports;
mod running;

pub use running::Running;

use crate::{settings::Settings, telemetry::Measured};
use anyhow::Context as _;
use application::{broadcasts::Broadcasts, tracking::Tracking, users::Users};
use crypto::UuidGenerator;
use domain::secret::Secret;
use http_api::{HttpSettings, ShutdownGate};
use poem::{EndpointExt as _, Response, endpoint::BoxEndpoint};
use ports::Ports;
use smtp::MailRouter;
use std::{net::SocketAddr, sync::Arc};
use store::{StoreBroker, WorkChannel};
use tokio::net::TcpListener;
use worker::{Wakeup, Worker};

/// Everything put together, nothing started.
pub struct App {
    settings: Settings,
    store: StoreBroker,
    mailers: [Arc<MailRouter>; 2],
    users: Users,
    broadcasts: Broadcasts,
    worker: Option<Worker>,
    endpoint: BoxEndpoint<'static, Response>,
    gate: ShutdownGate,
    tracking: Arc<Tracking>,
    channel: Option<Arc<WorkChannel>>,
}

impl App {
    /// Puts adapters into ports. Reads and writes nothing. To be called within a tokio runtime.
    ///
    /// # Errors
    /// When the settings cannot be used together.
    pub fn assemble(settings: Settings, secret_key: Secret) -> anyhow::Result<Self> {
        let wakeup = Arc::new(Wakeup::default());
        let ports = Ports::new(&settings, secret_key, wakeup.clone())?;
        let gate = ShutdownGate::default();
        let http = HttpSettings {
            cors_allow_origin: settings.cors_allow_origin.clone(),
            trusted_proxies: settings.trusted_proxies.clone(),
            gate: gate.clone(),
            ..HttpSettings::new(Arc::new(UuidGenerator))
        };
        let endpoint = http_api::api(ports.features(), http).with(Measured).boxed();
        let worker = settings.worker_enabled.then(|| ports.worker(wakeup));
        Ok(Self {
            users: ports.users(),
            broadcasts: ports.broadcasts(),
            tracking: ports.tracking.clone(),
            channel: ports.channel.clone(),
            mailers: [ports.smtp.clone(), ports.system_smtp.clone()],
            store: ports.store,
            settings,
            worker,
            endpoint,
            gate,
        })
    }

    /// What it was assembled with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The databases, for figures and migrations.
    #[must_use]
    pub fn store(&self) -> &StoreBroker {
        &self.store
    }

    /// Newsletters, for the check of their accounts.
    #[must_use]
    pub fn broadcasts(&self) -> &Broadcasts {
        &self.broadcasts
    }

    /// Makes the system database when it is absent, brings it up to date, and makes the account of
    /// the administrator. Can be repeated.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn prepare(&self) -> anyhow::Result<()> {
        self.store.prepare().await.context("the system database cannot be prepared")?;
        self.users.ensure_root_user().await.context("the administrator's account cannot be made")
    }

    /// Prepares, then answers requests on the listener and does the work of the queues until the
    /// answer is told to stop.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn start(self, listener: TcpListener) -> anyhow::Result<Running> {
        self.prepare().await?;
        Running::start(self, listener)
    }
}

/// Listens where the settings say, and notes the port that was taken.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn listen(settings: &mut Settings) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((settings.host.as_str(), settings.port)).await.with_context(|| {
        format!("cannot listen on {}:{} (SERVER_HOST, SERVER_PORT)", settings.host, settings.port)
    })?;
    let address = listener.local_addr()?;
    settings.port = address.port();
    Ok((listener, address))
}
