//! Who a broadcast goes to.

use crate::{
    email_address::EmailAddress,
    ids::{ListId, SegmentId},
    timezones::Timezone,
    validation::{Check, Invalid},
};

/// Who a broadcast goes to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Audience {
    /// Its live active members.
    pub list: ListId,
    /// The live active members of these as well. Who is on several is reached through the first.
    #[serde(default)]
    pub further_lists: Vec<ListId>,
    /// Whoever is on one of these, in whatever standing, is left out.
    #[serde(default)]
    pub excluded_lists: Vec<ListId>,
    /// When given, only members that are in one of these.
    #[serde(default)]
    pub segments: Vec<SegmentId>,
    /// Kept for clients: who unsubscribed, bounced or complained is never mailed.
    #[serde(default)]
    pub exclude_unsubscribed: bool,
}

impl Audience {
    /// Lists that one broadcast may go to, and lists that it may leave out.
    pub const MOST_LISTS: usize = 20;

    /// The lists it goes to, each once, in the order in which a contact is reached.
    #[must_use]
    pub fn lists(&self) -> Vec<&ListId> {
        let mut lists = Vec::with_capacity(1 + self.further_lists.len());
        for list in std::iter::once(&self.list).chain(&self.further_lists) {
            if !lists.contains(&list) {
                lists.push(list);
            }
        }
        lists
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        let most = format!("must name at most {} lists", Self::MOST_LISTS);
        check.require(self.lists().len() <= Self::MOST_LISTS, "/audience/lists", &most);
        check.require(self.excluded_lists.len() <= Self::MOST_LISTS, "/audience/exclude_lists", &most);
        let both = self.lists().into_iter().any(|list| self.excluded_lists.contains(list));
        check.require(!both, "/audience/exclude_lists", "must not name a list that is mailed");
        check.finish()
    }
}

/// Somebody a broadcast goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudienceMember {
    /// Who.
    pub email: EmailAddress,
    /// The first list of the audience that the contact is an active member of.
    pub list: ListId,
    /// The contact's time zone, as far as it is one.
    pub timezone: Option<Timezone>,
}
