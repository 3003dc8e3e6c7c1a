//! Broadcasts of a workspace and their accounts.

use crate::{MemorySession, publications::slug_of, state::WorkspaceState, transactional::counted};
use application::{
    page::{Counted, Page},
    ports::{AccountLine, BroadcastStore, StoreError},
};
use async_trait::async_trait;
use domain::{
    Timestamp,
    broadcasts::{
        Audience, AudienceCounts, AudienceMember, Audit, Broadcast, BroadcastState, Ledger, Recipient,
        RecipientState, VariationResult,
    },
    contacts::{Contact, ContactField},
    email_address::EmailAddress,
    ids::{BroadcastId, ListId, MessageId},
    lists::{Membership, MembershipStatus},
    timezones::Timezone,
};
use serde_json::{Map, Value};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, btree_map::Entry},
};

#[async_trait]
impl BroadcastStore for MemorySession<WorkspaceState> {
    async fn broadcast(&mut self, id: &BroadcastId) -> Result<Option<Broadcast>, StoreError> {
        self.look(|state| state.broadcasts.get(id).cloned())
    }

    /// A unit of work is the only writer anyway.
    async fn broadcast_for_update(&mut self, id: &BroadcastId) -> Result<Option<Broadcast>, StoreError> {
        self.change(|state| Ok(state.broadcasts.get(id).cloned()))
    }

    async fn broadcasts(
        &mut self,
        status: Option<&str>,
        limit: u64,
        offset: u64,
    ) -> Result<Counted<Broadcast>, StoreError> {
        self.look(|state| {
            let all = state.broadcasts.values();
            let mut found: Vec<_> = all.filter(|b| status.is_none_or(|s| b.state.name() == s)).collect();
            found.sort_by_key(|b| Reverse(b.created_at));
            counted(&found, limit, offset)
        })
    }

    async fn broadcasts_in_planning(&mut self, now: Timestamp) -> Result<Vec<BroadcastId>, StoreError> {
        self.look(|state| {
            let planned = |b: &&Broadcast| b.is_in_planning() || b.is_due(now) || b.is_to_be_decided(now);
            let mut found: Vec<_> = state.broadcasts.values().filter(planned).collect();
            let progress = |b: &Broadcast| b.state.progress().copied();
            found.sort_by_key(|b| {
                let due = progress(b).and_then(|p| p.due_at());
                (due.is_none(), due, b.state.started_at())
            });
            found.into_iter().map(|b| b.id.clone()).collect()
        })
    }

    async fn next_broadcast_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.look(|state| {
            let waiting = state.broadcasts.values().filter_map(|b| match b.state {
                BroadcastState::Running(progress) => progress.due_at(),
                _ => None,
            });
            waiting.min()
        })
    }

    async fn audience_after(
        &mut self,
        audience: &Audience,
        after: Option<&EmailAddress>,
        size: usize,
    ) -> Result<Vec<AudienceMember>, StoreError> {
        self.look(|state| {
            let behind = state.contacts.values().filter(|c| after.is_none_or(|after| c.email > *after));
            behind.filter_map(|contact| state.member(contact, audience)).take(size).collect()
        })
    }

    async fn audience_counts(&mut self, audience: &Audience) -> Result<AudienceCounts, StoreError> {
        self.look(|state| state.counts(audience))
    }

    async fn insert_broadcast(&mut self, broadcast: &Broadcast) -> Result<(), StoreError> {
        self.change(|state| {
            if slug_taken(state, broadcast) {
                return Err(StoreError::Duplicate);
            }
            match state.broadcasts.entry(broadcast.id.clone()) {
                Entry::Occupied(_) => Err(StoreError::Duplicate),
                Entry::Vacant(place) => {
                    place.insert(broadcast.clone());
                    Ok(())
                }
            }
        })
    }

    async fn update_broadcast(&mut self, broadcast: &Broadcast) -> Result<bool, StoreError> {
        self.change(|state| {
            if slug_taken(state, broadcast) {
                return Err(StoreError::Duplicate);
            }
            let Some(kept) = state.broadcasts.get_mut(&broadcast.id) else { return Ok(false) };
            *kept = Broadcast { created_at: kept.created_at, ..broadcast.clone() };
            Ok(true)
        })
    }

    async fn keep_global_feed(
        &mut self,
        broadcast: &BroadcastId,
        data: &Map<String, Value>,
    ) -> Result<(), StoreError> {
        self.change(|state| {
            state.feeds.insert(broadcast.clone(), data.clone());
            Ok(())
        })
    }

    async fn global_feed(
        &mut self,
        broadcast: &BroadcastId,
    ) -> Result<Option<Map<String, Value>>, StoreError> {
        self.look(|state| state.feeds.get(broadcast).cloned())
    }

    async fn insert_recipients_if_absent(
        &mut self,
        recipients: &[Recipient],
    ) -> Result<Vec<MessageId>, StoreError> {
        self.change(|state| {
            let mut added = Vec::new();
            for line in recipients {
                if let Entry::Vacant(place) =
                    state.recipients.entry((line.broadcast.clone(), line.email.clone()))
                {
                    place.insert(line.clone());
                    added.push(line.message.clone());
                }
            }
            Ok(added)
        })
    }

    async fn set_recipient_states(
        &mut self,
        states: &[(BroadcastId, MessageId, RecipientState)],
    ) -> Result<(), StoreError> {
        self.change(|state| {
            for (broadcast, message, outcome) in states {
                let lines = state.recipients.values_mut();
                for line in lines.filter(|l| l.broadcast == *broadcast && l.message == *message) {
                    line.state = *outcome;
                }
            }
            Ok(())
        })
    }

    async fn cancel_recipients(&mut self, broadcast: &BroadcastId) -> Result<(), StoreError> {
        self.change(|state| {
            for line in state.recipients.values_mut().filter(|l| l.broadcast == *broadcast) {
                if line.state == RecipientState::Queued && !state.deliveries.contains_key(&line.message) {
                    line.state = RecipientState::Cancelled;
                }
            }
            Ok(())
        })
    }

    async fn delete_broadcast(&mut self, id: &BroadcastId) -> Result<bool, StoreError> {
        self.change(|state| {
            state.recipients.retain(|(broadcast, _), _| broadcast != id);
            state.feeds.remove(id);
            Ok(state.broadcasts.remove(id).is_some())
        })
    }

    async fn account_after(
        &mut self,
        broadcast: &BroadcastId,
        wanted: Option<&'static str>,
        after: Option<&EmailAddress>,
        size: usize,
    ) -> Result<Page<AccountLine>, StoreError> {
        self.look(|state| {
            let lines = state.recipients.values().filter(|l| l.broadcast == *broadcast);
            let lines = lines.filter(|l| after.is_none_or(|after| l.email > *after));
            let lines = lines.filter(|l| wanted.is_none_or(|wanted| l.state.name() == wanted));
            let lines = lines.take(size + 1).map(|line| AccountLine {
                recipient: line.clone(),
                status_info: state.messages.get(&line.message).and_then(|m| m.status_info.clone()),
            });
            Page::of(lines.collect(), size)
        })
    }

    async fn failed_recipients_after(
        &mut self,
        broadcast: &BroadcastId,
        unknown: bool,
        after: Option<&EmailAddress>,
        size: usize,
    ) -> Result<Vec<Recipient>, StoreError> {
        self.look(|state| {
            let lines = state.recipients.values().filter(|l| l.broadcast == *broadcast);
            let lines = lines.filter(|l| after.is_none_or(|after| l.email > *after));
            lines.filter(|l| is_over(l, unknown)).take(size).cloned().collect()
        })
    }

    async fn requeue_recipients(&mut self, lines: &[Recipient]) -> Result<Vec<MessageId>, StoreError> {
        self.change(|state| {
            let mut taken = Vec::new();
            for line in lines {
                let key = (line.broadcast.clone(), line.email.clone());
                if let Some(kept) = state.recipients.get_mut(&key).filter(|l| is_over(l, true)) {
                    kept.message = line.message.clone();
                    kept.state = RecipientState::Queued;
                    taken.push(line.message.clone());
                }
            }
            Ok(taken)
        })
    }

    async fn ledger(&mut self, broadcast: &BroadcastId) -> Result<Ledger, StoreError> {
        self.look(|state| state.audit(broadcast).ledger)
    }

    async fn audit(&mut self, broadcast: &BroadcastId) -> Result<Audit, StoreError> {
        self.look(|state| state.audit(broadcast))
    }

    async fn variation_results(
        &mut self,
        broadcast: &BroadcastId,
    ) -> Result<Vec<VariationResult>, StoreError> {
        self.look(|state| {
            let mut results: BTreeMap<u8, VariationResult> = BTreeMap::new();
            for line in state.recipients.values().filter(|l| l.broadcast == *broadcast && l.in_test) {
                let result = results.entry(line.variation).or_default();
                result.variation = line.variation;
                result.recipients += 1;
                result.sent += u64::from(line.state == RecipientState::Sent);
                if let Some(message) = state.messages.get(&line.message) {
                    result.delivered += u64::from(message.delivered_at.is_some());
                    result.opened += u64::from(message.opened_at.is_some());
                    result.clicked += u64::from(message.clicked_at.is_some());
                }
            }
            results.into_values().collect()
        })
    }

    async fn broadcast_ids_after(
        &mut self,
        after: Option<&BroadcastId>,
        size: usize,
    ) -> Result<Vec<BroadcastId>, StoreError> {
        self.look(|state| {
            let behind = state.broadcasts.keys().filter(|id| after.is_none_or(|after| *id > after));
            behind.take(size).cloned().collect()
        })
    }
}

fn is_over(line: &Recipient, unknown: bool) -> bool {
    line.state == RecipientState::Failed || (unknown && line.state == RecipientState::Unknown)
}

impl WorkspaceState {
    fn member(&self, contact: &Contact, audience: &Audience) -> Option<AudienceMember> {
        let live: Vec<_> = self
            .memberships
            .values()
            .filter(|m| m.email == contact.email && m.deleted_at.is_none())
            .collect();
        let unreachable = |m: &&&Membership| {
            matches!(m.status, MembershipStatus::Bounced | MembershipStatus::Complained)
                || audience.excluded_lists.contains(&m.list)
        };
        if live.iter().any(|m| unreachable(&m)) {
            return None;
        }
        let active = |list: &ListId| {
            self.live_list(list).is_some()
                && live.iter().any(|m| m.list == *list && m.status == MembershipStatus::Active)
        };
        let list = audience.lists().into_iter().find(|list| active(list))?.clone();
        let timezone = contact.text(ContactField::Timezone).and_then(|name| Timezone::parse(name).ok());
        Some(AudienceMember { email: contact.email.clone(), list, timezone })
    }

    fn counts(&self, audience: &Audience) -> AudienceCounts {
        let mut counts = AudienceCounts::default();
        let lists: Vec<_> = audience.lists().into_iter().filter(|l| self.live_list(l).is_some()).collect();
        for contact in self.contacts.values() {
            let live = self.memberships.values().filter(|m| m.email == contact.email);
            let live: Vec<_> = live.filter(|m| m.deleted_at.is_none()).collect();
            let here: Vec<_> = live.iter().filter(|m| lists.contains(&&m.list)).map(|m| m.status).collect();
            let active = here.iter().filter(|s| **s == MembershipStatus::Active).count() as u64;
            let anywhere = |status| live.iter().any(|m| m.status == status);
            let kind = if here.is_empty() {
                continue;
            } else if anywhere(MembershipStatus::Complained) {
                &mut counts.complained
            } else if anywhere(MembershipStatus::Bounced) {
                &mut counts.bounced
            } else if active == 0 && here.contains(&MembershipStatus::Unsubscribed) {
                &mut counts.unsubscribed
            } else if active == 0 {
                &mut counts.pending
            } else if live.iter().any(|m| audience.excluded_lists.contains(&m.list)) {
                &mut counts.excluded
            } else {
                counts.duplicates += active - 1;
                &mut counts.recipients
            };
            *kind += 1;
        }
        counts
    }

    fn audit(&self, broadcast: &BroadcastId) -> Audit {
        let planned = self.broadcasts.get(broadcast).map_or(0, |b| b.enqueued_count);
        let mut ledger = Ledger { planned, ..Ledger::default() };
        for line in self.recipients.values().filter(|l| l.broadcast == *broadcast) {
            ledger.add(line.state, 1);
        }
        let mails = self.deliveries.values().filter(|q| q.is_of(broadcast));
        ledger.begin(mails.clone().filter(|q| q.begun).count() as u64);
        Audit { ledger, in_queue: mails.count() as u64 }
    }
}

fn slug_taken(state: &WorkspaceState, broadcast: &Broadcast) -> bool {
    let mut others = state.broadcasts.values().filter(|other| other.id != broadcast.id);
    slug_of(broadcast).is_some_and(|slug| others.any(|other| slug_of(other) == Some(slug)))
}
