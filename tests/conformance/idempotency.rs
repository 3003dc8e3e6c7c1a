//! The keys that make sends repeatable.

use crate::{
    backends::Store,
    cases,
    samples::{at, message_id},
};
use application::ports::{Reservation, UnitOfWork};
use domain::{idempotency::IdempotencyKey, ids::MessageId};

cases![
    a_free_key_is_reserved,
    a_key_belongs_to_the_first_message,
    keys_differ_by_every_character,
    a_key_reserved_in_vain_is_free_again,
    a_second_unit_waits_for_the_first_and_finds_its_message,
    a_second_unit_gets_the_key_of_one_that_was_dropped,
    of_many_units_at_once_one_gets_the_key,
    an_expired_key_is_free_again,
    a_key_is_found_while_it_is_good,
    expired_keys_are_purged_the_oldest_first,
    the_same_text_of_another_scope_is_another_key,
];

async fn reserve(unit: &mut dyn UnitOfWork, key: &str, number: u32) -> Reservation {
    reserve_at(unit, key, number, 0).await
}

/// Reserves at a moment; keys are good for a minute.
async fn reserve_at(unit: &mut dyn UnitOfWork, key: &str, number: u32, second: i64) -> Reservation {
    let key = IdempotencyKey::external(key).unwrap();
    let fingerprint = format!("print of {number}");
    unit.reserve_key(&key, &fingerprint, &message_id(number), at(second), at(second - 60)).await.unwrap()
}

fn taken(number: u32) -> Reservation {
    Reservation::Taken { message: message_id(number), fingerprint: format!("print of {number}") }
}

async fn a_free_key_is_reserved(store: &Store) {
    assert_eq!(reserve(&mut *store.write().await, "order-7", 1).await, Reservation::Reserved);
}

async fn a_key_belongs_to_the_first_message(store: &Store) {
    let mut unit = store.write().await;
    reserve(&mut *unit, "order-7", 1).await;
    assert_eq!(reserve(&mut *unit, "order-7", 2).await, taken(1));
    unit.commit().await.unwrap();
    assert_eq!(reserve(&mut *store.write().await, "order-7", 3).await, taken(1));
}

async fn keys_differ_by_every_character(store: &Store) {
    let mut unit = store.write().await;
    for (number, key) in (1..).zip(["order", "Order", "orde", "ordér", "order 1"]) {
        assert_eq!(reserve(&mut *unit, key, number).await, Reservation::Reserved, "{key:?}");
    }
}

async fn a_key_reserved_in_vain_is_free_again(store: &Store) {
    let mut unit = store.write().await;
    reserve(&mut *unit, "order-7", 1).await;
    drop(unit);
    assert_eq!(reserve(&mut *store.write().await, "order-7", 2).await, Reservation::Reserved);
}

async fn a_second_unit_waits_for_the_first_and_finds_its_message(store: &Store) {
    let mut first = store.write().await;
    reserve(&mut *first, "order-7", 1).await;
    let second = tokio::spawn(attempt(store.clone(), 2));
    tokio::task::yield_now().await;
    first.commit().await.unwrap();
    assert_eq!(second.await.unwrap(), taken(1));
}

async fn a_second_unit_gets_the_key_of_one_that_was_dropped(store: &Store) {
    let mut first = store.write().await;
    reserve(&mut *first, "order-7", 1).await;
    let second = tokio::spawn(attempt(store.clone(), 2));
    tokio::task::yield_now().await;
    drop(first);
    assert_eq!(second.await.unwrap(), Reservation::Reserved);
}

async fn of_many_units_at_once_one_gets_the_key(store: &Store) {
    let attempts = [1, 2, 3, 4].map(|number| (number, tokio::spawn(attempt(store.clone(), number))));
    let (mut winners, mut found) = (Vec::new(), Vec::<MessageId>::new());
    for (number, attempt) in attempts {
        match attempt.await.unwrap() {
            Reservation::Reserved => winners.push(message_id(number)),
            Reservation::Taken { message, .. } => found.push(message),
        }
    }
    assert_eq!((winners.len(), found.len()), (1, 3));
    assert!(found.iter().all(|message| *message == winners[0]));
}

async fn an_expired_key_is_free_again(store: &Store) {
    let mut unit = store.write().await;
    reserve_at(&mut *unit, "order-7", 1, 0).await;
    unit.commit().await.unwrap();
    let mut unit = store.write().await;
    assert_eq!(reserve_at(&mut *unit, "order-7", 2, 59).await, taken(1));
    assert_eq!(reserve_at(&mut *unit, "order-7", 2, 60).await, Reservation::Reserved);
    assert_eq!(reserve_at(&mut *unit, "order-7", 3, 61).await, taken(2), "it is good for a minute again");
}

async fn a_key_is_found_while_it_is_good(store: &Store) {
    let key = IdempotencyKey::external("order-7").unwrap();
    let mut unit = store.write().await;
    assert_eq!(unit.find_key(&key, at(-60)).await.unwrap(), None);
    reserve(&mut *unit, "order-7", 1).await;
    assert_eq!(unit.find_key(&key, at(-1)).await.unwrap(), Some(taken(1)));
    assert_eq!(unit.find_key(&key, at(0)).await.unwrap(), None);
}

async fn expired_keys_are_purged_the_oldest_first(store: &Store) {
    let mut unit = store.write().await;
    assert_eq!(unit.oldest_key().await.unwrap(), None);
    for (number, key) in (1..).zip(["c", "a", "b", "d"]) {
        reserve_at(&mut *unit, key, number, i64::from(number)).await;
    }
    assert_eq!(unit.oldest_key().await.unwrap(), Some(at(1)));
    assert_eq!(unit.purge_keys(at(3), 2).await.unwrap(), 2);
    assert_eq!(unit.oldest_key().await.unwrap(), Some(at(3)));
    assert_eq!(unit.purge_keys(at(3), 2).await.unwrap(), 1);
    assert_eq!(unit.purge_keys(at(3), 2).await.unwrap(), 0);
    assert_eq!(reserve_at(&mut *unit, "d", 9, 5).await, taken(4), "what has not expired is kept");
}

async fn the_same_text_of_another_scope_is_another_key(store: &Store) {
    let mut unit = store.write().await;
    reserve(&mut *unit, "order-7", 1).await;
    let key = IdempotencyKey::from_header("order-7").unwrap();
    let other = unit.reserve_key(&key, "f", &message_id(2), at(0), at(-60)).await.unwrap();
    assert_eq!(other, Reservation::Reserved);
}

async fn attempt(store: Store, number: u32) -> Reservation {
    let mut unit = store.write().await;
    let reservation = reserve(&mut *unit, "order-7", number).await;
    tokio::task::yield_now().await;
    unit.commit().await.unwrap();
    reservation
}
