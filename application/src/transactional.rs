//! Transactional notifications, and sending them.

use crate::{
    access::{Caller, Denied},
    directory::active_workspace,
    failure::{Failure, FailureKind},
    page::Counted,
    ports::{
        Clock, ConnectionBroker, IdGenerator, Purpose, Reservation, StoreError, UnitOfWork, Vault,
        VaultError, WorkKind,
    },
    work::Work,
};
use domain::{
    contacts::ContactPatch,
    deliveries::{Delivery, DeliverySource},
    ids::{IntegrationId, MessageId, NotificationId, TemplateId},
    messages::{Message, MessageState},
    permissions::{Permission, Resource},
    secret::{Sealed, Secret},
    transactional::{EmailOptions, Notification, NotificationDraft, NotificationPatch},
    validation::{FieldProblem, Invalid},
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The use cases of transactional notifications.
pub struct Transactional {
    broker: Arc<dyn ConnectionBroker>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    vault: Arc<dyn Vault>,
    work: Arc<Work>,
}

/// Why a use case of transactional notifications failed.
#[derive(Debug, thiserror::Error)]
pub enum TransactionalError {
    /// No notification has this identifier.
    #[error("Notification not found")]
    NotFound,
    /// The identifier is taken, perhaps by a deleted notification.
    #[error("a notification with this id exists or existed; choose another id")]
    Taken,
    /// An integration manages the notification.
    #[error("the notification belongs to an integration: name, channels and existence are fixed")]
    Managed,
    /// The template that is named does not exist or is no e-mail.
    #[error("invalid template: no e-mail template has the id {0}")]
    UnknownTemplate(TemplateId),
    /// The workspace has no provider for transactional mail.
    #[error("no e-mail provider: set transactional_email_provider_id in the workspace settings")]
    NoProvider,
    /// The idempotency key was used with another payload.
    #[error("this external_id was used before with another payload; use a new one for a new message")]
    KeyReused,
    /// The input breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The caller may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// What is stored cannot be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for TransactionalError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NotFound => FailureKind::NotFound,
            Self::Taken | Self::Managed | Self::KeyReused => FailureKind::Conflict,
            Self::UnknownTemplate(_) => FailureKind::Invalid,
            Self::NoProvider => FailureKind::Unprocessable,
            Self::Invalid(e) => e.kind(),
            Self::Denied(e) => e.kind(),
            Self::Vault(_) => FailureKind::Internal,
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "notification-not-found",
            Self::Taken => "notification-id-taken",
            Self::Managed => "notification-managed",
            Self::UnknownTemplate(_) => "template-unknown",
            Self::NoProvider => "provider-missing",
            Self::KeyReused => "idempotency-key-reused",
            Self::Invalid(e) => e.code(),
            Self::Denied(e) => e.code(),
            Self::Vault(_) => "secret-unreadable",
            Self::Store(e) => e.code(),
        }
    }

    fn problems(&self) -> &[FieldProblem] {
        match self {
            Self::Invalid(e) => e.problems(),
            _ => &[],
        }
    }
}

/// What a client asks to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct SendRequest {
    /// Which notification.
    pub notification: NotificationId,
    /// Idempotency key: at most one message is made for it.
    pub external_id: Option<String>,
    /// Who receives it; stored or merged before the mail is made.
    pub contact: ContactPatch,
    /// Template variables.
    pub data: Map<String, Value>,
    /// Stored in clear with the message.
    pub metadata: Option<Map<String, Value>>,
    /// What this send changes of the mail.
    pub options: EmailOptions,
}

impl SendRequest {
    /// Longest idempotency key, in characters.
    pub const MAX_KEY: usize = 255;

    /// A text that is equal for equal requests, whatever the order of members in their JSON.
    fn canonical(&self) -> String {
        let contact: Map<String, Value> = self
            .contact
            .changes
            .iter()
            .map(|(field, value)| {
                (
                    field.name().to_owned(),
                    value.as_ref().map_or(Value::Null, domain::contacts::FieldValue::to_json),
                )
            })
            .collect();
        canonical(&json!([
            self.notification,
            self.contact.email,
            contact,
            self.data,
            self.metadata,
            self.options
        ]))
    }
}

fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members: Vec<_> = members
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        scalar => scalar.to_string(),
    }
}

impl Transactional {
    /// Takes its ports.
    pub fn new(
        broker: Arc<dyn ConnectionBroker>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
        vault: Arc<dyn Vault>,
        work: Arc<Work>,
    ) -> Self {
        Self { broker, clock, ids, vault, work }
    }

    /// Stores a new notification.
    ///
    /// # Errors
    /// Without `transactional:write`, when the identifier is taken or the template unknown.
    #[tracing::instrument(name = "transactional.create", skip_all)]
    pub async fn create(
        &self,
        caller: &Caller,
        draft: NotificationDraft,
    ) -> Result<Notification, TransactionalError> {
        caller.require(Permission::Write(Resource::Transactional))?;
        let notification = draft.into_notification(self.clock.now())?;
        let purpose = Purpose::interactive("transactional.create");
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        require_email_template(store.as_mut(), &notification.email.template_id).await?;
        store.insert_notification(&notification).await.map_err(|e| match e {
            StoreError::Duplicate => TransactionalError::Taken,
            other => other.into(),
        })?;
        store.commit().await?;
        Ok(notification)
    }

    /// Changes a notification; what the patch does not name is kept.
    ///
    /// # Errors
    /// Without `transactional:write`, when there is none, an integration manages what would change, or
    /// the template is unknown.
    #[tracing::instrument(name = "transactional.update", skip_all)]
    pub async fn update(
        &self,
        caller: &Caller,
        id: &NotificationId,
        patch: NotificationPatch,
    ) -> Result<Notification, TransactionalError> {
        caller.require(Permission::Write(Resource::Transactional))?;
        let purpose = Purpose::interactive("transactional.update");
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        let mut notification = store.notification(id).await?.ok_or(TransactionalError::NotFound)?;
        if notification.integration.is_some() && (patch.name.is_some() || patch.email.is_some()) {
            return Err(TransactionalError::Managed);
        }
        if let Some(email) = &patch.email {
            require_email_template(store.as_mut(), &email.template_id).await?;
        }
        notification.apply(patch, self.clock.now())?;
        store.update_notification(&notification).await?;
        store.commit().await?;
        Ok(notification)
    }

    /// One notification.
    ///
    /// # Errors
    /// Without `transactional:read`, or when there is none.
    #[tracing::instrument(name = "transactional.get", skip_all)]
    pub async fn get(
        &self,
        caller: &Caller,
        id: &NotificationId,
    ) -> Result<Notification, TransactionalError> {
        caller.require(Permission::Read(Resource::Transactional))?;
        let purpose = Purpose::interactive("transactional.get");
        let mut store = self.broker.read(&caller.workspace, purpose).await?;
        store.notification(id).await?.ok_or(TransactionalError::NotFound)
    }

    /// Notifications, newest first; all of them without a limit.
    ///
    /// # Errors
    /// Without `transactional:read`, or when the store fails.
    #[tracing::instrument(name = "transactional.list", skip_all)]
    pub async fn list(
        &self,
        caller: &Caller,
        search: Option<&str>,
        limit: Option<u64>,
        offset: u64,
    ) -> Result<Counted<Notification>, TransactionalError> {
        caller.require(Permission::Read(Resource::Transactional))?;
        let purpose = Purpose::interactive("transactional.list");
        let mut store = self.broker.read(&caller.workspace, purpose).await?;
        Ok(store.notifications(search, limit, offset).await?)
    }

    /// Removes a notification.
    ///
    /// # Errors
    /// Without `transactional:write`, when there is none, or an integration manages it.
    #[tracing::instrument(name = "transactional.delete", skip_all)]
    pub async fn delete(&self, caller: &Caller, id: &NotificationId) -> Result<(), TransactionalError> {
        caller.require(Permission::Write(Resource::Transactional))?;
        let purpose = Purpose::interactive("transactional.delete");
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        let notification = store.notification(id).await?.ok_or(TransactionalError::NotFound)?;
        if notification.integration.is_some() {
            return Err(TransactionalError::Managed);
        }
        store.delete_notification(id, self.clock.now()).await?;
        store.commit().await?;
        Ok(())
    }

    /// Accepts a message: the contact, the message and its place in the queue are stored together.
    /// A repeated request with the same key is answered with the first message and sends nothing.
    ///
    /// # Errors
    /// Without `transactional:write`, when the notification, its template or a provider is missing,
    /// or the key was used with another payload.
    #[tracing::instrument(name = "transactional.send", skip_all)]
    pub async fn send(&self, caller: &Caller, request: SendRequest) -> Result<MessageId, TransactionalError> {
        caller.require(Permission::Write(Resource::Transactional))?;
        let purpose = Purpose::interactive("transactional.send");
        let workspace = active_workspace(self.broker.as_ref(), &caller.workspace, purpose).await?;
        let integration =
            workspace.settings.transactional_email_provider_id.ok_or(TransactionalError::NoProvider)?;
        let data = self.sealed(&workspace.secret_key, &request.data)?;
        let promise = self.work.promise(&caller.workspace, WorkKind::Deliveries, purpose).await?;
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        match self.accept(store.as_mut(), &request, data, integration).await? {
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
        data: Option<Sealed>,
        integration: IntegrationId,
    ) -> Result<Accepted, TransactionalError> {
        let now = self.clock.now();
        let id = MessageId::from_uuid(self.ids.uuid());
        if let Some(key) = &request.external_id {
            let fingerprint = self.vault.fingerprint(request.canonical().as_bytes());
            match store.reserve_key(key, &fingerprint, &id, now).await? {
                Reservation::Reserved => {}
                Reservation::Taken { message, fingerprint: earlier } if earlier == fingerprint => {
                    return Ok(Accepted::Earlier(message));
                }
                Reservation::Taken { .. } => return Err(TransactionalError::KeyReused),
            }
        }
        let notification =
            store.notification(&request.notification).await?.ok_or(TransactionalError::NotFound)?;
        let template_version = require_email_template(store, &notification.email.template_id).await?;
        store.upsert_contacts(std::slice::from_ref(&request.contact), now).await?;
        let message = Message {
            id: id.clone(),
            external_id: request.external_id.clone(),
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
        };
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
        store.insert_messages_if_absent(std::slice::from_ref(&message)).await?;
        store.insert_deliveries(&[delivery]).await?;
        Ok(Accepted::New(id))
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

enum Accepted {
    New(MessageId),
    Earlier(MessageId),
}

/// The latest version of an e-mail template.
async fn require_email_template(
    store: &mut dyn UnitOfWork,
    id: &TemplateId,
) -> Result<i64, TransactionalError> {
    let template = store.template(id).await?.filter(|t| t.content.email().is_some());
    template.map(|t| t.version).ok_or_else(|| TransactionalError::UnknownTemplate(id.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_members_does_not_change_the_fingerprint() {
        let a: Value = serde_json::from_str(r#"{"b":1,"a":{"y":[1,{"q":1,"p":2}],"x":"s"}}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"a":{"x":"s","y":[1,{"p":2,"q":1}]},"b":1}"#).unwrap();
        assert_eq!(canonical(&a), canonical(&b));
        assert_eq!(canonical(&a), r#"{"a":{"x":"s","y":[1,{"p":2,"q":1}]},"b":1}"#);
    }

    #[test]
    fn different_values_differ() {
        assert_ne!(canonical(&json!({"a": "1"})), canonical(&json!({"a": 1})));
        assert_ne!(canonical(&json!(["a", "b"])), canonical(&json!(["a,b"])));
    }
}
