//! Transactional notifications, and sending them.

mod acceptance;
mod request;
mod sending;
mod trial;

pub use request::SendRequest;
pub use sending::Placed;
pub use trial::TemplateTrial;

use crate::{
    access::{Caller, Denied},
    deliveries::Deliveries,
    failure::{Failure, FailureKind},
    page::Counted,
    ports::{Clock, ConnectionBroker, IdGenerator, Purpose, StoreError, UnitOfWork, Vault, VaultError},
    work::Work,
};
use chrono::Duration;
use domain::{
    ids::{NotificationId, TemplateId},
    permissions::{Permission, Resource},
    transactional::{Notification, NotificationDraft, NotificationPatch},
    validation::{FieldProblem, Invalid},
};
use std::sync::Arc;

/// The use cases of transactional notifications.
pub struct Transactional {
    broker: Arc<dyn ConnectionBroker>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    vault: Arc<dyn Vault>,
    work: Arc<Work>,
    retention: Retention,
    deliveries: Arc<Deliveries>,
}

/// How long things are kept for sends.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// The key of a request, after it was used.
    pub keys: Duration,
    /// The bytes of attached files, after the last message with them was due.
    pub attachments: Duration,
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
    /// No template has the identifier.
    #[error("Template not found")]
    TemplateNotFound,
    /// The workspace has no such integration.
    #[error("no integration of this workspace has this integration_id")]
    UnknownIntegration,
    /// The workspace has no provider for transactional mail.
    #[error("no e-mail provider: set transactional_email_provider_id in the workspace settings")]
    NoProvider,
    /// The message's own key was used with another payload.
    #[error("this external_id was used before with another payload; use a new one for a new message")]
    ExternalIdReused,
    /// The key of the call was used with another payload.
    #[error("this Idempotency-Key was used before with another payload; use a new one for a new message")]
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
            Self::NotFound | Self::TemplateNotFound | Self::UnknownIntegration => FailureKind::NotFound,
            Self::Taken | Self::Managed | Self::ExternalIdReused => FailureKind::Conflict,
            Self::UnknownTemplate(_) => FailureKind::Invalid,
            Self::NoProvider | Self::KeyReused => FailureKind::Unprocessable,
            Self::Invalid(e) => e.kind(),
            Self::Denied(e) => e.kind(),
            Self::Vault(_) => FailureKind::Internal,
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "notification-not-found",
            Self::TemplateNotFound => "template-not-found",
            Self::UnknownIntegration => "integration-not-found",
            Self::Taken => "notification-id-taken",
            Self::Managed => "notification-managed",
            Self::UnknownTemplate(_) => "template-unknown",
            Self::NoProvider => "provider-missing",
            Self::ExternalIdReused | Self::KeyReused => "idempotency-key-reused",
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

impl Transactional {
    /// Takes its ports, and how long things are kept.
    pub fn new(
        broker: Arc<dyn ConnectionBroker>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
        vault: Arc<dyn Vault>,
        work: Arc<Work>,
        retention: Retention,
        deliveries: Arc<Deliveries>,
    ) -> Self {
        Self { broker, clock, ids, vault, work, retention, deliveries }
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
}

/// The latest version of an e-mail template.
async fn require_email_template(
    store: &mut dyn UnitOfWork,
    id: &TemplateId,
) -> Result<i64, TransactionalError> {
    let version = email_template_version(store, id).await?;
    version.ok_or_else(|| TransactionalError::UnknownTemplate(id.clone()))
}

/// The latest version of an e-mail template, when there is one.
async fn email_template_version(
    store: &mut dyn UnitOfWork,
    id: &TemplateId,
) -> Result<Option<i64>, StoreError> {
    let template = store.template(id).await?.filter(|t| t.content.email().is_some());
    Ok(template.map(|t| t.version))
}
