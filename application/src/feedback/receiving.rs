//! Taking the calls of providers.

use super::{FeedbackError, ProviderFeedback, apply};
use crate::{
    directory::active_workspace,
    ports::{InboundCall, Purpose, Report, StoreError, Vault},
};
use domain::{
    Timestamp,
    feedback::{Feedback, payload},
    ids::{FeedbackId, IntegrationId, WorkspaceId},
    integrations::ProviderSettings,
    secret::Secret,
    to_microseconds,
};
use std::collections::HashSet;

/// The address that a provider calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackAddress {
    /// Whose mails it is about.
    pub workspace: WorkspaceId,
    /// Through which integration they were sent.
    pub integration: IntegrationId,
    /// The kind of provider.
    pub provider: String,
    /// What nobody else knows.
    pub token: Secret,
}

/// A caller whose address is good. What it says is not read yet.
pub struct Admitted {
    workspace: WorkspaceId,
    integration: IntegrationId,
    settings: ProviderSettings<Secret>,
}

/// The secret part of the address that the provider of an integration calls.
pub(crate) fn callback_token(vault: &dyn Vault, key: &Secret, integration: IntegrationId) -> String {
    vault.hash_with(key, &format!("provider callback {integration}"))
}

impl ProviderFeedback {
    /// Lets a caller in whose address is that of an integration.
    ///
    /// # Errors
    /// When it is not; the answer is the same whatever is wrong with it.
    #[tracing::instrument(name = "feedback.admit", skip_all)]
    pub async fn admit(&self, address: &CallbackAddress) -> Result<Admitted, FeedbackError> {
        let purpose = Purpose::interactive("webhooks.email");
        let (broker, vault) = (self.ports.broker.as_ref(), self.ports.vault.as_ref());
        let workspace = match active_workspace(broker, &address.workspace, purpose).await {
            Err(StoreError::WorkspaceMissing) => return Err(FeedbackError::UnknownAddress),
            other => other?,
        };
        let key = vault.open(&workspace.secret_key)?;
        let expected = callback_token(vault, &key, address.integration);
        if !vault.same(&expected, address.token.expose()) {
            return Err(FeedbackError::UnknownAddress);
        }
        let mut system = broker.read_system(purpose).await?;
        let integration = system.integration(&workspace.id, address.integration).await?;
        drop(system);
        let integration = integration.filter(|i| i.provider.settings.kind() == address.provider);
        let integration = integration.ok_or(FeedbackError::UnknownAddress)?;
        let settings = integration.provider.settings.try_map_secrets(|_, secret| vault.open(secret))?;
        Ok(Admitted { workspace: workspace.id, integration: integration.id, settings })
    }

    /// Checks the signature of a call, keeps what it reports, and does what follows. Repetitions of a
    /// report change nothing. Answers how many reports were new.
    ///
    /// # Errors
    /// When the call is not signed as its provider signs, cannot be read, or the store fails; nothing is
    /// kept then.
    #[tracing::instrument(name = "feedback.receive", skip_all, fields(provider.kind = admitted.settings.kind()))]
    pub async fn receive(&self, admitted: &Admitted, call: &InboundCall) -> Result<usize, FeedbackError> {
        let reports = self.ports.reader.read(&admitted.settings, call).await?;
        if reports.is_empty() {
            return Ok(0);
        }
        let now = self.ports.clock.now();
        let source = admitted.settings.kind();
        let feedback = self.told(source, Some(admitted.integration), reports, now);
        let purpose = Purpose::interactive("webhooks.email");
        let mut store = self.ports.broker.write(&admitted.workspace, purpose).await?;
        let new = apply(store.as_mut(), &feedback, now).await?;
        store.commit().await?;
        Ok(new)
    }

    /// Reports as they are kept, each once.
    pub(super) fn told(
        &self,
        source: &str,
        integration: Option<IntegrationId>,
        reports: Vec<Report>,
        now: Timestamp,
    ) -> Vec<Feedback> {
        let mut seen = HashSet::new();
        let whose = integration.map(|id| id.to_string()).unwrap_or_default();
        let feedback = reports.into_iter().filter_map(|report| {
            let key = format!("{source}\n{whose}\n{}\n{}", report.kind.name(), report.key);
            let id = FeedbackId::from_fingerprint(&self.ports.vault.fingerprint(key.as_bytes())).ok()?;
            seen.insert(id).then(|| Feedback {
                id,
                kind: report.kind,
                source: source.to_owned(),
                integration,
                recipient: report.recipient,
                message: report.message.as_deref().and_then(reference),
                at: to_microseconds(report.at).min(now),
                payload: payload(&report.payload),
                created_at: now,
            })
        });
        feedback.collect()
    }
}

/// What is kept of the name of a mail.
fn reference(id: &str) -> Option<String> {
    let id: String = id.chars().filter(|c| !c.is_control()).take(255).collect();
    Some(id).filter(|id| !id.is_empty())
}
