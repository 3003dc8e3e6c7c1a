//! Units of work: all or nothing.

use crate::{
    session::Session,
    testing::{Place, TEST, on_both_engines, person},
};
use ::broker::Access;
use application::ports::{ConnectionBroker as _, StoreError};
use domain::users::User;
use sea_orm::Statement;
use std::time::{Duration, Instant};
use tokio::time::timeout;

on_both_engines!(
    a_committed_unit_is_kept,
    a_unit_that_failed_keeps_nothing,
    after_a_failure_nothing_more_is_tried,
    a_dropped_unit_is_rolled_back,
    a_unit_after_a_dropped_one_starts_afresh,
    a_statement_given_up_midway_does_not_hold_up_the_next,
    a_reader_does_not_wait_for_a_writer,
);

async fn stored(place: &Place, user: &User) -> bool {
    place.store.read_system(TEST).await.unwrap().user(user.id).await.unwrap().is_some()
}

async fn a_committed_unit_is_kept(place: Place) {
    let mut unit = place.store.write_system(TEST).await.unwrap();
    unit.insert_user(&person(1)).await.unwrap();
    unit.commit().await.unwrap();
    assert!(stored(&place, &person(1)).await);
}

async fn a_unit_that_failed_keeps_nothing(place: Place) {
    let mut unit = place.store.write_system(TEST).await.unwrap();
    unit.insert_user(&person(1)).await.unwrap();
    assert!(matches!(unit.insert_user(&person(1)).await, Err(StoreError::Duplicate)));
    assert!(matches!(unit.commit().await, Err(StoreError::Abandoned)));
    assert!(!stored(&place, &person(1)).await);
}

async fn after_a_failure_nothing_more_is_tried(place: Place) {
    let mut unit = place.store.write_system(TEST).await.unwrap();
    unit.insert_user(&person(1)).await.unwrap();
    unit.insert_user(&person(1)).await.unwrap_err();
    assert!(matches!(unit.insert_user(&person(2)).await, Err(StoreError::Abandoned)));
}

async fn a_dropped_unit_is_rolled_back(place: Place) {
    let mut unit = place.store.write_system(TEST).await.unwrap();
    unit.insert_user(&person(1)).await.unwrap();
    drop(unit);
    assert!(!stored(&place, &person(1)).await);
}

async fn a_unit_after_a_dropped_one_starts_afresh(place: Place) {
    for number in 1..=10 {
        let mut unit = place.store.write_system(TEST).await.unwrap();
        unit.insert_user(&person(number)).await.unwrap();
        if number % 2 == 0 {
            unit.commit().await.unwrap();
        }
    }
    for number in 1..=10 {
        assert_eq!(stored(&place, &person(number)).await, number % 2 == 0, "{number}");
    }
}

async fn a_statement_given_up_midway_does_not_hold_up_the_next(place: Place) {
    let lease = place.store.system(TEST, Access::Write).await.unwrap();
    let mut session = Session::begin(lease, place.store.naming.clone()).await.unwrap();
    let slow = match session.backend() {
        sea_orm::DbBackend::Sqlite => {
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT MAX(i) FROM n"
        }
        _ => "SELECT pg_sleep(20)",
    };
    let statement = Statement::from_string(session.backend(), slow);
    timeout(Duration::from_millis(50), session.all_raw(statement)).await.unwrap_err();
    drop(session);
    let began = Instant::now();
    let mut unit = place.store.write_system(TEST).await.unwrap();
    unit.insert_user(&person(1)).await.unwrap();
    unit.commit().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(stored(&place, &person(1)).await);
}

async fn a_reader_does_not_wait_for_a_writer(place: Place) {
    let workspace = place.workspace("reader").await;
    let store = place.store.clone();
    let (open, opened) = tokio::sync::oneshot::channel();
    let (done, end) = tokio::sync::oneshot::channel::<()>();
    let id = workspace.clone();
    let writing = tokio::spawn(async move {
        let unit = store.write(&id, TEST).await.unwrap();
        open.send(()).unwrap();
        end.await.unwrap();
        unit.commit().await.unwrap();
    });
    opened.await.unwrap();
    let mut reader = place.store.read(&workspace, TEST).await.unwrap();
    assert!(reader.lists().await.unwrap().is_empty());
    drop(reader);
    done.send(()).unwrap();
    writing.await.unwrap();
}
