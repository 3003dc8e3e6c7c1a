//! Leases for SQL of one's own, over the connectors that the program uses. Only measurements enable
//! this: the program itself reads and writes through its stores.

use crate::{
    config::{Config, ConfigError},
    connection::Connection,
    connector::{EngineConnector, Names},
    fence::Fence,
};
use broker::{Broker, BrokerError, BrokerStats, LeaseOptions, ShutdownReport, StatsPage, WorkspaceKey};
use domain::ids::WorkspaceId;
use sea_orm::{ConnectionTrait as _, DbErr, Statement};
use std::time::Duration;

/// A broker without stores.
#[derive(Clone)]
pub struct RawBroker {
    broker: Broker<EngineConnector>,
    connector: EngineConnector,
    names: Names,
}

/// One leased connection.
pub struct RawLease(broker::Lease<EngineConnector>);

impl RawBroker {
    /// Opens nothing. As for the store, connections that are the connector's own are not lent.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        config.check()?;
        let mut limits = config.limits.clone();
        limits.share = Some(limits.effective_share() - config.own_connections());
        let names = Names::new();
        let connector = EngineConnector::new(config, names.clone(), Fence::open());
        Ok(Self { broker: Broker::new(limits, connector.clone())?, connector, names })
    }

    /// Tells which database a workspace has.
    pub async fn announce(&self, workspace: &WorkspaceId, database: &str) {
        self.names.announce(workspace, database).await;
    }

    /// Waits for a connection of a workspace.
    ///
    /// # Errors
    /// As [`Broker::lease`].
    pub async fn lease(
        &self,
        workspace: &WorkspaceKey,
        options: LeaseOptions,
    ) -> Result<RawLease, BrokerError> {
        self.broker.lease(workspace, options).await.map(RawLease)
    }

    /// Figures, without any I/O.
    #[must_use]
    pub fn stats(&self, page: StatsPage) -> BrokerStats {
        self.broker.stats(page)
    }

    /// Closes everything.
    pub async fn shutdown(&self, within: Duration) -> ShutdownReport {
        let report = self.broker.shutdown(within).await;
        self.connector.close_own().await;
        report
    }
}

impl RawLease {
    fn connection(&mut self) -> &Connection {
        self.0.connection()
    }

    /// Runs a statement, prepared as those of the stores are. Answers how many rows it had.
    ///
    /// # Errors
    /// Those of the engine; the connection is then closed.
    pub async fn execute(&mut self, sql: &str) -> Result<u64, DbErr> {
        let connection = self.connection();
        let statement = Statement::from_string(connection.get_database_backend(), sql);
        let outcome = connection.execute_raw(statement).await;
        if !self.connection().is_sound() {
            self.0.mark_broken();
        }
        outcome.map(|done| done.rows_affected())
    }
}
