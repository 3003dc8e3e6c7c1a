//! The `CallbackRegistrar` port: tells providers which address to call.

mod mailgun;
mod mailjet;
mod postmark;
mod sendgrid;
mod ses;
mod sns;
mod sparkpost;
mod talk;

use crate::{Config, TlsError, client::client};
use application::ports::{
    Callback, CallbackEvent, CallbackRegistrar, Clock, RegisteredCallback, Registration, RegistrationError,
};
use async_trait::async_trait;
use domain::{integrations::ProviderSettings, secret::Secret};
use reqwest::Client;
use serde_json::Value;
use std::sync::Arc;
use talk::Talk;
use url::Url;

/// Tells providers over their interfaces which address to call.
pub struct HttpRegistrar {
    client: Client,
    config: Config,
    clock: Arc<dyn Clock>,
}

impl HttpRegistrar {
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: Config, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        Ok(Self { client: client(&config)?, config, clock })
    }

    fn talk<'a>(&'a self, settings: &'a ProviderSettings<Secret>, callback: &'a Callback) -> Talk<'a> {
        Talk { client: &self.client, config: &self.config, settings, callback, now: self.clock.now() }
    }
}

#[async_trait]
impl CallbackRegistrar for HttpRegistrar {
    async fn register(
        &self,
        settings: &ProviderSettings<Secret>,
        callback: &Callback,
        events: &[CallbackEvent],
    ) -> Result<Registration, RegistrationError> {
        let talk = self.talk(settings, callback);
        match settings {
            ProviderSettings::Ses(ses) => ses::register(&talk, ses, events).await,
            ProviderSettings::Mailgun(mailgun) => mailgun::register(&talk, mailgun, events).await,
            ProviderSettings::Postmark(postmark) => postmark::register(&talk, postmark, events).await,
            ProviderSettings::Mailjet(mailjet) => mailjet::register(&talk, mailjet, events).await,
            ProviderSettings::Sparkpost(sparkpost) => sparkpost::register(&talk, sparkpost, events).await,
            ProviderSettings::Sendgrid(sendgrid) => sendgrid::register(&talk, sendgrid, events).await,
            ProviderSettings::Smtp(_) => Err(RegistrationError::Unsupported),
        }
    }

    async fn registration(
        &self,
        settings: &ProviderSettings<Secret>,
        callback: &Callback,
    ) -> Result<Registration, RegistrationError> {
        let talk = self.talk(settings, callback);
        match settings {
            ProviderSettings::Ses(ses) => ses::registration(&talk, ses).await,
            ProviderSettings::Mailgun(mailgun) => mailgun::registration(&talk, mailgun).await,
            ProviderSettings::Postmark(postmark) => postmark::registration(&talk, postmark).await,
            ProviderSettings::Mailjet(mailjet) => mailjet::registration(&talk, mailjet).await,
            ProviderSettings::Sparkpost(sparkpost) => sparkpost::registration(&talk, sparkpost).await,
            ProviderSettings::Sendgrid(sendgrid) => sendgrid::registration(&talk, sendgrid).await,
            ProviderSettings::Smtp(_) => Err(RegistrationError::Unsupported),
        }
    }

    async fn unregister(
        &self,
        settings: &ProviderSettings<Secret>,
        callback: &Callback,
    ) -> Result<(), RegistrationError> {
        let talk = self.talk(settings, callback);
        match settings {
            ProviderSettings::Ses(ses) => ses::unregister(&talk, ses).await,
            ProviderSettings::Mailgun(mailgun) => mailgun::unregister(&talk, mailgun).await,
            ProviderSettings::Postmark(postmark) => postmark::unregister(&talk, postmark).await,
            ProviderSettings::Mailjet(mailjet) => mailjet::unregister(&talk, mailjet).await,
            ProviderSettings::Sparkpost(sparkpost) => sparkpost::unregister(&talk, sparkpost).await,
            ProviderSettings::Sendgrid(sendgrid) => sendgrid::unregister(&talk, sendgrid).await,
            ProviderSettings::Smtp(_) => Err(RegistrationError::Unsupported),
        }
    }
}

/// Whether an address is one of the integration, also an earlier one.
fn is_ours(url: &str, callback: &Callback) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let has = |name: &str, value: &str| url.query_pairs().any(|(n, v)| n == name && v == value);
    url.path().ends_with("/webhooks/email")
        && has("workspace_id", callback.workspace.as_str())
        && has("integration_id", &callback.integration.to_string())
}

/// An address of ours for each of some events.
fn registered(
    id: &Value,
    url: &str,
    active: bool,
    events: impl IntoIterator<Item = CallbackEvent>,
) -> Vec<RegisteredCallback> {
    let id = match id {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    };
    let one = |event| RegisteredCallback { id: id.clone(), url: Secret::new(url), event, active };
    events.into_iter().map(one).collect()
}
