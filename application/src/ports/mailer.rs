//! Handing mails to a provider.

use super::DkimIdentity;
use async_trait::async_trait;
use domain::{
    email_address::EmailAddress,
    ids::{IntegrationId, MessageId, WorkspaceId},
    integrations::ProviderSettings,
    mail_name::MailName,
    secret::Secret,
};
use std::sync::Arc;

/// An address with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The address.
    pub address: EmailAddress,
    /// The name beside it.
    pub name: Option<MailName>,
}

/// A file in a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its name.
    pub filename: String,
    /// Its media type.
    pub content_type: String,
    /// Whether it is shown inside the body, with its name as Content-ID.
    pub inline: bool,
    /// Its bytes.
    pub content: Arc<[u8]>,
}

/// A mail ready to be handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMail {
    /// Correlates the provider's events; also in the Message-ID header.
    pub message_id: MessageId,
    /// Author.
    pub from: Mailbox,
    /// The recipient.
    pub to: Mailbox,
    /// Further visible recipients.
    pub cc: Vec<EmailAddress>,
    /// Further hidden recipients.
    pub bcc: Vec<EmailAddress>,
    /// Where replies go.
    pub reply_to: Option<EmailAddress>,
    /// Subject line.
    pub subject: String,
    /// The body as HTML.
    pub html: String,
    /// The body as plain text.
    pub text: String,
    /// HTTPS address of the one-click unsubscription (RFC 8058).
    pub list_unsubscribe: Option<String>,
    /// Files.
    pub attachments: Vec<Attachment>,
    /// Who signs it, where the way to the provider signs; others sign by themselves.
    pub dkim: Option<Arc<DkimIdentity>>,
}

/// Where a mail is handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailRoute {
    /// The provider of an integration, or that of the installation's own mail.
    Provider {
        /// Names the connections that may be reused: workspace and integration, or `None` for the
        /// installation's own mail.
        pool: Option<(WorkspaceId, IntegrationId)>,
        /// How to reach it.
        settings: Arc<ProviderSettings<Secret>>,
    },
    /// A folder of `.eml` files.
    Outbox,
}

/// Why a mail was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The provider refuses this mail or recipient for good.
    #[error("refused by the mail server: {reply}")]
    Refused {
        /// The provider's words, on one line.
        reply: String,
    },
    /// The provider does not take it now (greylisting, full mailbox, throttling).
    #[error("not taken now by the mail server: {reply}")]
    Deferred {
        /// The provider's words, on one line.
        reply: String,
    },
    /// The provider cannot be used: no connection, no TLS, wrong credentials, time-out before the
    /// mail was handed over. Says nothing about the recipient.
    #[error("the mail server cannot be used: {reason}")]
    Provider {
        /// What failed, without credentials.
        reason: String,
    },
    /// The mail was handed over and the answer was lost: it may or may not have been taken.
    #[error("the mail server did not confirm the mail: {reason}")]
    Unconfirmed {
        /// What failed.
        reason: String,
    },
    /// The mail cannot be written as a message.
    #[error("the mail cannot be built: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
}

/// Hands mails to providers. Bounds its connections per route and reuses them.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands one mail over. Ends within a bounded time. When some of several recipients are refused,
    /// the mail is sent to the others, unless the refused one is `to`.
    async fn send(&self, route: &MailRoute, mail: &OutgoingMail) -> Result<(), SendError>;
}
