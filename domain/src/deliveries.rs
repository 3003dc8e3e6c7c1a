//! The durable queue: one delivery is one mail to hand over.

use crate::{
    Timestamp,
    broadcasts::SkipReason,
    email_address::EmailAddress,
    ids::{BroadcastId, IntegrationId, ListId, MessageId, NotificationId, TemplateId},
};
use chrono::Duration;

/// Where a mail comes from. Transactional mail goes before broadcasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliverySource {
    /// Asked for by a program.
    Transactional {
        /// The notification.
        notification: NotificationId,
    },
    /// Part of a broadcast.
    Broadcast {
        /// The broadcast.
        broadcast: BroadcastId,
        /// The list through which the contact is reached.
        list: ListId,
    },
    /// About the contact's own subscriptions.
    Subscription {
        /// The list whose subscription is to be confirmed; without one, the mail leads to all of them.
        list: Option<ListId>,
    },
}

impl DeliverySource {
    /// Lower goes first.
    #[must_use]
    pub fn priority(&self) -> i16 {
        match self {
            Self::Transactional { .. } | Self::Subscription { .. } => 1,
            Self::Broadcast { .. } => 5,
        }
    }

    /// The broadcast, when it is part of one.
    #[must_use]
    pub fn broadcast(&self) -> Option<&BroadcastId> {
        match self {
            Self::Transactional { .. } | Self::Subscription { .. } => None,
            Self::Broadcast { broadcast, .. } => Some(broadcast),
        }
    }
}

/// A mail to hand over. The row is deleted when the outcome is final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message; also the identity of the delivery.
    pub message: MessageId,
    /// Where it comes from.
    pub source: DeliverySource,
    /// Who receives it.
    pub recipient: EmailAddress,
    /// Template of the mail.
    pub template: TemplateId,
    /// Version of the template.
    pub template_version: i64,
    /// Provider to hand it to.
    pub integration: IntegrationId,
    /// How often it has been tried.
    pub attempts: u32,
    /// Not before this moment.
    pub due_at: Timestamp,
    /// When it was put into the queue.
    pub created_at: Timestamp,
}

/// How a delivery attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The provider took the mail.
    Sent,
    /// Not taken; to be tried again at the given moment.
    Retry {
        /// When.
        at: Timestamp,
        /// What the provider said, at most 255 characters.
        reason: String,
    },
    /// Not made, as others of its broadcast could not be either: the broadcast is paused for this
    /// reason, and the mail waits until it goes on.
    Halted {
        /// Not before this moment.
        at: Timestamp,
        /// Why, at most 255 characters.
        reason: String,
    },
    /// Not taken, and no further attempt.
    Failed {
        /// What the provider said, at most 255 characters.
        reason: String,
    },
    /// Handed over without an answer: it may or may not have been taken.
    Unknown {
        /// What happened, at most 255 characters.
        reason: String,
    },
    /// Not to be sent any longer.
    Skipped {
        /// Why not.
        why: SkipReason,
    },
}

impl Outcome {
    /// Whether the delivery leaves the queue.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Retry { .. } | Self::Halted { .. })
    }

    /// The reason, when there is one.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Sent => None,
            Self::Skipped { why } => Some(why.name()),
            Self::Retry { reason, .. }
            | Self::Halted { reason, .. }
            | Self::Failed { reason }
            | Self::Unknown { reason } => Some(reason),
        }
    }
}

/// Cuts a reason to what is kept of it, and keeps it on one line.
#[must_use]
pub fn reason(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(255).collect()
}

/// When and how often a delivery is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Wait after the first failed attempt; doubles with each further one.
    pub base: Duration,
    /// Longest wait.
    pub longest: Duration,
    /// After so many attempts the delivery has failed.
    pub max_attempts: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { base: Duration::minutes(1), longest: Duration::hours(2), max_attempts: 10 }
    }
}

impl RetryPolicy {
    /// The outcome after a failure that may pass: another attempt after an exponentially growing
    /// wait, or the end. `jitter` in 0..=1 spreads the wait over its second half.
    #[must_use]
    pub fn after_transient(&self, attempts: u32, why: &str, now: Timestamp, jitter: f64) -> Outcome {
        let reason = reason(why);
        if attempts >= self.max_attempts {
            return Outcome::Failed { reason };
        }
        let doubled = 1_i32.checked_shl(attempts.saturating_sub(1).min(20)).unwrap_or(i32::MAX);
        let wait = self.base.checked_mul(doubled).unwrap_or(self.longest).min(self.longest);
        let half = wait.num_milliseconds() / 2;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "milliseconds of hours are far below 2^53"
        )]
        let spread = (half as f64 * jitter.clamp(0.0, 1.0)) as i64;
        Outcome::Retry { at: now + Duration::milliseconds(half + spread), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_wait_doubles_up_to_a_limit() {
        let policy = RetryPolicy::default();
        let now = Timestamp::UNIX_EPOCH;
        let wait = |attempts| match policy.after_transient(attempts, "451 later", now, 1.0) {
            Outcome::Retry { at, .. } => (at - now).num_seconds(),
            other => panic!("{other:?}"),
        };
        assert_eq!([wait(1), wait(2), wait(3), wait(9)], [60, 120, 240, 7200]);
    }

    #[test]
    fn the_last_attempt_fails_with_its_reason() {
        let policy = RetryPolicy { max_attempts: 3, ..RetryPolicy::default() };
        let outcome = policy.after_transient(3, "451 4.7.1\r\nlater", Timestamp::UNIX_EPOCH, 0.0);
        assert_eq!(outcome, Outcome::Failed { reason: "451 4.7.1  later".into() });
    }

    proptest! {
        #[test]
        fn a_retry_lies_within_half_and_whole_wait(attempts in 1_u32..10, jitter in 0.0..=1.0_f64) {
            let policy = RetryPolicy::default();
            let now = Timestamp::UNIX_EPOCH;
            if let Outcome::Retry { at, .. } = policy.after_transient(attempts, "", now, jitter) {
                let whole = 60 * (1_i64 << (attempts - 1)).min(120);
                prop_assert!(((whole * 500)..=(whole * 1000)).contains(&(at - now).num_milliseconds()));
            }
        }
    }
}
