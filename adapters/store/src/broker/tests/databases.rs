//! Databases of workspaces: made once, never by accident, gone for good.

use crate::testing::{Place, TEST, at, on_both_engines, workspace_row};
use application::ports::{ConnectionBroker as _, StoreError, WorkspaceDatabases as _};
use domain::{
    ids::{ListId, WorkspaceId},
    lists::List,
    workspaces::WorkspaceState,
};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

on_both_engines!(
    an_unknown_workspace_creates_nothing,
    only_an_active_workspace_is_lent,
    a_workspace_without_its_database_is_missing,
    a_database_is_made_once_whoever_asks,
    making_a_database_again_keeps_what_it_holds,
    a_removed_workspace_can_be_made_anew,
    removal_ends_leases_and_leaves_nothing,
    all_workspaces_are_brought_up_to_date,
    preparing_again_changes_nothing,
);

fn id(text: &str) -> WorkspaceId {
    WorkspaceId::parse(text).unwrap()
}

fn list(text: &str) -> List {
    List {
        id: ListId::parse(text).unwrap(),
        name: "News".into(),
        is_double_optin: false,
        is_public: false,
        description: String::new(),
        double_optin_template: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

async fn add_list(place: &Place, workspace: &WorkspaceId, text: &str) -> Result<(), StoreError> {
    let mut unit = place.store.write(workspace, TEST).await?;
    unit.insert_list(&list(text)).await?;
    unit.commit().await
}

async fn an_unknown_workspace_creates_nothing(place: Place) {
    let read = place.store.read(&id("nobody"), TEST).await.err();
    assert!(matches!(read, Some(StoreError::WorkspaceMissing)), "{read:?}");
    let write = place.store.write(&id("nobody"), TEST).await.err();
    assert!(matches!(write, Some(StoreError::WorkspaceMissing)), "{write:?}");
    assert!(place.workspace_databases().await.is_empty());
}

async fn only_an_active_workspace_is_lent(place: Place) {
    for (name, state) in [("creating", WorkspaceState::Creating), ("deleting", WorkspaceState::Deleting)] {
        place.directory_entry(&id(name), state).await;
        place.store.create(&id(name)).await.unwrap();
        let read = place.store.read(&id(name), TEST).await.err();
        assert!(matches!(read, Some(StoreError::WorkspaceMissing)), "{name}: {read:?}");
    }
}

async fn a_workspace_without_its_database_is_missing(place: Place) {
    place.directory_entry(&id("lost"), WorkspaceState::Active).await;
    let read = place.store.read(&id("lost"), TEST).await.err();
    assert!(matches!(read, Some(StoreError::WorkspaceMissing)), "{read:?}");
    assert!(place.workspace_databases().await.is_empty());
}

async fn a_database_is_made_once_whoever_asks(place: Place) {
    let workspace = id("crowd");
    place.directory_entry(&workspace, WorkspaceState::Active).await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, workspace) = (place.store.clone(), workspace.clone());
        asking.spawn(async move { store.create(&workspace).await });
    }
    while let Some(outcome) = asking.join_next().await {
        outcome.unwrap().unwrap();
    }
    add_list(&place, &workspace, "news").await.unwrap();
}

async fn making_a_database_again_keeps_what_it_holds(place: Place) {
    let workspace = place.workspace("again").await;
    add_list(&place, &workspace, "news").await.unwrap();
    place.store.create(&workspace).await.unwrap();
    assert_eq!(place.store.read(&workspace, TEST).await.unwrap().lists().await.unwrap().len(), 1);
}

async fn a_removed_workspace_can_be_made_anew(place: Place) {
    let workspace = place.workspace("phoenix").await;
    add_list(&place, &workspace, "news").await.unwrap();
    place.store.remove(&workspace).await.unwrap();
    place.store.create(&workspace).await.unwrap();
    assert!(place.store.read(&workspace, TEST).await.unwrap().lists().await.unwrap().is_empty());
}

async fn removal_ends_leases_and_leaves_nothing(place: Place) {
    let workspace = place.workspace("doomed").await;
    let written = Arc::new(AtomicU32::new(0));
    let mut busy = tokio::task::JoinSet::new();
    for task in 0..8 {
        let (store, workspace, written) = (place.store.clone(), workspace.clone(), Arc::clone(&written));
        busy.spawn(async move {
            for number in 0.. {
                let outcome: Result<(), StoreError> = async {
                    let mut unit = store.write(&workspace, TEST).await?;
                    unit.insert_list(&list(&format!("l{task}x{number}"))).await?;
                    unit.commit().await
                }
                .await;
                outcome?;
                written.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
    }
    while written.load(Ordering::Relaxed) < 20 {
        tokio::task::yield_now().await;
    }
    let mut deleting = workspace_row(&workspace, WorkspaceState::Deleting);
    deleting.updated_at = at(1);
    let mut unit = place.store.write_system(TEST).await.unwrap();
    unit.update_workspace(&deleting).await.unwrap();
    unit.commit().await.unwrap();
    place.store.remove(&workspace).await.unwrap();
    assert!(place.workspace_databases().await.is_empty());
    while let Some(outcome) = busy.join_next().await {
        let outcome = outcome.unwrap();
        assert!(matches!(outcome, Err(StoreError::WorkspaceMissing)), "{outcome:?}");
    }
}

async fn all_workspaces_are_brought_up_to_date(place: Place) {
    place.workspace("one").await;
    place.workspace("two").await;
    place.directory_entry(&id("lost"), WorkspaceState::Active).await;
    place.directory_entry(&id("unborn"), WorkspaceState::Creating).await;
    let mut seen = Vec::new();
    let failed = place
        .store
        .migrate_all(|progress| {
            seen.push((progress.workspace.to_string(), progress.outcome.is_ok(), progress.total));
        })
        .await
        .unwrap();
    seen.sort();
    let expected = [("lost", false, 3), ("one", true, 3), ("two", true, 3)];
    assert_eq!(seen, expected.map(|(name, good, total)| (name.to_owned(), good, total)));
    assert_eq!(failed, 1);
}

async fn preparing_again_changes_nothing(place: Place) {
    let workspace = place.workspace("kept").await;
    place.store.prepare().await.unwrap();
    assert!(place.store.read(&workspace, TEST).await.is_ok());
}
