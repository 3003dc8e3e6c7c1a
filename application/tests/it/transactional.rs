use crate::support::{
    READ, Stage, WRITE, all_but, email, integration, mail, notification_draft, owner, patch, reset, welcome,
    workspace,
};
use application::{
    failure::{Failure as _, FailureKind},
    ports::{ConnectionBroker as _, Purpose, SendError, WorkKind},
    transactional::SendRequest,
};
use domain::{
    contacts::ContactField,
    idempotency::IdempotencyKey,
    ids::{NotificationId, TemplateId},
    messages::{MessageFilter, MessageState},
    permissions::Resource,
    transactional::{EmailOptions, NotificationPatch},
};
use serde_json::{Value, json};

fn request(external_id: Option<&str>, data: Value) -> SendRequest {
    let Value::Object(data) = data else { panic!("data is an object") };
    SendRequest {
        notification: reset(),
        external_id: external_id.map(|key| IdempotencyKey::external(key).unwrap()),
        idempotency_key: None,
        contact: patch(json!({"email": "ana@shop.example", "first_name": "Ana"})),
        data,
        metadata: None,
        options: EmailOptions::default(),
        files: Vec::new(),
        send_at: None,
    }
}

#[tokio::test]
async fn a_send_stores_the_contact_and_mails_it() {
    let stage = Stage::with_notification().await;
    let id = stage.transactional.send(&owner(), request(None, json!({"code": "4711"}))).await.unwrap();
    assert_eq!(stage.signal.signals(), [(workspace(), WorkKind::Deliveries)]);
    assert_eq!(stage.deliver_all().await, 1);
    let sent = stage.mailer.sent();
    assert_eq!(sent[0].message_id, id);
    assert_eq!(sent[0].subject, "Hello Ana");
    assert!(sent[0].html.contains("4711"));
    assert_eq!(sent[0].from.name.as_ref().unwrap().as_str(), "Acme");
    assert_eq!(sent[0].reply_to, Some(email("replies@acme.example")));
    assert_eq!(sent[0].list_unsubscribe, None);
    let contact = stage.contacts.by_email(&owner(), &email("ana@shop.example")).await.unwrap().contact;
    assert_eq!(contact.text(ContactField::FirstName), Some("Ana"));
}

#[tokio::test]
async fn the_request_wins_over_template_and_sender() {
    let stage = Stage::with_notification().await;
    let mut asked = request(None, json!({}));
    let cc = ["ops@acme.example".to_owned()];
    asked.options = EmailOptions::parse(
        Some("Acme \"Support\""),
        Some("Hi {{ contact.first_name }}!"),
        None,
        Some("help@acme.example"),
        &cc,
        &["audit@acme.example".to_owned()],
    )
    .unwrap();
    stage.transactional.send(&owner(), asked).await.unwrap();
    stage.deliver_all().await;
    let mail = &stage.mailer.sent()[0];
    assert_eq!(mail.from.name.as_ref().unwrap().as_str(), "Acme \"Support\"");
    assert_eq!(mail.from.address, email("hello@acme.example"));
    assert_eq!(mail.subject, "Hi Ana!");
    assert_eq!(mail.reply_to, Some(email("help@acme.example")));
    assert_eq!((mail.cc.len(), mail.bcc.len()), (1, 1));
}

#[tokio::test]
async fn a_repeated_key_sends_once() {
    let stage = Stage::with_notification().await;
    let first = stage.transactional.send(&owner(), request(Some("k"), json!({"code": "1"}))).await.unwrap();
    stage.deliver_all().await;
    let again = stage.transactional.send(&owner(), request(Some("k"), json!({"code": "1"}))).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(stage.deliver_all().await, 0);
    let other = stage.transactional.send(&owner(), request(Some("k"), json!({"code": "2"}))).await;
    assert_eq!(other.unwrap_err().code(), "idempotency-key-reused");
}

fn call(key: &str, external_id: Option<&str>, code: &str) -> SendRequest {
    let idempotency_key = Some(IdempotencyKey::from_header(key).unwrap());
    SendRequest { idempotency_key, ..request(external_id, json!({"code": code})) }
}

#[tokio::test]
async fn a_repeated_call_sends_once() {
    let stage = Stage::with_notification().await;
    let first = stage.transactional.send(&owner(), call("k", None, "1")).await.unwrap();
    let again = stage.transactional.send(&owner(), call("k", None, "1")).await.unwrap();
    assert_eq!(first, again);
    let other = stage.transactional.send(&owner(), call("k", None, "2")).await.unwrap_err();
    assert_eq!((other.kind(), other.code()), (FailureKind::Unprocessable, "idempotency-key-reused"));
    assert_eq!(stage.deliver_all().await, 1);
}

#[tokio::test]
async fn either_key_finds_the_first_message() {
    let stage = Stage::with_notification().await;
    let first = stage.transactional.send(&owner(), call("k", Some("order-7"), "1")).await.unwrap();
    for same in [call("k", Some("order-7"), "1"), call("other", Some("order-7"), "1")] {
        assert_eq!(stage.transactional.send(&owner(), same).await.unwrap(), first);
    }
    let without = stage.transactional.send(&owner(), call("k", None, "1")).await.unwrap_err();
    assert_eq!(without.kind(), FailureKind::Unprocessable, "the external_id is a part of the content");
    assert_eq!(stage.deliver_all().await, 1);
}

#[tokio::test]
async fn a_refused_send_leaves_its_key_free() {
    let stage = Stage::with_notification().await;
    let mut asked = request(Some("k"), json!({}));
    asked.notification = NotificationId::parse("unknown").unwrap();
    let refused = stage.transactional.send(&owner(), asked).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::NotFound);
    assert_eq!(stage.contacts.count(&owner()).await.unwrap(), 0, "nothing of a refused send is kept");
    assert!(stage.transactional.send(&owner(), request(Some("k"), json!({}))).await.is_ok());
}

#[tokio::test]
async fn variables_are_sealed_at_rest() {
    let stage = Stage::with_notification().await;
    let id = stage.transactional.send(&owner(), request(None, json!({"code": "s3cret"}))).await.unwrap();
    let mut store = stage.broker.read(&workspace(), Purpose::interactive("test")).await.unwrap();
    let stored = store.messages(std::slice::from_ref(&id)).await.unwrap();
    assert!(!stored[0].data.as_ref().unwrap().as_str().contains("s3cret"));
    drop(store);
    let page = stage.messages.list(&owner(), &MessageFilter::default(), None, 10).await.unwrap();
    assert_eq!(page.items[0].data["code"], "s3cret");
}

#[tokio::test]
async fn a_refused_mail_fails_with_the_providers_words() {
    let stage = Stage::with_notification().await;
    stage.mailer.fail_next([SendError::Refused { reply: "550 5.1.1 no such user".into() }]);
    stage.transactional.send(&owner(), request(None, json!({}))).await.unwrap();
    stage.deliver_all().await;
    let page = stage.messages.list(&owner(), &MessageFilter::default(), None, 10).await.unwrap();
    let message = &page.items[0].message;
    assert_eq!(message.state, MessageState::Failed);
    assert!(message.status_info.as_ref().unwrap().contains("550 5.1.1 no such user"));
}

#[tokio::test]
async fn without_a_provider_a_send_says_what_to_set() {
    let stage = Stage::with_notification().await;
    let mut system = stage.broker.write_system(Purpose::interactive("test")).await.unwrap();
    let mut acme = system.workspace(&workspace()).await.unwrap().unwrap();
    acme.settings.transactional_email_provider_id = None;
    system.update_workspace(&acme).await.unwrap();
    system.commit().await.unwrap();
    let refused = stage.transactional.send(&owner(), request(None, json!({}))).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (FailureKind::Unprocessable, "provider-missing"));
}

#[tokio::test]
async fn a_removed_provider_fails_the_mail() {
    let stage = Stage::with_notification().await;
    stage.transactional.send(&owner(), request(None, json!({}))).await.unwrap();
    let mut system = stage.broker.write_system(Purpose::interactive("test")).await.unwrap();
    system.delete_integration(&workspace(), integration()).await.unwrap();
    system.commit().await.unwrap();
    stage.deliver_all().await;
    let page = stage.messages.list(&owner(), &MessageFilter::default(), None, 10).await.unwrap();
    assert!(page.items[0].message.status_info.as_ref().unwrap().contains("removed from the workspace"));
}

#[tokio::test]
async fn a_notification_needs_an_existing_template() {
    let stage = Stage::new().await;
    let refused = stage.transactional.create(&owner(), notification_draft()).await.unwrap_err();
    assert_eq!(refused.code(), "template-unknown");
    stage.templates.create(&owner(), mail("One", "")).await.unwrap();
    stage.transactional.create(&owner(), notification_draft()).await.unwrap();
    let taken = stage.transactional.create(&owner(), notification_draft()).await.unwrap_err();
    assert_eq!(taken.kind(), FailureKind::Conflict);
}

#[tokio::test]
async fn a_patch_keeps_the_channels() {
    let stage = Stage::with_notification().await;
    let patch = NotificationPatch { name: Some("New".into()), ..NotificationPatch::default() };
    let updated = stage.transactional.update(&owner(), &reset(), patch).await.unwrap();
    assert_eq!(updated.email.template_id, welcome());
    let unknown = domain::transactional::EmailChannel {
        template_id: TemplateId::parse("unknown").unwrap(),
        settings: None,
    };
    let patch = NotificationPatch { email: Some(unknown), ..NotificationPatch::default() };
    let refused = stage.transactional.update(&owner(), &reset(), patch).await.unwrap_err();
    assert_eq!(refused.code(), "template-unknown");
}

#[tokio::test]
async fn every_use_case_needs_its_permission() {
    let stage = Stage::with_notification().await;
    let no_read = all_but(Resource::Transactional, READ);
    let no_write = all_but(Resource::Transactional, WRITE);
    let patch = NotificationPatch { name: Some("New".into()), ..NotificationPatch::default() };
    let kinds = [
        stage.transactional.create(&no_write, notification_draft()).await.unwrap_err().kind(),
        stage.transactional.update(&no_write, &reset(), patch).await.unwrap_err().kind(),
        stage.transactional.delete(&no_write, &reset()).await.unwrap_err().kind(),
        stage.transactional.send(&no_write, request(None, json!({}))).await.unwrap_err().kind(),
        stage.transactional.get(&no_read, &reset()).await.unwrap_err().kind(),
        stage.transactional.list(&no_read, None, None, 0).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [FailureKind::Forbidden; 6]);
}
