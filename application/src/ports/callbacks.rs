//! Telling providers which address to call.

use async_trait::async_trait;
use domain::{
    ids::{IntegrationId, WorkspaceId},
    integrations::ProviderSettings,
    secret::Secret,
};
use serde_json::{Map, Value};

/// What a provider is asked to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallbackEvent {
    /// A mail reached the mailbox.
    Delivered,
    /// A mail came back.
    Bounce,
    /// A mail was called spam.
    Complaint,
}

impl CallbackEvent {
    /// Every event.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Bounce, Self::Complaint];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Bounce => "bounce",
            Self::Complaint => "complaint",
        }
    }

    /// The event with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}

/// The address that a provider is to call for an integration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The address, with its secret part.
    pub url: Secret,
    /// Whose mails it is about.
    pub workspace: WorkspaceId,
    /// Through which integration they are sent.
    pub integration: IntegrationId,
}

/// An address that a provider calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredCallback {
    /// The provider's name of it.
    pub id: Option<String>,
    /// The address, with its secret part.
    pub url: Secret,
    /// What is reported to it.
    pub event: CallbackEvent,
    /// Whether it is called.
    pub active: bool,
}

/// What a provider has been told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registration {
    /// The addresses of this integration.
    pub callbacks: Vec<RegisteredCallback>,
    /// What the provider calls its parts.
    pub details: Map<String, Value>,
    /// What has to be kept to check and to cause the calls.
    pub learned: Learned,
}

/// What a registration brought to light.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Learned {
    /// The key that Mailgun signs with.
    pub mailgun_signing_key: Option<Secret>,
    /// The public key to the key that `SendGrid` signs with.
    pub sendgrid_public_key: Option<String>,
    /// The set that makes Amazon SES report.
    pub ses_configuration_set: Option<String>,
}

/// Why a provider could not be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// Mail servers have nothing to be told by.
    #[error(
        "a mail server cannot be told which address to call; let a program post to the callback URL, \
         or upload delivery status notifications"
    )]
    Unsupported,
    /// The provider does not do it.
    #[error("the provider did not accept it: {0}")]
    Provider(String),
}

/// Tells providers which address to call. Holds no lease.
#[async_trait]
pub trait CallbackRegistrar: Send + Sync {
    /// Makes the provider report these events, and no others, to the address. Addresses of others stay.
    ///
    /// # Errors
    /// When the provider does not.
    async fn register(
        &self,
        settings: &ProviderSettings<Secret>,
        callback: &Callback,
        events: &[CallbackEvent],
    ) -> Result<Registration, RegistrationError>;

    /// What the provider reports to addresses of the integration.
    ///
    /// # Errors
    /// When the provider does not tell.
    async fn registration(
        &self,
        settings: &ProviderSettings<Secret>,
        callback: &Callback,
    ) -> Result<Registration, RegistrationError>;

    /// Makes the provider report nothing more to addresses of the integration.
    ///
    /// # Errors
    /// When the provider does not.
    async fn unregister(
        &self,
        settings: &ProviderSettings<Secret>,
        callback: &Callback,
    ) -> Result<(), RegistrationError>;
}
