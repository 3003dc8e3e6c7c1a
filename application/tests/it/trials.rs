use crate::support::{READ, Stage, WRITE, all_but, email, integration, owner, welcome};
use application::{
    failure::{Failure as _, FailureKind},
    ports::SendError,
    transactional::TemplateTrial,
};
use domain::{
    ids::{IntegrationId, SenderId, TemplateId},
    languages::Language,
    messages::{Message, MessageFilter, MessageState},
    permissions::Resource,
    transactional::EmailOptions,
};
use uuid::Uuid;

fn trial() -> TemplateTrial {
    TemplateTrial {
        template: welcome(),
        integration: integration(),
        sender: SenderId::from_uuid(Uuid::from_u128(5)),
        recipient: email("ana@shop.example"),
        language: None,
        options: EmailOptions::default(),
        files: Vec::new(),
    }
}

async fn only_message(stage: &Stage) -> Message {
    let page = stage.messages.list(&owner(), &MessageFilter::default(), None, 10).await.unwrap();
    assert_eq!(page.items.len(), 1);
    page.items.into_iter().next().unwrap().message
}

#[tokio::test]
async fn a_template_is_sent_at_once() {
    let stage = Stage::with_notification().await;
    stage.transactional.test_template(&owner(), trial()).await.unwrap().unwrap();
    let mail = &stage.mailer.sent()[0];
    assert_eq!(mail.to.address, email("ana@shop.example"));
    assert_eq!(mail.from.name.as_ref().unwrap().as_str(), "Acme", "an unknown sender is the default one");
    let message = only_message(&stage).await;
    assert_eq!((message.id, message.state), (mail.message_id.clone(), MessageState::Sent));
    assert_eq!(stage.contacts.count(&owner()).await.unwrap(), 1);
    assert_eq!(stage.deliver_all().await, 0, "nothing waits in the queue");
}

#[tokio::test]
async fn the_options_of_the_request_win() {
    let stage = Stage::with_notification().await;
    let options = EmailOptions::parse(
        Some("Tester"),
        Some("Try {{ contact.email }}"),
        None,
        Some("help@acme.example"),
        &["ops@acme.example".to_owned()],
        &[],
    );
    let trial = TemplateTrial { options: options.unwrap(), ..trial() };
    stage.transactional.test_template(&owner(), trial).await.unwrap().unwrap();
    let mail = &stage.mailer.sent()[0];
    assert_eq!(mail.from.name.as_ref().unwrap().as_str(), "Tester");
    assert_eq!(mail.subject, "Try ana@shop.example");
    assert_eq!(mail.reply_to, Some(email("help@acme.example")));
    assert_eq!(mail.cc, [email("ops@acme.example")]);
    assert_eq!(only_message(&stage).await.options.from_name.unwrap().as_str(), "Tester");
}

#[tokio::test]
async fn what_the_provider_says_is_answered_and_kept() {
    let stage = Stage::with_notification().await;
    stage.mailer.fail_next([SendError::Deferred { reply: "451 4.7.1 greylisted".into() }]);
    let error = stage.transactional.test_template(&owner(), trial()).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("greylisted"));
    let message = only_message(&stage).await;
    assert_eq!(message.state, MessageState::Failed);
    assert!(message.status_info.unwrap().contains("greylisted"));
    assert_eq!(stage.deliver_all().await, 0, "a trial is not tried again");
}

#[tokio::test]
async fn a_lost_answer_is_unknown() {
    let stage = Stage::with_notification().await;
    stage.mailer.fail_next([SendError::Unconfirmed { reason: "cut".into() }]);
    assert!(stage.transactional.test_template(&owner(), trial()).await.unwrap().is_err());
    assert_eq!(only_message(&stage).await.state, MessageState::Unknown);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let stage = Stage::with_notification().await;
    let template = TemplateId::parse("unknown").unwrap();
    let refused = stage.transactional.test_template(&owner(), TemplateTrial { template, ..trial() }).await;
    assert_eq!(refused.unwrap_err().code(), "template-not-found");
    let integration = IntegrationId::from_uuid(Uuid::from_u128(5));
    let refused = stage.transactional.test_template(&owner(), TemplateTrial { integration, ..trial() }).await;
    assert_eq!(refused.unwrap_err().code(), "integration-not-found");
    assert_eq!(stage.contacts.count(&owner()).await.unwrap(), 0, "nothing of a refused trial is kept");
}

#[tokio::test]
async fn a_language_without_a_translation_is_the_base() {
    let stage = Stage::with_notification().await;
    let language = Some(Language::parse("fr").unwrap());
    let sent = stage.transactional.test_template(&owner(), TemplateTrial { language, ..trial() }).await;
    assert!(sent.unwrap().is_ok());
}

#[tokio::test]
async fn a_trial_needs_the_permission_to_send() {
    let stage = Stage::with_notification().await;
    let may_not = all_but(Resource::Transactional, WRITE);
    let refused = stage.transactional.test_template(&may_not, trial()).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Forbidden);
    let may = all_but(Resource::Transactional, READ);
    assert!(stage.transactional.test_template(&may, trial()).await.is_ok());
}
