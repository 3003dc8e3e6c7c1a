//! How the database connections are used, told to whoever runs the installation.

use crate::{
    access::{Denied, Identity},
    ports::{Clock, ConnectionFigures, ConnectionMeter, ConnectionPage, ConnectionSort},
};
use domain::Timestamp;
use std::sync::Arc;

/// Figures of the database connections. None of them needs a connection.
pub struct Connections {
    meter: Arc<dyn ConnectionMeter>,
    clock: Arc<dyn Clock>,
}

/// The figures with the moment that some of them are counted from.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionReport {
    /// The figures.
    pub figures: ConnectionFigures,
    /// When somebody was last refused for want of connections.
    pub last_limit_at: Option<Timestamp>,
}

impl Connections {
    /// Takes its ports.
    #[must_use]
    pub fn new(meter: Arc<dyn ConnectionMeter>, clock: Arc<dyn Clock>) -> Self {
        Self { meter, clock }
    }

    /// Everything that is known, workspace by workspace.
    ///
    /// # Errors
    /// When the caller is not the administrator of the installation.
    #[tracing::instrument(name = "connections.report", skip_all)]
    pub fn report(&self, caller: &Identity, page: &ConnectionPage) -> Result<ConnectionReport, Denied> {
        caller.require_root()?;
        let figures = self.meter.connections(page);
        let ago = figures.since_last_limit.and_then(|ago| chrono::Duration::from_std(ago).ok());
        Ok(ConnectionReport { last_limit_at: ago.map(|ago| self.clock.now() - ago), figures })
    }

    /// What anybody may know: figures of the whole installation, no workspace named.
    #[must_use]
    pub fn totals(&self) -> ConnectionFigures {
        self.meter.connections(&ConnectionPage { limit: 0, sort: ConnectionSort::default(), after: None })
    }
}
