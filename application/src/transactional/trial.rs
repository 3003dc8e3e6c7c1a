//! Sending a template with its test data, at once.

use super::{Transactional, TransactionalError, request::attach};
use crate::{
    access::Caller,
    deliveries::Trial,
    directory::active_workspace,
    ports::{MessageEvent, Purpose, SendError},
};
use domain::{
    attachments::NewFile,
    contacts::ContactPatch,
    deliveries::reason,
    email_address::EmailAddress,
    ids::{IntegrationId, MessageId, SenderId, TemplateId},
    languages::Language,
    messages::{Message, MessageState},
    permissions::{Permission, Resource},
    secret::Secret,
    transactional::EmailOptions,
};
use serde_json::Value;

/// Which template is tried, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateTrial {
    /// The template, in its latest version and with its test data.
    pub template: TemplateId,
    /// The provider.
    pub integration: IntegrationId,
    /// The sender; the provider's default one when it has none of this identifier.
    pub sender: SenderId,
    /// Who receives the mail; stored as a contact.
    pub recipient: EmailAddress,
    /// The translation; by default that of the contact's language.
    pub language: Option<Language>,
    /// What this send changes of the mail.
    pub options: EmailOptions,
    /// Files that go with the mail.
    pub files: Vec<NewFile>,
}

impl Transactional {
    /// Sends a template with its test data, at once and without another attempt. The message is kept
    /// in the history. The inner error is what the provider, or the template, is wrong with.
    ///
    /// # Errors
    /// Without `transactional:write`, or when the template or the integration is missing.
    #[tracing::instrument(name = "transactional.test_template", skip_all)]
    pub async fn test_template(
        &self,
        caller: &Caller,
        mut trial: TemplateTrial,
    ) -> Result<Result<(), SendError>, TransactionalError> {
        caller.require(Permission::Write(Resource::Transactional))?;
        let purpose = Purpose::interactive("transactional.testTemplate");
        let workspace = active_workspace(self.broker.as_ref(), &caller.workspace, purpose).await?;
        let mut system = self.broker.read_system(purpose).await?;
        let integrations = system.integrations(std::slice::from_ref(&workspace.id)).await?;
        drop(system);
        let integration = integrations.into_iter().find(|i| i.id == trial.integration);
        let integration = integration.ok_or(TransactionalError::UnknownIntegration)?;
        let now = self.clock.now();
        let id = MessageId::from_uuid(self.ids.uuid());
        let key = self.vault.open(&workspace.secret_key)?;
        let contents = attach(std::mem::take(&mut trial.files), &mut trial.options, self.vault.as_ref());

        let mut store = self.broker.write(&workspace.id, purpose).await?;
        let template = store.template(&trial.template).await?.ok_or(TransactionalError::TemplateNotFound)?;
        if template.content.email().is_none() {
            return Err(TransactionalError::UnknownTemplate(trial.template));
        }
        store.upsert_contacts(&[ContactPatch::of(trial.recipient.clone())], now).await?;
        let contact = store.contact(&trial.recipient).await?.ok_or(TransactionalError::NotFound)?;
        let memberships = store.memberships(std::slice::from_ref(&trial.recipient)).await?;
        if !contents.is_empty() {
            store.insert_contents_if_absent(&contents, now + self.retention.attachments, now).await?;
        }
        let data = Secret::new(Value::Object(template.test_data.clone()).to_string());
        let message = Message {
            id: id.clone(),
            external_id: None,
            contact_email: trial.recipient,
            broadcast: None,
            notification: None,
            list: None,
            template: template.id.clone(),
            template_version: template.version,
            // What remains when the process ends before the answer is stored.
            state: MessageState::Unknown,
            status_info: None,
            data: (!template.test_data.is_empty()).then(|| self.vault.seal_with(&key, &data)),
            metadata: None,
            options: trial.options.clone(),
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
        store.insert_messages_if_absent(&[message]).await?;
        store.commit().await?;

        let language = trial.language.or_else(|| {
            let of_contact = contact.text(domain::contacts::ContactField::Language)?;
            Language::parse(of_contact).ok()
        });
        let sent = self
            .deliveries
            .try_out(Trial {
                workspace,
                integration,
                sender: trial.sender,
                message: id.clone(),
                contact,
                memberships,
                template,
                language,
                options: trial.options,
            })
            .await;

        let event = MessageEvent {
            message: id,
            state: match &sent {
                Ok(()) => MessageState::Sent,
                Err(SendError::Unconfirmed { .. }) => MessageState::Unknown,
                Err(_) => MessageState::Failed,
            },
            status_info: sent.as_ref().err().map(|error| reason(&error.to_string())),
            at: self.clock.now(),
        };
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        store.record_events(&[event]).await?;
        store.commit().await?;
        Ok(sent)
    }
}
