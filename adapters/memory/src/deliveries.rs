//! The queue of mails in a workspace.

use crate::{
    MemorySession,
    state::{Queued, WorkspaceState},
};
use application::ports::{Claim, DeliveryStore, Settled, StoreError};
use async_trait::async_trait;
use domain::{
    Timestamp,
    deliveries::{Delivery, DeliverySource, Outcome},
    ids::{BroadcastId, IntegrationId, MessageId},
};
use std::collections::{HashMap, btree_map::Entry};

#[async_trait]
impl DeliveryStore for MemorySession<WorkspaceState> {
    async fn insert_deliveries(&mut self, deliveries: &[Delivery]) -> Result<(), StoreError> {
        self.change(|state| {
            for delivery in deliveries {
                match state.deliveries.entry(delivery.message.clone()) {
                    Entry::Occupied(_) => return Err(StoreError::Duplicate),
                    Entry::Vacant(place) => {
                        place.insert(Queued {
                            delivery: delivery.clone(),
                            claimed_until: None,
                            begun: false,
                            aside: false,
                        });
                    }
                }
            }
            Ok(())
        })
    }

    async fn claim_deliveries(
        &mut self,
        limit: usize,
        except: &[IntegrationId],
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.change(|state| {
            let free = |q: &&mut Queued| {
                q.claimed_until.is_none()
                    && !q.aside
                    && q.delivery.due_at <= now
                    && !except.contains(&q.delivery.integration)
            };
            let mut due: Vec<_> = state.deliveries.values_mut().filter(free).collect();
            due.sort_by_key(|q| (q.delivery.source.priority(), q.delivery.due_at));
            // The first of every source goes before the second of any.
            let mut taken: HashMap<String, usize> = HashMap::new();
            due.sort_by_cached_key(|q| {
                let turn = taken.entry(format!("{:?}", key_of(&q.delivery.source))).or_default();
                *turn += 1;
                (q.delivery.source.priority(), *turn)
            });
            let mut claimed: Vec<_> = due
                .into_iter()
                .take(limit)
                .map(|queued| {
                    queued.claimed_until = Some(lease_until);
                    queued.delivery.attempts += 1;
                    queued.delivery.clone()
                })
                .collect();
            claimed.sort_by_key(|d| (d.source.priority(), d.due_at));
            Ok(claimed)
        })
    }

    async fn begin_deliveries(&mut self, claims: &[Claim]) -> Result<Vec<MessageId>, StoreError> {
        self.change(|state| {
            let mut begun = Vec::new();
            for Claim { message, attempts } in claims {
                let Some(queued) = state.claimed(message) else { continue };
                if !queued.begun && queued.delivery.attempts == *attempts {
                    queued.begun = true;
                    begun.push(message.clone());
                }
            }
            Ok(begun)
        })
    }

    async fn release_lapsed(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        self.change(|state| {
            let lapsed = |q: &&mut Queued| !q.begun && q.claimed_until.is_some_and(|end| end <= now);
            let mut released = 0;
            for queued in state.deliveries.values_mut().filter(lapsed) {
                queued.claimed_until = None;
                released += 1;
            }
            Ok(released)
        })
    }

    async fn lapsed_deliveries(&mut self, now: Timestamp, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        self.look(|state| {
            let mut lapsed: Vec<_> = state
                .deliveries
                .values()
                .filter(|q| q.begun && q.claimed_until.is_some_and(|end| end <= now))
                .collect();
            lapsed.sort_by_key(|q| q.claimed_until);
            lapsed.into_iter().take(limit).map(|q| q.delivery.clone()).collect()
        })
    }

    async fn settle_deliveries(&mut self, settled: &[Settled]) -> Result<Vec<MessageId>, StoreError> {
        self.change(|state| {
            let mut ended = Vec::new();
            for Settled { message, outcome } in settled {
                let Some(queued) = state.claimed(message).filter(|q| q.begun) else { continue };
                if let Outcome::Retry { at, .. } | Outcome::Halted { at, .. } = outcome {
                    queued.claimed_until = None;
                    queued.begun = false;
                    queued.delivery.due_at = *at;
                } else {
                    state.deliveries.remove(message);
                }
                ended.push(message.clone());
            }
            Ok(ended)
        })
    }

    async fn hold_deliveries(
        &mut self,
        messages: &[MessageId],
        lease_until: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(|state| {
            for message in messages {
                if let Some(queued) = state.claimed(message) {
                    queued.claimed_until = Some(lease_until);
                }
            }
            Ok(())
        })
    }

    async fn release_deliveries(&mut self, messages: &[MessageId]) -> Result<(), StoreError> {
        self.change(|state| {
            for message in messages {
                if let Some(queued) = state.claimed(message).filter(|q| !q.begun) {
                    queued.claimed_until = None;
                    queued.delivery.attempts = queued.delivery.attempts.saturating_sub(1);
                }
            }
            Ok(())
        })
    }

    async fn set_deliveries_aside(&mut self, broadcast: &BroadcastId) -> Result<(), StoreError> {
        self.change(|state| {
            for queued in state.deliveries.values_mut().filter(|q| !q.begun && q.is_of(broadcast)) {
                queued.claimed_until = None;
                queued.aside = true;
            }
            Ok(())
        })
    }

    async fn set_retries_aside(&mut self, messages: &[MessageId]) -> Result<(), StoreError> {
        self.change(|state| {
            for message in messages {
                if let Some(queued) = state.deliveries.get_mut(message) {
                    queued.aside |= queued.claimed_until.is_none();
                }
            }
            Ok(())
        })
    }

    async fn put_deliveries_back(&mut self, broadcast: &BroadcastId) -> Result<(), StoreError> {
        self.change(|state| {
            state.deliveries.values_mut().filter(|q| q.is_of(broadcast)).for_each(|q| q.aside = false);
            Ok(())
        })
    }

    async fn remove_deliveries(
        &mut self,
        broadcast: &BroadcastId,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.change(|state| {
            let chosen = state.deliveries.values().filter(|q| !q.begun && q.is_of(broadcast)).take(limit);
            let removed: Vec<_> = chosen.map(|q| q.delivery.clone()).collect();
            for delivery in &removed {
                state.deliveries.remove(&delivery.message);
            }
            Ok(removed)
        })
    }

    async fn next_delivery_due(&mut self, except: &[IntegrationId]) -> Result<Option<Timestamp>, StoreError> {
        self.look(|state| {
            let moving = state.deliveries.values().filter(|q| {
                !q.aside && (q.claimed_until.is_some() || !except.contains(&q.delivery.integration))
            });
            moving.map(|q| q.claimed_until.unwrap_or(q.delivery.due_at)).min()
        })
    }
}

/// What deliveries are shared out by.
fn key_of(source: &DeliverySource) -> &str {
    match source {
        DeliverySource::Transactional { notification } => notification.as_str(),
        DeliverySource::Broadcast { broadcast, .. } => broadcast.as_str(),
        DeliverySource::Subscription { list } => list.as_ref().map_or("", |list| list.as_str()),
    }
}

impl Queued {
    pub(crate) fn is_of(&self, broadcast: &BroadcastId) -> bool {
        matches!(&self.delivery.source, DeliverySource::Broadcast { broadcast: b, .. } if b == broadcast)
    }
}

impl WorkspaceState {
    fn claimed(&mut self, message: &MessageId) -> Option<&mut Queued> {
        self.deliveries.get_mut(message).filter(|q| q.claimed_until.is_some())
    }
}
