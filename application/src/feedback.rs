//! What providers report about mails: delivered, bounced, complained; and what follows from it.

mod callbacks;
mod effects;
mod receiving;
mod upload;

use crate::{
    access::{Caller, Denied},
    failure::{Failure, FailureKind},
    page::Page,
    ports::{
        CallbackRegistrar, Clock, ConnectionBroker, FeedbackReader, NoticeReader, Purpose, ReadingError,
        RegistrationError, StoreError, Vault, VaultError,
    },
};
pub use callbacks::{CallbackStatus, Subject};
use domain::{
    feedback::{Feedback, FeedbackCursor, FeedbackFilter},
    permissions::{Permission, Resource},
};
pub(crate) use effects::{apply, apply_early, hold_back};
pub use receiving::{Admitted, CallbackAddress};
use std::sync::Arc;
pub use upload::Uploaded;

/// The use cases of reports about mails.
pub struct ProviderFeedback {
    ports: FeedbackPorts,
}

/// What these use cases need from the outside.
#[expect(missing_docs, reason = "each port says what it is")]
pub struct FeedbackPorts {
    pub broker: Arc<dyn ConnectionBroker>,
    pub clock: Arc<dyn Clock>,
    pub vault: Arc<dyn Vault>,
    pub reader: Arc<dyn FeedbackReader>,
    pub registrar: Arc<dyn CallbackRegistrar>,
    pub notices: Arc<dyn NoticeReader>,
    /// Public base URL of the installation, without a slash at its end.
    pub endpoint: String,
}

/// Why a use case of reports failed.
#[derive(Debug, thiserror::Error)]
pub enum FeedbackError {
    /// The address that was called is none that was given to a provider. Says no more, so that nobody
    /// learns which workspaces there are.
    #[error("this address was not made for a provider; use the callback URL of the integration")]
    UnknownAddress,
    /// What was called with cannot be taken.
    #[error(transparent)]
    Reading(#[from] ReadingError),
    /// The workspace has no such integration.
    #[error("no integration of this workspace has this integration_id")]
    IntegrationMissing,
    /// The provider could not be told.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
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

impl Failure for FeedbackError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::UnknownAddress | Self::Reading(ReadingError::NotAuthentic(_)) => {
                FailureKind::Unauthenticated
            }
            Self::Reading(ReadingError::Malformed(_)) => FailureKind::Invalid,
            Self::Reading(ReadingError::Unavailable) => {
                FailureKind::Unavailable(std::time::Duration::from_secs(30))
            }
            Self::IntegrationMissing => FailureKind::NotFound,
            Self::Registration(_) => FailureKind::Unprocessable,
            Self::Denied(e) => e.kind(),
            Self::Vault(_) => FailureKind::Internal,
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::UnknownAddress => "callback-unknown",
            Self::Reading(ReadingError::NotAuthentic(_)) => "callback-not-authentic",
            Self::Reading(ReadingError::Malformed(_)) => "callback-malformed",
            Self::Reading(ReadingError::Unavailable) => "callback-unverifiable",
            Self::IntegrationMissing => "integration-not-found",
            Self::Registration(RegistrationError::Unsupported) => "callback-unsupported",
            Self::Registration(RegistrationError::Provider(_)) => "callback-refused",
            Self::Denied(e) => e.code(),
            Self::Vault(_) => "secret-unreadable",
            Self::Store(e) => e.code(),
        }
    }
}

impl ProviderFeedback {
    /// Takes its ports.
    #[must_use]
    pub fn new(ports: FeedbackPorts) -> Self {
        Self { ports }
    }

    /// A page of reports, the newest event first.
    ///
    /// # Errors
    /// Without `message_history:read`, or when the store fails.
    #[tracing::instrument(name = "feedback.list", skip_all)]
    pub async fn list(
        &self,
        caller: &Caller,
        filter: &FeedbackFilter,
        after: Option<&FeedbackCursor>,
        size: usize,
    ) -> Result<Page<Feedback>, FeedbackError> {
        caller.require(Permission::Read(Resource::MessageHistory))?;
        let purpose = Purpose::interactive("inboundWebhookEvents.list");
        let mut store = self.ports.broker.read(&caller.workspace, purpose).await?;
        Ok(store.feedback_after(filter, after, size).await?)
    }
}
