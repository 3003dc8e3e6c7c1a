//! What `transactional.send` reads and answers.

use crate::{
    Text,
    body::{complete, object, text_of},
    contacts::ContactInput,
};
use application::transactional::SendRequest;
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use chrono::DateTime;
use domain::{
    Timestamp,
    attachments::{NewFile, check_together},
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
pub(super) struct OptionsBody {
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
    /// Files, at most 20 and together at most 10 MiB.
    #[oai(nullable)]
    attachments: Option<Vec<AttachmentBody>>,
}

/// A file that goes with the mail.
#[derive(Object)]
#[oai(rename = "Attachment")]
struct AttachmentBody {
    /// 1 to 255 characters, no folders; endings of files that can be run are refused.
    filename: Text,
    /// The bytes as base64 (RFC 4648), at most 3 MiB of them.
    content: Text,
    /// The media type; found from the bytes and the name when it is left out.
    #[oai(nullable)]
    content_type: Option<Text>,
    /// `attachment`, or `inline` to be shown in the mail as `cid:` and the name. `attachment` by
    /// default.
    #[oai(nullable)]
    disposition: Option<Text>,
}

impl TryFrom<AttachmentBody> for NewFile {
    type Error = Invalid;

    fn try_from(body: AttachmentBody) -> Result<Self, Invalid> {
        let content = BASE64
            .decode(body.content.0.as_bytes())
            .map_err(|_| Invalid::one("/content", "must be base64 (RFC 4648) on one line"))?;
        let text = |text: &Option<Text>| text.as_ref().map(|t| t.0.clone());
        Self::parse(
            &body.filename.0,
            content,
            text(&body.content_type).as_deref(),
            text(&body.disposition).as_deref(),
        )
    }
}

/// The usual alphabet; padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads every file, and what they are together.
fn files(bodies: Vec<AttachmentBody>) -> Result<Vec<NewFile>, Invalid> {
    let mut check = Check::default();
    let files: Vec<NewFile> = bodies
        .into_iter()
        .enumerate()
        .filter_map(|(n, body)| check.nested(&format!("/attachments/{n}"), body.try_into()))
        .collect();
    check.nested("/attachments", check_together(&files));
    check.finish()?;
    Ok(files)
}

impl OptionsBody {
    /// The options, and the files.
    pub(super) fn read(self) -> Result<(EmailOptions, Vec<NewFile>), Invalid> {
        let mut check = Check::default();
        let text = |text: &Option<Text>| text.as_ref().map(|t| t.0.clone());
        let texts =
            |texts: Option<Vec<Text>>| texts.unwrap_or_default().into_iter().map(|t| t.0).collect::<Vec<_>>();
        let options = EmailOptions::parse(
            text(&self.from_name).as_deref(),
            text(&self.subject).as_deref(),
            text(&self.subject_preview).as_deref(),
            text(&self.reply_to).as_deref(),
            &texts(self.cc),
            &texts(self.bcc),
        );
        let options = check.nested("", options);
        let files = check.nested("", files(self.attachments.unwrap_or_default()));
        complete(check, options.zip(files))
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
    /// Not before this moment (RFC 3339), at most 30 days ahead; at once by default.
    #[oai(nullable)]
    send_at: Option<Text>,
}

fn moment(text: &str) -> Result<Timestamp, &'static str> {
    let moment = DateTime::parse_from_rfc3339(text.trim());
    moment.map(|at| at.to_utc()).map_err(|_| "must be a moment such as 2026-03-01T09:00:00Z")
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
        let options = check.nested(&at("email_options"), body.email_options.unwrap_or_default().read());
        let send_at = text_of(body.send_at);
        let send_at = send_at.and_then(|text| check.field(&at("send_at"), moment(&text)));
        let ((id, contact), (options, files)) = complete(check, id.zip(contact).zip(options))?;
        Ok(Self {
            notification: id,
            external_id: key,
            idempotency_key: None,
            contact,
            data: data.unwrap_or_default(),
            metadata,
            options,
            files,
            send_at,
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
