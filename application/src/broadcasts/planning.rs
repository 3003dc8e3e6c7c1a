//! Planning the recipients of running broadcasts, a part at a time.

use super::Broadcasts;
use crate::ports::{Purpose, StoreError, WorkKind};
use domain::{
    Timestamp,
    broadcasts::{Recipient, RecipientState},
    ids::{BroadcastId, WorkspaceId},
};
use std::collections::HashSet;

/// What a look at the broadcasts of a workspace found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// Whether there is more to plan at once.
    pub more: bool,
    /// When the next broadcast starts or the rates of a test choose.
    pub next: Option<Timestamp>,
}

impl Broadcasts {
    /// Recipients planned in one unit of work.
    pub(super) const PLAN_BATCH: usize = 500;

    /// Plans the next part of the audience of one running broadcast: its recipients and their mails
    /// are stored together with how far it got. Starts a scheduled one whose moment has come, and lets
    /// the rates of a test choose when it is time.
    ///
    /// # Errors
    /// When the store fails; nothing of the part is then kept.
    #[tracing::instrument(name = "broadcasts.plan", skip_all)]
    pub async fn plan(&self, workspace: &WorkspaceId) -> Result<Planned, StoreError> {
        let purpose = Purpose::delivery("broadcasts.plan");
        let mut store = self.broker.read(workspace, purpose).await?;
        let running = store.broadcasts_in_planning(self.clock.now()).await?;
        let next = store.next_broadcast_due().await?;
        drop(store);
        let Some(id) = running.first() else { return Ok(Planned { more: false, next }) };
        let more = self.plan_part(workspace, id, purpose).await?;
        Ok(Planned { more: more || running.len() > 1, next })
    }

    /// Answers whether this broadcast wants another turn.
    async fn plan_part(
        &self,
        workspace: &WorkspaceId,
        id: &BroadcastId,
        purpose: Purpose,
    ) -> Result<bool, StoreError> {
        let promise = self.work.promise(workspace, WorkKind::Deliveries, purpose).await?;
        let mut store = self.broker.write(workspace, purpose).await?;
        let Some(mut broadcast) = store.broadcast_for_update(id).await? else { return Ok(false) };
        let now = self.clock.now();
        if broadcast.is_due(now) {
            drop(store);
            self.start_due(workspace, id, purpose).await?;
            return Ok(true);
        }
        if broadcast.is_to_be_decided(now) {
            drop(store);
            self.decide(workspace, id, purpose).await?;
            return Ok(true);
        }
        // Paused, cancelled or completed since the list was read.
        if !broadcast.is_in_planning() {
            return Ok(false);
        }
        let Some(launch) = broadcast.launch.clone() else {
            broadcast.complete(now);
            store.update_broadcast(&broadcast).await?;
            store.commit().await?;
            return Ok(false);
        };
        let cursor = broadcast.cursor.as_ref();
        let members = store.audience_after(&broadcast.audience, cursor, Self::PLAN_BATCH).await?;
        let chosen: Vec<_> =
            members.iter().filter_map(|m| Some((m, broadcast.variation_for(&m.email)?))).collect();
        let lines: Vec<_> = chosen
            .iter()
            .map(|(member, variation)| Recipient {
                broadcast: broadcast.id.clone(),
                email: member.email.clone(),
                list: member.list.clone(),
                variation: *variation,
                in_test: broadcast.is_testing(),
                message: self.next_message(),
                state: RecipientState::Queued,
                planned_at: now,
            })
            .collect();
        let planned: HashSet<_> = store.insert_recipients_if_absent(&lines).await?.into_iter().collect();
        let deliveries: Vec<_> = lines
            .iter()
            .zip(&chosen)
            .filter(|(line, _)| planned.contains(&line.message))
            .filter_map(|(line, (member, _))| {
                self.mail(&broadcast, &launch, line, broadcast.due_for(member.timezone, now))
            })
            .collect();
        store.insert_deliveries(&deliveries).await?;
        let more = members.len() == Self::PLAN_BATCH;
        if let Some(last) = members.last() {
            broadcast.advance(last.email.clone(), deliveries.len() as u64, now);
        }
        if !more {
            broadcast.complete(now);
        }
        store.update_broadcast(&broadcast).await?;
        promise.commit(store).await?;
        Ok(more)
    }
}
