//! What `transactional.send` reads and answers.

use crate::{
    Text,
    body::{complete, object},
    contacts::ContactInput,
};
use application::transactional::SendRequest;
use domain::{
    contacts::ContactPatch,
    idempotency::IdempotencyKey,
    ids::NotificationId,
    transactional::EmailOptions,
    validation::{Check, Invalid},
};
use poem_openapi::Object;
use serde_json::Value;

/// What this send changes of the mail. Left out, null and empty all mean "not given".
#[derive(Object, Default)]
#[oai(rename = "EmailOptions", default)]
struct OptionsBody {
    /// Replaces the author's name, never the address. At most 255 characters, no line breaks.
    #[oai(nullable)]
    from_name: Option<Text>,
    /// Replaces the subject. At most 255 characters; may hold Liquid.
    #[oai(nullable)]
    subject: Option<Text>,
    /// Replaces the preview line. At most 255 characters; may hold Liquid.
    #[oai(nullable)]
    subject_preview: Option<Text>,
    /// Where replies go.
    #[oai(nullable)]
    reply_to: Option<Text>,
    /// Further visible recipients; 50 together with `bcc`.
    #[oai(nullable)]
    cc: Option<Vec<Text>>,
    /// Further hidden recipients.
    #[oai(nullable)]
    bcc: Option<Vec<Text>>,
    /// Not supported yet: must be left out or empty.
    #[oai(nullable)]
    attachments: Option<Vec<Value>>,
}

impl TryFrom<OptionsBody> for EmailOptions {
    type Error = Invalid;

    fn try_from(body: OptionsBody) -> Result<Self, Invalid> {
        if body.attachments.is_some_and(|files| !files.is_empty()) {
            return Err(Invalid::one("/attachments", "attachments are not supported yet; leave them out"));
        }
        let text = |text: &Option<Text>| text.as_ref().map(|t| t.0.clone());
        let texts =
            |texts: Option<Vec<Text>>| texts.unwrap_or_default().into_iter().map(|t| t.0).collect::<Vec<_>>();
        Self::parse(
            text(&body.from_name).as_deref(),
            text(&body.subject).as_deref(),
            text(&body.subject_preview).as_deref(),
            text(&body.reply_to).as_deref(),
            &texts(body.cc),
            &texts(body.bcc),
        )
    }
}

/// A mail to one contact.
#[derive(Object)]
#[oai(rename = "TransactionalMessage")]
pub(super) struct MessageBody {
    /// The notification.
    id: Text,
    /// Idempotency key, at most 255 characters: at most one message is made for it.
    #[oai(nullable)]
    external_id: Option<Text>,
    /// Who receives the mail; stored or merged first.
    contact: ContactInput,
    /// Must hold `email`, the only channel.
    channels: Vec<Text>,
    /// Template variables.
    #[oai(nullable)]
    data: Option<Value>,
    /// Stored with the message, in clear.
    #[oai(nullable)]
    metadata: Option<Value>,
    #[oai(nullable)]
    email_options: Option<OptionsBody>,
}

impl TryFrom<MessageBody> for SendRequest {
    type Error = Invalid;

    fn try_from(body: MessageBody) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let at = |name: &str| format!("/notification/{name}");
        let id = check.field(&at("id"), NotificationId::parse(&body.id.0));
        let contact = check.nested(&at("contact"), ContactPatch::from_json(&body.contact.0));
        let by_mail = body.channels.iter().any(|channel| channel.0 == "email");
        check.require(by_mail, &at("channels"), "no valid channels: must hold email");
        let key = body.external_id.map(|key| key.0).filter(|key| !key.trim().is_empty());
        let key = key.and_then(|key| check.field(&at("external_id"), IdempotencyKey::external(&key)));
        let data = object(&mut check, &at("data"), body.data);
        let metadata = object(&mut check, &at("metadata"), body.metadata);
        let options = check.nested(&at("email_options"), body.email_options.unwrap_or_default().try_into());
        let ((id, contact), options) = complete(check, id.zip(contact).zip(options))?;
        Ok(Self {
            notification: id,
            external_id: key,
            idempotency_key: None,
            contact,
            data: data.unwrap_or_default(),
            metadata,
            options,
        })
    }
}

#[derive(Object)]
#[oai(rename = "SendTransactionalBody")]
pub(super) struct SendBody {
    pub(super) workspace_id: Text,
    pub(super) notification: MessageBody,
}

#[derive(Object)]
pub(super) struct SentAnswer {
    pub(super) message_id: String,
    /// Always true.
    pub(super) success: bool,
}
