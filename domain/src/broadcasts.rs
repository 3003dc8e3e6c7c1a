//! Newsletters: one mail to everybody on a list.

mod account;

pub use account::{Audit, Ledger, Recipient, RecipientState, SkipReason, Skipped};

use crate::{
    Timestamp,
    email_address::EmailAddress,
    ids::{BroadcastId, IntegrationId, ListId, SegmentId, TemplateId},
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
    /// Nobody is planned and no mail is begun until it is resumed.
    Paused {
        /// When it was started.
        started_at: Timestamp,
        /// When the last recipient was planned; `None` while some are missing.
        completed_at: Option<Timestamp>,
        /// When it was paused.
        paused_at: Timestamp,
    },
    /// Ended for good: what had not been begun is never sent.
    Cancelled {
        /// When it was started.
        started_at: Timestamp,
        /// When the last recipient was planned; `None` when some never were.
        completed_at: Option<Timestamp>,
        /// When it was cancelled.
        cancelled_at: Timestamp,
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
            Self::Paused { .. } => "paused",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// When sending began.
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        match self {
            Self::Draft => None,
            Self::Processing { started_at }
            | Self::Processed { started_at, .. }
            | Self::Paused { started_at, .. }
            | Self::Cancelled { started_at, .. } => Some(*started_at),
        }
    }

    /// When the last recipient was planned.
    #[must_use]
    pub fn completed_at(&self) -> Option<Timestamp> {
        match self {
            Self::Processed { completed_at, .. } => Some(*completed_at),
            Self::Paused { completed_at, .. } | Self::Cancelled { completed_at, .. } => *completed_at,
            Self::Draft | Self::Processing { .. } => None,
        }
    }

    /// When it was paused, while it is.
    #[must_use]
    pub fn paused_at(&self) -> Option<Timestamp> {
        match self {
            Self::Paused { paused_at, .. } => Some(*paused_at),
            _ => None,
        }
    }

    /// When it was cancelled.
    #[must_use]
    pub fn cancelled_at(&self) -> Option<Timestamp> {
        match self {
            Self::Cancelled { cancelled_at, .. } => Some(*cancelled_at),
            _ => None,
        }
    }

    fn refuse(&self, wanted: &'static str, allowed: &'static str) -> IllegalTransition {
        IllegalTransition { status: self.name(), wanted, allowed }
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
        let name = self.checked_name()?;
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

    /// The name without spaces around it, when the draft keeps every rule.
    fn checked_name(&self) -> Result<String, Invalid> {
        let name = required_text(&self.name, 255).map_err(|e| Invalid::one("/name", e))?;
        if self.variations.len() != 1 {
            return Err(Invalid::one("/test_settings/variations", "must name exactly one template"));
        }
        Ok(name)
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

/// Why a broadcast was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Its state does not allow it.
    #[error(transparent)]
    Transition(#[from] IllegalTransition),
    /// The new content breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl Broadcast {
    /// Replaces what a client gives of it. One that was paused in the middle goes on with the new
    /// content for those who are not planned yet; with another audience, everybody in it who has
    /// not been planned is planned.
    ///
    /// # Errors
    /// When it is neither a draft nor paused, or the new content breaks a rule.
    pub fn edit(&mut self, draft: BroadcastDraft, now: Timestamp) -> Result<(), EditError> {
        if !matches!(self.state, BroadcastState::Draft | BroadcastState::Paused { .. }) {
            return Err(self.state.refuse("updated", "draft, paused").into());
        }
        self.name = draft.checked_name()?;
        if self.audience != draft.audience {
            self.audience = draft.audience;
            self.cursor = None;
            if let BroadcastState::Paused { completed_at, .. } = &mut self.state {
                *completed_at = None;
            }
        }
        self.variations = draft.variations;
        self.utm = draft.utm;
        self.metadata = draft.metadata;
        self.updated_at = now;
        Ok(())
    }

    /// Takes another version of its template for those who are not planned yet. Does nothing before
    /// it was started.
    pub fn use_template_version(&mut self, version: i64) {
        if let Some(launch) = &mut self.launch {
            launch.template_version = version;
        }
    }

    /// Starts sending.
    ///
    /// # Errors
    /// When it is no draft.
    pub fn start(&mut self, launch: Launch, now: Timestamp) -> Result<(), IllegalTransition> {
        if self.state != BroadcastState::Draft {
            return Err(self.state.refuse("scheduled", "draft"));
        }
        self.state = BroadcastState::Processing { started_at: now };
        self.launch = Some(launch);
        self.updated_at = now;
        Ok(())
    }

    /// Stops planning and sending until it is resumed.
    ///
    /// # Errors
    /// When it is not running.
    pub fn pause(&mut self, now: Timestamp) -> Result<(), IllegalTransition> {
        let (started_at, completed_at) = match self.state {
            BroadcastState::Processing { started_at } => (started_at, None),
            BroadcastState::Processed { started_at, completed_at } => (started_at, Some(completed_at)),
            _ => return Err(self.state.refuse("paused", "processing, processed")),
        };
        self.state = BroadcastState::Paused { started_at, completed_at, paused_at: now };
        self.updated_at = now;
        Ok(())
    }

    /// Goes on where it was paused.
    ///
    /// # Errors
    /// When it is not paused.
    pub fn resume(&mut self, now: Timestamp) -> Result<(), IllegalTransition> {
        let BroadcastState::Paused { started_at, completed_at, .. } = self.state else {
            return Err(self.state.refuse("resumed", "paused"));
        };
        self.state = match completed_at {
            Some(completed_at) => BroadcastState::Processed { started_at, completed_at },
            None => BroadcastState::Processing { started_at },
        };
        self.updated_at = now;
        Ok(())
    }

    /// Ends it for good.
    ///
    /// # Errors
    /// When it is a draft or was cancelled before.
    pub fn cancel(&mut self, now: Timestamp) -> Result<(), IllegalTransition> {
        let started_at = match self.state {
            BroadcastState::Processing { started_at }
            | BroadcastState::Processed { started_at, .. }
            | BroadcastState::Paused { started_at, .. } => started_at,
            BroadcastState::Draft | BroadcastState::Cancelled { .. } => {
                return Err(self.state.refuse("cancelled", "processing, processed, paused"));
            }
        };
        let completed_at = self.state.completed_at();
        self.state = BroadcastState::Cancelled { started_at, completed_at, cancelled_at: now };
        self.updated_at = now;
        Ok(())
    }

    /// Whether mails that failed may be sent again.
    ///
    /// # Errors
    /// When it is not running.
    pub fn check_retryable(&self) -> Result<(), IllegalTransition> {
        if !matches!(self.state, BroadcastState::Processing { .. } | BroadcastState::Processed { .. }) {
            return Err(self.state.refuse("retried", "processing, processed"));
        }
        Ok(())
    }

    /// Whether it may be deleted.
    ///
    /// # Errors
    /// While its recipients are being planned.
    pub fn check_deletable(&self) -> Result<(), IllegalTransition> {
        if matches!(self.state, BroadcastState::Processing { .. }) {
            return Err(self.state.refuse("deleted", "draft, processed, paused, cancelled"));
        }
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

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + chrono::Duration::seconds(seconds)
    }

    fn draft_to(list: &str) -> BroadcastDraft {
        let Broadcast { name, audience, variations, utm, metadata, .. } = broadcast();
        let audience = Audience { list: ListId::parse(list).unwrap(), ..audience };
        BroadcastDraft { name, audience, variations, utm, metadata }
    }

    #[test]
    fn a_pause_goes_on_where_it_was() {
        let mut running = broadcast();
        running.start(launch(), at(1)).unwrap();
        let mut done = running.clone();
        done.complete(at(2));
        for mut broadcast in [running, done] {
            let before = broadcast.state.clone();
            broadcast.pause(at(3)).unwrap();
            assert_eq!(broadcast.state.paused_at(), Some(at(3)));
            broadcast.resume(at(4)).unwrap();
            assert_eq!(broadcast.state, before);
        }
    }

    #[test]
    fn each_refusal_names_what_is_allowed() {
        let mut draft = broadcast();
        assert_eq!(draft.pause(at(1)).unwrap_err().allowed, "processing, processed");
        assert_eq!(draft.resume(at(1)).unwrap_err().allowed, "paused");
        assert_eq!(draft.cancel(at(1)).unwrap_err().allowed, "processing, processed, paused");
        draft.start(launch(), at(1)).unwrap();
        let mut running = draft;
        assert_eq!(running.check_deletable().unwrap_err().allowed, "draft, processed, paused, cancelled");
        let EditError::Transition(refused) = running.edit(draft_to("news"), at(2)).unwrap_err() else {
            panic!("a rule was broken instead");
        };
        assert_eq!(refused.allowed, "draft, paused");
        running.cancel(at(2)).unwrap();
        assert_eq!(running.state.cancelled_at(), Some(at(2)));
        running.cancel(at(3)).unwrap_err();
        running.check_deletable().unwrap();
    }

    #[test]
    fn another_audience_is_planned_from_its_beginning() {
        let mut broadcast = broadcast();
        broadcast.start(launch(), at(1)).unwrap();
        broadcast.advance(EmailAddress::parse("zoe@shop.example").unwrap(), 1, at(1));
        broadcast.complete(at(2));
        broadcast.pause(at(3)).unwrap();
        broadcast.edit(draft_to("news"), at(4)).unwrap();
        assert!(broadcast.cursor.is_some() && broadcast.state.completed_at().is_some());
        broadcast.edit(draft_to("vip"), at(5)).unwrap();
        assert!(broadcast.cursor.is_none() && broadcast.state.completed_at().is_none());
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
