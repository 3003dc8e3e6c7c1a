//! The history of messages in a workspace, and the keys that make sends repeatable.

use super::StoreError;
use crate::page::Page;
use async_trait::async_trait;
use domain::{
    Timestamp,
    email_address::EmailAddress,
    idempotency::IdempotencyKey,
    ids::{BroadcastId, MessageId},
    messages::{Message, MessageCursor, MessageFilter, MessageState, MessageStats},
};

/// What happened to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageEvent {
    /// Which message.
    pub message: MessageId,
    /// Its state from now on.
    pub state: MessageState,
    /// Replaces the status line; `None` clears it.
    pub status_info: Option<String>,
    /// When it happened. Sets `sent_at` or `failed_at` by the state; a message that is queued again
    /// or sent has no `failed_at`.
    pub at: Timestamp,
}

/// Keeps the history.
#[async_trait]
pub trait MessageStore {
    /// Adds messages. One that exists is passed over.
    async fn insert_messages_if_absent(&mut self, messages: &[Message]) -> Result<(), StoreError>;

    /// Those of the given messages that exist, in no particular order.
    async fn messages(&mut self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError>;

    /// Notes what happened to messages.
    async fn record_events(&mut self, events: &[MessageEvent]) -> Result<(), StoreError>;

    /// Messages in the order of acceptance, newest first, then of identifier downwards, after a
    /// place.
    async fn messages_after(
        &mut self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: usize,
    ) -> Result<Page<Message>, StoreError>;

    /// Notes that the recipient of a message left a list through it. The first time counts; a message of
    /// another recipient is passed over.
    async fn note_unsubscribed(
        &mut self,
        message: &MessageId,
        recipient: &EmailAddress,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Removes up to `limit` messages that were accepted at `expired` or before, with all that happened to
    /// them, the oldest first. Those that wait to be delivered stay. What was counted stays counted.
    /// Answers how many.
    async fn purge_messages(&mut self, expired: Timestamp, limit: usize) -> Result<u64, StoreError>;

    /// When the oldest message was accepted that does not wait to be delivered.
    async fn oldest_message(&mut self) -> Result<Option<Timestamp>, StoreError>;

    /// How many messages of a broadcast have seen which event.
    async fn message_stats(&mut self, broadcast: &BroadcastId) -> Result<MessageStats, StoreError>;
}

/// What reserving an idempotency key found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservation {
    /// The key was free and now belongs to the given message.
    Reserved,
    /// The key belongs to an earlier message.
    Taken {
        /// That message.
        message: MessageId,
        /// Fingerprint of the payload that it was asked with.
        fingerprint: String,
    },
}

/// Keeps idempotency keys.
#[async_trait]
pub trait IdempotencyStore {
    /// Reserves a key for a message. One that was reserved at `expired` or before is free again.
    /// Waits for another transaction that holds the key.
    async fn reserve_key(
        &mut self,
        key: &IdempotencyKey,
        fingerprint: &str,
        message: &MessageId,
        now: Timestamp,
        expired: Timestamp,
    ) -> Result<Reservation, StoreError>;

    /// The reservation of a key that was reserved after `expired`: that of an earlier message.
    async fn find_key(
        &mut self,
        key: &IdempotencyKey,
        expired: Timestamp,
    ) -> Result<Option<Reservation>, StoreError>;

    /// Removes up to `limit` keys that were reserved at `expired` or before. Answers how many.
    async fn purge_keys(&mut self, expired: Timestamp, limit: usize) -> Result<u64, StoreError>;

    /// When the oldest key was reserved.
    async fn oldest_key(&mut self) -> Result<Option<Timestamp>, StoreError>;
}
