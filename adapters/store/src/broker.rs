//! Both ports of leases and databases, on top of the connection broker.

mod allowance;
mod cluster;
mod databases;
mod meter;
mod migrate;
#[cfg(test)]
mod tests;

pub use migrate::MigrationProgress;

use crate::{
    channel::WorkChannel,
    config::{Cluster, Config, ConfigError, Engine},
    connector::{EngineConnector, Names, PostgresConnector},
    entity::workspace,
    failure::{RETRY_AFTER, store_error},
    fence::Fence,
    naming::Naming,
    session::Session,
};
use ::broker::{
    Access, Broker, BrokerError, BrokerStats, LeaseOptions, ShutdownReport, StatsPage, WorkspaceKey,
};
use application::ports::{
    Class, ConnectionBroker, Purpose, StoreError, SystemStore, SystemUnitOfWork, UnitOfWork, WorkSignal,
    WorkspaceStore,
};
use async_trait::async_trait;
use cluster::Membership;
use domain::{ids::WorkspaceId, workspaces::WorkspaceState};
use sea_orm::EntityTrait as _;
use std::{sync::Arc, time::Duration};

/// How long a first connection may be waited for.
const FIRST_OPEN: Duration = Duration::from_secs(30);

type Lease = ::broker::Lease<EngineConnector>;

/// Lends the connections of one engine. Cheap to clone; all clones share one budget.
#[derive(Clone)]
pub struct StoreBroker {
    broker: Broker<EngineConnector>,
    connector: EngineConnector,
    naming: Naming,
    names: Names,
    instance: Arc<str>,
    statement_timeout: Duration,
    background_timeout: Duration,
    budget_clamp: bool,
    /// Connections of the budget that are never lent.
    own: u32,
    hears_others: bool,
    fence: Fence,
    membership: Option<Arc<Membership>>,
}

impl StoreBroker {
    /// Opens nothing. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        config.check()?;
        let mut limits = config.limits.clone();
        limits.single_writer = matches!(config.engine, Engine::Sqlite(_));
        let own = config.own_connections();
        limits.share = Some(limits.effective_share().saturating_sub(own));
        let naming = match &config.engine {
            Engine::Sqlite(_) => Naming::Plain,
            Engine::Postgres(server) => Naming::Prefixed(Arc::from(server.prefix.as_str())),
        };
        let names = Names::new();
        let fence = if config.cluster.is_some() { Fence::closed() } else { Fence::open() };
        let connector = EngineConnector::new(config, names.clone(), fence.clone());
        let instance: Arc<str> = Arc::from(config.instance.as_str());
        let broker = Broker::new(limits, connector.clone())?;
        let membership = match (&connector, config.cluster) {
            (EngineConnector::Postgres(server), Some(Cluster { ttl })) => Some(Arc::new(Membership::new(
                broker.clone(),
                Arc::clone(server),
                fence.clone(),
                Arc::clone(&instance),
                own,
                ttl,
            ))),
            _ => None,
        };
        Ok(Self {
            broker,
            connector,
            naming,
            names,
            instance,
            statement_timeout: config.statement_timeout,
            background_timeout: config.statement_timeout_background,
            budget_clamp: config.budget_clamp,
            own,
            hears_others: config.hears_others(),
            fence,
            membership,
        })
    }

    /// Makes the system database when it is absent and brings its tables up to date. Workspaces
    /// are brought up to date when they are first opened.
    ///
    /// # Errors
    /// When the database cannot be reached or made, or is newer than this program, or when the server
    /// gives fewer connections than the budget.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        self.connector.create_system().await?;
        if let EngineConnector::Postgres(server) = &self.connector {
            // Seldom and large, so not a part of whoever waits for it.
            Box::pin(self.agree_with(server)).await?;
        }
        // The first open brings tables up to date.
        let first = options(Purpose::interactive("prepare"), Access::Read).within(FIRST_OPEN);
        self.broker.system(first).await.map(drop).map_err(refusal)
    }

    /// Has a budget that the server can keep, and a share of it if there are others.
    async fn agree_with(&self, server: &PostgresConnector) -> Result<(), StoreError> {
        self.fit_budget(server).await?;
        if let Some(membership) = &self.membership {
            server.migrate_system().await?;
            membership.enter().await?;
        }
        Ok(())
    }

    /// Figures of the broker, without any I/O.
    #[must_use]
    pub fn stats(&self, page: StatsPage) -> BrokerStats {
        self.broker.stats(page)
    }

    /// How processes on one server tell each other of work, besides waking whoever does it here.
    /// `None` for files, which belong to one process. To be called once.
    #[must_use]
    pub fn work_channel(&self, here: Arc<dyn WorkSignal>) -> Option<WorkChannel> {
        let EngineConnector::Postgres(server) = &self.connector else { return None };
        let (instance, fence) = (Arc::clone(&self.instance), self.fence.clone());
        Some(WorkChannel::new(Arc::clone(server), instance, fence, self.hears_others, here))
    }

    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    /// Refuses new leases, waits for those that are out and closes everything.
    pub async fn shutdown(&self, within: Duration) -> ShutdownReport {
        let report = self.broker.shutdown(within).await;
        if let Some(membership) = &self.membership {
            membership.leave().await;
        }
        self.connector.close_own().await;
        report
    }

    #[tracing::instrument(name = "lease", level = "debug", skip_all, fields(label = purpose.label))]
    pub(crate) async fn system(&self, purpose: Purpose, access: Access) -> Result<Lease, StoreError> {
        self.require_share()?;
        let lease = self.broker.system(options(purpose, access)).await.map_err(refusal)?;
        self.timed(lease, purpose.class).await
    }

    #[tracing::instrument(
        name = "lease",
        level = "debug",
        skip_all,
        fields(label = purpose.label, workspace.id = %workspace)
    )]
    async fn workspace(
        &self,
        workspace: &WorkspaceId,
        purpose: Purpose,
        access: Access,
    ) -> Result<Lease, StoreError> {
        self.require_active(workspace, purpose).await?;
        self.require_share()?;
        let lease = self.broker.lease(&key(workspace), options(purpose, access)).await;
        if matches!(lease, Err(BrokerError::DatabaseMissing { .. } | BrokerError::Retired { .. })) {
            self.names.forget(workspace).await;
        }
        self.timed(lease.map_err(refusal)?, purpose.class).await
    }

    /// Nothing is lent while it is not known whether this process may have connections.
    fn require_share(&self) -> Result<(), StoreError> {
        if self.fence.is_open() { Ok(()) } else { Err(StoreError::Unavailable { retry_after: RETRY_AFTER }) }
    }

    /// Gives statements the time of their class.
    async fn timed(&self, mut lease: Lease, class: Class) -> Result<Lease, StoreError> {
        // It may have been waited for.
        self.require_share()?;
        let timeout = match class {
            Class::Background => self.background_timeout,
            Class::Interactive | Class::Delivery => self.statement_timeout,
        };
        // Before it is asked, so that it also holds when the caller goes away meanwhile.
        lease.mark_dirty();
        if let Err(error) = lease.connection().allow(timeout).await {
            lease.mark_broken();
            return Err(store_error(error));
        }
        lease.mark_clean();
        Ok(lease)
    }

    /// The directory decides: without an active entry no database is touched.
    async fn require_active(&self, workspace: &WorkspaceId, purpose: Purpose) -> Result<(), StoreError> {
        if self.names.is_active(workspace).await {
            return Ok(());
        }
        let row = self.directory_entry(workspace, purpose).await?.ok_or(StoreError::WorkspaceMissing)?;
        if row.state != WorkspaceState::Active.name() {
            return Err(StoreError::WorkspaceMissing);
        }
        self.names.activate(workspace, &row.database_name).await;
        Ok(())
    }

    async fn directory_entry(
        &self,
        workspace: &WorkspaceId,
        purpose: Purpose,
    ) -> Result<Option<workspace::Model>, StoreError> {
        let mut session = self.system_session(purpose).await?;
        session.model(workspace::Entity::find_by_id(workspace.as_str())).await
    }

    pub(crate) async fn system_session(&self, purpose: Purpose) -> Result<Session, StoreError> {
        Ok(Session::reading(self.system(purpose, Access::Read).await?, self.naming.clone()))
    }
}

#[async_trait]
impl ConnectionBroker for StoreBroker {
    async fn read(
        &self,
        workspace: &WorkspaceId,
        purpose: Purpose,
    ) -> Result<Box<dyn WorkspaceStore>, StoreError> {
        let lease = self.workspace(workspace, purpose, Access::Read).await?;
        Ok(Box::new(Session::reading(lease, self.naming.clone())))
    }

    async fn write(
        &self,
        workspace: &WorkspaceId,
        purpose: Purpose,
    ) -> Result<Box<dyn UnitOfWork>, StoreError> {
        let lease = self.workspace(workspace, purpose, Access::Write).await?;
        Ok(Box::new(Session::begin(lease, self.naming.clone()).await?))
    }

    async fn read_system(&self, purpose: Purpose) -> Result<Box<dyn SystemStore>, StoreError> {
        Ok(Box::new(self.system_session(purpose).await?))
    }

    async fn write_system(&self, purpose: Purpose) -> Result<Box<dyn SystemUnitOfWork>, StoreError> {
        let lease = self.system(purpose, Access::Write).await?;
        Ok(Box::new(Session::begin(lease, self.naming.clone()).await?))
    }
}

#[async_trait]
impl UnitOfWork for Session {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.keep().await
    }
}

impl SystemStore for Session {}

#[async_trait]
impl SystemUnitOfWork for Session {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.keep().await
    }
}

fn key(workspace: &WorkspaceId) -> WorkspaceKey {
    WorkspaceKey::from(workspace.as_str())
}

fn options(purpose: Purpose, access: Access) -> LeaseOptions {
    let class = match purpose.class {
        Class::Interactive => ::broker::Class::Interactive,
        Class::Delivery => ::broker::Class::Delivery,
        Class::Background => ::broker::Class::Background,
    };
    LeaseOptions { class, wait: None, label: purpose.label, access }
}

fn refusal(error: BrokerError) -> StoreError {
    match error {
        BrokerError::ConnectionLimit { max, current, workspace, retry_after, .. } => {
            let workspace = workspace.and_then(|key| WorkspaceId::parse(key.as_str()).ok());
            StoreError::ConnectionLimit { max, current, workspace, retry_after }
        }
        BrokerError::Unavailable { retry_after } => StoreError::Unavailable { retry_after },
        BrokerError::DatabaseMissing { .. } | BrokerError::Retired { .. } => StoreError::WorkspaceMissing,
        BrokerError::ShuttingDown => StoreError::ShuttingDown,
    }
}
