//! Contacts of a workspace.

use super::StoreError;
use crate::page::Page;
use async_trait::async_trait;
use domain::{
    Timestamp,
    contacts::{Contact, ContactCursor, ContactFilter, ContactPatch, UpsertAction},
    email_address::EmailAddress,
};

/// Keeps contacts.
#[async_trait]
pub trait ContactStore {
    /// The contact with this address.
    async fn contact(&mut self, email: &EmailAddress) -> Result<Option<Contact>, StoreError>;

    /// A contact with this external identifier: the oldest when several share it.
    async fn contact_by_external_id(&mut self, external_id: &str) -> Result<Option<Contact>, StoreError>;

    /// Those of the given addresses that are known, in no particular order.
    async fn contacts(&mut self, emails: &[EmailAddress]) -> Result<Vec<Contact>, StoreError>;

    /// Inserts or merges each patch; the answers are in the order of the patches. Addresses must not
    /// repeat. Never fails because another transaction inserted the same address meanwhile.
    /// `created_at` of a known contact is kept.
    async fn upsert_contacts(
        &mut self,
        patches: &[ContactPatch],
        now: Timestamp,
    ) -> Result<Vec<UpsertAction>, StoreError>;

    /// Contacts in the order of creation, newest first, then of address, after a place.
    async fn contacts_after(
        &mut self,
        filter: &ContactFilter,
        after: Option<&ContactCursor>,
        size: usize,
    ) -> Result<Page<Contact>, StoreError>;

    /// How many contacts there are.
    async fn count_contacts(&mut self) -> Result<u64, StoreError>;

    /// Removes a contact with its memberships and waiting deliveries. Its messages and its lines in
    /// broadcast accounts stay, with [`domain::contacts::Contact::redacted_address`] of the message
    /// in place of the address, and without the message's data, options and status line. Reports about
    /// its mails stay without address, payload and diagnostic. Answers whether it was known.
    async fn delete_contact(&mut self, email: &EmailAddress) -> Result<bool, StoreError>;
}
