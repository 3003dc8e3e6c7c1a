//! What becomes of mails after they were handed over, as providers and mail servers report it.

mod classes;
mod status;

pub use classes::bounce_class;
pub use status::{EnhancedStatus, names_nobody};

use crate::{
    Timestamp,
    broadcasts::SkipReason,
    deliveries::reason,
    email_address::EmailAddress,
    ids::{FeedbackId, IntegrationId, MessageId},
    lists::MembershipStatus,
};

/// So many soft bounces without a delivery in between weigh as much as a hard one.
pub const SOFT_BOUNCES: u64 = 5;

/// The longest payload that is kept, in characters.
const LONGEST_PAYLOAD: usize = 16_384;
/// The longest word of a provider that is kept, in characters.
const LONGEST_WORD: usize = 100;
/// The longest diagnostic that is kept, in characters.
const LONGEST_DIAGNOSTIC: usize = 1_000;

/// How much a bounce weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BounceClass {
    /// The address does not work, and will not.
    Hard,
    /// The mailbox or its server did not take the mail this time.
    Soft,
    /// The mail was the reason, not the address.
    Ignored,
}

impl BounceClass {
    /// Every class.
    pub const ALL: [Self; 3] = [Self::Hard, Self::Soft, Self::Ignored];

    /// The name on the wire and in storage.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
            Self::Ignored => "ignored",
        }
    }

    /// The class with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// A mail that came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounce {
    /// How much it weighs.
    pub class: BounceClass,
    /// What the provider calls it.
    pub kind: String,
    /// What the provider calls it more closely.
    pub category: String,
    /// The words of the mail server that did not take it.
    pub diagnostic: String,
}

impl Bounce {
    /// Classifies a bounce in the words of a provider: by the enhanced status code in the diagnostic
    /// where it is decisive (RFC 3463), else by what the provider calls it.
    #[must_use]
    pub fn of(source: &str, kind: &str, category: &str, diagnostic: &str) -> Self {
        let class = EnhancedStatus::find(diagnostic).and_then(EnhancedStatus::class);
        let class = class.unwrap_or_else(|| bounce_class(source, kind, category, diagnostic));
        Self {
            class,
            kind: line(kind, LONGEST_WORD),
            category: line(category, LONGEST_WORD),
            diagnostic: line(diagnostic, LONGEST_DIAGNOSTIC),
        }
    }

    /// What this program calls it; all other kinds are a provider's words.
    const REFUSED: &str = "Refused";

    /// A mail that was refused while it was handed over, because its recipient does not exist.
    #[must_use]
    pub fn refused(reply: &str) -> Self {
        Self {
            class: BounceClass::Hard,
            kind: Self::REFUSED.to_owned(),
            category: "HardBounce".to_owned(),
            diagnostic: line(reply, LONGEST_DIAGNOSTIC),
        }
    }

    /// What the history says of the message: the provider's words, or the reply alone.
    fn words(&self) -> String {
        if self.kind == Self::REFUSED {
            return self.diagnostic.clone();
        }
        let words = [&*self.kind, &*self.category, &*self.diagnostic];
        let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        words.join(" ")
    }
}

/// What was reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedbackKind {
    /// The mail reached the mailbox.
    Delivered,
    /// The mail came back.
    Bounced(Bounce),
    /// The recipient called the mail spam.
    Complained {
        /// What the mailbox provider calls the complaint; may be empty.
        feedback_type: String,
    },
    /// The recipient unsubscribed at the provider.
    Unsubscribed,
}

impl FeedbackKind {
    /// The names of all kinds.
    pub const NAMES: [&str; 4] = ["delivered", "bounce", "complaint", "unsubscribe"];

    /// A complaint in the words of a provider.
    #[must_use]
    pub fn complaint(feedback_type: &str) -> Self {
        Self::Complained { feedback_type: line(feedback_type, LONGEST_WORD) }
    }

    /// The name on the wire and in storage.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Bounced(_) => "bounce",
            Self::Complained { .. } => "complaint",
            Self::Unsubscribed => "unsubscribe",
        }
    }

    /// The bounce, when it is one.
    #[must_use]
    pub fn bounce(&self) -> Option<&Bounce> {
        match self {
            Self::Bounced(bounce) => Some(bounce),
            _ => None,
        }
    }
}

/// One report about one recipient of one mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    /// The same for each repetition of the report.
    pub id: FeedbackId,
    /// What was reported.
    pub kind: FeedbackKind,
    /// Who reported: a kind of provider, or `dsn` for a delivery status notification.
    pub source: String,
    /// Through which integration.
    pub integration: Option<IntegrationId>,
    /// Whose mail it was.
    pub recipient: EmailAddress,
    /// The mail: our identifier, else that of the provider.
    pub message: Option<String>,
    /// When it happened.
    pub at: Timestamp,
    /// The report as it came.
    pub payload: String,
    /// When it came.
    pub created_at: Timestamp,
}

impl Feedback {
    /// The mail, when the report names it as ours are named.
    #[must_use]
    pub fn message_id(&self) -> Option<MessageId> {
        self.message.as_deref().and_then(|id| MessageId::parse(id).ok())
    }

    /// What is written onto the message; `None` when nothing is.
    #[must_use]
    pub fn mark(&self) -> Option<MessageMark> {
        let mut mark = MessageMark {
            message: self.message_id()?,
            recipient: self.recipient.clone(),
            delivered_at: None,
            bounced_at: None,
            complained_at: None,
            unsubscribed_at: None,
            status_info: None,
        };
        let at = Some(self.at);
        match &self.kind {
            FeedbackKind::Delivered => mark.delivered_at = at,
            FeedbackKind::Bounced(bounce) if bounce.class == BounceClass::Hard => {
                mark.bounced_at = at;
                mark.status_info = Some(reason(&bounce.words()));
            }
            FeedbackKind::Bounced(_) => return None,
            FeedbackKind::Complained { feedback_type } => {
                mark.complained_at = at;
                mark.status_info = Some(reason(feedback_type)).filter(|info| !info.is_empty());
            }
            FeedbackKind::Unsubscribed => mark.unsubscribed_at = at,
        }
        Some(mark)
    }
}

/// First moments of a message. Those that it already has stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageMark {
    /// Which message.
    pub message: MessageId,
    /// Whom it must be for: copies go to others, too.
    pub recipient: EmailAddress,
    /// When it reached the mailbox.
    pub delivered_at: Option<Timestamp>,
    /// When it came back for good.
    pub bounced_at: Option<Timestamp>,
    /// When it was called spam.
    pub complained_at: Option<Timestamp>,
    /// When it led to an unsubscription.
    pub unsubscribed_at: Option<Timestamp>,
    /// Replaces the status line when one of the moments is new.
    pub status_info: Option<String>,
}

impl MessageMark {
    /// Marks of one message and recipient as one: of each moment the earliest, and the last status line.
    #[must_use]
    pub fn joined(marks: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut joined = std::collections::BTreeMap::<(MessageId, EmailAddress), Self>::new();
        for mark in marks {
            let key = (mark.message.clone(), mark.recipient.clone());
            match joined.entry(key) {
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(mark);
                }
                std::collections::btree_map::Entry::Occupied(mut known) => known.get_mut().add(mark),
            }
        }
        joined.into_values().collect()
    }

    fn add(&mut self, other: Self) {
        let first =
            |a: &mut Option<Timestamp>, b: Option<Timestamp>| *a = [*a, b].into_iter().flatten().min();
        first(&mut self.delivered_at, other.delivered_at);
        first(&mut self.bounced_at, other.bounced_at);
        first(&mut self.complained_at, other.complained_at);
        first(&mut self.unsubscribed_at, other.unsubscribed_at);
        self.status_info = other.status_info.or(self.status_info.take());
    }

    /// The latest of its moments.
    #[must_use]
    pub fn at(&self) -> Option<Timestamp> {
        [self.delivered_at, self.bounced_at, self.complained_at, self.unsubscribed_at]
            .into_iter()
            .flatten()
            .max()
    }
}

/// Why an address gets no newsletters any longer, on whichever list it is or will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SuppressionReason {
    /// The address does not work.
    Bounced,
    /// Its owner called a mail spam.
    Complained,
}

impl SuppressionReason {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::Bounced, Self::Complained];

    /// The stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.status().name()
    }

    /// The reason with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// The standing on every list.
    #[must_use]
    pub fn status(self) -> MembershipStatus {
        match self {
            Self::Bounced => MembershipStatus::Bounced,
            Self::Complained => MembershipStatus::Complained,
        }
    }

    /// Why a mail of a broadcast is not sent.
    #[must_use]
    pub fn skip(self) -> SkipReason {
        match self {
            Self::Bounced => SkipReason::Bounced,
            Self::Complained => SkipReason::Complained,
        }
    }
}

/// Which reports to list. All conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the report's fields")]
pub struct FeedbackFilter {
    /// One of [`FeedbackKind::NAMES`].
    pub kind: Option<&'static str>,
    pub recipient: Option<EmailAddress>,
    pub message: Option<String>,
    pub after: Option<Timestamp>,
    pub before: Option<Timestamp>,
}

/// A place among the reports, which are ordered by the moment of the event, newest first, then by
/// identifier downwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackCursor {
    /// Moment of the last report seen.
    pub at: Timestamp,
    /// Identifier of the last report seen.
    pub id: FeedbackId,
}

/// Cuts a payload to what is kept of it.
#[must_use]
pub fn payload(text: &str) -> String {
    // Neither database keeps this character in a text.
    text.chars().filter(|c| *c != '\0').take(LONGEST_PAYLOAD).collect()
}

/// One line of at most so many characters.
fn line(text: &str, most: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests;
