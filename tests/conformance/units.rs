//! Leases, units of work and the databases of workspaces.

use crate::{
    backends::{Store, is_missing},
    cases,
    samples::{acme, list, list_id, user, user_id, workspace},
};
use application::ports::StoreError;
use domain::{ids::WorkspaceId, workspaces::WorkspaceState};

cases![
    a_dropped_unit_keeps_nothing,
    a_dropped_system_unit_keeps_nothing,
    a_unit_sees_its_own_changes,
    nobody_sees_what_is_not_committed,
    everybody_sees_what_is_committed,
    a_unit_is_abandoned_after_a_failure,
    a_system_unit_is_abandoned_after_a_failure,
    the_next_unit_after_a_failure_works,
    workspaces_do_not_see_each_other,
    an_unknown_workspace_is_missing,
    a_workspace_without_a_database_is_missing,
    a_workspace_being_created_is_missing,
    a_workspace_being_deleted_is_missing,
    a_removed_workspace_is_missing,
    a_workspace_made_anew_is_empty,
    making_a_database_twice_keeps_what_is_in_it,
    removing_a_database_twice_is_no_failure,
    a_removal_waits_for_the_leases,
];

fn other() -> WorkspaceId {
    workspace("other", 0).id
}

async fn lists(store: &Store) -> usize {
    store.read().await.lists().await.unwrap().len()
}

async fn a_dropped_unit_keeps_nothing(store: &Store) {
    let mut unit = store.write().await;
    unit.insert_list(&list("news", 0)).await.unwrap();
    drop(unit);
    assert_eq!(lists(store).await, 0);
}

async fn a_dropped_system_unit_keeps_nothing(store: &Store) {
    let mut system = store.write_system().await;
    system.insert_user(&user(1, "ana@shop.example")).await.unwrap();
    drop(system);
    assert_eq!(store.read_system().await.user(user_id(1)).await.unwrap(), None);
}

async fn a_unit_sees_its_own_changes(store: &Store) {
    let mut unit = store.write().await;
    unit.insert_list(&list("news", 0)).await.unwrap();
    assert_eq!(unit.list(&list_id("news")).await.unwrap(), Some(list("news", 0)));
}

async fn nobody_sees_what_is_not_committed(store: &Store) {
    let mut unit = store.write().await;
    unit.insert_list(&list("news", 0)).await.unwrap();
    assert_eq!(lists(store).await, 0);
    drop(unit);
}

async fn everybody_sees_what_is_committed(store: &Store) {
    let mut unit = store.write().await;
    unit.insert_list(&list("news", 0)).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(lists(store).await, 1);
    assert!(store.write().await.list(&list_id("news")).await.unwrap().is_some());
}

async fn a_unit_is_abandoned_after_a_failure(store: &Store) {
    let mut unit = store.write().await;
    unit.insert_list(&list("news", 0)).await.unwrap();
    assert!(unit.insert_list(&list("news", 0)).await.is_err());
    assert!(matches!(unit.insert_list(&list("offers", 0)).await, Err(StoreError::Abandoned)));
    assert!(matches!(unit.lists().await, Err(StoreError::Abandoned)));
    assert!(matches!(unit.commit().await, Err(StoreError::Abandoned)));
    assert_eq!(lists(store).await, 0);
}

async fn a_system_unit_is_abandoned_after_a_failure(store: &Store) {
    let mut system = store.write_system().await;
    system.insert_user(&user(1, "ana@shop.example")).await.unwrap();
    assert!(system.insert_user(&user(2, "ana@shop.example")).await.is_err());
    assert!(matches!(system.user(user_id(1)).await, Err(StoreError::Abandoned)));
    assert!(matches!(system.commit().await, Err(StoreError::Abandoned)));
    assert_eq!(store.read_system().await.user(user_id(1)).await.unwrap(), None);
}

async fn the_next_unit_after_a_failure_works(store: &Store) {
    let mut unit = store.write().await;
    unit.insert_list(&list("news", 0)).await.unwrap();
    unit.insert_list(&list("news", 0)).await.unwrap_err();
    drop(unit);
    let mut unit = store.write().await;
    unit.insert_list(&list("news", 0)).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(lists(store).await, 1);
}

async fn workspaces_do_not_see_each_other(store: &Store) {
    store.open_workspace(&other()).await;
    let mut unit = store.write().await;
    unit.insert_list(&list("news", 0)).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(store.read_in(&other()).await.unwrap().lists().await.unwrap(), []);
    let mut unit = store.write_in(&other()).await.unwrap();
    unit.insert_list(&list("news", 5)).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(store.read().await.lists().await.unwrap(), [list("news", 0)]);
}

async fn assert_missing(store: &Store, workspace: &WorkspaceId) {
    assert!(is_missing(store.read_in(workspace).await));
    assert!(is_missing(store.write_in(workspace).await));
}

async fn an_unknown_workspace_is_missing(store: &Store) {
    assert_missing(store, &other()).await;
}

async fn a_workspace_without_a_database_is_missing(store: &Store) {
    let mut system = store.write_system().await;
    system.insert_workspace(&workspace("other", 0)).await.unwrap();
    system.commit().await.unwrap();
    assert_missing(store, &other()).await;
}

async fn a_workspace_being_created_is_missing(store: &Store) {
    let mut system = store.write_system().await;
    let creating = domain::workspaces::Workspace { state: WorkspaceState::Creating, ..workspace("other", 0) };
    system.insert_workspace(&creating).await.unwrap();
    system.commit().await.unwrap();
    store.databases().create(&other()).await.unwrap();
    assert_missing(store, &other()).await;
    store.set_standing(&other(), WorkspaceState::Active).await;
    assert!(store.read_in(&other()).await.is_ok());
}

async fn a_workspace_being_deleted_is_missing(store: &Store) {
    store.databases().create(&acme()).await.unwrap();
    store.set_standing(&acme(), WorkspaceState::Deleting).await;
    assert_missing(store, &acme()).await;
}

async fn a_removed_workspace_is_missing(store: &Store) {
    let mut unit = store.write().await;
    unit.insert_list(&list("news", 0)).await.unwrap();
    unit.commit().await.unwrap();
    store.databases().remove(&acme()).await.unwrap();
    assert_missing(store, &acme()).await;
}

async fn a_workspace_made_anew_is_empty(store: &Store) {
    let mut unit = store.write().await;
    unit.insert_list(&list("news", 0)).await.unwrap();
    unit.commit().await.unwrap();
    store.databases().remove(&acme()).await.unwrap();
    store.databases().create(&acme()).await.unwrap();
    assert_eq!(lists(store).await, 0);
}

async fn making_a_database_twice_keeps_what_is_in_it(store: &Store) {
    let mut unit = store.write().await;
    unit.insert_list(&list("news", 0)).await.unwrap();
    unit.commit().await.unwrap();
    store.databases().create(&acme()).await.unwrap();
    assert_eq!(lists(store).await, 1);
}

async fn removing_a_database_twice_is_no_failure(store: &Store) {
    for _ in 0..2 {
        store.databases().remove(&acme()).await.unwrap();
    }
    store.databases().remove(&other()).await.unwrap();
}

async fn a_removal_waits_for_the_leases(store: &Store) {
    let mut unit = store.write().await;
    unit.insert_list(&list("news", 0)).await.unwrap();
    let removing = store.clone();
    let removal = tokio::spawn(async move { removing.databases().remove(&acme()).await });
    tokio::task::yield_now().await;
    // Whether it is still kept depends on who was first.
    let _ = unit.commit().await;
    removal.await.unwrap().unwrap();
    assert_missing(store, &acme()).await;
    store.databases().create(&acme()).await.unwrap();
    assert_eq!(lists(store).await, 0);
}
