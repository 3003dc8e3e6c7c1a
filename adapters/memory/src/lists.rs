//! Lists of a workspace and their memberships.

use crate::{
    MemorySession,
    session::failed,
    state::{Kept, WorkspaceState},
};
use application::ports::{ListStore, StoreError};
use async_trait::async_trait;
use domain::{
    Timestamp,
    email_address::EmailAddress,
    ids::ListId,
    lists::{List, ListStats, Membership, MembershipStatus},
};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, btree_map::Entry},
};

#[async_trait]
impl ListStore for MemorySession<WorkspaceState> {
    async fn list(&mut self, id: &ListId) -> Result<Option<List>, StoreError> {
        self.look(|state| state.live_list(id).cloned())
    }

    async fn lists(&mut self) -> Result<Vec<List>, StoreError> {
        self.look(|state| {
            let mut lists: Vec<_> = state.lists.values().filter_map(Kept::live).cloned().collect();
            lists.sort_by_key(|l| Reverse(l.created_at));
            lists
        })
    }

    async fn insert_list(&mut self, list: &List) -> Result<(), StoreError> {
        self.change(|state| match state.lists.entry(list.id.clone()) {
            Entry::Occupied(_) => Err(StoreError::Duplicate),
            Entry::Vacant(place) => {
                place.insert(Kept::new(list.clone()));
                Ok(())
            }
        })
    }

    async fn update_list(&mut self, list: &List) -> Result<bool, StoreError> {
        self.change(|state| {
            let Some(kept) = state.lists.get_mut(&list.id).and_then(Kept::live_mut) else { return Ok(false) };
            *kept = List { created_at: kept.created_at, ..list.clone() };
            Ok(true)
        })
    }

    async fn delete_list(&mut self, id: &ListId, now: Timestamp) -> Result<bool, StoreError> {
        self.change(|state| {
            if !state.lists.get_mut(id).is_some_and(|list| list.delete(now)) {
                return Ok(false);
            }
            for membership in state.memberships.values_mut().filter(|m| m.list == *id) {
                membership.deleted_at.get_or_insert(now);
            }
            Ok(true)
        })
    }

    async fn list_stats(&mut self, id: &ListId) -> Result<ListStats, StoreError> {
        self.look(|state| {
            let mut stats = ListStats::default();
            for membership in state.memberships.values().filter(|m| m.list == *id && m.deleted_at.is_none()) {
                *match membership.status {
                    MembershipStatus::Active => &mut stats.active,
                    MembershipStatus::Pending => &mut stats.pending,
                    MembershipStatus::Unsubscribed => &mut stats.unsubscribed,
                    MembershipStatus::Bounced => &mut stats.bounced,
                    MembershipStatus::Complained => &mut stats.complained,
                } += 1;
            }
            stats
        })
    }

    async fn membership(
        &mut self,
        email: &EmailAddress,
        list: &ListId,
    ) -> Result<Option<Membership>, StoreError> {
        self.look(|state| state.memberships.get(&(email.clone(), list.clone())).map(|m| state.named(m)))
    }

    async fn memberships(&mut self, emails: &[EmailAddress]) -> Result<Vec<Membership>, StoreError> {
        let wanted: BTreeSet<_> = emails.iter().collect();
        self.look(|state| {
            let live =
                state.memberships.values().filter(|m| m.deleted_at.is_none() && wanted.contains(&m.email));
            live.filter(|m| state.live_list(&m.list).is_some()).map(|m| state.named(m)).collect()
        })
    }

    async fn add_members(
        &mut self,
        emails: &[EmailAddress],
        lists: &[ListId],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(|state| {
            if lists.iter().any(|id| state.live_list(id).is_none()) {
                return Err(failed("a list does not exist"));
            }
            for (email, list) in emails.iter().flat_map(|e| lists.iter().map(move |l| (e, l))) {
                state.add_member(email, list, now);
            }
            Ok(())
        })
    }

    async fn set_membership_status(
        &mut self,
        email: &EmailAddress,
        list: &ListId,
        status: MembershipStatus,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(|state| {
            let Some(kept) = state.memberships.get_mut(&(email.clone(), list.clone())) else {
                return Ok(false);
            };
            *kept = Membership { status, updated_at: now, deleted_at: None, ..kept.clone() };
            Ok(true)
        })
    }

    async fn subscribe_member(
        &mut self,
        email: &EmailAddress,
        list: &ListId,
        status: MembershipStatus,
        from: &[MembershipStatus],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(|state| {
            if !state.lists.contains_key(list) {
                return Err(failed("the list does not exist"));
            }
            match state.memberships.entry((email.clone(), list.clone())) {
                Entry::Vacant(place) => {
                    place.insert(new_member(email, list, status, now));
                    Ok(true)
                }
                Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    let free = known.standing().is_none_or(|standing| from.contains(&standing));
                    if free {
                        *known = Membership { status, updated_at: now, deleted_at: None, ..known.clone() };
                    }
                    Ok(free)
                }
            }
        })
    }

    async fn confirm_member(
        &mut self,
        email: &EmailAddress,
        list: &ListId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(|state| {
            let known = state.memberships.get_mut(&(email.clone(), list.clone()));
            let waiting = known.filter(|m| m.standing() == Some(MembershipStatus::Pending));
            Ok(waiting.map(|m| (m.status, m.updated_at) = (MembershipStatus::Active, now)).is_some())
        })
    }

    async fn unsubscribe_member(
        &mut self,
        email: &EmailAddress,
        list: &ListId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        use MembershipStatus::{Active, Pending, Unsubscribed};
        self.change(|state| {
            let known = state.memberships.get_mut(&(email.clone(), list.clone()));
            let member = known.filter(|m| matches!(m.status, Active | Pending));
            Ok(member.map(|m| (m.status, m.updated_at) = (Unsubscribed, now)).is_some())
        })
    }
}

fn new_member(email: &EmailAddress, list: &ListId, status: MembershipStatus, now: Timestamp) -> Membership {
    Membership {
        email: email.clone(),
        list: list.clone(),
        list_name: String::new(),
        status,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    }
}

impl WorkspaceState {
    pub(crate) fn live_list(&self, id: &ListId) -> Option<&List> {
        self.lists.get(id).and_then(Kept::live)
    }

    /// The membership with the present name of its list.
    fn named(&self, membership: &Membership) -> Membership {
        let list_name = self.lists.get(&membership.list).map(|l| l.ever().name.clone()).unwrap_or_default();
        Membership { list_name, ..membership.clone() }
    }

    fn add_member(&mut self, email: &EmailAddress, list: &ListId, now: Timestamp) {
        match self.memberships.entry((email.clone(), list.clone())) {
            Entry::Vacant(place) => {
                place.insert(new_member(email, list, MembershipStatus::after_adding(None), now));
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                let is_member = known.status == MembershipStatus::Active && known.deleted_at.is_none();
                let status = MembershipStatus::after_adding(Some(known.status));
                if status == MembershipStatus::Active && !is_member {
                    *known = Membership { status, updated_at: now, deleted_at: None, ..known.clone() };
                }
            }
        }
    }
}
