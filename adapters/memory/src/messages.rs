//! The history of messages in a workspace, and the keys that make sends repeatable.

use crate::{
    MemorySession,
    state::{ReservedKey, WorkspaceState},
};
use application::{
    page::Page,
    ports::{IdempotencyStore, MessageEvent, MessageStore, Reservation, StoreError},
};
use async_trait::async_trait;
use domain::{
    Timestamp,
    email_address::EmailAddress,
    idempotency::IdempotencyKey,
    ids::{BroadcastId, MessageId},
    messages::{Message, MessageCursor, MessageFilter, MessageState, MessageStats},
};
use std::{cmp::Reverse, collections::BTreeSet};

#[async_trait]
impl MessageStore for MemorySession<WorkspaceState> {
    async fn insert_messages_if_absent(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        self.change(|state| {
            for message in messages {
                state.messages.entry(message.id.clone()).or_insert_with(|| message.clone());
            }
            Ok(())
        })
    }

    async fn messages(&mut self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
        let wanted: BTreeSet<_> = ids.iter().collect();
        self.look(|state| wanted.into_iter().filter_map(|id| state.messages.get(id)).cloned().collect())
    }

    async fn record_events(&mut self, events: &[MessageEvent]) -> Result<(), StoreError> {
        self.change(|state| {
            for event in events {
                if let Some(message) = state.messages.get_mut(&event.message) {
                    record(message, event);
                }
            }
            Ok(())
        })
    }

    async fn messages_after(
        &mut self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: usize,
    ) -> Result<Page<Message>, StoreError> {
        self.look(|state| {
            let place = |m: &Message| Reverse((m.created_at, m.id.clone()));
            let after = after.map(|c| Reverse((c.created_at, c.id.clone())));
            let mut found: Vec<_> = state
                .messages
                .values()
                .filter(|m| after.as_ref().is_none_or(|after| place(m) > *after))
                .filter(|m| matches(m, filter))
                .collect();
            found.sort_by_cached_key(|m| place(m));
            Page::of(found.into_iter().take(size.saturating_add(1)).cloned().collect(), size)
        })
    }

    async fn note_unsubscribed(
        &mut self,
        message: &MessageId,
        recipient: &EmailAddress,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(|state| {
            let known = state.messages.get_mut(message).filter(|m| m.contact_email == *recipient);
            if let Some(message) = known.filter(|m| m.unsubscribed_at.is_none()) {
                message.unsubscribed_at = Some(now);
                message.updated_at = now;
            }
            Ok(())
        })
    }

    async fn purge_messages(&mut self, expired: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.change(|state| {
            let mut old: Vec<_> = at_rest(state).filter(|m| m.created_at <= expired).cloned().collect();
            old.sort_by_key(|message| (message.created_at, message.id.clone()));
            old.truncate(limit);
            for message in &old {
                state.messages.remove(&message.id);
                state.engagements.retain(|key, _| key.0 != message.id);
                if let Some(broadcast) = &message.broadcast {
                    count(state.purged.entry(broadcast.clone()).or_default(), message);
                }
            }
            Ok(old.len() as u64)
        })
    }

    async fn oldest_message(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.look(|state| at_rest(state).map(|message| message.created_at).min())
    }

    async fn message_stats(&mut self, broadcast: &BroadcastId) -> Result<MessageStats, StoreError> {
        self.look(|state| {
            let mut stats = state.purged.get(broadcast).copied().unwrap_or_default();
            for message in state.messages.values().filter(|m| m.broadcast.as_ref() == Some(broadcast)) {
                count(&mut stats, message);
            }
            let engaged = state.engaged.get(broadcast).copied().unwrap_or_default();
            stats.proxy_opened = engaged.proxy_opened;
            stats.machine_opened = engaged.machine_opened;
            stats.machine_clicked = engaged.machine_clicked;
            stats
        })
    }
}

/// Messages that do not wait to be delivered.
fn at_rest(state: &WorkspaceState) -> impl Iterator<Item = &Message> {
    state.messages.values().filter(|message| !state.deliveries.contains_key(&message.id))
}

fn count(stats: &mut MessageStats, message: &Message) {
    for (count, at) in [
        (&mut stats.sent, message.sent_at),
        (&mut stats.delivered, message.delivered_at),
        (&mut stats.bounced, message.bounced_at),
        (&mut stats.complained, message.complained_at),
        (&mut stats.failed, message.failed_at),
        (&mut stats.opened, message.opened_at),
        (&mut stats.clicked, message.clicked_at),
        (&mut stats.unsubscribed, message.unsubscribed_at),
    ] {
        *count += u64::from(at.is_some());
    }
}

#[async_trait]
impl IdempotencyStore for MemorySession<WorkspaceState> {
    async fn reserve_key(
        &mut self,
        key: &IdempotencyKey,
        fingerprint: &str,
        message: &MessageId,
        now: Timestamp,
        expired: Timestamp,
    ) -> Result<Reservation, StoreError> {
        self.change(|state| {
            if let Some(held) = state.idempotency.get(key).filter(|held| held.reserved_at > expired) {
                let (message, fingerprint) = (held.message.clone(), held.fingerprint.clone());
                return Ok(Reservation::Taken { message, fingerprint });
            }
            let (message, fingerprint) = (message.clone(), fingerprint.to_owned());
            state.idempotency.insert(key.clone(), ReservedKey { message, fingerprint, reserved_at: now });
            Ok(Reservation::Reserved)
        })
    }

    async fn find_key(
        &mut self,
        key: &IdempotencyKey,
        expired: Timestamp,
    ) -> Result<Option<Reservation>, StoreError> {
        self.look(|state| {
            let held = state.idempotency.get(key).filter(|held| held.reserved_at > expired)?;
            let (message, fingerprint) = (held.message.clone(), held.fingerprint.clone());
            Some(Reservation::Taken { message, fingerprint })
        })
    }

    async fn purge_keys(&mut self, expired: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.change(|state| {
            let old = state.idempotency.iter().filter(|(_, held)| held.reserved_at <= expired);
            let mut old: Vec<_> = old.map(|(key, held)| (held.reserved_at, key.clone())).collect();
            old.sort();
            old.truncate(limit);
            for (_, key) in &old {
                state.idempotency.remove(key);
            }
            Ok(old.len() as u64)
        })
    }

    async fn oldest_key(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.look(|state| state.idempotency.values().map(|held| held.reserved_at).min())
    }
}

fn record(message: &mut Message, event: &MessageEvent) {
    match event.state {
        MessageState::Queued => message.failed_at = None,
        MessageState::Sent => {
            message.sent_at = Some(event.at);
            message.failed_at = None;
        }
        MessageState::Failed => message.failed_at = Some(event.at),
        MessageState::Unknown => {}
    }
    message.state = event.state;
    message.status_info.clone_from(&event.status_info);
    message.updated_at = event.at;
}

fn matches(message: &Message, filter: &MessageFilter) -> bool {
    fn equal<T: PartialEq>(wanted: Option<&T>, value: Option<&T>) -> bool {
        wanted.is_none() || wanted == value
    }
    let seen =
        |wanted: Option<bool>, at: Option<Timestamp>| wanted.is_none_or(|wanted| at.is_some() == wanted);
    let within = |at: Option<Timestamp>, from: Option<Timestamp>, to: Option<Timestamp>| {
        from.is_none_or(|from| at.is_some_and(|at| at >= from))
            && to.is_none_or(|to| at.is_some_and(|at| at <= to))
    };
    equal(filter.id.as_ref(), Some(&message.id))
        && equal(filter.external_id.as_ref(), message.external_id.as_ref())
        && equal(filter.list.as_ref(), message.list.as_ref())
        && equal(filter.contact_email.as_ref(), Some(&message.contact_email))
        && equal(filter.broadcast.as_ref(), message.broadcast.as_ref())
        && equal(filter.template.as_ref(), Some(&message.template))
        && equal(filter.state.as_ref(), Some(&message.state))
        && seen(filter.is_sent, message.sent_at)
        && seen(filter.is_delivered, message.delivered_at)
        && seen(filter.is_failed, message.failed_at)
        && seen(filter.is_opened, message.opened_at)
        && seen(filter.is_clicked, message.clicked_at)
        && seen(filter.is_bounced, message.bounced_at)
        && seen(filter.is_complained, message.complained_at)
        && seen(filter.is_unsubscribed, message.unsubscribed_at)
        && within(message.sent_at, filter.sent_after, filter.sent_before)
        && within(Some(message.updated_at), filter.updated_after, filter.updated_before)
}
