//! Contacts of a workspace.

use crate::{MemorySession, session::failed, state::WorkspaceState};
use application::{
    page::Page,
    ports::{ContactStore, StoreError},
};
use async_trait::async_trait;
use domain::{
    Timestamp,
    broadcasts::{RecipientState, SkipReason},
    contacts::{Contact, ContactCursor, ContactField, ContactFilter, ContactPatch, UpsertAction},
    email_address::EmailAddress,
    feedback::FeedbackKind,
    ids::MessageId,
    transactional::EmailOptions,
};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, btree_map::Entry},
};

#[async_trait]
impl ContactStore for MemorySession<WorkspaceState> {
    async fn contact(&mut self, email: &EmailAddress) -> Result<Option<Contact>, StoreError> {
        self.look(|state| state.contacts.get(email).cloned())
    }

    async fn contact_by_external_id(&mut self, external_id: &str) -> Result<Option<Contact>, StoreError> {
        self.look(|state| {
            let named =
                state.contacts.values().filter(|c| c.text(ContactField::ExternalId) == Some(external_id));
            named.min_by_key(|c| c.created_at).cloned()
        })
    }

    async fn contacts(&mut self, emails: &[EmailAddress]) -> Result<Vec<Contact>, StoreError> {
        let wanted: BTreeSet<_> = emails.iter().collect();
        self.look(|state| wanted.into_iter().filter_map(|e| state.contacts.get(e)).cloned().collect())
    }

    async fn upsert_contacts(
        &mut self,
        patches: &[ContactPatch],
        now: Timestamp,
    ) -> Result<Vec<UpsertAction>, StoreError> {
        let distinct: BTreeSet<_> = patches.iter().map(|p| &p.email).collect();
        self.change(|state| {
            if distinct.len() < patches.len() {
                return Err(failed("an address is twice among the patches"));
            }
            let actions = patches.iter().map(|patch| match state.contacts.entry(patch.email.clone()) {
                Entry::Vacant(place) => {
                    place.insert(Contact::new(patch, now));
                    UpsertAction::Create
                }
                Entry::Occupied(mut known) => {
                    known.get_mut().apply(patch, now);
                    UpsertAction::Update
                }
            });
            Ok(actions.collect())
        })
    }

    async fn contacts_after(
        &mut self,
        filter: &ContactFilter,
        after: Option<&ContactCursor>,
        size: usize,
    ) -> Result<Page<Contact>, StoreError> {
        self.look(|state| {
            let place = |c: &Contact| (Reverse(c.created_at), c.email.clone());
            let after = after.map(|c| (Reverse(c.created_at), c.email.clone()));
            let mut found: Vec<_> = state
                .contacts
                .values()
                .filter(|c| after.as_ref().is_none_or(|after| place(c) > *after))
                .filter(|c| state.matches(c, filter))
                .collect();
            found.sort_by_cached_key(|c| place(c));
            Page::of(found.into_iter().take(size.saturating_add(1)).cloned().collect(), size)
        })
    }

    async fn count_contacts(&mut self) -> Result<u64, StoreError> {
        self.look(|state| state.contacts.len() as u64)
    }

    async fn delete_contact(&mut self, email: &EmailAddress) -> Result<bool, StoreError> {
        self.change(|state| {
            if state.contacts.remove(email).is_none() {
                return Ok(false);
            }
            state.memberships.retain(|(member, _), _| member != email);
            state.deliveries.retain(|_, q| q.claimed_until.is_some() || q.delivery.recipient != *email);
            let own: BTreeSet<_> =
                state.messages.values().filter(|m| m.contact_email == *email).map(|m| m.id.clone()).collect();
            state.engagements.retain(|(message, ..), _| !own.contains(message));
            for message in state.messages.values_mut().filter(|m| m.contact_email == *email) {
                message.contact_email = redacted(&message.id)?;
                message.data = None;
                message.status_info = None;
                message.options = EmailOptions::default();
            }
            for report in state.feedback.values_mut().filter(|report| report.recipient == *email) {
                let id =
                    MessageId::parse(&report.id.to_string()).map_err(|_| failed("a report has an id"))?;
                report.recipient = redacted(&id)?;
                report.payload = String::new();
                if let FeedbackKind::Bounced(bounce) = &mut report.kind {
                    bounce.diagnostic = String::new();
                }
            }
            let lines: Vec<_> = state.recipients.keys().filter(|(_, e)| e == email).cloned().collect();
            for key in lines {
                if let Some(mut line) = state.recipients.remove(&key) {
                    if line.state == RecipientState::Queued && !state.deliveries.contains_key(&line.message) {
                        line.state = RecipientState::Skipped(SkipReason::Deleted);
                    }
                    line.email = redacted(&line.message)?;
                    state.recipients.insert((key.0, line.email.clone()), line);
                }
            }
            Ok(true)
        })
    }
}

impl WorkspaceState {
    fn matches(&self, contact: &Contact, filter: &ContactFilter) -> bool {
        let live = || {
            self.memberships.values().filter(|m| m.email == contact.email && m.deleted_at.is_none()).filter(
                |m| {
                    filter.list.as_ref().is_none_or(|list| m.list == *list)
                        && filter.list_status.is_none_or(|status| m.status == status)
                },
            )
        };
        let on_list = filter.list.is_none() && filter.list_status.is_none() || live().next().is_some();
        // Nobody is in a segment before segments are kept.
        let in_segment = filter.segments.is_empty();
        let fields = |(field, part): (&ContactField, &String)| {
            contact.text(*field).is_some_and(|text| holds(text, part))
        };
        on_list
            && in_segment
            && filter.email.as_ref().is_none_or(|part| holds(contact.email.as_str(), part))
            && filter.fields.iter().all(fields)
    }
}

/// Whether a text has a part, without regard to case.
pub(crate) fn holds(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

fn redacted(message: &MessageId) -> Result<EmailAddress, StoreError> {
    EmailAddress::parse(&Contact::redacted_address(message))
        .map_err(|_| failed("the redacted address of a message is not valid"))
}
