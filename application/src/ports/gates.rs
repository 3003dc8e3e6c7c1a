//! What all processes must agree on about a provider: how far its rate is used up, and whether it works.

use super::StoreError;
use async_trait::async_trait;
use domain::{circuits::Circuit, ids::IntegrationId, pace::Pace};

/// The way to one provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// Which provider.
    pub integration: IntegrationId,
    /// How far its rate is used up.
    pub pace: Pace,
    /// Whether it works; `None` when nothing bad is known.
    pub circuit: Option<Circuit>,
}

impl Gate {
    /// The way to a provider that was never used.
    #[must_use]
    pub fn unused(integration: IntegrationId) -> Self {
        Self { integration, pace: Pace::default(), circuit: None }
    }
}

/// Keeps a gate for each integration, from its beginning to its end.
#[async_trait]
pub trait GateStore {
    /// The gates of those integrations that exist.
    async fn gates(&mut self, integrations: &[IntegrationId]) -> Result<Vec<Gate>, StoreError>;

    /// The same; until this unit of work ends, no other can change them.
    async fn gates_for_update(&mut self, integrations: &[IntegrationId]) -> Result<Vec<Gate>, StoreError>;

    /// Replaces a gate. Does nothing when the integration is gone.
    async fn update_gate(&mut self, gate: &Gate) -> Result<(), StoreError>;
}
