//! Two transactions at once. SQLite has one writer at a time, so this is about PostgreSQL alone.

use super::{Database, at, broadcast_delivery, database::run, email, message_id};
use crate::session::{Fields as _, Session};
use application::ports::{ContactStore as _, DeliveryStore as _, IdempotencyStore as _, Reservation};
use domain::{
    contacts::{ContactField, ContactPatch, FieldValue, UpsertAction},
    idempotency::IdempotencyKey,
    ids::MessageId,
};
use sea_orm::Statement;
use tokio::task::{JoinHandle, JoinSet};

#[tokio::test]
async fn two_claims_never_take_the_same_delivery() {
    let mut database = Database::on_postgres().await;
    let deliveries: Vec<_> = (0..30).map(broadcast_delivery).collect();
    database.session.insert_deliveries(&deliveries).await.unwrap();
    let mut other = database.another().await;
    run(&mut database.session, "BEGIN").await;
    run(&mut other, "BEGIN").await;
    let claim = async |store: &mut Session| -> Vec<MessageId> {
        let claimed = store.claim_deliveries(10, &[], at(0), at(60)).await.unwrap();
        claimed.into_iter().map(|delivery| delivery.message).collect()
    };
    let first = claim(&mut database.session).await;
    let second = claim(&mut other).await;
    assert_eq!(first, (0..10).map(message_id).collect::<Vec<_>>());
    assert_eq!(second, (10..20).map(message_id).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_key_held_by_another_transaction_is_waited_for() {
    let mut database = Database::on_postgres().await;
    run(&mut database.session, "BEGIN").await;
    let ours = database.session.reserve_key(&key(), "f1", &message_id(1), at(0), at(-60)).await.unwrap();
    assert_eq!(ours, Reservation::Reserved);
    let theirs = reserve_elsewhere(&database).await;
    run(&mut database.session, "COMMIT").await;
    let taken = Reservation::Taken { message: message_id(1), fingerprint: "f1".into() };
    assert_eq!(theirs.await.unwrap(), taken);
}

#[tokio::test]
async fn a_key_of_a_transaction_that_ends_in_vain_is_free_again() {
    let mut database = Database::on_postgres().await;
    run(&mut database.session, "BEGIN").await;
    database.session.reserve_key(&key(), "f1", &message_id(1), at(0), at(-60)).await.unwrap();
    let theirs = reserve_elsewhere(&database).await;
    run(&mut database.session, "ROLLBACK").await;
    assert_eq!(theirs.await.unwrap(), Reservation::Reserved);
}

#[tokio::test]
async fn a_contact_inserted_meanwhile_is_merged() {
    let mut database = Database::on_postgres().await;
    run(&mut database.session, "BEGIN").await;
    let named = |field, text: &str| {
        let mut patch = ContactPatch::of(email(1));
        patch.changes.insert(field, Some(FieldValue::Text(text.into())));
        patch
    };
    database.session.upsert_contacts(&[named(ContactField::FirstName, "Ana")], at(0)).await.unwrap();
    let mut other = database.another().await;
    let patch = named(ContactField::LastName, "Silva");
    let theirs = tokio::spawn(async move { other.upsert_contacts(&[patch], at(1)).await.unwrap() });
    until_somebody_waits(&database).await;
    run(&mut database.session, "COMMIT").await;
    assert_eq!(theirs.await.unwrap(), [UpsertAction::Update]);
    let contact = database.session.contact(&email(1)).await.unwrap().unwrap();
    assert_eq!(contact.text(ContactField::FirstName), Some("Ana"));
    assert_eq!(contact.text(ContactField::LastName), Some("Silva"));
}

#[tokio::test]
async fn imports_of_the_same_contacts_never_lock_each_other_out() {
    let database = Database::on_postgres().await;
    for round in 0..4 {
        let mut imports = JoinSet::new();
        for (reversed, shift) in [(false, round), (true, round + 1), (true, round)] {
            let mut store = database.another().await;
            let mut patches: Vec<ContactPatch> = (0..600).map(|n| shaped(n + shift % 2)).collect();
            if reversed {
                patches.reverse();
            }
            imports.spawn(async move {
                run(&mut store, "BEGIN").await;
                store.upsert_contacts(&patches, at(0)).await.unwrap();
                run(&mut store, "COMMIT").await;
            });
        }
        imports.join_all().await;
    }
}

/// A patch of one of three shapes.
fn shaped(number: usize) -> ContactPatch {
    let mut patch = ContactPatch::of(email(number));
    let text = Some(FieldValue::Text("x".into()));
    match number % 3 {
        0 => patch.changes.insert(ContactField::FirstName, text),
        1 => patch.changes.insert(ContactField::Phone, text),
        _ => None,
    };
    patch
}

fn key() -> IdempotencyKey {
    IdempotencyKey::external("order-1").unwrap()
}

async fn reserve_elsewhere(database: &Database) -> JoinHandle<Reservation> {
    let mut other = database.another().await;
    let theirs = tokio::spawn(async move {
        run(&mut other, "BEGIN").await;
        other.reserve_key(&key(), "f2", &message_id(2), at(1), at(-60)).await.unwrap()
    });
    until_somebody_waits(database).await;
    theirs
}

/// Returns when a session of this database waits for a lock.
async fn until_somebody_waits(database: &Database) {
    let mut watcher = database.another().await;
    let sql = "SELECT COUNT(*) AS waiting FROM pg_stat_activity \
               WHERE datname = current_database() AND wait_event_type = 'Lock'";
    loop {
        let statement = Statement::from_string(watcher.backend(), sql);
        let rows = watcher.all_raw(statement).await.unwrap();
        if rows[0].field::<i64>("waiting").unwrap() > 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
}
