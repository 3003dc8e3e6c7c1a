//! Writing down how deliveries ended: queue, history and account change together.

use crate::{
    broadcasts::CANCELLED,
    feedback::apply_early,
    ports::{MessageEvent, Settled, StoreError, UnitOfWork},
};
use domain::{
    Timestamp,
    broadcasts::{BroadcastState, RecipientState},
    deliveries::{Delivery, DeliverySource, Outcome},
    ids::{BroadcastId, MessageId},
    messages::{Message, MessageState},
    transactional::EmailOptions,
};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Gives back what an ended process had claimed, and records what it had begun: `ending` tells how, from
/// the number of attempts and the reason.
pub(super) async fn record_lapsed(
    store: &mut dyn UnitOfWork,
    now: Timestamp,
    limit: usize,
    ending: impl Fn(u32, &str) -> Outcome,
) -> Result<(), StoreError> {
    let released = store.release_lapsed(now).await?;
    if released > 0 {
        tracing::warn!(count = released, "deliveries were claimed by a process that ended: they wait again");
    }
    let lapsed = store.lapsed_deliveries(now, limit).await?;
    if lapsed.is_empty() {
        return Ok(());
    }
    tracing::warn!(
        count = lapsed.len(),
        "deliveries were being handed over by a process that ended: whether they arrived is unknown"
    );
    let why = "the process ended while the message was being handed over";
    let outcomes: Vec<_> = lapsed.iter().map(|delivery| ending(delivery.attempts, why)).collect();
    let ended: Vec<_> = lapsed.iter().zip(&outcomes).collect();
    record(store, &ended, now).await.map(drop)
}

/// Ends the claims and writes history and account, for those whose claim was still held: the answer.
pub(super) async fn record(
    store: &mut dyn UnitOfWork,
    ended: &[(&Delivery, &Outcome)],
    now: Timestamp,
) -> Result<HashSet<MessageId>, StoreError> {
    let retried: Vec<_> = ended.iter().filter(|(_, o)| !o.is_final()).map(|(d, _)| *d).collect();
    let halted: HashMap<_, _> = ended
        .iter()
        .filter_map(|(delivery, outcome)| match outcome {
            Outcome::Halted { reason, .. } => Some((delivery.source.broadcast()?, reason.as_str())),
            _ => None,
        })
        .collect();
    let stopped = stopped(store, &retried, &halted, now).await?;
    let no_more = Outcome::Failed { reason: CANCELLED.to_owned() };
    let ended: Vec<_> = ended
        .iter()
        .map(|(delivery, outcome)| match outcome {
            Outcome::Retry { .. } | Outcome::Halted { .. } if stopped.is_cancelled(delivery) => {
                (*delivery, &no_more)
            }
            _ => (*delivery, *outcome),
        })
        .collect();
    let given_up: HashSet<_> =
        retried.iter().filter(|d| stopped.is_cancelled(d)).map(|d| &d.message).collect();
    let settled: Vec<_> = ended
        .iter()
        .map(|(delivery, outcome)| Settled { message: delivery.message.clone(), outcome: (*outcome).clone() })
        .collect();
    let held: HashSet<_> = store.settle_deliveries(&settled).await?.into_iter().collect();
    let paused = retried.iter().filter(|d| stopped.is_paused(d) && held.contains(&d.message));
    let paused: Vec<_> = paused.map(|delivery| delivery.message.clone()).collect();
    store.set_retries_aside(&paused).await?;
    let ended: Vec<_> = ended.iter().filter(|(delivery, _)| held.contains(&delivery.message)).collect();
    let unwritten: Vec<_> = ended
        .iter()
        .filter(|(delivery, outcome)| {
            // Of a mail that was never made there is nothing to remember but the line of the account.
            matches!(delivery.source, DeliverySource::Broadcast { .. })
                && !matches!(outcome, Outcome::Skipped { .. })
        })
        .map(|(delivery, outcome)| broadcast_message(delivery, outcome, now))
        .collect();
    store.insert_messages_if_absent(&unwritten).await?;
    // A mail may be opened before its sending is written down.
    let written: Vec<_> = unwritten.iter().map(|message| message.id.clone()).collect();
    store.apply_early_engagements(&written).await?;
    apply_early(store, &written).await?;
    let events: Vec<_> = ended
        .iter()
        .filter(|(delivery, _)| {
            // The first attempt of a broadcast's message has just been written with its outcome.
            delivery.attempts > 1 || delivery.source.broadcast().is_none()
        })
        .map(|(delivery, outcome)| MessageEvent {
            message: delivery.message.clone(),
            state: message_state(outcome),
            status_info: outcome.reason().map(str::to_owned),
            at: now,
        })
        .collect();
    store.record_events(&events).await?;
    let states: Vec<_> = ended
        .iter()
        .filter_map(|(delivery, outcome)| match &delivery.source {
            DeliverySource::Broadcast { broadcast, .. } if outcome.is_final() => {
                let state = if given_up.contains(&delivery.message) {
                    RecipientState::Cancelled
                } else {
                    recipient_state(outcome)
                };
                Some((broadcast.clone(), delivery.message.clone(), state))
            }
            _ => None,
        })
        .collect();
    store.set_recipient_states(&states).await?;
    Ok(held)
}

/// Broadcasts that do not run and have deliveries to be tried again.
#[derive(Default)]
struct Stopped {
    paused: HashSet<BroadcastId>,
    cancelled: HashSet<BroadcastId>,
}

impl Stopped {
    fn is_paused(&self, delivery: &Delivery) -> bool {
        delivery.source.broadcast().is_some_and(|broadcast| self.paused.contains(broadcast))
    }

    fn is_cancelled(&self, delivery: &Delivery) -> bool {
        delivery.source.broadcast().is_some_and(|broadcast| self.cancelled.contains(broadcast))
    }
}

/// Looks up the broadcasts whose deliveries are to be tried again, and keeps them from being paused,
/// cancelled or deleted until the unit of work ends. Those that cannot go on are paused.
async fn stopped(
    store: &mut dyn UnitOfWork,
    retried: &[&Delivery],
    halted: &HashMap<&BroadcastId, &str>,
    now: Timestamp,
) -> Result<Stopped, StoreError> {
    let mut stopped = Stopped::default();
    // In one order everywhere, so that two units never wait for each other.
    let broadcasts: BTreeSet<_> = retried.iter().filter_map(|delivery| delivery.source.broadcast()).collect();
    for id in broadcasts {
        let mut found = store.broadcast_for_update(id).await?;
        if let (Some(broadcast), Some(why)) = (found.as_mut(), halted.get(id))
            && broadcast.pause_because(why, now).is_ok()
        {
            tracing::warn!(broadcast.id = %id, "a broadcast cannot go on: it is paused");
            store.update_broadcast(broadcast).await?;
            store.set_deliveries_aside(id).await?;
        }
        match found.map(|broadcast| broadcast.state) {
            Some(BroadcastState::Paused { .. }) => {
                stopped.paused.insert(id.clone());
            }
            Some(BroadcastState::Cancelled { .. }) | None => {
                stopped.cancelled.insert(id.clone());
            }
            Some(_) => {}
        }
    }
    Ok(stopped)
}

pub(super) fn broadcast_message(delivery: &Delivery, outcome: &Outcome, now: Timestamp) -> Message {
    let (broadcast, list) = match &delivery.source {
        DeliverySource::Broadcast { broadcast, list } => (Some(broadcast.clone()), Some(list.clone())),
        DeliverySource::Transactional { .. } | DeliverySource::Subscription { .. } => (None, None),
    };
    let state = message_state(outcome);
    Message {
        id: delivery.message.clone(),
        external_id: None,
        contact_email: delivery.recipient.clone(),
        broadcast,
        notification: None,
        list,
        template: delivery.template.clone(),
        template_version: delivery.template_version,
        state,
        status_info: outcome.reason().map(str::to_owned),
        data: None,
        metadata: None,
        options: EmailOptions::default(),
        sent_at: (state == MessageState::Sent).then_some(now),
        delivered_at: None,
        failed_at: (state == MessageState::Failed).then_some(now),
        opened_at: None,
        clicked_at: None,
        bounced_at: None,
        complained_at: None,
        unsubscribed_at: None,
        created_at: delivery.created_at,
        updated_at: now,
    }
}

fn message_state(outcome: &Outcome) -> MessageState {
    match outcome {
        Outcome::Sent => MessageState::Sent,
        Outcome::Retry { .. } | Outcome::Halted { .. } => MessageState::Queued,
        Outcome::Failed { .. } | Outcome::Skipped { .. } => MessageState::Failed,
        Outcome::Unknown { .. } => MessageState::Unknown,
    }
}

fn recipient_state(outcome: &Outcome) -> RecipientState {
    match outcome {
        Outcome::Sent => RecipientState::Sent,
        Outcome::Retry { .. } | Outcome::Halted { .. } => RecipientState::Queued,
        Outcome::Failed { .. } => RecipientState::Failed,
        Outcome::Unknown { .. } => RecipientState::Unknown,
        Outcome::Skipped { why } => RecipientState::Skipped(*why),
    }
}
