//! Opens and clicks, and tokens that anybody can read.

use crate::{MemorySession, PlainVault, state::WorkspaceState};
use application::ports::{StoreError, TrackingStore, TrackingTokens, Vault as _};
use async_trait::async_trait;
use chrono::DateTime;
use domain::{
    ids::{BroadcastId, MessageId, WorkspaceId},
    secret::{Sealed, Secret},
    tracking::{Actor, Engagement, EngagementKind, LinkClicks, Tracked, added_up},
};
use std::collections::btree_map::Entry;

#[async_trait]
impl TrackingStore for MemorySession<WorkspaceState> {
    async fn record_engagements(&mut self, engagements: &[Engagement]) -> Result<(), StoreError> {
        self.change(|state| {
            let engagements = added_up(engagements);
            for engagement in &engagements {
                state.record(engagement);
            }
            state.note_firsts(engagements);
            Ok(())
        })
    }

    async fn apply_early_engagements(&mut self, messages: &[MessageId]) -> Result<(), StoreError> {
        self.change(|state| {
            let early: Vec<_> =
                state.engagements.values().filter(|e| messages.contains(&e.message)).cloned().collect();
            state.note_firsts(early);
            Ok(())
        })
    }

    async fn engagements(&mut self, message: &MessageId, most: usize) -> Result<Vec<Engagement>, StoreError> {
        self.look(|state| {
            let of_message = state.engagements.values().filter(|e| e.message == *message);
            let mut found: Vec<_> = of_message.cloned().collect();
            found.sort_by_key(|e| (e.first_at, e.kind.name(), e.actor.name(), e.link.clone()));
            found.truncate(most);
            found
        })
    }

    async fn link_clicks_after(
        &mut self,
        broadcast: &BroadcastId,
        after: Option<&str>,
        size: usize,
    ) -> Result<Vec<LinkClicks>, StoreError> {
        self.look(|state| {
            let of_broadcast = state.links.iter().filter(|((id, _), _)| id == broadcast);
            let after = of_broadcast.filter(|((_, link), _)| after.is_none_or(|after| link.as_str() > after));
            after.map(|(_, clicks)| clicks.clone()).take(size).collect()
        })
    }
}

impl WorkspaceState {
    fn record(&mut self, engagement: &Engagement) {
        let planned = self.recipients.iter().find(|(_, r)| r.message == engagement.message);
        let broadcast = match (self.messages.get(&engagement.message), planned) {
            (Some(message), _) => message.broadcast.clone(),
            (None, Some(((broadcast, _), _))) => Some(broadcast.clone()),
            (None, None) => return,
        };
        let machine_clicked = |e: &Engagement| {
            e.message == engagement.message && (e.kind, e.actor) == (EngagementKind::Clicked, Actor::Machine)
        };
        let followed_before = self.engagements.values().any(machine_clicked);
        let is_new = match self.engagements.entry(engagement.key()) {
            Entry::Occupied(mut known) => {
                known.get_mut().add(engagement);
                false
            }
            Entry::Vacant(place) => {
                place.insert(engagement.clone());
                true
            }
        };
        let Some(broadcast) = broadcast else { return };
        let engaged = self.engaged.entry(broadcast.clone()).or_default();
        match (engagement.kind, engagement.actor) {
            (EngagementKind::Opened, Actor::Proxy) if is_new => engaged.proxy_opened += 1,
            (EngagementKind::Opened, Actor::Machine) if is_new => engaged.machine_opened += 1,
            (EngagementKind::Clicked, Actor::Machine) if !followed_before => engaged.machine_clicked += 1,
            _ => {}
        }
        if engagement.kind == EngagementKind::Clicked {
            let link = engagement.link.clone();
            let clicks = self.links.entry((broadcast, link.clone())).or_insert(LinkClicks {
                link,
                messages: 0,
                clicks: 0,
                machine_clicks: 0,
            });
            if engagement.actor.counts() {
                clicks.messages += u64::from(is_new);
                clicks.clicks += engagement.count;
            } else {
                clicks.machine_clicks += engagement.count;
            }
        }
    }

    fn note_firsts(&mut self, mut engagements: Vec<Engagement>) {
        engagements.sort_by_key(|engagement| engagement.first_at);
        for engagement in &engagements {
            self.note_first(engagement);
        }
    }

    fn note_first(&mut self, engagement: &Engagement) {
        let Some(message) = self.messages.get_mut(&engagement.message) else { return };
        if !engagement.actor.counts() {
            return;
        }
        let at = engagement.first_at;
        if message.opened_at.is_none() {
            message.opened_at = Some(at);
            message.updated_at = at;
        }
        if engagement.kind == EngagementKind::Clicked && message.clicked_at.is_none() {
            message.clicked_at = Some(at);
            message.updated_at = at;
        }
    }
}

/// Tokens in clear with a keyed checksum.
#[derive(Clone, Default)]
pub struct PlainTrackingTokens {
    vault: PlainVault,
}

impl TrackingTokens for PlainTrackingTokens {
    fn issue(&self, tracked: &Tracked) -> String {
        let Tracked { workspace, message, sent_at, link } = tracked;
        let link = link.as_deref().unwrap_or_default();
        let text = format!("{workspace}\n{message}\n{}\n{link}", sent_at.timestamp());
        self.vault.seal(&Secret::new(text)).as_str().to_owned()
    }

    fn verify(&self, token: &str) -> Option<Tracked> {
        let opened = self.vault.open(&Sealed::new(token)).ok()?;
        let mut parts = opened.expose().splitn(4, '\n');
        Some(Tracked {
            workspace: WorkspaceId::parse(parts.next()?).ok()?,
            message: MessageId::parse(parts.next()?).ok()?,
            sent_at: DateTime::from_timestamp(parts.next()?.parse().ok()?, 0)?,
            link: parts.next().filter(|link| !link.is_empty()).map(str::to_owned),
        })
    }
}
