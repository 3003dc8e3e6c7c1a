//! The addresses that providers call, and telling providers of them.

use super::{FeedbackError, ProviderFeedback, receiving::callback_token};
use crate::{
    access::Caller,
    directory::active_workspace,
    ports::{Callback, CallbackEvent, Learned, Purpose, Registration, RegistrationError, StoreError},
};
use domain::{
    hosts,
    ids::{IntegrationId, WorkspaceId},
    integrations::{Integration, ProviderSettings},
    permissions::{Permission, Resource},
    secret::Secret,
};

/// What is known of the address that the provider of an integration calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackStatus {
    /// The kind of provider.
    pub provider: &'static str,
    /// What the provider was told, or why that is not known.
    pub registration: Result<Registration, RegistrationError>,
    /// The address to call; only for those who may change the workspace.
    pub url: Option<Secret>,
}

/// An integration that is to be told something.
pub struct Subject {
    settings: ProviderSettings<Secret>,
    callback: Callback,
}

impl Subject {
    /// The address that the provider is to call.
    #[must_use]
    pub fn url(&self) -> &Secret {
        &self.callback.url
    }

    /// Whether there is a provider that can be told, and that could call this installation.
    fn can_be_told(&self) -> bool {
        let url = url::Url::parse(self.callback.url.expose()).ok();
        let host = url.as_ref().and_then(url::Url::host_str).unwrap_or_default();
        may_be_called(host) && !matches!(self.settings, ProviderSettings::Smtp(_))
    }
}

impl ProviderFeedback {
    /// Makes the provider of an integration report events.
    ///
    /// # Errors
    /// Without `workspace:write`, when there is no such integration, or the provider does not.
    #[tracing::instrument(name = "feedback.register", skip_all)]
    pub async fn register(
        &self,
        caller: &Caller,
        integration: IntegrationId,
        events: &[CallbackEvent],
    ) -> Result<CallbackStatus, FeedbackError> {
        caller.require(Permission::Write(Resource::Workspace))?;
        let subject = self.subject(&caller.workspace, integration, "webhooks.register").await?;
        let registration =
            self.ports.registrar.register(&subject.settings, &subject.callback, events).await?;
        self.keep(&caller.workspace, integration, &registration.learned).await?;
        let (provider, url) = (subject.settings.kind(), Some(subject.callback.url));
        Ok(CallbackStatus { provider, registration: Ok(registration), url })
    }

    /// What the provider of an integration reports.
    ///
    /// # Errors
    /// Without `workspace:read`, or when there is no such integration.
    #[tracing::instrument(name = "feedback.status", skip_all)]
    pub async fn status(
        &self,
        caller: &Caller,
        integration: IntegrationId,
    ) -> Result<CallbackStatus, FeedbackError> {
        caller.require(Permission::Read(Resource::Workspace))?;
        let may_see = caller.require(Permission::Write(Resource::Workspace)).is_ok();
        let subject = self.subject(&caller.workspace, integration, "webhooks.status").await?;
        let registration = self.ports.registrar.registration(&subject.settings, &subject.callback).await;
        let url = may_see.then_some(subject.callback.url);
        Ok(CallbackStatus { provider: subject.settings.kind(), registration, url })
    }

    /// An integration as its provider is told of it.
    ///
    /// # Errors
    /// For others than owners, or when there is no such integration.
    #[tracing::instrument(name = "feedback.subject_of", skip_all)]
    pub async fn subject_of(
        &self,
        caller: &Caller,
        integration: IntegrationId,
    ) -> Result<Subject, FeedbackError> {
        caller.require(Permission::Own)?;
        self.subject(&caller.workspace, integration, "webhooks.subject").await
    }

    /// Tells a provider about a new integration, unless it could not call this installation. A failure
    /// is only logged.
    #[tracing::instrument(name = "feedback.introduce", skip_all)]
    pub async fn introduce(&self, subject: Subject) {
        if !subject.can_be_told() {
            return;
        }
        let Subject { settings, callback } = subject;
        let registrar = &self.ports.registrar;
        let kept = match registrar.register(&settings, &callback, &CallbackEvent::ALL).await {
            Ok(registration) => {
                let kept = self.keep(&callback.workspace, callback.integration, &registration.learned).await;
                kept.map_err(FeedbackError::from)
            }
            Err(error) => Err(error.into()),
        };
        if let Err(error) = kept {
            log("a provider could not be told which address to call", &settings, &error);
        }
    }

    /// Tells a provider that an integration is gone. A failure is only logged.
    #[tracing::instrument(name = "feedback.take_leave", skip_all)]
    pub async fn take_leave(&self, subject: Subject) {
        if !subject.can_be_told() {
            return;
        }
        if let Err(error) = self.ports.registrar.unregister(&subject.settings, &subject.callback).await {
            log("a provider could not be told that an integration is gone", &subject.settings, &error.into());
        }
    }

    async fn subject(
        &self,
        workspace: &WorkspaceId,
        integration: IntegrationId,
        label: &'static str,
    ) -> Result<Subject, FeedbackError> {
        let (broker, vault) = (self.ports.broker.as_ref(), self.ports.vault.as_ref());
        let purpose = Purpose::interactive(label);
        let workspace = active_workspace(broker, workspace, purpose).await?;
        let mut system = broker.read_system(purpose).await?;
        let integration = system.integration(&workspace.id, integration).await?;
        drop(system);
        let integration = integration.ok_or(FeedbackError::IntegrationMissing)?;
        let key = vault.open(&workspace.secret_key)?;
        let settings = integration.provider.settings.try_map_secrets(|_, secret| vault.open(secret))?;
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("provider", settings.kind())
            .append_pair("workspace_id", workspace.id.as_str())
            .append_pair("integration_id", &integration.id.to_string())
            .append_pair("token", &callback_token(vault, &key, integration.id))
            .finish();
        let url = Secret::new(format!("{}/webhooks/email?{query}", self.ports.endpoint));
        let callback = Callback { url, workspace: workspace.id, integration: integration.id };
        Ok(Subject { settings, callback })
    }

    /// Keeps what a registration brought to light.
    async fn keep(
        &self,
        workspace: &WorkspaceId,
        integration: IntegrationId,
        learned: &Learned,
    ) -> Result<(), StoreError> {
        if *learned == Learned::default() {
            return Ok(());
        }
        let mut store = self.ports.broker.write_system(Purpose::interactive("webhooks.register")).await?;
        let Some(stored) = store.integration(workspace, integration).await? else { return Ok(()) };
        let mut changed = stored.clone();
        match &mut changed.provider.settings {
            ProviderSettings::Mailgun(mailgun) => {
                // Each sealing differs, so that a key that is known is not sealed anew.
                let known = mailgun.webhook_signing_key.as_ref().and_then(|k| self.ports.vault.open(k).ok());
                if let Some(key) =
                    learned.mailgun_signing_key.as_ref().filter(|key| known.as_ref() != Some(key))
                {
                    mailgun.webhook_signing_key = Some(self.ports.vault.seal(key));
                }
            }
            ProviderSettings::Sendgrid(sendgrid) => {
                let key = learned.sendgrid_public_key.clone();
                sendgrid.webhook_public_key = key.or(sendgrid.webhook_public_key.take());
            }
            ProviderSettings::Ses(ses) => {
                let set = learned.ses_configuration_set.clone();
                ses.configuration_set = set.or(ses.configuration_set.take());
            }
            _ => {}
        }
        if changed == stored {
            return Ok(());
        }
        let changed = Integration { updated_at: self.ports.clock.now(), ..changed };
        store.update_integration(&changed).await?;
        store.commit().await
    }
}

/// Whether a provider could reach this host: it is public, and its name not reserved (RFC 6761).
fn may_be_called(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    hosts::may_be_public(host) && !matches!(last, "example" | "test" | "invalid" | "local")
}

fn log(what: &'static str, settings: &ProviderSettings<Secret>, error: &FeedbackError) {
    tracing::warn!(provider.kind = settings.kind(), error = error as &dyn std::error::Error, "{what}");
}
