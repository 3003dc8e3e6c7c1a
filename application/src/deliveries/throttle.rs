//! Rate limits of providers: a token bucket for each integration.

use domain::{Timestamp, deliveries::Delivery, ids::IntegrationId, ids::MessageId};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// The buckets of this process.
#[derive(Default)]
pub(super) struct Throttle {
    buckets: Mutex<HashMap<IntegrationId, Bucket>>,
}

struct Bucket {
    tokens: f64,
    per_minute: f64,
    filled_at: Timestamp,
}

/// What may be claimed now.
pub(super) struct Allowance {
    /// Integrations without a token.
    pub(super) exhausted: Vec<IntegrationId>,
    /// Most deliveries that can use a token; `None` when the workspace has no integration.
    pub(super) most: Option<usize>,
    /// When the first exhausted integration has a token again.
    pub(super) next: Option<Timestamp>,
}

impl Bucket {
    /// A bucket holds the mails of one second, and at least one.
    fn capacity(&self) -> f64 {
        (self.per_minute / 60.0).max(1.0)
    }

    fn fill(&mut self, now: Timestamp) {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since the last look are few")]
        let minutes = (now - self.filled_at).num_milliseconds().max(0) as f64 / 60_000.0;
        self.tokens = (self.tokens + minutes * self.per_minute).min(self.capacity());
        self.filled_at = now;
    }

    #[expect(clippy::cast_possible_truncation, reason = "a wait of at most a minute, in milliseconds")]
    fn next_token(&self, now: Timestamp) -> Timestamp {
        let missing = (1.0 - self.tokens).max(0.0);
        now + chrono::Duration::milliseconds((missing / self.per_minute * 60_000.0).ceil() as i64)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "tokens are never negative and far below 2^32"
    )]
    fn whole(&self) -> usize {
        self.tokens.max(0.0) as usize
    }
}

impl Throttle {
    /// What the integrations of a workspace, with their mails per minute, allow now.
    pub(super) fn allowance(
        &self,
        rates: impl Iterator<Item = (IntegrationId, u32)>,
        now: Timestamp,
    ) -> Allowance {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut allowance = Allowance { exhausted: Vec::new(), most: None, next: None };
        for (id, per_minute) in rates {
            let per_minute = f64::from(per_minute.max(1));
            let bucket = buckets.entry(id).or_insert_with(|| {
                let mut full = Bucket { tokens: 0.0, per_minute, filled_at: now };
                full.tokens = full.capacity();
                full
            });
            bucket.per_minute = per_minute;
            bucket.fill(now);
            let whole = bucket.whole();
            allowance.most = Some(allowance.most.unwrap_or(0) + whole);
            if whole == 0 {
                let free = bucket.next_token(now);
                allowance.exhausted.push(id);
                allowance.next = Some(allowance.next.map_or(free, |next| next.min(free)));
            }
        }
        allowance
    }

    /// Takes a token for each delivery, and takes out of the list those for which there is none. A
    /// delivery whose integration is gone needs none: it fails without sending.
    pub(super) fn take(&self, claimed: &mut Vec<Delivery>, now: Timestamp) -> Vec<MessageId> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut over = Vec::new();
        claimed.retain(|delivery| {
            let Some(bucket) = buckets.get_mut(&delivery.integration) else {
                return true;
            };
            bucket.fill(now);
            if bucket.tokens < 1.0 {
                over.push(delivery.message.clone());
                return false;
            }
            bucket.tokens -= 1.0;
            true
        });
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        deliveries::DeliverySource,
        email_address::EmailAddress,
        ids::{NotificationId, TemplateId},
    };

    fn deliveries(integration: IntegrationId, n: u128) -> Vec<Delivery> {
        (0..n)
            .map(|i| Delivery {
                message: MessageId::from_uuid(uuid::Uuid::from_u128(i)),
                source: DeliverySource::Transactional { notification: NotificationId::parse("n").unwrap() },
                recipient: EmailAddress::parse("ana@shop.example").unwrap(),
                template: TemplateId::parse("t").unwrap(),
                template_version: 1,
                integration,
                attempts: 1,
                due_at: Timestamp::UNIX_EPOCH,
                created_at: Timestamp::UNIX_EPOCH,
            })
            .collect()
    }

    #[test]
    fn no_more_than_the_rate_is_taken() {
        let throttle = Throttle::default();
        let id = IntegrationId::from_uuid(uuid::Uuid::from_u128(1));
        let mut sent = 0;
        for second in 0..60 {
            let now = Timestamp::UNIX_EPOCH + chrono::Duration::seconds(second);
            throttle.allowance(std::iter::once((id, 120)), now);
            let mut claimed = deliveries(id, 10);
            let over = throttle.take(&mut claimed, now);
            assert_eq!(claimed.len() + over.len(), 10);
            sent += claimed.len();
        }
        assert!((119..=122).contains(&sent), "{sent}");
    }

    #[test]
    fn an_exhausted_integration_says_when_it_is_free() {
        let throttle = Throttle::default();
        let id = IntegrationId::from_uuid(uuid::Uuid::from_u128(1));
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(throttle.allowance(std::iter::once((id, 1)), now).most, Some(1));
        throttle.take(&mut deliveries(id, 1), now);
        let allowance = throttle.allowance(std::iter::once((id, 1)), now);
        assert_eq!(allowance.exhausted, [id]);
        assert_eq!(allowance.next, Some(now + chrono::Duration::minutes(1)));
        let later = now + chrono::Duration::minutes(1);
        assert!(throttle.allowance(std::iter::once((id, 1)), later).exhausted.is_empty());
    }
}
