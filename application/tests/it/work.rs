use crate::support::{Stage, workspace};
use application::{
    ports::{ConnectionBroker as _, Purpose, StoreError, WorkItem, WorkKind},
    work::Work,
};
use chrono::Duration;

const KIND: WorkKind = WorkKind::Deliveries;

async fn promise_and_commit(stage: &Stage) {
    let purpose = Purpose::interactive("test");
    let promise = stage.work.promise(&workspace(), KIND, purpose).await.unwrap();
    let unit = stage.broker.write(&workspace(), purpose).await.unwrap();
    promise.commit(unit).await.unwrap();
}

async fn due(stage: &Stage) -> Vec<WorkItem> {
    stage.work.due(10).await.unwrap()
}

#[tokio::test]
async fn a_promise_is_due_before_its_unit_commits() {
    let stage = Stage::new().await;
    let purpose = Purpose::interactive("test");
    let promise = stage.work.promise(&workspace(), KIND, purpose).await.unwrap();
    assert_eq!(due(&stage).await.len(), 1);
    drop(promise);
    assert!(stage.signal.signals().is_empty(), "an unkept promise wakes nobody");
}

#[tokio::test]
async fn an_entry_outlives_an_empty_look_by_the_grace() {
    let stage = Stage::new().await;
    promise_and_commit(&stage).await;
    let seen = due(&stage).await.remove(0);
    stage.work.conclude(&seen, None).await.unwrap();
    assert!(due(&stage).await.is_empty());
    stage.clock.advance(Work::GRACE);
    let again = due(&stage).await.remove(0);
    stage.work.conclude(&again, None).await.unwrap();
    stage.clock.advance(Duration::days(1));
    assert!(due(&stage).await.is_empty(), "an idle workspace has no entry");
}

#[tokio::test]
async fn an_entry_promised_anew_during_a_look_stays_due() {
    let stage = Stage::new().await;
    promise_and_commit(&stage).await;
    let seen = due(&stage).await.remove(0);
    stage.clock.advance(Duration::minutes(1));
    promise_and_commit(&stage).await;
    stage.work.conclude(&seen, None).await.unwrap();
    assert_eq!(due(&stage).await.len(), 1);
}

#[tokio::test]
async fn later_work_is_due_at_its_moment() {
    let stage = Stage::new().await;
    promise_and_commit(&stage).await;
    let seen = due(&stage).await.remove(0);
    let at = seen.due_at + Duration::seconds(40);
    stage.work.conclude(&seen, Some(at)).await.unwrap();
    stage.clock.set(at - Duration::seconds(1));
    assert!(due(&stage).await.is_empty());
    stage.clock.set(at);
    assert_eq!(due(&stage).await.len(), 1);
}

#[tokio::test]
async fn a_unit_that_commits_too_late_is_refused() {
    let stage = Stage::new().await;
    let purpose = Purpose::interactive("test");
    let promise = stage.work.promise(&workspace(), KIND, purpose).await.unwrap();
    let unit = stage.broker.write(&workspace(), purpose).await.unwrap();
    stage.clock.advance(Duration::minutes(2));
    assert!(matches!(promise.commit(unit).await, Err(StoreError::Abandoned)));
}

#[tokio::test]
async fn promises_in_quick_succession_share_an_entry() {
    let stage = Stage::new().await;
    promise_and_commit(&stage).await;
    let first = due(&stage).await.remove(0);
    stage.clock.advance(Duration::seconds(5));
    promise_and_commit(&stage).await;
    assert_eq!(due(&stage).await, [first]);
}

#[tokio::test]
async fn what_was_looked_at_before_its_commit_is_found_again_by_looking_around() {
    let stage = Stage::new().await;
    let purpose = Purpose::interactive("test");
    let promise = stage.work.promise(&workspace(), KIND, purpose).await.unwrap();
    let seen = due(&stage).await.remove(0);
    stage.work.conclude(&seen, None).await.unwrap();
    promise.commit(stage.broker.write(&workspace(), purpose).await.unwrap()).await.unwrap();
    assert!(due(&stage).await.is_empty(), "it is kept until its grace ends");
    assert_eq!(stage.work.recent(10).await.unwrap().len(), 1);
}
