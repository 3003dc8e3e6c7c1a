//! Lists and who is on them.

use crate::{
    Timestamp,
    email_address::EmailAddress,
    ids::{ListId, TemplateId},
};

/// A list that contacts subscribe to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Chosen by the client, unique for ever.
    pub id: ListId,
    /// How people call it.
    pub name: String,
    /// Whether a public subscription must be confirmed by mail.
    pub is_double_optin: bool,
    /// Whether anybody may subscribe and see it.
    pub is_public: bool,
    /// What it is about; empty when unsaid.
    pub description: String,
    /// The mail that asks for confirmation.
    pub double_optin_template: Option<TemplateRef>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A template by name and version.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TemplateRef {
    /// Which template.
    pub id: TemplateId,
    /// Which version; 0 is the latest.
    pub version: i64,
}

/// What a membership of a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MembershipStatus {
    /// Receives mails.
    Active,
    /// Has not confirmed yet.
    Pending,
    /// Asked to be left alone.
    Unsubscribed,
    /// The address does not work.
    Bounced,
    /// Called a mail spam.
    Complained,
}

impl MembershipStatus {
    /// Every status.
    pub const ALL: [Self; 5] =
        [Self::Active, Self::Pending, Self::Unsubscribed, Self::Bounced, Self::Complained];

    /// The name on the wire and in storage.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Unsubscribed => "unsubscribed",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
        }
    }

    /// The status with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }

    /// What adding the contact by an import or an authorised subscription makes of a membership:
    /// nobody is brought back who left, bounced or complained.
    #[must_use]
    pub fn after_adding(existing: Option<Self>) -> Self {
        match existing {
            None | Some(Self::Active | Self::Pending) => Self::Active,
            Some(kept) => kept,
        }
    }

    /// What a subscription makes of a standing. Whoever is `known`, by a key or by a link that was mailed
    /// to the address, is believed; what a stranger asks for has to be confirmed where the list wants it,
    /// and always for who once left. Nobody comes back who bounced or complained.
    #[must_use]
    pub fn after_subscribing(existing: Option<Self>, known: bool, double_optin: bool) -> Self {
        match existing {
            Some(kept @ (Self::Bounced | Self::Complained)) => kept,
            Some(Self::Active) => Self::Active,
            _ if known => Self::Active,
            Some(Self::Pending | Self::Unsubscribed) => Self::Pending,
            None if double_optin => Self::Pending,
            None => Self::Active,
        }
    }

    /// Whether no mail may go to an address with this standing.
    #[must_use]
    pub fn is_suppressed(self) -> bool {
        matches!(self, Self::Bounced | Self::Complained)
    }
}

/// A contact on a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Who.
    pub email: EmailAddress,
    /// Where.
    pub list: ListId,
    /// Name of the list.
    pub list_name: String,
    /// In which standing.
    pub status: MembershipStatus,
    /// Since when.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// When it was removed from the list; its status still tells whether it may come back.
    pub deleted_at: Option<Timestamp>,
}

impl Membership {
    /// The standing that counts: who was removed is not on the list, but who left, bounced or complained
    /// before has done so for good.
    #[must_use]
    pub fn standing(&self) -> Option<MembershipStatus> {
        use MembershipStatus::{Active, Pending};
        let removed = self.deleted_at.is_some() && matches!(self.status, Active | Pending);
        (!removed).then_some(self.status)
    }
}

/// How many memberships of a list have which status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the statuses")]
pub struct ListStats {
    pub active: u64,
    pub pending: u64,
    pub unsubscribed: u64,
    pub bounced: u64,
    pub complained: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_never_revives_who_left() {
        use MembershipStatus as S;
        assert_eq!(S::after_adding(None), S::Active);
        assert_eq!(S::after_adding(Some(S::Pending)), S::Active);
        for kept in [S::Unsubscribed, S::Bounced, S::Complained] {
            assert_eq!(S::after_adding(Some(kept)), kept);
        }
    }

    #[test]
    fn a_stranger_confirms_where_the_list_wants_it_and_after_having_left() {
        use MembershipStatus as S;
        let stranger = |existing, double_optin| S::after_subscribing(existing, false, double_optin);
        assert_eq!([stranger(None, false), stranger(None, true)], [S::Active, S::Pending]);
        for double_optin in [false, true] {
            assert_eq!(stranger(Some(S::Active), double_optin), S::Active);
            assert_eq!(stranger(Some(S::Pending), double_optin), S::Pending);
            assert_eq!(stranger(Some(S::Unsubscribed), double_optin), S::Pending);
        }
    }

    #[test]
    fn who_is_known_subscribes_at_once() {
        use MembershipStatus as S;
        for existing in [None, Some(S::Active), Some(S::Pending), Some(S::Unsubscribed)] {
            assert_eq!(S::after_subscribing(existing, true, true), S::Active);
        }
    }

    #[test]
    fn nobody_comes_back_by_subscribing_who_bounced_or_complained() {
        for kept in MembershipStatus::ALL.into_iter().filter(|s| s.is_suppressed()) {
            for known in [false, true] {
                assert_eq!(MembershipStatus::after_subscribing(Some(kept), known, false), kept);
            }
        }
    }

    #[test]
    fn who_was_removed_is_not_on_the_list_unless_a_refusal_stands() {
        let email = EmailAddress::parse("ana@shop.example").unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let removed = |status| Membership {
            email: email.clone(),
            list: ListId::parse("news").unwrap(),
            list_name: String::new(),
            status,
            created_at: now,
            updated_at: now,
            deleted_at: Some(now),
        };
        assert_eq!(removed(MembershipStatus::Active).standing(), None);
        assert_eq!(removed(MembershipStatus::Pending).standing(), None);
        let left = MembershipStatus::Unsubscribed;
        assert_eq!(removed(left).standing(), Some(left));
    }
}
