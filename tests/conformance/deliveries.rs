//! The queue of mails in a workspace.

use crate::{
    backends::Store,
    cases,
    samples::{at, broadcast_delivery, broadcast_id, delivery, integration_id, list_id, message_id},
};
use application::ports::{Claim, Settled, StoreError, UnitOfWork};
use domain::{
    deliveries::{Delivery, DeliverySource, Outcome},
    ids::MessageId,
};
use std::collections::BTreeSet;

cases![
    a_claim_takes_a_delivery_as_it_was_stored_and_counts_an_attempt,
    a_delivery_is_queued_once,
    many_deliveries_are_queued_in_one_call,
    nothing_is_claimed_before_it_is_due,
    a_claim_takes_no_more_than_its_limit,
    transactional_mail_goes_first_then_what_was_due_first,
    deliveries_of_excepted_integrations_are_passed_over,
    what_is_claimed_is_not_claimed_again,
    claims_at_once_never_take_the_same_delivery,
    a_claim_that_is_rolled_back_never_happened,
    a_claim_is_begun_once,
    what_is_not_claimed_is_not_begun,
    a_claim_given_back_is_not_begun_even_when_claimed_anew,
    a_claim_not_begun_in_time_is_given_back_with_its_attempt,
    what_is_begun_is_not_given_back,
    a_begun_delivery_lapses_when_its_lease_ends,
    a_claim_that_was_not_begun_does_not_lapse,
    lapsed_deliveries_are_read_up_to_a_limit,
    a_held_claim_is_given_back_later,
    a_held_begun_delivery_lapses_later,
    holding_what_waits_does_nothing,
    a_final_outcome_removes_the_delivery,
    a_retry_waits_again_until_its_moment,
    a_halted_delivery_waits_again_until_its_moment,
    what_is_not_begun_is_not_settled,
    a_delivery_is_settled_once,
    many_deliveries_are_settled_in_one_call,
    a_released_delivery_waits_again_untried,
    what_is_begun_or_waits_is_not_released,
    what_is_set_aside_is_neither_claimed_nor_due,
    a_claim_that_is_set_aside_is_not_begun_even_when_claimed_anew,
    what_is_begun_is_not_set_aside,
    a_retry_is_set_aside_by_the_unit_that_settles_it,
    what_is_put_back_waits_until_its_moment,
    all_but_begun_deliveries_of_a_broadcast_are_removed,
    an_empty_queue_is_never_due,
    the_queue_is_due_with_its_earliest_delivery_or_lapse,
    sources_share_a_claim,
    mails_about_subscriptions_are_claimed_as_they_were_stored,
    what_a_source_leaves_goes_to_the_others,
    the_next_moment_passes_over_some_integrations,
];

async fn unit_with(store: &Store, deliveries: &[Delivery]) -> Box<dyn UnitOfWork> {
    let mut unit = store.write().await;
    unit.insert_deliveries(deliveries).await.unwrap();
    unit
}

/// Claims at a moment, for a minute.
async fn claim(unit: &mut dyn UnitOfWork, limit: usize, now: i64) -> Vec<MessageId> {
    let claimed = unit.claim_deliveries(limit, &[], at(now), at(now + 60)).await.unwrap();
    claimed.into_iter().map(|d| d.message).collect()
}

/// Claims at a moment, for a minute, and begins what was claimed.
async fn begin(unit: &mut dyn UnitOfWork, limit: usize, now: i64) -> Vec<MessageId> {
    let claimed = unit.claim_deliveries(limit, &[], at(now), at(now + 60)).await.unwrap();
    let claims: Vec<_> =
        claimed.into_iter().map(|d| Claim { message: d.message, attempts: d.attempts }).collect();
    unit.begin_deliveries(&claims).await.unwrap()
}

fn first_claim(number: u32) -> Claim {
    Claim { message: message_id(number), attempts: 1 }
}

fn settled(number: u32, outcome: Outcome) -> Settled {
    Settled { message: message_id(number), outcome }
}

fn retry(number: u32, due: i64) -> Settled {
    settled(number, Outcome::Retry { at: at(due), reason: "451 later".to_owned() })
}

async fn a_claim_takes_a_delivery_as_it_was_stored_and_counts_an_attempt(store: &Store) {
    unit_with(store, &[delivery(1, 5), broadcast_delivery(2, 6)]).await.commit().await.unwrap();
    let claimed = store.write().await.claim_deliveries(9, &[], at(6), at(66)).await.unwrap();
    let tried = |delivery: Delivery| Delivery { attempts: 1, ..delivery };
    assert_eq!(claimed, [tried(delivery(1, 5)), tried(broadcast_delivery(2, 6))]);
}

async fn a_delivery_is_queued_once(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0)]).await;
    let again = unit.insert_deliveries(&[delivery(2, 0), delivery(1, 9)]).await;
    assert!(matches!(again, Err(StoreError::Duplicate)));
}

async fn many_deliveries_are_queued_in_one_call(store: &Store) {
    let many: Vec<_> = (0..1_200).map(|n| broadcast_delivery(n, 0)).collect();
    let mut unit = unit_with(store, &many).await;
    unit.insert_deliveries(&[]).await.unwrap();
    assert_eq!(claim(&mut *unit, 5_000, 0).await.len(), 1_200);
}

async fn nothing_is_claimed_before_it_is_due(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 10)]).await;
    assert_eq!(claim(&mut *unit, 9, 9).await, []);
    assert_eq!(claim(&mut *unit, 9, 10).await, [message_id(1)]);
}

async fn a_claim_takes_no_more_than_its_limit(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0), delivery(2, 0), delivery(3, 0)]).await;
    assert_eq!(claim(&mut *unit, 0, 0).await, []);
    assert_eq!(claim(&mut *unit, 2, 0).await.len(), 2);
    assert_eq!(claim(&mut *unit, 2, 0).await.len(), 1);
}

async fn transactional_mail_goes_first_then_what_was_due_first(store: &Store) {
    let queue = [broadcast_delivery(1, 0), delivery(2, 3), broadcast_delivery(3, 1), delivery(4, 2)];
    let mut unit = unit_with(store, &queue).await;
    let mut order = Vec::new();
    for _ in 0..4 {
        order.extend(claim(&mut *unit, 1, 5).await);
    }
    assert_eq!(order, [4, 2, 1, 3].map(message_id));
}

async fn deliveries_of_excepted_integrations_are_passed_over(store: &Store) {
    let elsewhere =
        |number, integration| Delivery { integration: integration_id(integration), ..delivery(number, 0) };
    let mut unit = unit_with(store, &[elsewhere(1, 1), elsewhere(2, 2), elsewhere(3, 3)]).await;
    let except = [integration_id(1), integration_id(3)];
    let claimed = unit.claim_deliveries(1, &except, at(0), at(60)).await.unwrap();
    assert_eq!(claimed.into_iter().map(|d| d.message).collect::<Vec<_>>(), [message_id(2)]);
    assert_eq!(claim(&mut *unit, 9, 0).await.len(), 2);
}

async fn what_is_claimed_is_not_claimed_again(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0)]).await;
    claim(&mut *unit, 9, 0).await;
    unit.commit().await.unwrap();
    // Not even after the lease: whoever held it may have handed the mail over.
    assert_eq!(claim(&mut *store.write().await, 9, 500).await, []);
}

async fn claims_at_once_never_take_the_same_delivery(store: &Store) {
    let queue: Vec<_> = (0..60).map(|n| delivery(n, 0)).collect();
    unit_with(store, &queue).await.commit().await.unwrap();
    let drain = |store: Store| async move {
        let mut mine = Vec::new();
        loop {
            let mut unit = store.write().await;
            let claimed = claim(&mut *unit, 7, 0).await;
            tokio::task::yield_now().await;
            unit.commit().await.unwrap();
            if claimed.is_empty() {
                return mine;
            }
            mine.extend(claimed);
        }
    };
    let workers = [0; 3].map(|_| tokio::spawn(drain(store.clone())));
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await.unwrap());
    }
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (60, 60));
}

async fn a_claim_that_is_rolled_back_never_happened(store: &Store) {
    unit_with(store, &[delivery(1, 0)]).await.commit().await.unwrap();
    let mut unit = store.write().await;
    claim(&mut *unit, 1, 0).await;
    drop(unit);
    let again = store.write().await.claim_deliveries(1, &[], at(0), at(60)).await.unwrap();
    assert_eq!(again.into_iter().map(|d| d.attempts).collect::<Vec<_>>(), [1]);
}

async fn a_claim_is_begun_once(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0), delivery(2, 0)]).await;
    claim(&mut *unit, 9, 0).await;
    assert_eq!(unit.begin_deliveries(&[first_claim(1)]).await.unwrap(), [message_id(1)]);
    let both = unit.begin_deliveries(&[first_claim(1), first_claim(2)]).await.unwrap();
    assert_eq!(both, [message_id(2)]);
}

async fn what_is_not_claimed_is_not_begun(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0), Delivery { attempts: 1, ..delivery(2, 0) }]).await;
    let claims = [first_claim(1), first_claim(2), first_claim(9)];
    assert_eq!(unit.begin_deliveries(&claims).await.unwrap(), []);
    assert_eq!(unit.begin_deliveries(&[]).await.unwrap(), []);
    assert_eq!(claim(&mut *unit, 9, 0).await.len(), 2);
}

async fn a_claim_given_back_is_not_begun_even_when_claimed_anew(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0)]).await;
    claim(&mut *unit, 9, 0).await;
    unit.release_lapsed(at(60)).await.unwrap();
    assert_eq!(unit.begin_deliveries(&[first_claim(1)]).await.unwrap(), []);
    claim(&mut *unit, 9, 60).await;
    assert_eq!(unit.begin_deliveries(&[first_claim(1)]).await.unwrap(), []);
    let second = Claim { attempts: 2, ..first_claim(1) };
    assert_eq!(unit.begin_deliveries(&[second]).await.unwrap(), [message_id(1)]);
}

async fn a_claim_not_begun_in_time_is_given_back_with_its_attempt(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0), delivery(2, 0)]).await;
    claim(&mut *unit, 9, 0).await;
    assert_eq!(unit.release_lapsed(at(59)).await.unwrap(), 0);
    assert_eq!(unit.release_lapsed(at(60)).await.unwrap(), 2);
    assert_eq!(unit.release_lapsed(at(60)).await.unwrap(), 0);
    let again = unit.claim_deliveries(1, &[], at(60), at(120)).await.unwrap();
    assert_eq!(again[0].attempts, 2);
}

async fn what_is_begun_is_not_given_back(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0)]).await;
    begin(&mut *unit, 9, 0).await;
    assert_eq!(unit.release_lapsed(at(500)).await.unwrap(), 0);
    assert_eq!(claim(&mut *unit, 9, 500).await, []);
}

async fn a_begun_delivery_lapses_when_its_lease_ends(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0), delivery(2, 30)]).await;
    begin(&mut *unit, 1, 0).await;
    assert_eq!(unit.lapsed_deliveries(at(59), 9).await.unwrap(), []);
    let lapsed = unit.lapsed_deliveries(at(60), 9).await.unwrap();
    assert_eq!(lapsed, [Delivery { attempts: 1, ..delivery(1, 0) }]);
}

async fn a_claim_that_was_not_begun_does_not_lapse(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0)]).await;
    claim(&mut *unit, 1, 0).await;
    assert_eq!(unit.lapsed_deliveries(at(500), 9).await.unwrap(), []);
}

async fn lapsed_deliveries_are_read_up_to_a_limit(store: &Store) {
    let queue: Vec<_> = (0..5).map(|n| delivery(n, 0)).collect();
    let mut unit = unit_with(store, &queue).await;
    begin(&mut *unit, 9, 0).await;
    assert_eq!(unit.lapsed_deliveries(at(60), 3).await.unwrap().len(), 3);
}

async fn a_held_claim_is_given_back_later(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0)]).await;
    claim(&mut *unit, 9, 0).await;
    unit.hold_deliveries(&[message_id(1)], at(90)).await.unwrap();
    assert_eq!(unit.release_lapsed(at(89)).await.unwrap(), 0);
    assert_eq!(unit.release_lapsed(at(90)).await.unwrap(), 1);
}

async fn a_held_begun_delivery_lapses_later(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0), delivery(2, 0)]).await;
    begin(&mut *unit, 9, 0).await;
    unit.hold_deliveries(&[message_id(1)], at(90)).await.unwrap();
    let lapsed = unit.lapsed_deliveries(at(89), 9).await.unwrap();
    assert_eq!(lapsed.into_iter().map(|d| d.message).collect::<Vec<_>>(), [message_id(2)]);
    assert_eq!(unit.lapsed_deliveries(at(90), 9).await.unwrap().len(), 2);
}

async fn holding_what_waits_does_nothing(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0)]).await;
    unit.hold_deliveries(&[message_id(1), message_id(9)], at(90)).await.unwrap();
    unit.hold_deliveries(&[], at(90)).await.unwrap();
    assert_eq!(claim(&mut *unit, 9, 0).await, [message_id(1)]);
}

async fn a_final_outcome_removes_the_delivery(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0), delivery(2, 0), delivery(3, 0)]).await;
    begin(&mut *unit, 9, 0).await;
    let outcomes = [
        settled(1, Outcome::Sent),
        settled(2, Outcome::Failed { reason: "550 no".to_owned() }),
        settled(3, Outcome::Unknown { reason: "lost".to_owned() }),
    ];
    let mut ended = unit.settle_deliveries(&outcomes).await.unwrap();
    ended.sort();
    assert_eq!(ended, [1, 2, 3].map(message_id));
    assert_eq!(unit.next_delivery_due(&[]).await.unwrap(), None);
}

async fn a_retry_waits_again_until_its_moment(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0)]).await;
    begin(&mut *unit, 9, 0).await;
    assert_eq!(unit.settle_deliveries(&[retry(1, 100)]).await.unwrap(), [message_id(1)]);
    assert_eq!(unit.lapsed_deliveries(at(500), 9).await.unwrap(), []);
    assert_eq!(claim(&mut *unit, 9, 99).await, []);
    let again = unit.claim_deliveries(9, &[], at(100), at(160)).await.unwrap();
    assert_eq!(again, [Delivery { attempts: 2, ..delivery(1, 100) }]);
}

async fn a_halted_delivery_waits_again_until_its_moment(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0)]).await;
    begin(&mut *unit, 9, 0).await;
    let halted = settled(1, Outcome::Halted { at: at(100), reason: "no data".to_owned() });
    assert_eq!(unit.settle_deliveries(&[halted]).await.unwrap(), [message_id(1)]);
    assert_eq!(claim(&mut *unit, 9, 99).await, []);
    assert_eq!(claim(&mut *unit, 9, 100).await.len(), 1);
}

async fn what_is_not_begun_is_not_settled(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0), delivery(2, 0), delivery(3, 9)]).await;
    claim(&mut *unit, 9, 0).await;
    let outcomes =
        [settled(1, Outcome::Sent), retry(2, 100), settled(3, Outcome::Sent), settled(9, Outcome::Sent)];
    assert_eq!(unit.settle_deliveries(&outcomes).await.unwrap(), []);
    assert_eq!(unit.settle_deliveries(&[]).await.unwrap(), []);
    assert_eq!(unit.release_lapsed(at(60)).await.unwrap(), 2);
    assert_eq!(claim(&mut *unit, 9, 60).await.len(), 3);
}

async fn a_delivery_is_settled_once(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0)]).await;
    begin(&mut *unit, 9, 0).await;
    unit.settle_deliveries(&[settled(1, Outcome::Sent)]).await.unwrap();
    assert_eq!(unit.settle_deliveries(&[settled(1, Outcome::Sent)]).await.unwrap(), []);
}

async fn many_deliveries_are_settled_in_one_call(store: &Store) {
    let many: Vec<_> = (0..1_200).map(|n| delivery(n, 0)).collect();
    let mut unit = unit_with(store, &many).await;
    begin(&mut *unit, 2_000, 0).await;
    let outcomes: Vec<_> =
        (0..1_200).map(|n| if n % 2 == 0 { settled(n, Outcome::Sent) } else { retry(n, 100) }).collect();
    assert_eq!(unit.settle_deliveries(&outcomes).await.unwrap().len(), 1_200);
    assert_eq!(claim(&mut *unit, 2_000, 100).await.len(), 600);
}

async fn a_released_delivery_waits_again_untried(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0), delivery(2, 0)]).await;
    claim(&mut *unit, 9, 0).await;
    unit.release_deliveries(&[message_id(1)]).await.unwrap();
    let again = unit.claim_deliveries(9, &[], at(0), at(60)).await.unwrap();
    assert_eq!(again, [Delivery { attempts: 1, ..delivery(1, 0) }]);
}

async fn what_is_begun_or_waits_is_not_released(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0), Delivery { attempts: 4, ..delivery(2, 5) }]).await;
    begin(&mut *unit, 9, 0).await;
    unit.release_deliveries(&[1, 2, 9].map(message_id)).await.unwrap();
    unit.release_deliveries(&[]).await.unwrap();
    let claimed = unit.claim_deliveries(9, &[], at(5), at(65)).await.unwrap();
    assert_eq!(claimed, [Delivery { attempts: 5, ..delivery(2, 5) }]);
}

/// A delivery of broadcast 2.
fn elsewhere(number: u32, due: i64) -> Delivery {
    let source = DeliverySource::Broadcast { broadcast: broadcast_id(2), list: list_id("news") };
    Delivery { source, ..delivery(number, due) }
}

async fn what_is_set_aside_is_neither_claimed_nor_due(store: &Store) {
    let mut unit = unit_with(store, &[broadcast_delivery(1, 0), delivery(2, 5), elsewhere(3, 6)]).await;
    unit.set_deliveries_aside(&broadcast_id(1)).await.unwrap();
    assert_eq!(unit.next_delivery_due(&[]).await.unwrap(), Some(at(5)));
    assert_eq!(claim(&mut *unit, 9, 9).await, [2, 3].map(message_id));
}

async fn a_claim_that_is_set_aside_is_not_begun_even_when_claimed_anew(store: &Store) {
    let mut unit = unit_with(store, &[broadcast_delivery(1, 0)]).await;
    claim(&mut *unit, 9, 0).await;
    unit.set_deliveries_aside(&broadcast_id(1)).await.unwrap();
    assert_eq!(unit.begin_deliveries(&[first_claim(1)]).await.unwrap(), []);
    unit.release_deliveries(&[message_id(1)]).await.unwrap();
    assert_eq!(unit.release_lapsed(at(500)).await.unwrap(), 0);
    unit.put_deliveries_back(&broadcast_id(1)).await.unwrap();
    assert_eq!(claim(&mut *unit, 9, 0).await, [message_id(1)]);
    assert_eq!(unit.begin_deliveries(&[first_claim(1)]).await.unwrap(), []);
}

async fn what_is_begun_is_not_set_aside(store: &Store) {
    let mut unit = unit_with(store, &[broadcast_delivery(1, 0)]).await;
    begin(&mut *unit, 9, 0).await;
    unit.set_deliveries_aside(&broadcast_id(1)).await.unwrap();
    let settled = unit.settle_deliveries(&[settled(1, Outcome::Sent)]).await.unwrap();
    assert_eq!(settled, [message_id(1)]);
}

async fn a_retry_is_set_aside_by_the_unit_that_settles_it(store: &Store) {
    let mut unit = unit_with(store, &[broadcast_delivery(1, 0), broadcast_delivery(2, 0)]).await;
    begin(&mut *unit, 9, 0).await;
    unit.settle_deliveries(&[retry(1, 10), retry(2, 10)]).await.unwrap();
    unit.set_retries_aside(&[]).await.unwrap();
    unit.set_retries_aside(&[message_id(1), message_id(9)]).await.unwrap();
    assert_eq!(claim(&mut *unit, 9, 10).await, [message_id(2)]);
    unit.put_deliveries_back(&broadcast_id(1)).await.unwrap();
    assert_eq!(claim(&mut *unit, 9, 10).await, [message_id(1)]);
}

async fn what_is_put_back_waits_until_its_moment(store: &Store) {
    let mut unit = unit_with(store, &[broadcast_delivery(1, 10), elsewhere(2, 0)]).await;
    for broadcast in [1, 2].map(broadcast_id) {
        unit.set_deliveries_aside(&broadcast).await.unwrap();
    }
    unit.put_deliveries_back(&broadcast_id(1)).await.unwrap();
    assert_eq!(claim(&mut *unit, 9, 9).await, []);
    assert_eq!(claim(&mut *unit, 9, 10).await, [message_id(1)]);
}

async fn all_but_begun_deliveries_of_a_broadcast_are_removed(store: &Store) {
    let mut unit = unit_with(store, &[broadcast_delivery(1, 0)]).await;
    begin(&mut *unit, 9, 0).await;
    unit.insert_deliveries(&[broadcast_delivery(2, 0)]).await.unwrap();
    unit.set_deliveries_aside(&broadcast_id(1)).await.unwrap();
    unit.insert_deliveries(&[broadcast_delivery(3, 0)]).await.unwrap();
    claim(&mut *unit, 9, 0).await;
    unit.insert_deliveries(&[broadcast_delivery(4, 0), delivery(5, 0), elsewhere(6, 0)]).await.unwrap();
    let mut removed = Vec::new();
    loop {
        let some = unit.remove_deliveries(&broadcast_id(1), 2).await.unwrap();
        if some.is_empty() {
            break;
        }
        removed.extend(some);
    }
    removed.sort_by(|a, b| a.message.cmp(&b.message));
    let tried = Delivery { attempts: 1, ..broadcast_delivery(3, 0) };
    assert_eq!(removed, [broadcast_delivery(2, 0), tried, broadcast_delivery(4, 0)]);
    assert_eq!(claim(&mut *unit, 9, 0).await, [5, 6].map(message_id));
    assert_eq!(unit.settle_deliveries(&[settled(1, Outcome::Sent)]).await.unwrap(), [message_id(1)]);
}

async fn an_empty_queue_is_never_due(store: &Store) {
    assert_eq!(store.read().await.next_delivery_due(&[]).await.unwrap(), None);
}

async fn the_queue_is_due_with_its_earliest_delivery_or_lapse(store: &Store) {
    let mut unit = unit_with(store, &[delivery(1, 0), broadcast_delivery(2, 40), delivery(3, 50)]).await;
    assert_eq!(unit.next_delivery_due(&[]).await.unwrap(), Some(at(0)));
    claim(&mut *unit, 1, 0).await;
    assert_eq!(unit.next_delivery_due(&[]).await.unwrap(), Some(at(40)));
    for now in [20, 30] {
        unit.hold_deliveries(&[message_id(1)], at(now)).await.unwrap();
        assert_eq!(unit.next_delivery_due(&[]).await.unwrap(), Some(at(now)));
        unit.begin_deliveries(&[first_claim(1)]).await.unwrap();
    }
}

/// Waiting deliveries of a broadcast, due at a moment.
fn of_broadcast(broadcast: u32, numbers: std::ops::Range<u32>, due: i64) -> Vec<Delivery> {
    numbers
        .map(|number| Delivery {
            source: DeliverySource::Broadcast { broadcast: broadcast_id(broadcast), list: list_id("news") },
            due_at: at(due),
            ..delivery(number, 0)
        })
        .collect()
}

async fn sources_share_a_claim(store: &Store) {
    let mut unit = store.write().await;
    unit.insert_deliveries(&of_broadcast(1, 0..40, 0)).await.unwrap();
    unit.insert_deliveries(&of_broadcast(2, 40..80, 5)).await.unwrap();
    let claimed = unit.claim_deliveries(10, &[], at(10), at(60)).await.unwrap();
    let of_second = claimed.iter().filter(|d| d.source.broadcast() == Some(&broadcast_id(2))).count();
    assert_eq!((claimed.len(), of_second), (10, 5), "the longer wait of one does not shut out the other");
}

async fn what_a_source_leaves_goes_to_the_others(store: &Store) {
    let mut unit = store.write().await;
    unit.insert_deliveries(&of_broadcast(1, 0..40, 0)).await.unwrap();
    unit.insert_deliveries(&of_broadcast(2, 40..42, 0)).await.unwrap();
    unit.insert_deliveries(&of_broadcast(3, 42..82, 100)).await.unwrap();
    let claimed = unit.claim_deliveries(20, &[], at(10), at(60)).await.unwrap();
    let of =
        |broadcast| claimed.iter().filter(|d| d.source.broadcast() == Some(&broadcast_id(broadcast))).count();
    assert_eq!([of(1), of(2), of(3)], [18, 2, 0]);
}

async fn the_next_moment_passes_over_some_integrations(store: &Store) {
    let mut unit = store.write().await;
    let barred = Delivery { integration: integration_id(2), ..delivery(1, 0) };
    let later = Delivery { due_at: at(30), ..delivery(2, 0) };
    unit.insert_deliveries(&[barred, later]).await.unwrap();
    assert_eq!(unit.next_delivery_due(&[]).await.unwrap(), Some(at(0)));
    assert_eq!(unit.next_delivery_due(&[integration_id(2)]).await.unwrap(), Some(at(30)));
    let every = [integration_id(1), integration_id(2)];
    assert_eq!(unit.next_delivery_due(&every).await.unwrap(), None);
}

async fn mails_about_subscriptions_are_claimed_as_they_were_stored(store: &Store) {
    let about = |number, list| Delivery {
        source: DeliverySource::Subscription { list },
        template_version: 0,
        ..delivery(number, 0)
    };
    let stored = [about(1, Some(list_id("news"))), about(2, None)];
    let mut unit = unit_with(store, &stored).await;
    let mut claimed = unit.claim_deliveries(10, &[], at(1), at(60)).await.unwrap();
    claimed.sort_by(|a, b| a.message.cmp(&b.message));
    let stored = stored.map(|delivery| Delivery { attempts: 1, ..delivery });
    assert_eq!(claimed, stored);
}
