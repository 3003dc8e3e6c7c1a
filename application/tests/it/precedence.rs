//! Who decides what a mail says: request, notification, template, sender, default sender.

use crate::support::{Stage, email, mail, notification_draft, owner, patch, reset, workspace};
use application::{
    ports::{ConnectionBroker as _, OutgoingMail, Purpose},
    transactional::SendRequest,
};
use domain::{
    ids::SenderId,
    integrations::Sender,
    mail_name::MailName,
    templates::TemplateContent,
    transactional::{EmailOptions, NotificationPatch},
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

fn second_sender() -> SenderId {
    SenderId::from_uuid(Uuid::from_u128(77))
}

/// A stage whose provider has a second sender, with a template and a notification.
async fn stage(template_names_sender: bool, settings: Value) -> Stage {
    let stage = Stage::new().await;
    let mut system = stage.broker.write_system(Purpose::interactive("test")).await.unwrap();
    let mut relay = system.integrations(&[workspace()]).await.unwrap().remove(0);
    relay.provider.senders.push(Sender {
        id: second_sender(),
        email: email("shop@acme.example"),
        name: MailName::parse("Shop").unwrap(),
        is_default: false,
        dkim: None,
    });
    system.update_integration(&relay).await.unwrap();
    system.commit().await.unwrap();
    let mut draft = mail("Subject of the template", "x");
    if let TemplateContent::Email(content) = &mut draft.content {
        content.sender_id = template_names_sender.then(|| second_sender().uuid().to_string());
    }
    stage.templates.create(&owner(), draft).await.unwrap();
    let mut draft = notification_draft();
    draft.email.settings = settings.as_object().cloned();
    stage.transactional.create(&owner(), draft).await.unwrap();
    stage
}

async fn sent(stage: &Stage, options: EmailOptions) -> OutgoingMail {
    let request = SendRequest {
        notification: reset(),
        external_id: None,
        idempotency_key: None,
        contact: patch(json!({"email": "ana@shop.example"})),
        data: Map::new(),
        metadata: None,
        options,
        files: Vec::new(),
        send_at: None,
    };
    stage.transactional.send(&owner(), request).await.unwrap();
    stage.deliver_all().await;
    stage.mailer.sent().pop().unwrap()
}

/// Author's name, author's address, subject and where replies go.
fn summary(mail: &OutgoingMail) -> [&str; 4] {
    [
        mail.from.name.as_ref().unwrap().as_str(),
        mail.from.address.as_str(),
        &mail.subject,
        mail.reply_to.as_ref().unwrap().as_str(),
    ]
}

fn asked() -> EmailOptions {
    let (name, subject) = (Some("Request"), Some("Subject of the request"));
    EmailOptions::parse(name, subject, None, Some("request@acme.example"), &[], &[]).unwrap()
}

fn usual() -> Value {
    json!({"from_name": "Notification", "subject": "Subject of the notification",
        "reply_to": "notification@acme.example", "theme": "dark"})
}

#[tokio::test]
async fn the_request_decides_first() {
    let stage = stage(true, usual()).await;
    let mail = sent(&stage, asked()).await;
    let wanted = ["Request", "shop@acme.example", "Subject of the request", "request@acme.example"];
    assert_eq!(summary(&mail), wanted);
}

#[tokio::test]
async fn then_the_notification() {
    let stage = stage(true, usual()).await;
    let mail = sent(&stage, EmailOptions::default()).await;
    let wanted =
        ["Notification", "shop@acme.example", "Subject of the notification", "notification@acme.example"];
    assert_eq!(summary(&mail), wanted);
}

#[tokio::test]
async fn then_the_template_and_its_sender() {
    let stage = stage(true, Value::Null).await;
    let mail = sent(&stage, EmailOptions::default()).await;
    assert_eq!(
        summary(&mail),
        ["Shop", "shop@acme.example", "Subject of the template", "replies@acme.example"]
    );
}

#[tokio::test]
async fn then_the_default_sender() {
    let stage = stage(false, json!({"from_name": " ", "subject": null})).await;
    let options = EmailOptions::parse(Some(""), Some(" "), None, Some(""), &[], &[]).unwrap();
    let mail = sent(&stage, options).await;
    assert_eq!(
        summary(&mail),
        ["Acme", "hello@acme.example", "Subject of the template", "replies@acme.example"]
    );
}

#[tokio::test]
async fn each_option_is_decided_for_itself() {
    let stage = stage(true, json!({"subject": "Subject of the notification"})).await;
    let options = EmailOptions::parse(Some("Request"), None, None, None, &[], &[]).unwrap();
    let mail = sent(&stage, options).await;
    assert_eq!(
        summary(&mail),
        ["Request", "shop@acme.example", "Subject of the notification", "replies@acme.example"]
    );
}

#[tokio::test]
async fn a_notification_cannot_be_given_bad_settings() {
    let stage = stage(false, Value::Null).await;
    let mut email = notification_draft().email;
    email.settings = json!({"from_name": "A\r\nBcc: x@y.example"}).as_object().cloned();
    let patch = NotificationPatch { email: Some(email), ..NotificationPatch::default() };
    assert!(stage.transactional.update(&owner(), &reset(), patch).await.is_err());
}
