//! Newsletters: one mail to everybody on a list.

use crate::{
    Timestamp,
    email_address::EmailAddress,
    ids::{BroadcastId, IntegrationId, ListId, MessageId, SegmentId, TemplateId},
    utm::UtmParameters,
    validation::{Invalid, required_text},
};
use serde_json::{Map, Value};

/// Who a broadcast goes to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Audience {
    /// Its live active members.
    pub list: ListId,
    /// When given, only members that are in one of these.
    #[serde(default)]
    pub segments: Vec<SegmentId>,
    /// Kept for clients: who unsubscribed, bounced or complained is never mailed.
    #[serde(default)]
    pub exclude_unsubscribed: bool,
}

/// A content that a broadcast is sent with.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Variation {
    /// Its name, such as `A`.
    #[serde(default)]
    pub variation_name: String,
    /// Its template.
    pub template_id: TemplateId,
}

/// Where a broadcast stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BroadcastState {
    /// Can be changed.
    Draft,
    /// Recipients are being planned and mails sent.
    Processing {
        /// When it was started.
        started_at: Timestamp,
    },
    /// Every recipient has been planned; mails may still wait in the queue.
    Processed {
        /// When it was started.
        started_at: Timestamp,
        /// When the last recipient was planned.
        completed_at: Timestamp,
    },
}

impl BroadcastState {
    /// The name on the wire and in storage.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Processing { .. } => "processing",
            Self::Processed { .. } => "processed",
        }
    }

    /// When sending began.
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        match self {
            Self::Draft => None,
            Self::Processing { started_at } | Self::Processed { started_at, .. } => Some(*started_at),
        }
    }

    /// When the last recipient was planned.
    #[must_use]
    pub fn completed_at(&self) -> Option<Timestamp> {
        match self {
            Self::Processed { completed_at, .. } => Some(*completed_at),
            _ => None,
        }
    }
}

/// What a broadcast is sent with, fixed when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Version of the template.
    pub template_version: i64,
    /// Provider that takes the mails.
    pub integration: IntegrationId,
}

/// A newsletter.
#[derive(Debug, Clone, PartialEq)]
pub struct Broadcast {
    /// Given by the server.
    pub id: BroadcastId,
    /// How people call it, 1 to 255 characters.
    pub name: String,
    /// Who it goes to.
    pub audience: Audience,
    /// What it is sent with; exactly one.
    pub variations: Vec<Variation>,
    /// Campaign parameters of its links.
    pub utm: UtmParameters,
    /// Stored for clients.
    pub metadata: Option<Map<String, Value>>,
    /// Where it stands.
    pub state: BroadcastState,
    /// What it is sent with; `None` until it starts.
    pub launch: Option<Launch>,
    /// How far the audience has been planned: the last address.
    pub cursor: Option<EmailAddress>,
    /// How many mails have been put into the queue.
    pub enqueued_count: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What a client gives of a new broadcast.
#[derive(Debug, Clone, PartialEq)]
pub struct BroadcastDraft {
    /// See [`Broadcast::name`].
    pub name: String,
    /// See [`Broadcast::audience`].
    pub audience: Audience,
    /// See [`Broadcast::variations`].
    pub variations: Vec<Variation>,
    /// See [`Broadcast::utm`].
    pub utm: UtmParameters,
    /// See [`Broadcast::metadata`].
    pub metadata: Option<Map<String, Value>>,
}

impl BroadcastDraft {
    /// # Errors
    /// When the name is empty or too long, or there is not exactly one variation.
    pub fn into_broadcast(self, id: BroadcastId, now: Timestamp) -> Result<Broadcast, Invalid> {
        let name = required_text(&self.name, 255).map_err(|e| Invalid::one("/name", e))?;
        if self.variations.len() != 1 {
            return Err(Invalid::one("/test_settings/variations", "must name exactly one template"));
        }
        Ok(Broadcast {
            id,
            name,
            audience: self.audience,
            variations: self.variations,
            utm: self.utm,
            metadata: self.metadata,
            state: BroadcastState::Draft,
            launch: None,
            cursor: None,
            enqueued_count: 0,
            created_at: now,
            updated_at: now,
        })
    }
}

/// The broadcast is in a state that does not allow this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a broadcast with status {status} cannot be {wanted}; allowed: {allowed}")]
pub struct IllegalTransition {
    /// Where it stands.
    pub status: &'static str,
    /// What was wanted, such as `scheduled`.
    pub wanted: &'static str,
    /// From which states that is allowed.
    pub allowed: &'static str,
}

impl Broadcast {
    /// Starts sending.
    ///
    /// # Errors
    /// When it is no draft.
    pub fn start(&mut self, launch: Launch, now: Timestamp) -> Result<(), IllegalTransition> {
        if self.state != BroadcastState::Draft {
            return Err(IllegalTransition {
                status: self.state.name(),
                wanted: "scheduled",
                allowed: "draft",
            });
        }
        self.state = BroadcastState::Processing { started_at: now };
        self.launch = Some(launch);
        self.updated_at = now;
        Ok(())
    }

    /// Notes that a part of the audience was planned up to `last`.
    pub fn advance(&mut self, last: EmailAddress, enqueued: u64, now: Timestamp) {
        self.cursor = Some(last);
        self.enqueued_count += enqueued;
        self.updated_at = now;
    }

    /// Notes that the whole audience is planned. Does nothing unless it is being processed.
    pub fn complete(&mut self, now: Timestamp) {
        if let BroadcastState::Processing { started_at } = self.state {
            self.state = BroadcastState::Processed { started_at, completed_at: now };
            self.updated_at = now;
        }
    }

    /// The template that mails are made from.
    #[must_use]
    pub fn template(&self) -> Option<&TemplateId> {
        self.variations.first().map(|v| &v.template_id)
    }
}

/// What became of one recipient of a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecipientState {
    /// Its mail waits in the queue.
    Queued,
    /// Its mail was taken by the provider.
    Sent,
    /// Its mail was refused for good, or could not be made.
    Failed,
    /// The process ended while the mail was being handed over: it may or may not have gone out.
    Unknown,
}

impl RecipientState {
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

/// One line of a broadcast's account. Unique by broadcast and address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Which broadcast.
    pub broadcast: BroadcastId,
    /// Who.
    pub email: EmailAddress,
    /// The message made for this recipient.
    pub message: MessageId,
    /// What became of it.
    pub state: RecipientState,
    /// When it was planned.
    pub planned_at: Timestamp,
}

/// How many recipients of a broadcast are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the states")]
pub struct Ledger {
    pub queued: u64,
    pub sent: u64,
    pub failed: u64,
    pub unknown: u64,
}

impl Ledger {
    /// All recipients planned so far.
    #[must_use]
    pub fn planned(&self) -> u64 {
        self.queued + self.sent + self.failed + self.unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broadcast() -> Broadcast {
        let variation =
            Variation { variation_name: "A".into(), template_id: TemplateId::parse("t").unwrap() };
        BroadcastDraft {
            name: "June".into(),
            audience: Audience {
                list: ListId::parse("news").unwrap(),
                segments: vec![],
                exclude_unsubscribed: true,
            },
            variations: vec![variation],
            utm: UtmParameters::default(),
            metadata: None,
        }
        .into_broadcast(BroadcastId::from_uuid(uuid::Uuid::from_u128(7)), Timestamp::UNIX_EPOCH)
        .unwrap()
    }

    fn launch() -> Launch {
        Launch { template_version: 1, integration: IntegrationId::from_uuid(uuid::Uuid::from_u128(1)) }
    }

    #[test]
    fn a_broadcast_starts_once() {
        let mut broadcast = broadcast();
        broadcast.start(launch(), Timestamp::UNIX_EPOCH).unwrap();
        let refused = broadcast.start(launch(), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "a broadcast with status processing cannot be scheduled; allowed: draft"
        );
    }

    #[test]
    fn only_a_running_broadcast_completes() {
        let mut broadcast = broadcast();
        broadcast.complete(Timestamp::UNIX_EPOCH);
        assert_eq!(broadcast.state, BroadcastState::Draft);
        broadcast.start(launch(), Timestamp::UNIX_EPOCH).unwrap();
        broadcast.complete(Timestamp::UNIX_EPOCH);
        assert_eq!(broadcast.state.name(), "processed");
    }
}
