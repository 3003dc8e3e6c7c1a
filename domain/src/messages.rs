//! The history of every message.

use crate::{
    Timestamp,
    email_address::EmailAddress,
    ids::{BroadcastId, ListId, MessageId, NotificationId, TemplateId},
    secret::Sealed,
    transactional::EmailOptions,
};
use serde_json::{Map, Value};

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageState {
    /// Waits in the queue.
    Queued,
    /// Taken by the provider.
    Sent,
    /// Refused for good.
    Failed,
    /// Handed over without an answer.
    Unknown,
}

impl MessageState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Sent, Self::Failed, Self::Unknown];

    /// The stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// The state with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// A message and all that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its identifier, also in the Message-ID header.
    pub id: MessageId,
    /// The caller's idempotency key.
    pub external_id: Option<String>,
    /// Who it is for.
    pub contact_email: EmailAddress,
    /// The broadcast it belongs to.
    pub broadcast: Option<BroadcastId>,
    /// The notification it belongs to.
    pub notification: Option<NotificationId>,
    /// The list through which the contact is reached.
    pub list: Option<ListId>,
    /// Its template.
    pub template: TemplateId,
    /// Version of the template.
    pub template_version: i64,
    /// What became of it.
    pub state: MessageState,
    /// The provider's last words, at most 255 characters.
    pub status_info: Option<String>,
    /// The caller's template variables as sealed JSON; `None` when there were none.
    pub data: Option<Sealed>,
    /// The caller's metadata, in clear.
    pub metadata: Option<Map<String, Value>>,
    /// What the send changed of the mail.
    pub options: EmailOptions,
    /// When the provider took it.
    pub sent_at: Option<Timestamp>,
    /// When it reached the mailbox.
    pub delivered_at: Option<Timestamp>,
    /// When it was given up.
    pub failed_at: Option<Timestamp>,
    /// First open.
    pub opened_at: Option<Timestamp>,
    /// First click.
    pub clicked_at: Option<Timestamp>,
    /// When it came back.
    pub bounced_at: Option<Timestamp>,
    /// When it was called spam.
    pub complained_at: Option<Timestamp>,
    /// When it led to an unsubscription.
    pub unsubscribed_at: Option<Timestamp>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// A place in the history, which is ordered by acceptance, newest first, then by identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageCursor {
    /// Acceptance of the last message seen.
    pub created_at: Timestamp,
    /// Identifier of the last message seen.
    pub id: MessageId,
}

/// Which messages to list. All conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the message's fields")]
pub struct MessageFilter {
    pub id: Option<MessageId>,
    pub external_id: Option<String>,
    pub list: Option<ListId>,
    pub contact_email: Option<EmailAddress>,
    pub broadcast: Option<BroadcastId>,
    pub template: Option<TemplateId>,
    pub state: Option<MessageState>,
    pub is_sent: Option<bool>,
    pub is_delivered: Option<bool>,
    pub is_failed: Option<bool>,
    pub is_opened: Option<bool>,
    pub is_clicked: Option<bool>,
    pub is_bounced: Option<bool>,
    pub is_complained: Option<bool>,
    pub is_unsubscribed: Option<bool>,
    pub sent_after: Option<Timestamp>,
    pub sent_before: Option<Timestamp>,
    pub updated_after: Option<Timestamp>,
    pub updated_before: Option<Timestamp>,
}

/// How many messages of a broadcast have seen which event. It is counted when it happens and stays
/// counted when messages leave the history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the events")]
pub struct MessageStats {
    pub sent: u64,
    pub delivered: u64,
    pub bounced: u64,
    pub complained: u64,
    pub failed: u64,
    pub opened: u64,
    pub clicked: u64,
    pub unsubscribed: u64,
    /// Opened by the image proxy of a mailbox provider; all of them are in `opened`, too.
    pub proxy_opened: u64,
    /// Opened by a machine, whether or not also by somebody.
    pub machine_opened: u64,
    /// Clicked by a machine, whether or not also by somebody.
    pub machine_clicked: u64,
}
