//! One mail of a broadcast to one address, to see how it looks.

use super::{Batch, Deliveries, Item, draft::Unsendable, record::broadcast_message};
use crate::{
    access::{Caller, Denied},
    failure::{Failure, FailureKind},
    ports::{FeedError, Purpose, StoreError},
};
use domain::{
    broadcasts::Broadcast,
    contacts::{Contact, ContactPatch},
    deliveries::{Delivery, DeliverySource, Outcome, reason},
    email_address::EmailAddress,
    ids::{BroadcastId, IntegrationId, MessageId, TemplateId},
    lists::List,
    messages::Message,
    permissions::{Permission, Resource},
    templates::Template,
    workspaces::Workspace,
};
use serde_json::json;
use std::sync::Arc;

/// Why a mail cannot be shown as it will be.
fn no_feed(error: &FeedError) -> TrialError {
    TrialError::NotSent(format!("the global feed failed: {error}"))
}

/// Why no mail went out.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// No broadcast has this identifier.
    #[error("Broadcast not found")]
    NotFound,
    /// The template does not exist or is no e-mail.
    #[error("no e-mail template has the id {0}")]
    UnknownTemplate(TemplateId),
    /// The workspace has no provider for broadcasts.
    #[error("no e-mail provider: set marketing_email_provider_id in the workspace settings")]
    NoProvider,
    /// The mail could not be made, or the provider did not take it.
    #[error("the mail was not sent: {0}")]
    NotSent(String),
    /// The provider got the mail and gave no answer.
    #[error("the provider gave no answer, so that the mail may have been sent or not: {0}")]
    Unanswered(String),
    /// The caller may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for TrialError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NotFound => FailureKind::NotFound,
            Self::UnknownTemplate(_) => FailureKind::Invalid,
            Self::NoProvider | Self::NotSent(_) | Self::Unanswered(_) => FailureKind::Unprocessable,
            Self::Denied(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "broadcast-not-found",
            Self::UnknownTemplate(_) => "template-unknown",
            Self::NoProvider => "provider-missing",
            Self::NotSent(_) => "mail-not-sent",
            Self::Unanswered(_) => "mail-unanswered",
            Self::Denied(e) => e.code(),
            Self::Store(e) => e.code(),
        }
    }
}

impl Deliveries {
    /// Sends one mail of a broadcast at once, with the latest version of one of its templates. The
    /// address need not be a contact's; what is known of a contact fills the variables. The history
    /// keeps the mail as a test, so that neither account nor statistics of the broadcast count it.
    ///
    /// # Errors
    /// Without `broadcasts:write`, when there is no such broadcast, template or provider, or the mail
    /// was not taken.
    #[tracing::instrument(name = "deliveries.send_trial", skip_all)]
    pub async fn send_trial(
        &self,
        caller: &Caller,
        id: &BroadcastId,
        recipient: EmailAddress,
        template: Option<TemplateId>,
    ) -> Result<MessageId, TrialError> {
        caller.require(Permission::Write(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.sendToIndividual");
        let (workspace, key, providers) = self.configuration(&caller.workspace, purpose).await?;
        let integration = workspace.settings.marketing_email_provider_id.ok_or(TrialError::NoProvider)?;
        let mut item = self.trial(&workspace, id, recipient, template, integration).await?;
        self.ask_ahead(&workspace, std::slice::from_mut(&mut item)).await.map_err(|error| no_feed(&error))?;
        let batch = Batch { workspace, key, providers, items: Vec::new(), next: None };
        let outcome = match self.compose(&batch, &item).await {
            Ok((provider, mail)) => self.hand_over(provider, &mail, &item).await,
            Err(Unsendable::Failed(why)) => Outcome::Failed { reason: reason(&why) },
            Err(Unsendable::Feed(error)) => self.without_feed(&item, &error),
            Err(Unsendable::Later(error)) => return Err(error.into()),
        };
        let outcome = match outcome {
            Outcome::Retry { reason, .. } | Outcome::Halted { reason, .. } => Outcome::Failed { reason },
            outcome => outcome,
        };
        let now = self.ports.clock.now();
        let metadata = json!({ "test": true, "broadcast_id": id.as_str() });
        let kept = Message {
            broadcast: None,
            metadata: metadata.as_object().cloned(),
            ..broadcast_message(&item.delivery, &outcome, now)
        };
        let mut store = self.ports.broker.write(&caller.workspace, purpose).await?;
        store.insert_messages_if_absent(std::slice::from_ref(&kept)).await?;
        store.commit().await?;
        match outcome {
            Outcome::Unknown { reason } => Err(TrialError::Unanswered(reason)),
            other => match other.reason() {
                None => Ok(kept.id),
                Some(why) => Err(TrialError::NotSent(why.to_owned())),
            },
        }
    }

    /// All that the mail is made from.
    async fn trial(
        &self,
        workspace: &Workspace,
        id: &BroadcastId,
        recipient: EmailAddress,
        template: Option<TemplateId>,
        integration: IntegrationId,
    ) -> Result<Item, TrialError> {
        let now = self.ports.clock.now();
        let purpose = Purpose::interactive("broadcasts.sendToIndividual");
        let mut store = self.ports.broker.read(&workspace.id, purpose).await?;
        let broadcast = store.broadcast(id).await?.ok_or(TrialError::NotFound)?;
        let first = broadcast.variations.first().map(|v| v.template_id.clone());
        let wanted = template.or(first).ok_or(TrialError::NotFound)?;
        let found = store.template(&wanted).await?.filter(|t| t.content.email().is_some());
        let template = found.ok_or(TrialError::UnknownTemplate(wanted))?;
        let known = store.contact(&recipient).await?;
        let list = store.list(&broadcast.audience.list).await?;
        let contact = known.unwrap_or_else(|| Contact::new(&ContactPatch::of(recipient.clone()), now));
        let message = MessageId::from_uuid(self.ports.ids.uuid());
        let (broadcast, list) = (Arc::new(broadcast), list.map(Arc::new));
        Ok(self.single(message, contact, &broadcast, list, &Arc::new(template), integration))
    }

    /// A mail of a broadcast that is in no queue.
    pub(super) fn single(
        &self,
        message: MessageId,
        contact: Contact,
        broadcast: &Arc<Broadcast>,
        list: Option<Arc<List>>,
        template: &Arc<Template>,
        integration: IntegrationId,
    ) -> Item {
        let now = self.ports.clock.now();
        let through = list.as_ref().map_or(&broadcast.audience.list, |list| &list.id).clone();
        Item {
            delivery: Delivery {
                message,
                source: DeliverySource::Broadcast { broadcast: broadcast.id.clone(), list: through },
                recipient: contact.email.clone(),
                template: template.id.clone(),
                template_version: template.version,
                integration,
                // Nobody waits for another attempt.
                attempts: u32::MAX,
                due_at: now,
                created_at: now,
            },
            contact: Some(contact),
            suppressed: None,
            memberships: Vec::new(),
            message: None,
            template: Some(template.clone()),
            notification: None,
            broadcast: Some(broadcast.clone()),
            list,
            global_feed: None,
        }
    }
}
