//! What the links of a mail allow its reader.

use crate::{
    email_address::EmailAddress,
    ids::{ListId, WorkspaceId},
};
use chrono::Duration;

/// What a link is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkRight {
    /// Seeing and changing the contact's own subscriptions and preferences, unsubscribing.
    Manage,
    /// Confirming the subscription to one list.
    Confirm(ListId),
}

impl LinkRight {
    /// How long a link with this right is good: a way out of old mails for a year, a confirmation for a
    /// month.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        match self {
            Self::Manage => Duration::days(365),
            Self::Confirm(_) => Duration::days(30),
        }
    }
}

/// What is signed into a link. It is good for this workspace and address alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactPass {
    /// The workspace that sent the mail.
    pub workspace: WorkspaceId,
    /// Who received it.
    pub email: EmailAddress,
    /// What for.
    pub right: LinkRight,
}
