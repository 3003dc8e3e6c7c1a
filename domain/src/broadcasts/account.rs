//! The account of a broadcast: a line for each recipient, and what they add up to.

use crate::{
    Timestamp,
    email_address::EmailAddress,
    ids::{BroadcastId, ListId, MessageId},
};

/// What became of one recipient of a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecipientState {
    /// Its mail waits in the queue, or is being handed over.
    Queued,
    /// Its mail was taken by the provider.
    Sent,
    /// Its mail was refused for good, or could not be made. The message history tells why.
    Failed,
    /// The process ended while the mail was being handed over: it may or may not have gone out.
    Unknown,
    /// It was found at the last moment that the mail must not be sent.
    Skipped(SkipReason),
    /// The broadcast was cancelled before the mail was handed over.
    Cancelled,
}

impl RecipientState {
    /// Every name.
    pub const NAMES: [&'static str; 6] = ["queued", "sent", "failed", "unknown", "skipped", "cancelled"];

    /// The stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Skipped(_) => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    /// Why it was skipped.
    #[must_use]
    pub fn skip_reason(self) -> Option<SkipReason> {
        match self {
            Self::Skipped(why) => Some(why),
            _ => None,
        }
    }

    /// The state with this name, and for one that was skipped this reason.
    #[must_use]
    pub fn from_names(name: &str, skip_reason: Option<&str>) -> Option<Self> {
        Some(match name {
            "queued" => Self::Queued,
            "sent" => Self::Sent,
            "failed" => Self::Failed,
            "unknown" => Self::Unknown,
            "skipped" => Self::Skipped(SkipReason::from_name(skip_reason?)?),
            "cancelled" => Self::Cancelled,
            _ => return None,
        })
    }
}

/// Why a planned recipient was not mailed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SkipReason {
    /// Left the list since it was planned.
    Unsubscribed,
    /// A mail to it bounced since.
    Bounced,
    /// It complained about a mail since.
    Complained,
    /// It is no longer a confirmed member of the list, or the list is gone.
    NotMember,
    /// It is on a list that the broadcast leaves out since.
    Excluded,
    /// The contact was deleted.
    Deleted,
    /// The feed had no data for it.
    NoFeed,
}

impl SkipReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::Unsubscribed,
        Self::Bounced,
        Self::Complained,
        Self::NotMember,
        Self::Excluded,
        Self::Deleted,
        Self::NoFeed,
    ];

    /// The name on the wire and in storage.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsubscribed => "unsubscribed",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
            Self::NotMember => "not_member",
            Self::Excluded => "excluded",
            Self::Deleted => "deleted",
            Self::NoFeed => "no_feed",
        }
    }

    /// The reason with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// One line of a broadcast's account. Unique by broadcast and address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Which broadcast.
    pub broadcast: BroadcastId,
    /// Who.
    pub email: EmailAddress,
    /// The list through which the contact is reached.
    pub list: ListId,
    /// Which of the broadcast's variations the mail is made from, counted from zero.
    pub variation: u8,
    /// Whether it was planned as part of the sample of a test.
    pub in_test: bool,
    /// The message made for this recipient; the latest one when it was tried again.
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
    /// How many were planned, as noted beside how far the planning got.
    pub planned: u64,
    /// Waiting in the queue.
    pub queued: u64,
    /// Being handed over to the provider.
    pub sending: u64,
    pub sent: u64,
    pub failed: u64,
    pub unknown: u64,
    pub skipped: Skipped,
    pub cancelled: u64,
}

/// How many recipients were skipped for which reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the reasons")]
pub struct Skipped {
    pub unsubscribed: u64,
    pub bounced: u64,
    pub complained: u64,
    pub not_member: u64,
    pub excluded: u64,
    pub deleted: u64,
    pub no_feed: u64,
}

impl Skipped {
    /// The number for a reason.
    pub fn of_mut(&mut self, reason: SkipReason) -> &mut u64 {
        match reason {
            SkipReason::Unsubscribed => &mut self.unsubscribed,
            SkipReason::Bounced => &mut self.bounced,
            SkipReason::Complained => &mut self.complained,
            SkipReason::NotMember => &mut self.not_member,
            SkipReason::Excluded => &mut self.excluded,
            SkipReason::Deleted => &mut self.deleted,
            SkipReason::NoFeed => &mut self.no_feed,
        }
    }

    /// All together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.unsubscribed
            + self.bounced
            + self.complained
            + self.not_member
            + self.excluded
            + self.deleted
            + self.no_feed
    }
}

impl Ledger {
    /// Counts lines of one state.
    pub fn add(&mut self, state: RecipientState, lines: u64) {
        *match state {
            RecipientState::Queued => &mut self.queued,
            RecipientState::Sent => &mut self.sent,
            RecipientState::Failed => &mut self.failed,
            RecipientState::Unknown => &mut self.unknown,
            RecipientState::Skipped(reason) => self.skipped.of_mut(reason),
            RecipientState::Cancelled => &mut self.cancelled,
        } += lines;
    }

    /// Counts mails that are being handed over; their lines were counted as queued.
    pub fn begin(&mut self, mails: u64) {
        self.sending += mails;
        self.queued = self.queued.saturating_sub(mails);
    }

    /// The lines of all states together. Equals `planned` at any moment.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.queued
            + self.sending
            + self.sent
            + self.failed
            + self.unknown
            + self.skipped.total()
            + self.cancelled
    }
}

/// The account of a broadcast beside the queue, both of the same moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Audit {
    /// The account.
    pub ledger: Ledger,
    /// Its mails in the queue, those being handed over included.
    pub in_queue: u64,
}

impl Audit {
    /// Whether every planned recipient has exactly one line, and every line that waits has its mail in
    /// the queue and the other way round.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.ledger.planned == self.ledger.accounted()
            && self.in_queue == self.ledger.queued + self.ledger.sending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_found_by_its_names() {
        let plain = [
            RecipientState::Queued,
            RecipientState::Sent,
            RecipientState::Failed,
            RecipientState::Unknown,
            RecipientState::Cancelled,
        ];
        for state in plain.into_iter().chain(SkipReason::ALL.map(RecipientState::Skipped)) {
            let reason = state.skip_reason().map(SkipReason::name);
            assert_eq!(RecipientState::from_names(state.name(), reason), Some(state));
        }
        assert_eq!(RecipientState::from_names("skipped", None), None);
    }

    #[test]
    fn a_mail_being_handed_over_is_counted_once() {
        let mut ledger = Ledger { planned: 3, ..Ledger::default() };
        ledger.add(RecipientState::Queued, 2);
        ledger.add(RecipientState::Skipped(SkipReason::Deleted), 1);
        ledger.begin(1);
        assert_eq!((ledger.queued, ledger.sending, ledger.accounted()), (1, 1, 3));
    }

    #[test]
    fn an_account_adds_up_only_with_its_queue() {
        let ledger = Ledger { planned: 2, queued: 1, sent: 1, ..Ledger::default() };
        assert!(Audit { ledger, in_queue: 1 }.adds_up());
        assert!(!Audit { ledger, in_queue: 0 }.adds_up());
        assert!(!Audit { ledger: Ledger { planned: 3, ..ledger }, in_queue: 1 }.adds_up());
    }
}
