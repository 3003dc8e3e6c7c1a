//! The queue of mails in a workspace.

use super::StoreError;
use async_trait::async_trait;
use domain::{
    Timestamp,
    deliveries::{Delivery, Outcome},
    ids::{IntegrationId, MessageId},
};

/// The result of a claimed delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Which delivery.
    pub message: MessageId,
    /// How the attempt ended.
    pub outcome: Outcome,
}

/// Keeps the queue. A delivery is waiting or claimed; a final outcome removes it.
#[async_trait]
pub trait DeliveryStore {
    /// Adds waiting deliveries. Fails with [`StoreError::Duplicate`] when one exists.
    async fn insert_deliveries(&mut self, deliveries: &[Delivery]) -> Result<(), StoreError>;

    /// Takes up to `limit` waiting deliveries that are due, by priority and then by the moment when
    /// they were due, until `lease_until`, and counts an attempt for each. Two claims at once
    /// never take the same delivery. Deliveries of the integrations in `except` are passed over.
    async fn claim_deliveries(
        &mut self,
        limit: usize,
        except: &[IntegrationId],
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Claimed deliveries whose lease has run out: their process ended before it could settle them.
    async fn lapsed_deliveries(&mut self, now: Timestamp, limit: usize) -> Result<Vec<Delivery>, StoreError>;

    /// Ends the claim of deliveries: a retry waits again until its moment, any other outcome
    /// removes the delivery. One that is not claimed is passed over. Answers whose claim was ended.
    async fn settle_deliveries(&mut self, settled: &[Settled]) -> Result<Vec<MessageId>, StoreError>;

    /// Extends the claims of deliveries that are still being handed over. One that is not claimed is
    /// passed over.
    async fn hold_deliveries(
        &mut self,
        messages: &[MessageId],
        lease_until: Timestamp,
    ) -> Result<(), StoreError>;

    /// Gives claimed deliveries back untried: they wait again and the attempt is not counted.
    async fn release_deliveries(&mut self, messages: &[MessageId]) -> Result<(), StoreError>;

    /// The earliest moment at which a waiting delivery is due or a claim lapses.
    async fn next_delivery_due(&mut self) -> Result<Option<Timestamp>, StoreError>;
}
