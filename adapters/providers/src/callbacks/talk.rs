//! Requests about callbacks, and their answers.

use crate::Config;
use application::ports::{Callback, RegistrationError};
use domain::{Timestamp, integrations::ProviderSettings, secret::Secret};
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
const LARGEST: usize = 512 * 1024;
/// Characters of the provider's words that are kept.
const KEPT: usize = 300;

/// What is spoken with, and about what.
pub(super) struct Talk<'a> {
    pub client: &'a Client,
    pub config: &'a Config,
    pub settings: &'a ProviderSettings<Secret>,
    pub callback: &'a Callback,
    pub now: Timestamp,
}

/// An answer.
pub(super) struct Told {
    pub status: u16,
    pub text: String,
}

impl Told {
    /// The body; `Null` when it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Talk<'_> {
    /// The address to call.
    pub fn url(&self) -> &str {
        self.callback.url.expose()
    }

    /// Whatever the provider answers.
    pub async fn ask(&self, request: RequestBuilder) -> Result<Told, RegistrationError> {
        let failed = |error: &reqwest::Error| {
            let why = if error.is_timeout() { "it did not answer in time" } else { "it cannot be reached" };
            RegistrationError::Provider(why.to_owned())
        };
        let mut response = request.timeout(TIMEOUT).send().await.map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LARGEST {
                return Err(RegistrationError::Provider("its answer is too long".to_owned()));
            }
        }
        Ok(Told { status, text: String::from_utf8_lossy(&bytes).into_owned() })
    }

    /// The answer to a request that must succeed.
    pub async fn tell(&self, request: RequestBuilder) -> Result<Told, RegistrationError> {
        let told = self.ask(request).await?;
        if told.is_success() { Ok(told) } else { Err(self.refusal(&told)) }
    }

    /// The answer to a request about something that may be gone; `None` when it is.
    pub async fn tell_if_there(&self, request: RequestBuilder) -> Result<Option<Told>, RegistrationError> {
        match self.ask(request).await? {
            told if told.is_success() => Ok(Some(told)),
            Told { status: 404, .. } => Ok(None),
            told => Err(self.refusal(&told)),
        }
    }

    /// The provider's words on one short line, without secrets.
    pub fn refusal(&self, told: &Told) -> RegistrationError {
        let mut words = format!("{} {}", told.status, told.text);
        let fields = ["server_token", "api_key", "secret_key", "webhook_signing_key"];
        let secrets = fields.iter().filter_map(|field| self.settings.secret(field));
        for secret in secrets.chain([&self.callback.url]).filter(|secret| !secret.is_empty()) {
            words = words.replace(secret.expose(), "…");
        }
        let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(KEPT).collect();
        RegistrationError::Provider(words.trim().to_owned())
    }
}
