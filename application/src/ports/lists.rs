//! Lists of a workspace and their memberships.

use super::StoreError;
use async_trait::async_trait;
use domain::{
    Timestamp,
    email_address::EmailAddress,
    ids::ListId,
    lists::{List, ListStats, Membership, MembershipStatus},
};

/// Keeps lists and memberships. A deleted list is invisible, but its identifier stays taken.
#[async_trait]
pub trait ListStore {
    /// The list, unless deleted.
    async fn list(&mut self, id: &ListId) -> Result<Option<List>, StoreError>;

    /// All lists, newest first.
    async fn lists(&mut self) -> Result<Vec<List>, StoreError>;

    /// Fails with [`StoreError::Duplicate`] when the identifier is or was taken.
    async fn insert_list(&mut self, list: &List) -> Result<(), StoreError>;

    /// Replaces all but the moment of creation. Answers whether the list was there.
    async fn update_list(&mut self, list: &List) -> Result<bool, StoreError>;

    /// Marks the list and its memberships as deleted. Answers whether the list was there.
    async fn delete_list(&mut self, id: &ListId, now: Timestamp) -> Result<bool, StoreError>;

    /// How many live memberships have which status.
    async fn list_stats(&mut self, id: &ListId) -> Result<ListStats, StoreError>;

    /// A membership, also a removed one.
    async fn membership(
        &mut self,
        email: &EmailAddress,
        list: &ListId,
    ) -> Result<Option<Membership>, StoreError>;

    /// Live memberships of live lists of all the given addresses.
    async fn memberships(&mut self, emails: &[EmailAddress]) -> Result<Vec<Membership>, StoreError>;

    /// Puts every address on every list by the rule of [`MembershipStatus::after_adding`]: a new, a
    /// removed active and a pending membership become live and active; who unsubscribed, bounced or
    /// complained stays as it is. The lists must exist.
    async fn add_members(
        &mut self,
        emails: &[EmailAddress],
        lists: &[ListId],
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Sets the status of a membership and makes it live. Answers whether there was one.
    async fn set_membership_status(
        &mut self,
        email: &EmailAddress,
        list: &ListId,
        status: MembershipStatus,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Puts a contact on a list with this status. A membership that is there, also a removed one whose
    /// refusal stands ([`Membership::standing`]), is only changed from one of the statuses in `from`.
    /// Answers whether it was written. The list must exist.
    async fn subscribe_member(
        &mut self,
        email: &EmailAddress,
        list: &ListId,
        status: MembershipStatus,
        from: &[MembershipStatus],
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Makes a live membership that is pending active. Answers whether it was.
    async fn confirm_member(
        &mut self,
        email: &EmailAddress,
        list: &ListId,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Notes that a contact leaves a list that it is on or waits for; a membership that was removed stays
    /// so, and is not brought back later. Answers whether it was either.
    async fn unsubscribe_member(
        &mut self,
        email: &EmailAddress,
        list: &ListId,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
}
