//! What goes in comes out, and in the order of time, on both engines.

use crate::testing::{Place, TEST, at, on_both_engines, person};
use application::ports::{ConnectionBroker as _, StoreError, WorkItem, WorkKind};
use chrono::Duration;
use domain::{Timestamp, ids::WorkspaceId};
use migration::{MigrationError, SYSTEM};
use sea_orm::ConnectionTrait as _;

on_both_engines!(
    a_moment_comes_back_to_the_microsecond,
    moments_are_in_the_order_of_time,
    a_promise_moves_an_entry_both_ways,
    a_database_of_a_later_version_is_refused,
    a_failure_tells_no_values,
);

async fn a_moment_comes_back_to_the_microsecond(place: Place) {
    let mut unit = place.store.write_system(TEST).await.unwrap();
    for (number, microseconds) in [(1, 0), (2, 1), (3, 500_000), (4, 999_999)] {
        let mut user = person(number);
        user.created_at = at(0) + Duration::microseconds(microseconds);
        unit.insert_user(&user).await.unwrap();
        assert_eq!(unit.user(user.id).await.unwrap(), Some(user));
    }
}

fn item(workspace: &str, due_at: Timestamp, promised_at: Timestamp) -> WorkItem {
    let workspace = WorkspaceId::parse(workspace).unwrap();
    WorkItem { workspace, kind: WorkKind::Deliveries, due_at, promised_at }
}

async fn moments_are_in_the_order_of_time(place: Place) {
    let mut unit = place.store.write_system(TEST).await.unwrap();
    let moments = [500_000, 0, 500_001, 10, 999_999, 1_000_000].map(|us| at(0) + Duration::microseconds(us));
    for (number, moment) in moments.into_iter().enumerate() {
        unit.promise_work(&item(&format!("w{number}"), moment, at(0))).await.unwrap();
    }
    let due = unit.due_work(at(0) + Duration::microseconds(999_999), 10).await.unwrap();
    let names: Vec<_> = due.iter().map(|item| item.workspace.as_str()).collect();
    assert_eq!(names, ["w1", "w3", "w0", "w2", "w4"]);
    assert_eq!(unit.next_work_due().await.unwrap(), Some(at(0)));
}

async fn a_promise_moves_an_entry_both_ways(place: Place) {
    let mut unit = place.store.write_system(TEST).await.unwrap();
    unit.promise_work(&item("w", at(10), at(1))).await.unwrap();
    unit.promise_work(&item("w", at(20), at(2))).await.unwrap();
    unit.promise_work(&item("w", at(5), at(0))).await.unwrap();
    assert_eq!(unit.due_work(at(100), 10).await.unwrap(), [item("w", at(5), at(2))]);
}

async fn a_database_of_a_later_version_is_refused(place: Place) {
    let mut lease = place.store.system(TEST, ::broker::Access::Write).await.unwrap();
    let later = "INSERT INTO system_migrations VALUES (9999, '9999_later')";
    lease.connection().execute_unprepared(later).await.unwrap();
    let refused = SYSTEM.up(lease.connection()).await;
    assert!(matches!(refused, Err(MigrationError::Newer(step)) if step == "9999_later"));
}

async fn a_failure_tells_no_values(place: Place) {
    let mut session = place.store.system_session(TEST).await.unwrap();
    let sql = "INSERT INTO user_workspaces (user_id, workspace_id) VALUES (NULL, 'canary@example.com')";
    let statement = sea_orm::Statement::from_string(session.backend(), sql);
    let Err(StoreError::Internal(source)) = session.exec_raw(statement).await else { panic!("it succeeded") };
    let told = format!("{source} {source:?}");
    assert!(!told.contains("canary") && !told.contains("INSERT"), "{told}");
}
