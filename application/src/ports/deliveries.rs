//! The queue of mails in a workspace.

use super::StoreError;
use async_trait::async_trait;
use domain::{
    Timestamp,
    deliveries::{Delivery, Outcome},
    ids::{BroadcastId, IntegrationId, MessageId},
};

/// The result of a claimed delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Which delivery.
    pub message: MessageId,
    /// How the attempt ended.
    pub outcome: Outcome,
}

/// A claim to begin: the attempt tells it from later claims of the same delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Which delivery.
    pub message: MessageId,
    /// Its attempts as they were when it was claimed.
    pub attempts: u32,
}

/// Keeps the queue. A delivery is waiting, claimed, begun or set aside; a final outcome removes it.
/// What was claimed but not begun has surely not been handed over, what was begun may have been.
#[async_trait]
pub trait DeliveryStore {
    /// Adds waiting deliveries. Fails with [`StoreError::Duplicate`] when one exists.
    async fn insert_deliveries(&mut self, deliveries: &[Delivery]) -> Result<(), StoreError>;

    /// Takes up to `limit` waiting deliveries that are due until `lease_until`, and counts an attempt
    /// for each: by priority, then in equal parts from every source so that a long queue of one delays
    /// no other, and of a source by the moment when they were due. Two claims at once
    /// never take the same delivery. Deliveries of the integrations in `except` are passed over.
    async fn claim_deliveries(
        &mut self,
        limit: usize,
        except: &[IntegrationId],
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Notes that claimed deliveries are about to be handed over. Answers which may be: a claim that
    /// has lapsed and was given back in the meantime may not, even when it was claimed anew.
    async fn begin_deliveries(&mut self, claims: &[Claim]) -> Result<Vec<MessageId>, StoreError>;

    /// Gives back claimed deliveries that were not begun before their lease ran out. The attempt
    /// stays counted. Answers how many there were.
    async fn release_lapsed(&mut self, now: Timestamp) -> Result<u64, StoreError>;

    /// Begun deliveries whose lease has run out: their process ended before it could settle them.
    async fn lapsed_deliveries(&mut self, now: Timestamp, limit: usize) -> Result<Vec<Delivery>, StoreError>;

    /// Ends begun deliveries: a retry waits again until its moment, any other outcome removes the
    /// delivery. One that is not begun is passed over. Answers which were ended.
    async fn settle_deliveries(&mut self, settled: &[Settled]) -> Result<Vec<MessageId>, StoreError>;

    /// Extends the leases of claimed and begun deliveries. One that waits is passed over.
    async fn hold_deliveries(
        &mut self,
        messages: &[MessageId],
        lease_until: Timestamp,
    ) -> Result<(), StoreError>;

    /// Gives claimed deliveries back untried: they wait again and the attempt is not counted. One that
    /// is begun or waits is passed over.
    async fn release_deliveries(&mut self, messages: &[MessageId]) -> Result<(), StoreError>;

    /// Sets aside what waits or is claimed of a broadcast, so that it is neither claimed nor begun
    /// until it is put back. Attempts stay counted. What is begun is passed over. Waits until other
    /// units of work that change the queue have ended, so this one must not have changed it before.
    async fn set_deliveries_aside(&mut self, broadcast: &BroadcastId) -> Result<(), StoreError>;

    /// Sets deliveries aside that this unit of work has settled as to be tried again.
    async fn set_retries_aside(&mut self, messages: &[MessageId]) -> Result<(), StoreError>;

    /// Lets what was set aside of a broadcast wait again, each delivery until its moment. Waits like
    /// [`DeliveryStore::set_deliveries_aside`].
    async fn put_deliveries_back(&mut self, broadcast: &BroadcastId) -> Result<(), StoreError>;

    /// Removes up to `limit` deliveries of a broadcast, except begun ones. Answers which; none when
    /// there are no more. Waits like [`DeliveryStore::set_deliveries_aside`].
    async fn remove_deliveries(
        &mut self,
        broadcast: &BroadcastId,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// The earliest moment at which a lease runs out, or a waiting delivery is due whose integration
    /// is not in `except`.
    async fn next_delivery_due(&mut self, except: &[IntegrationId]) -> Result<Option<Timestamp>, StoreError>;
}
