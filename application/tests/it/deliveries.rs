use crate::support::{Stage, mail, notification_draft, owner, patch, reset, workspace};
use application::{deliveries::Batch, ports::SendError, transactional::SendRequest};
use chrono::Duration;
use domain::{
    idempotency::IdempotencyKey,
    messages::{Message, MessageFilter, MessageState},
    transactional::EmailOptions,
};
use serde_json::{Map, json};

async fn send(stage: &Stage, who: &str) {
    send_with(stage, who, None).await;
}

async fn send_with(stage: &Stage, who: &str, external_id: Option<IdempotencyKey>) {
    let request = SendRequest {
        notification: reset(),
        external_id,
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

async fn only_message(stage: &Stage) -> Message {
    let page = stage.messages.list(&owner(), &MessageFilter::default(), None, 10).await.unwrap();
    assert_eq!(page.items.len(), 1);
    page.items.into_iter().next().unwrap().message
}

#[tokio::test]
async fn a_deferred_mail_waits_and_is_tried_again() {
    let stage = Stage::with_notification().await;
    stage.mailer.fail_next([SendError::Deferred { reply: "451 4.7.1 greylisted".into() }]);
    send(&stage, "ana@shop.example").await;
    assert_eq!(stage.deliver_all().await, 1);
    let waiting = only_message(&stage).await;
    assert_eq!(waiting.state, MessageState::Queued);
    assert!(waiting.status_info.unwrap().contains("greylisted"));
    assert_eq!(stage.deliver_all().await, 0, "not before its time");
    stage.clock.advance(Duration::minutes(1));
    assert_eq!(stage.deliver_all().await, 1);
    let sent = only_message(&stage).await;
    assert_eq!((sent.state, sent.status_info), (MessageState::Sent, None));
}

#[tokio::test]
async fn a_provider_that_stays_down_fails_after_the_last_attempt() {
    let stage = Stage::with_notification().await;
    let down = || SendError::Provider { reason: "connection refused".into() };
    stage.mailer.fail_next([down(), down(), down()]);
    send(&stage, "ana@shop.example").await;
    for _ in 0..5 {
        stage.deliver_all().await;
        stage.clock.advance(Duration::hours(3));
    }
    let failed = only_message(&stage).await;
    assert_eq!(failed.state, MessageState::Failed);
    assert!(failed.status_info.unwrap().contains("connection refused"));
    assert_eq!(stage.mailer.posted().len(), 3);
}

#[tokio::test]
async fn an_unconfirmed_mail_is_unknown_and_never_sent_again() {
    let stage = Stage::with_notification().await;
    stage.mailer.fail_next([SendError::Unconfirmed { reason: "connection lost".into() }]);
    send(&stage, "ana@shop.example").await;
    stage.deliver_all().await;
    stage.clock.advance(Duration::days(1));
    assert_eq!(stage.deliver_all().await, 0);
    assert_eq!(only_message(&stage).await.state, MessageState::Unknown);
}

async fn begin_all(stage: &Stage, batch: &Batch) -> usize {
    let items: Vec<_> = batch.items().iter().collect();
    stage.deliveries.begin(batch, &items).await.unwrap().len()
}

#[tokio::test]
async fn what_an_ended_process_had_begun_becomes_unknown() {
    let stage = Stage::with_notification().await;
    send(&stage, "ana@shop.example").await;
    let batch = stage.deliveries.claim(&workspace()).await.unwrap();
    assert_eq!(begin_all(&stage, &batch).await, 1);
    drop(batch);
    assert_eq!(stage.deliver_all().await, 0, "a live claim is left alone");
    stage.clock.advance(Duration::minutes(6));
    assert_eq!(stage.deliver_all().await, 0);
    assert_eq!(only_message(&stage).await.state, MessageState::Unknown);
}

#[tokio::test]
async fn what_an_ended_process_had_only_claimed_is_sent() {
    let stage = Stage::with_notification().await;
    send(&stage, "ana@shop.example").await;
    drop(stage.deliveries.claim(&workspace()).await.unwrap());
    stage.clock.advance(Duration::minutes(6));
    assert_eq!(stage.deliver_all().await, 1);
    assert_eq!(only_message(&stage).await.state, MessageState::Sent);
}

#[tokio::test]
async fn a_claim_that_was_given_back_cannot_begin() {
    let stage = Stage::with_notification().await;
    send(&stage, "ana@shop.example").await;
    let lapsed = stage.deliveries.claim(&workspace()).await.unwrap();
    stage.clock.advance(Duration::minutes(6));
    let fresh = stage.deliveries.claim(&workspace()).await.unwrap();
    assert_eq!(begin_all(&stage, &lapsed).await, 0, "the delivery belongs to the later claim");
    assert_eq!(begin_all(&stage, &fresh).await, 1);
}

#[tokio::test]
async fn a_result_that_comes_too_late_changes_nothing() {
    let stage = Stage::with_notification().await;
    send(&stage, "ana@shop.example").await;
    let batch = stage.deliveries.claim(&workspace()).await.unwrap();
    begin_all(&stage, &batch).await;
    let settled = [stage.deliveries.deliver(&batch, &batch.items()[0]).await];
    stage.clock.advance(Duration::minutes(6));
    stage.deliver_all().await;
    stage.deliveries.record(&batch, &settled).await.unwrap();
    assert_eq!(only_message(&stage).await.state, MessageState::Unknown);
}

#[tokio::test]
async fn released_mails_are_tried_later_without_counting() {
    let stage = Stage::with_notification().await;
    send(&stage, "ana@shop.example").await;
    for _ in 0..5 {
        let batch = stage.deliveries.claim(&workspace()).await.unwrap();
        let untried: Vec<_> = batch.items().iter().map(|i| i.message().clone()).collect();
        stage.deliveries.release(&batch, &untried).await.unwrap();
    }
    stage.deliver_all().await;
    assert_eq!(only_message(&stage).await.state, MessageState::Sent);
}

#[tokio::test]
async fn a_template_that_breaks_fails_its_mail_only() {
    let stage = Stage::new().await;
    stage.templates.create(&owner(), mail("Hi", "{{ broken")).await.unwrap();
    stage.transactional.create(&owner(), notification_draft()).await.unwrap();
    send(&stage, "ana@shop.example").await;
    stage.deliver_all().await;
    assert_eq!(only_message(&stage).await.state, MessageState::Failed);
    assert!(stage.mailer.posted().is_empty());
}

#[tokio::test]
async fn the_rate_limit_of_a_provider_holds() {
    let stage = Stage::with_rate(60).await;
    stage.templates.create(&owner(), mail("Hi", "x")).await.unwrap();
    stage.transactional.create(&owner(), notification_draft()).await.unwrap();
    for n in 0..5 {
        send(&stage, &format!("c{n}@shop.example")).await;
    }
    for _ in 0..3 {
        assert_eq!(stage.deliver_all().await, 1, "one a second");
        let waiting = stage.deliveries.claim(&workspace()).await.unwrap();
        assert!(waiting.items().is_empty());
        assert!(waiting.next().is_some(), "says when the next token is there");
        stage.clock.advance(Duration::seconds(1));
    }
}

#[tokio::test]
async fn a_claim_that_is_held_does_not_lapse() {
    let stage = Stage::with_notification().await;
    send(&stage, "ana@shop.example").await;
    let batch = stage.deliveries.claim(&workspace()).await.unwrap();
    begin_all(&stage, &batch).await;
    for _ in 0..3 {
        stage.clock.advance(Duration::minutes(4));
        stage.deliveries.hold(&batch).await.unwrap();
    }
    stage.deliver_all().await;
    let settled = [stage.deliveries.deliver(&batch, &batch.items()[0]).await];
    stage.deliveries.record(&batch, &settled).await.unwrap();
    assert_eq!(only_message(&stage).await.state, MessageState::Sent);
}

#[tokio::test]
async fn keys_are_forgotten_when_they_are_no_longer_good() {
    let stage = Stage::with_notification().await;
    let key = IdempotencyKey::external("order-7").unwrap();
    send_with(&stage, "ana@shop.example", Some(key.clone())).await;
    stage.deliver_all().await;
    let next = stage.deliveries.claim(&workspace()).await.unwrap().next().expect("a key will expire");
    stage.clock.set(next);
    let later =
        stage.deliveries.claim(&workspace()).await.unwrap().next().expect("the history is looked after");
    assert!(later > next + Duration::days(20), "of keys nothing is left");
    send_with(&stage, "ana@shop.example", Some(key)).await;
    assert_eq!(stage.deliver_all().await, 1, "a forgotten key makes a new message");
}

#[tokio::test]
async fn a_key_that_is_no_longer_good_sends_anew_before_it_is_forgotten() {
    let stage = Stage::with_notification().await;
    let key = IdempotencyKey::external("order-7").unwrap();
    send_with(&stage, "ana@shop.example", Some(key.clone())).await;
    stage.clock.advance(Duration::days(30) - Duration::seconds(1));
    send_with(&stage, "ana@shop.example", Some(key.clone())).await;
    assert_eq!(stage.deliver_all().await, 1);
    stage.clock.advance(Duration::seconds(1));
    send_with(&stage, "ana@shop.example", Some(key)).await;
    assert_eq!(stage.deliver_all().await, 1);
}

#[tokio::test]
async fn what_was_unanswered_is_sent_again_where_the_operator_wants_it() {
    let stage = Stage::that_retries_unknown().await;
    stage.mailer.fail_next([SendError::Unconfirmed { reason: "connection lost".into() }]);
    send(&stage, "ana@shop.example").await;
    stage.deliver_all().await;
    let waiting = only_message(&stage).await;
    assert_eq!(waiting.state, MessageState::Queued);
    assert!(waiting.status_info.unwrap().contains("connection lost"));
    stage.clock.advance(Duration::minutes(1));
    assert_eq!(stage.deliver_all().await, 1);
    assert_eq!(only_message(&stage).await.state, MessageState::Sent);
}

#[tokio::test]
async fn what_an_ended_process_had_begun_is_sent_again_where_the_operator_wants_it() {
    let stage = Stage::that_retries_unknown().await;
    send(&stage, "ana@shop.example").await;
    let batch = stage.deliveries.claim(&workspace()).await.unwrap();
    assert_eq!(begin_all(&stage, &batch).await, 1);
    stage.clock.advance(Duration::minutes(6));
    assert_eq!(stage.deliver_all().await, 0, "after a wait, as after any failure");
    stage.clock.advance(Duration::minutes(1));
    assert_eq!(stage.deliver_all().await, 1);
    assert_eq!(only_message(&stage).await.state, MessageState::Sent);
}

#[tokio::test]
async fn what_stays_unanswered_is_unknown_in_the_end() {
    let stage = Stage::that_retries_unknown().await;
    let lost = || SendError::Unconfirmed { reason: "connection lost".into() };
    stage.mailer.fail_next([lost(), lost(), lost()]);
    send(&stage, "ana@shop.example").await;
    for _ in 0..5 {
        stage.deliver_all().await;
        stage.clock.advance(Duration::hours(3));
    }
    assert_eq!(only_message(&stage).await.state, MessageState::Unknown);
    assert_eq!(stage.mailer.posted().len(), 3);
}
