//! Accepting messages: contact, message and its place in the queue are stored together.

use super::{Transactional, TransactionalError, request::SendRequest, require_email_template};
use crate::{
    access::Caller,
    directory::active_workspace,
    ports::{FileContent, Purpose, Reservation, UnitOfWork, WorkKind},
};
use domain::{
    Timestamp,
    deliveries::{Delivery, DeliverySource},
    idempotency::{IdempotencyKey, KeyScope},
    ids::{IntegrationId, MessageId},
    messages::{Message, MessageState},
    permissions::{Permission, Resource},
    secret::{Sealed, Secret},
    transactional::Notification,
};
use serde_json::{Map, Value};

/// What became of a request.
enum Accepted {
    /// A message was made.
    New(MessageId),
    /// One of its keys belongs to this message; nothing was made.
    Earlier(MessageId),
}

impl Transactional {
    /// Accepts a message: the contact, the message and its place in the queue are stored together.
    /// A repeated request with the same key is answered with the first message and sends nothing.
    ///
    /// # Errors
    /// Without `transactional:write`, when the notification, its template or a provider is missing,
    /// or a key was used with another payload.
    #[tracing::instrument(name = "transactional.send", skip_all)]
    pub async fn send(
        &self,
        caller: &Caller,
        mut request: SendRequest,
    ) -> Result<MessageId, TransactionalError> {
        caller.require(Permission::Write(Resource::Transactional))?;
        let contents = request.attach(self.vault.as_ref());
        let purpose = Purpose::interactive("transactional.send");
        let workspace = active_workspace(self.broker.as_ref(), &caller.workspace, purpose).await?;
        let integration =
            workspace.settings.transactional_email_provider_id.ok_or(TransactionalError::NoProvider)?;
        let data = self.sealed(&workspace.secret_key, &request.data)?;
        let promise = self.work.promise(&caller.workspace, WorkKind::Deliveries, purpose).await?;
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        match self.accept(store.as_mut(), &request, &contents, data, integration).await? {
            Accepted::New(message) => {
                promise.commit(store).await?;
                Ok(message)
            }
            Accepted::Earlier(message) => Ok(message),
        }
    }

    async fn accept(
        &self,
        store: &mut dyn UnitOfWork,
        request: &SendRequest,
        contents: &[FileContent],
        data: Option<Sealed>,
        integration: IntegrationId,
    ) -> Result<Accepted, TransactionalError> {
        let now = self.clock.now();
        let id = MessageId::from_uuid(self.ids.uuid());
        for (key, payload) in request.keys() {
            if let Some(earlier) = self.reserve(store, key, &payload, &id, now).await? {
                return Ok(Accepted::Earlier(earlier));
            }
        }
        let notification =
            store.notification(&request.notification).await?.ok_or(TransactionalError::NotFound)?;
        let template_version = require_email_template(store, &notification.email.template_id).await?;
        store.upsert_contacts(std::slice::from_ref(&request.contact), now).await?;
        let message = message(id.clone(), request, &notification, template_version, data, now);
        let delivery = Delivery {
            message: id.clone(),
            source: DeliverySource::Transactional { notification: notification.id },
            recipient: message.contact_email.clone(),
            template: message.template.clone(),
            template_version,
            integration,
            attempts: 0,
            due_at: now,
            created_at: now,
        };
        let needed_until = delivery.due_at + self.retention.attachments;
        store.insert_contents_if_absent(contents, needed_until, now).await?;
        store.insert_messages_if_absent(std::slice::from_ref(&message)).await?;
        store.insert_deliveries(&[delivery]).await?;
        Ok(Accepted::New(id))
    }

    /// Reserves a key, or answers the earlier message that it belongs to.
    async fn reserve(
        &self,
        store: &mut dyn UnitOfWork,
        key: &IdempotencyKey,
        payload: &str,
        id: &MessageId,
        now: Timestamp,
    ) -> Result<Option<MessageId>, TransactionalError> {
        let fingerprint = self.vault.fingerprint(payload.as_bytes());
        match store.reserve_key(key, &fingerprint, id, now, now - self.retention.keys).await? {
            Reservation::Reserved => Ok(None),
            Reservation::Taken { message, fingerprint: earlier } if earlier == fingerprint => {
                Ok(Some(message))
            }
            Reservation::Taken { .. } => Err(match key.scope() {
                KeyScope::ExternalId => TransactionalError::ExternalIdReused,
                KeyScope::Header => TransactionalError::KeyReused,
            }),
        }
    }

    fn sealed(
        &self,
        workspace_key: &Sealed,
        data: &Map<String, Value>,
    ) -> Result<Option<Sealed>, TransactionalError> {
        if data.is_empty() {
            return Ok(None);
        }
        let key = self.vault.open(workspace_key)?;
        let text = Secret::new(Value::Object(data.clone()).to_string());
        Ok(Some(self.vault.seal_with(&key, &text)))
    }
}

/// The message of a request, before anything has happened to it.
fn message(
    id: MessageId,
    request: &SendRequest,
    notification: &Notification,
    template_version: i64,
    data: Option<Sealed>,
    now: Timestamp,
) -> Message {
    Message {
        id,
        external_id: request.external_id.as_ref().map(|key| key.as_str().to_owned()),
        contact_email: request.contact.email.clone(),
        broadcast: None,
        notification: Some(notification.id.clone()),
        list: None,
        template: notification.email.template_id.clone(),
        template_version,
        state: MessageState::Queued,
        status_info: None,
        data,
        metadata: request.metadata.clone(),
        options: request.options.clone(),
        sent_at: None,
        delivered_at: None,
        failed_at: None,
        opened_at: None,
        clicked_at: None,
        bounced_at: None,
        complained_at: None,
        unsubscribed_at: None,
        created_at: now,
        updated_at: now,
    }
}
