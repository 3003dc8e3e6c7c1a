//! Whether the installation can serve.

use crate::ports::{ConnectionBroker, Purpose, StoreError};
use std::sync::Arc;

/// Looks whether the system database answers.
pub struct Readiness {
    broker: Arc<dyn ConnectionBroker>,
}

impl Readiness {
    /// Takes its port.
    #[must_use]
    pub fn new(broker: Arc<dyn ConnectionBroker>) -> Self {
        Self { broker }
    }

    /// Runs a small query on the system database.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn check(&self) -> Result<(), StoreError> {
        let mut store = self.broker.read_system(Purpose::interactive("readiness.check")).await?;
        store.next_work_due().await?;
        Ok(())
    }
}
