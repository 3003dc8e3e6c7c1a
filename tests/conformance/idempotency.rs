//! The keys that make sends repeatable.

use crate::{
    backends::Store,
    cases,
    samples::{at, message_id},
};
use application::ports::{Reservation, UnitOfWork};
use domain::ids::MessageId;

cases![
    a_free_key_is_reserved,
    a_key_belongs_to_the_first_message,
    keys_differ_by_every_character,
    a_key_reserved_in_vain_is_free_again,
    a_second_unit_waits_for_the_first_and_finds_its_message,
    a_second_unit_gets_the_key_of_one_that_was_dropped,
    of_many_units_at_once_one_gets_the_key,
];

async fn reserve(unit: &mut dyn UnitOfWork, key: &str, number: u32) -> Reservation {
    let fingerprint = format!("print of {number}");
    unit.reserve_key(key, &fingerprint, &message_id(number), at(0)).await.unwrap()
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
    for (number, key) in (1..).zip(["order", "Order", "order ", "ordér", ""]) {
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

async fn attempt(store: Store, number: u32) -> Reservation {
    let mut unit = store.write().await;
    let reservation = reserve(&mut *unit, "order-7", number).await;
    tokio::task::yield_now().await;
    unit.commit().await.unwrap();
    reservation
}
