use crate::support::{READ, Stage, WRITE, all_but, owner, patch, reset, workspace};
use application::{
    failure::{Failure as _, FailureKind},
    transactional::{SendRequest, TransactionalError},
};
use chrono::Duration;
use domain::{
    contacts::ContactField,
    idempotency::IdempotencyKey,
    ids::{MessageId, NotificationId},
    permissions::Resource,
    transactional::EmailOptions,
};
use serde_json::{Map, Value, json};

fn request(contact: Value) -> SendRequest {
    SendRequest {
        notification: reset(),
        external_id: None,
        idempotency_key: None,
        contact: patch(contact),
        data: Map::new(),
        metadata: None,
        options: EmailOptions::default(),
        files: Vec::new(),
        send_at: None,
    }
}

fn to(n: usize) -> SendRequest {
    request(json!({"email": format!("c{n}@shop.example")}))
}

fn keyed(n: usize, key: &str) -> SendRequest {
    SendRequest { external_id: Some(IdempotencyKey::external(key).unwrap()), ..to(n) }
}

fn unknown() -> SendRequest {
    SendRequest { notification: NotificationId::parse("unknown").unwrap(), ..to(0) }
}

async fn send(
    stage: &Stage,
    key: Option<&str>,
    requests: Vec<SendRequest>,
) -> Vec<Result<MessageId, TransactionalError>> {
    let key = key.map(|key| IdempotencyKey::from_header(key).unwrap());
    let requests = requests.into_iter().enumerate().collect();
    let results = stage.transactional.send_batch(&owner(), key.as_ref(), requests).await.unwrap();
    results.into_iter().map(|(_, result)| result).collect()
}

#[tokio::test]
async fn many_messages_are_accepted_together() {
    let stage = Stage::with_notification().await;
    let results = send(&stage, None, (0..500).map(to).collect()).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(stage.signal.signals().len(), 1, "one unit of work");
    assert_eq!(stage.deliver_all().await, 500);
    let sent: Vec<_> = stage.mailer.sent().into_iter().map(|mail| mail.message_id).collect();
    assert!(results.iter().flatten().all(|id| sent.contains(id)));
}

#[tokio::test]
async fn one_that_cannot_be_sent_keeps_no_other_from_it() {
    let stage = Stage::with_notification().await;
    let late = SendRequest { send_at: Some(stage.clock_now() + Duration::days(31)), ..to(2) };
    let results = send(&stage, None, vec![to(1), unknown(), late, to(3)]).await;
    let codes: Vec<_> = results.iter().map(|r| r.as_ref().err().map(TransactionalError::code)).collect();
    assert_eq!(codes, [None, Some("notification-not-found"), Some("invalid-input"), None]);
    assert_eq!(stage.deliver_all().await, 2);
}

#[tokio::test]
async fn a_key_that_comes_twice_in_a_call_makes_one_message() {
    let stage = Stage::with_notification().await;
    let results = send(&stage, None, vec![keyed(1, "k"), keyed(2, "j"), keyed(1, "k"), keyed(3, "k")]).await;
    assert_eq!(results[0].as_ref().unwrap(), results[2].as_ref().unwrap());
    assert_eq!(results[3].as_ref().unwrap_err().kind(), FailureKind::Conflict);
    assert_eq!(stage.deliver_all().await, 2);
}

#[tokio::test]
async fn a_repeated_call_is_answered_alike() {
    let stage = Stage::with_notification().await;
    let call = || vec![to(1), unknown(), to(1), to(2)];
    let first = send(&stage, Some("call"), call()).await;
    let again = send(&stage, Some("call"), call()).await;
    let ids = |results: &[Result<MessageId, TransactionalError>]| -> Vec<_> {
        results.iter().map(|result| result.as_ref().ok().cloned()).collect()
    };
    assert_eq!(ids(&first), ids(&again));
    assert_ne!(first[0].as_ref().unwrap(), first[2].as_ref().unwrap(), "equal messages are two messages");
    assert_eq!(stage.deliver_all().await, 3);
}

#[tokio::test]
async fn a_contact_that_comes_twice_is_merged_in_order() {
    let stage = Stage::with_notification().await;
    let requests = ["A", "B"].map(|name| request(json!({"email": "ana@shop.example", "first_name": name})));
    assert!(send(&stage, None, requests.into()).await.iter().all(Result::is_ok));
    let ana = domain::email_address::EmailAddress::parse("ana@shop.example").unwrap();
    let contact = stage.contacts.by_email(&owner(), &ana).await.unwrap().contact;
    assert_eq!(contact.text(ContactField::FirstName), Some("B"));
}

#[tokio::test]
async fn a_message_waits_for_its_moment() {
    let stage = Stage::with_notification().await;
    let at = stage.clock_now() + Duration::hours(2);
    let later = SendRequest { send_at: Some(at), ..to(1) };
    let past = SendRequest { send_at: Some(stage.clock_now() - Duration::hours(2)), ..to(2) };
    stage.transactional.send(&owner(), later).await.unwrap();
    stage.transactional.send(&owner(), past).await.unwrap();
    assert_eq!(stage.deliver_all().await, 1, "what is past is sent at once");
    let next = stage.deliveries.claim(&workspace()).await.unwrap().next();
    assert_eq!(next, Some(at), "the worker looks again at the moment");
    stage.clock.set(at);
    assert_eq!(stage.deliver_all().await, 1);
}

#[tokio::test]
async fn a_moment_too_far_ahead_is_refused() {
    let stage = Stage::with_notification().await;
    let at = stage.clock_now() + Duration::days(30) + Duration::seconds(1);
    let refused = stage.transactional.send(&owner(), SendRequest { send_at: Some(at), ..to(1) }).await;
    assert_eq!(refused.unwrap_err().problems()[0].pointer, "/notification/send_at");
}

#[tokio::test]
async fn a_call_takes_so_many_messages_and_no_more() {
    let stage = Stage::with_notification().await;
    let requests = (0..501).map(to).enumerate().collect();
    let refused = stage.transactional.send_batch(&owner(), None, requests).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Invalid);
}

#[tokio::test]
async fn a_call_needs_the_permission_to_send() {
    let stage = Stage::with_notification().await;
    let may_not = all_but(Resource::Transactional, WRITE);
    let call = || vec![(0, to(1))];
    let refused = stage.transactional.send_batch(&may_not, None, call()).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Forbidden);
    let may = all_but(Resource::Transactional, READ);
    assert!(stage.transactional.send_batch(&may, None, call()).await.is_ok());
}
