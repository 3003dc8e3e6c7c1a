//! A provider that fails, and who is concerned by it.

use crate::support::{Stage, notification_draft, owner, patch, reset, workspace};
use application::{ports::SendError, transactional::SendRequest};
use chrono::Duration;
use domain::{
    ids::NotificationId,
    messages::{MessageFilter, MessageState},
    transactional::EmailOptions,
};
use serde_json::{Map, json};

async fn send(stage: &Stage, notification: &NotificationId, who: &str) {
    let request = SendRequest {
        notification: notification.clone(),
        external_id: None,
        idempotency_key: None,
        contact: patch(json!({"email": who})),
        data: Map::new(),
        metadata: None,
        options: EmailOptions::default(),
        files: Vec::new(),
        send_at: None,
    };
    stage.transactional.send(&owner(), request).await.unwrap();
}

fn down() -> SendError {
    SendError::Provider { reason: "connection refused".into() }
}

async fn in_state(stage: &Stage, wanted: MessageState) -> usize {
    let page = stage.messages.list(&owner(), &MessageFilter::default(), None, 100).await.unwrap();
    page.items.iter().filter(|view| view.message.state == wanted).count()
}

/// As the worker does it: a few at a time, and what could not begin is given back.
async fn turn(stage: &Stage) -> usize {
    let batch = stage.deliveries.claim(&workspace()).await.unwrap();
    let mut settled = Vec::new();
    for item in batch.items() {
        if !stage.deliveries.begin(&batch, &[item]).await.unwrap().is_empty() {
            settled.push(stage.deliveries.deliver(&batch, item).await);
        }
    }
    stage.deliveries.record(&batch, &settled).await.unwrap();
    let tried: Vec<_> = settled.iter().map(|s| s.message.clone()).collect();
    let untried: Vec<_> =
        batch.items().iter().map(|i| i.message().clone()).filter(|m| !tried.contains(m)).collect();
    stage.deliveries.release(&batch, &untried).await.unwrap();
    settled.len()
}

#[tokio::test]
async fn a_provider_that_fails_is_left_alone_and_then_tried() {
    let stage = Stage::with_notification().await;
    stage.mailer.fail_next((0..5).map(|_| down()));
    for n in 0..20 {
        send(&stage, &reset(), &format!("c{n}@shop.example")).await;
    }
    assert_eq!(turn(&stage).await, 5, "the others are not tried in vain");
    assert_eq!(turn(&stage).await, 0);
    let next = stage.deliveries.claim(&workspace()).await.unwrap().next();
    assert_eq!(next, Some(stage.clock_now() + Duration::minutes(1)), "the worker comes back for a trial");
    stage.clock.advance(Duration::minutes(1));
    stage.mailer.fail_next([down()]);
    assert_eq!(turn(&stage).await, 1, "one mail is tried");
    stage.clock.advance(Duration::minutes(1));
    assert_eq!(turn(&stage).await, 0, "the pause is longer after a failed trial");
    stage.clock.advance(Duration::minutes(1));
    assert_eq!(turn(&stage).await, 1);
    while turn(&stage).await > 0 {}
    stage.clock.advance(Duration::hours(1));
    while turn(&stage).await > 0 {}
    assert_eq!(in_state(&stage, MessageState::Sent).await, 20, "nothing is lost");
}

#[tokio::test]
async fn a_refusal_is_no_failure_of_the_provider() {
    let stage = Stage::with_notification().await;
    stage.mailer.fail_next((0..9).map(|_| SendError::Refused { reply: "550 5.1.1 no such user".into() }));
    for n in 0..10 {
        send(&stage, &reset(), &format!("c{n}@shop.example")).await;
    }
    assert_eq!(turn(&stage).await, 10);
    assert_eq!(in_state(&stage, MessageState::Sent).await, 1);
}

#[tokio::test]
async fn a_long_queue_of_one_notification_delays_no_other() {
    let stage = Stage::with_notification().await;
    let other = NotificationId::parse("welcome").unwrap();
    let mut draft = notification_draft();
    draft.id = other.clone();
    stage.transactional.create(&owner(), draft).await.unwrap();
    for n in 0..120 {
        send(&stage, &reset(), &format!("c{n}@shop.example")).await;
    }
    stage.clock.advance(Duration::seconds(1));
    send(&stage, &other, "ana@shop.example").await;
    turn(&stage).await;
    let first: Vec<_> = stage.mailer.sent().into_iter().map(|mail| mail.to.address.to_string()).collect();
    assert!(first.contains(&"ana@shop.example".to_owned()), "it is in the first batch");
    assert_eq!(first.len(), 50, "and the batch is full");
}

#[tokio::test]
async fn a_provider_that_is_away_for_an_hour_delays_a_broadcast_and_costs_nobody() {
    let stage = Stage::with_list(300).await;
    let broadcast = stage.broadcasts.create(&owner(), crate::broadcasts::draft()).await.unwrap();
    stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap();
    while stage.broadcasts.plan(&workspace()).await.unwrap().more {}
    stage.mailer.fail_next((0..10_000).map(|_| down()));
    for _ in 0..60 {
        while turn(&stage).await > 0 {}
        stage.clock.advance(Duration::minutes(1));
    }
    let during = stage.broadcasts.ledger(&owner(), &broadcast.id).await.unwrap();
    assert_eq!((during.planned, during.sent, during.failed), (300, 0, 0), "{during:?}");
    let tried = stage.mailer.posted().len();
    assert!(tried < 60, "a provider that fails is left alone: {tried}");
    stage.mailer.recover();
    for _ in 0..240 {
        while turn(&stage).await > 0 {}
        stage.clock.advance(Duration::minutes(1));
    }
    let after = stage.broadcasts.ledger(&owner(), &broadcast.id).await.unwrap();
    assert_eq!((after.sent, after.accounted()), (300, 300), "{after:?}");
    let mut reached: Vec<_> = stage.mailer.sent().into_iter().map(|mail| mail.to.address).collect();
    reached.sort();
    reached.dedup();
    assert_eq!((reached.len(), stage.mailer.sent().len()), (300, 300), "nobody twice");
}
