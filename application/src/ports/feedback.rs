//! What providers report about mails, and whom that keeps mails away from.

use super::StoreError;
use crate::page::Page;
use async_trait::async_trait;
use domain::{
    Timestamp,
    email_address::EmailAddress,
    feedback::{Feedback, FeedbackCursor, FeedbackFilter, FeedbackKind, MessageMark, SuppressionReason},
    ids::{FeedbackId, MessageId},
    integrations::ProviderSettings,
    lists::MembershipStatus,
    secret::Secret,
};

/// Keeps reports, and the addresses that get no newsletters any longer.
#[async_trait]
pub trait FeedbackStore {
    /// Adds reports; their identifiers must not repeat. One that is there is passed over. Answers which
    /// were added.
    async fn insert_feedback_if_absent(
        &mut self,
        feedback: &[Feedback],
    ) -> Result<Vec<FeedbackId>, StoreError>;

    /// Sets first moments of messages that have none, where the recipient is that of the message. The
    /// status line is replaced only where a moment is new.
    async fn mark_messages(&mut self, marks: &[MessageMark]) -> Result<(), StoreError>;

    /// The reports that name these messages, the earliest event first.
    async fn feedback_of(&mut self, messages: &[MessageId]) -> Result<Vec<Feedback>, StoreError>;

    /// Soft bounces of an address after the last delivery to it.
    async fn soft_bounces(&mut self, recipient: &EmailAddress) -> Result<u64, StoreError>;

    /// Reports in the order of their events, newest first, then of identifier downwards, after a place.
    async fn feedback_after(
        &mut self,
        filter: &FeedbackFilter,
        after: Option<&FeedbackCursor>,
        size: usize,
    ) -> Result<Page<Feedback>, StoreError>;

    /// Sets every live membership of an address to a standing, except those in one of `kept`.
    async fn set_standing(
        &mut self,
        email: &EmailAddress,
        status: MembershipStatus,
        kept: &[MembershipStatus],
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Keeps mails away from an address from now on. A complaint outweighs a bounce. It outlives the
    /// contact, as a hash of the address.
    async fn suppress(
        &mut self,
        email: &EmailAddress,
        reason: SuppressionReason,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Those of the given addresses that are suppressed.
    async fn suppressions(
        &mut self,
        emails: &[EmailAddress],
    ) -> Result<Vec<(EmailAddress, SuppressionReason)>, StoreError>;

    /// Lets mails reach an address again. Answers whether it was suppressed.
    async fn lift_suppression(&mut self, email: &EmailAddress) -> Result<bool, StoreError>;
}

/// A call of a provider: what it says, and by what it may prove that it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundCall {
    /// Headers by their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl InboundCall {
    /// The first header of this name, given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What a provider or a mail server says about one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What tells it from other reports of the same source.
    pub key: String,
    /// What happened.
    pub kind: FeedbackKind,
    /// To whose mail.
    pub recipient: EmailAddress,
    /// The mail: our identifier, else that of the provider.
    pub message: Option<String>,
    /// When.
    pub at: Timestamp,
    /// The report as it came.
    pub payload: String,
}

/// Why a call of a provider is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadingError {
    /// Not signed, signed by somebody else, or too old.
    #[error("the call is not signed by the provider: {0}")]
    NotAuthentic(&'static str),
    /// Not what the provider sends.
    #[error("the body is not what the provider sends: {0}")]
    Malformed(&'static str),
    /// What the check needs cannot be had now.
    #[error("the signature cannot be checked now")]
    Unavailable,
}

/// Checks the signatures of providers and reads what they say.
#[async_trait]
pub trait FeedbackReader: Send + Sync {
    /// Reads a call. Whether the address that was called is known to the provider alone is not checked
    /// here. Answers nothing for what needs no attention. Confirms a subscription when asked to.
    ///
    /// # Errors
    /// When the call is not taken.
    async fn read(
        &self,
        settings: &ProviderSettings<Secret>,
        call: &InboundCall,
    ) -> Result<Vec<Report>, ReadingError>;
}

/// Reads notices that mail servers send by mail.
pub trait NoticeReader: Send + Sync {
    /// Reads a mail: a delivery status notification (RFC 3464) or a report of a complaint (RFC 5965).
    /// Answers nothing for what needs no attention, such as a delay.
    ///
    /// # Errors
    /// When it is neither.
    fn read(&self, mail: &[u8], now: Timestamp) -> Result<Vec<Report>, ReadingError>;
}
