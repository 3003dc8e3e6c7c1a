//! `transactional.*`: mails that a program asks for.

mod batch;
mod bodies;
mod send;
mod trial;

use crate::{Bearer, Body, Created, Problem, features::Shared, tags::Tag};
use application::transactional::SendRequest;
use batch::{SendBatchBody, SentBatchAnswer};
use bodies::{
    CreateBody, DeletedAnswer, NotificationAnswer, NotificationIdBody, NotificationsAnswer, UpdateBody,
};
use domain::{idempotency::IdempotencyKey, ids::NotificationId, validation::Invalid};
use poem_openapi::{
    OpenApi,
    param::{Header, Query},
    payload::Json,
};
use send::{SendBody, SentAnswer};
use trial::{TestTemplateBody, TestedAnswer};

pub(crate) struct TransactionalApi(pub(crate) Shared);

#[OpenApi(tag = "Tag::Transactional")]
impl TransactionalApi {
    /// Makes a notification
    #[oai(path = "/transactional.create", method = "post", operation_id = "transactionalCreate")]
    async fn create(
        &self,
        bearer: Bearer,
        Body(body): Body<CreateBody>,
    ) -> Result<Created<NotificationAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        Ok(Created(self.0.transactional.create(&caller, body.notification.try_into()?).await?.into()))
    }

    /// Changes a notification; what is left out is kept
    #[oai(path = "/transactional.update", method = "post", operation_id = "transactionalUpdate")]
    async fn update(
        &self,
        bearer: Bearer,
        Body(body): Body<UpdateBody>,
    ) -> Result<Json<NotificationAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let id = notification_id("/id", &body.id.0)?;
        Ok(Json(self.0.transactional.update(&caller, &id, body.updates.try_into()?).await?.into()))
    }

    /// One notification
    #[oai(path = "/transactional.get", method = "get", operation_id = "transactionalGet")]
    async fn get(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// The notification.
        id: Query<String>,
    ) -> Result<Json<NotificationAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        Ok(Json(self.0.transactional.get(&caller, &notification_id("/id", &id.0)?).await?.into()))
    }

    /// Lists notifications, newest first
    #[oai(path = "/transactional.list", method = "get", operation_id = "transactionalList")]
    async fn list(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// Part of the name or the id.
        search: Query<Option<String>>,
        /// All by default.
        limit: Query<Option<u32>>,
        /// How many to skip.
        offset: Query<Option<u32>>,
    ) -> Result<Json<NotificationsAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let search = search.0.filter(|text| !text.is_empty());
        let limit = limit.0.filter(|limit| *limit > 0).map(u64::from);
        let offset = u64::from(offset.0.unwrap_or(0));
        Ok(Json(self.0.transactional.list(&caller, search.as_deref(), limit, offset).await?.into()))
    }

    /// Deletes a notification; its id stays taken
    #[oai(path = "/transactional.delete", method = "post", operation_id = "transactionalDelete")]
    async fn delete(
        &self,
        bearer: Bearer,
        Body(body): Body<NotificationIdBody>,
    ) -> Result<Json<DeletedAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        self.0.transactional.delete(&caller, &notification_id("/id", &body.id.0)?).await?;
        Ok(Json(DeletedAnswer { success: true }))
    }

    /// Sends a mail to one contact
    ///
    /// Contact, message and its place in the queue are stored together before the answer; the mail is
    /// handed over at once after it, and again later when the mail server does not take it. What
    /// becomes of it is told by `messages.list`.
    ///
    /// A call can be repeated without sending twice when it has a key: the message's `external_id`, or
    /// the header `Idempotency-Key`, or both. A repeated call with the same key and the same content
    /// is answered with the first message and sends nothing, also when both come at the same time.
    /// The same key with other content is refused: 409 for `external_id`, 422 for the header. Keys are
    /// kept with the message itself, and forgotten after the time that the operator has set
    /// (`IDEMPOTENCY_KEY_RETENTION`, 30 days by default).
    ///
    /// What a mail says and who writes it is taken from the first of these that gives it: the request
    /// (`email_options`), the notification (`channels.email.settings`), the template in the contact's
    /// language, the template's sender, the provider's default sender. In this order:
    ///
    /// | | Request | Notification | Template | Sender |
    /// |---|---|---|---|---|
    /// | author's name | `from_name` | `from_name` | – | name of the template's sender, else of the default sender |
    /// | author's address | – | – | – | that of the same sender, always |
    /// | subject, preview | `subject`, `subject_preview` | the same | the same | – |
    /// | replies go to | `reply_to` | `reply_to` | `reply_to` | – |
    /// | copies | `cc`, `bcc` | – | – | – |
    ///
    /// Left out, `null`, empty and blank all mean "not given". Line breaks and other control characters
    /// are refused; other characters are encoded as mail programs expect it (RFC 2047).
    #[oai(path = "/transactional.send", method = "post", operation_id = "transactionalSend")]
    async fn send(
        &self,
        bearer: Bearer,
        /// Makes the call repeatable: a string of 1 to 255 visible ASCII characters in double quotes
        /// (draft-ietf-httpapi-idempotency-key-header); the quotes may be left out.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        Body(body): Body<SendBody>,
    ) -> Result<Json<SentAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let request =
            SendRequest { idempotency_key: key_of(idempotency_key.0)?, ..body.notification.try_into()? };
        let message = self.0.transactional.send(&caller, request).await?;
        Ok(Json(SentAnswer { message_id: message.to_string(), success: true }))
    }

    /// Sends up to 500 mails
    ///
    /// As `transactional.send` for each of them, but stored together. A message that cannot be sent is
    /// answered with `success: false` and the reason, and keeps no other from being sent. Answers are in
    /// the order of the messages. With the header `Idempotency-Key` the whole call can be repeated.
    #[oai(path = "/transactional.sendBatch", method = "post", operation_id = "transactionalSendBatch")]
    async fn send_batch(
        &self,
        bearer: Bearer,
        /// Makes the call repeatable, see `transactional.send`.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        Body(body): Body<SendBatchBody>,
    ) -> Result<Json<SentBatchAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let key = key_of(idempotency_key.0)?;
        let (requests, refused) = body.read()?;
        let results = self.0.transactional.send_batch(&caller, key.as_ref(), requests).await?;
        Ok(Json(SentBatchAnswer::new(results, refused)))
    }

    /// Sends a template with its test data
    ///
    /// The mail is handed over at once, once, and the answer tells what came of it. The recipient is
    /// stored as a contact and the message in the history. `email_options` have the same precedence as
    /// in `transactional.send`; `sender_id` wins over the template's sender.
    #[oai(path = "/transactional.testTemplate", method = "post", operation_id = "transactionalTestTemplate")]
    async fn test_template(
        &self,
        bearer: Bearer,
        Body(body): Body<TestTemplateBody>,
    ) -> Result<Json<TestedAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        Ok(Json(self.0.transactional.test_template(&caller, body.try_into()?).await?.into()))
    }
}

fn key_of(header: Option<String>) -> Result<Option<IdempotencyKey>, Invalid> {
    let key = header.map(|value| IdempotencyKey::from_header(&value)).transpose();
    key.map_err(|rule| Invalid::one("/Idempotency-Key", rule))
}

fn notification_id(pointer: &str, text: &str) -> Result<NotificationId, Invalid> {
    NotificationId::parse(text).map_err(|rule| Invalid::one(pointer, rule))
}
