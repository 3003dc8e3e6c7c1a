//! The index of due work.

use crate::{
    backends::Store,
    cases,
    samples::{acme, at, workspace},
};
use application::ports::{SystemUnitOfWork, WorkItem, WorkKind};
use domain::Timestamp;

cases![
    a_promise_is_read_as_it_was_made,
    there_is_one_entry_for_each_workspace_and_kind,
    a_later_promise_never_delays,
    an_earlier_promise_hastens,
    nothing_is_due_too_early,
    the_longest_due_comes_first,
    due_work_is_read_up_to_a_limit,
    no_work_is_never_due,
    the_next_due_is_the_earliest,
    a_concluded_entry_is_removed,
    a_concluded_entry_moves_to_its_next_moment,
    an_entry_promised_anew_is_not_concluded,
    an_entry_is_not_concluded_twice,
    promises_at_once_all_count,
    a_promise_wins_over_a_conclusion_at_once,
];

fn item(kind: WorkKind, due: i64, promised: i64) -> WorkItem {
    WorkItem { workspace: acme(), kind, due_at: at(due), promised_at: at(promised) }
}

fn deliveries(due: i64, promised: i64) -> WorkItem {
    item(WorkKind::Deliveries, due, promised)
}

async fn promised(store: &Store, items: &[WorkItem]) -> Box<dyn SystemUnitOfWork> {
    let mut system = store.write_system().await;
    system.insert_workspace(&workspace("other", 0)).await.unwrap();
    for item in items {
        system.promise_work(item).await.unwrap();
    }
    system
}

async fn everything(system: &mut dyn SystemUnitOfWork) -> Vec<WorkItem> {
    system.due_work(at(10_000), 100).await.unwrap()
}

async fn a_promise_is_read_as_it_was_made(store: &Store) {
    promised(store, &[deliveries(5, 3)]).await.commit().await.unwrap();
    assert_eq!(store.read_system().await.due_work(at(5), 9).await.unwrap(), [deliveries(5, 3)]);
}

async fn there_is_one_entry_for_each_workspace_and_kind(store: &Store) {
    let elsewhere = WorkItem { workspace: workspace("other", 0).id, ..deliveries(3, 0) };
    let items = [deliveries(1, 0), item(WorkKind::Planning, 2, 0), elsewhere, deliveries(1, 0)];
    let mut system = promised(store, &items).await;
    assert_eq!(everything(&mut *system).await, items[..3]);
}

async fn a_later_promise_never_delays(store: &Store) {
    let mut system = promised(store, &[deliveries(5, 3), deliveries(9, 4)]).await;
    assert_eq!(everything(&mut *system).await, [deliveries(5, 4)]);
}

async fn an_earlier_promise_hastens(store: &Store) {
    let mut system = promised(store, &[deliveries(9, 4), deliveries(5, 3)]).await;
    assert_eq!(everything(&mut *system).await, [deliveries(5, 4)]);
}

async fn nothing_is_due_too_early(store: &Store) {
    let mut system = promised(store, &[deliveries(5, 0)]).await;
    assert_eq!(system.due_work(at(4), 9).await.unwrap(), []);
    assert_eq!(system.due_work(at(5), 9).await.unwrap(), [deliveries(5, 0)]);
}

async fn the_longest_due_comes_first(store: &Store) {
    let elsewhere = WorkItem { workspace: workspace("other", 0).id, ..deliveries(4, 0) };
    let items = [deliveries(5, 0), item(WorkKind::Planning, 3, 0), elsewhere];
    let mut system = promised(store, &items).await;
    let due: Vec<_> = everything(&mut *system).await.into_iter().map(|w| w.due_at).collect();
    assert_eq!(due, [3, 4, 5].map(at));
}

async fn due_work_is_read_up_to_a_limit(store: &Store) {
    let mut system = promised(store, &[deliveries(5, 0), item(WorkKind::Planning, 3, 0)]).await;
    assert_eq!(system.due_work(at(9), 1).await.unwrap(), [item(WorkKind::Planning, 3, 0)]);
    assert_eq!(system.due_work(at(9), 0).await.unwrap(), []);
}

async fn no_work_is_never_due(store: &Store) {
    let mut system = store.read_system().await;
    assert_eq!(system.next_work_due().await.unwrap(), None);
    assert_eq!(system.due_work(at(9), 9).await.unwrap(), []);
}

async fn the_next_due_is_the_earliest(store: &Store) {
    let mut system = promised(store, &[deliveries(50, 0), item(WorkKind::Planning, 30, 0)]).await;
    assert_eq!(system.next_work_due().await.unwrap(), Some(at(30)));
}

async fn a_concluded_entry_is_removed(store: &Store) {
    let mut system = promised(store, &[deliveries(5, 3), item(WorkKind::Planning, 7, 3)]).await;
    assert!(system.conclude_work(&deliveries(5, 3), None).await.unwrap());
    assert_eq!(everything(&mut *system).await, [item(WorkKind::Planning, 7, 3)]);
}

async fn a_concluded_entry_moves_to_its_next_moment(store: &Store) {
    let mut system = promised(store, &[deliveries(5, 3)]).await;
    assert!(system.conclude_work(&deliveries(5, 3), Some(at(60))).await.unwrap());
    assert_eq!(everything(&mut *system).await, [deliveries(60, 3)]);
}

async fn an_entry_promised_anew_is_not_concluded(store: &Store) {
    let mut system = promised(store, &[deliveries(5, 3), deliveries(6, 4)]).await;
    for next in [None, Some(at(60))] {
        assert!(!system.conclude_work(&deliveries(5, 3), next).await.unwrap());
        assert_eq!(everything(&mut *system).await, [deliveries(5, 4)]);
    }
}

async fn an_entry_is_not_concluded_twice(store: &Store) {
    let mut system = promised(store, &[deliveries(5, 3)]).await;
    system.conclude_work(&deliveries(5, 3), None).await.unwrap();
    for next in [None, Some(at(60))] {
        assert!(!system.conclude_work(&deliveries(5, 3), next).await.unwrap());
    }
    assert_eq!(everything(&mut *system).await, []);
}

async fn promises_at_once_all_count(store: &Store) {
    promised(store, &[]).await.commit().await.unwrap();
    let promise = |store: Store, due, made| async move {
        let mut system = store.write_system().await;
        system.promise_work(&deliveries(due, made)).await.unwrap();
        tokio::task::yield_now().await;
        system.commit().await.unwrap();
    };
    let tasks =
        [(30, 1), (10, 2), (20, 3)].map(|(due, made)| tokio::spawn(promise(store.clone(), due, made)));
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.read_system().await.due_work(at(99), 9).await.unwrap(), [deliveries(10, 3)]);
}

async fn a_promise_wins_over_a_conclusion_at_once(store: &Store) {
    promised(store, &[deliveries(5, 3)]).await.commit().await.unwrap();
    let promise = |store: Store| async move {
        let mut system = store.write_system().await;
        system.promise_work(&deliveries(6, 4)).await.unwrap();
        tokio::task::yield_now().await;
        system.commit().await.unwrap();
    };
    let conclude = |store: Store| async move {
        let mut system = store.write_system().await;
        let concluded = system.conclude_work(&deliveries(5, 3), None).await.unwrap();
        tokio::task::yield_now().await;
        system.commit().await.unwrap();
        concluded
    };
    let (promise, conclude) = (tokio::spawn(promise(store.clone())), tokio::spawn(conclude(store.clone())));
    promise.await.unwrap();
    // Whichever came first, the promise is kept.
    let due: Timestamp = if conclude.await.unwrap() { at(6) } else { at(5) };
    let kept = WorkItem { due_at: due, ..deliveries(5, 4) };
    assert_eq!(store.read_system().await.due_work(at(99), 9).await.unwrap(), [kept]);
}
