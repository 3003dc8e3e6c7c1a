//! Contacts: upsert, look-up, listing, import, deletion.

use crate::{
    access::{Caller, Denied},
    failure::{Failure, FailureKind},
    feedback::hold_back,
    page::Page,
    ports::{Clock, ConnectionBroker, Purpose, StoreError, WorkspaceStore},
};
use domain::{
    contacts::{Contact, ContactCursor, ContactFilter, ContactPatch, UpsertAction},
    email_address::EmailAddress,
    ids::ListId,
    lists::Membership,
    permissions::{Permission, Resource},
    validation::{FieldProblem, Invalid},
};
use serde_json::{Map, Value, json};
use std::{collections::HashMap, sync::Arc};

/// The use cases of contacts.
pub struct Contacts {
    broker: Arc<dyn ConnectionBroker>,
    clock: Arc<dyn Clock>,
}

/// Why a use case of contacts failed.
#[derive(Debug, thiserror::Error)]
pub enum ContactsError {
    /// No contact has this address or identifier.
    #[error("no contact has this address or identifier")]
    NotFound,
    /// A list that is named does not exist.
    #[error("the list {0} does not exist")]
    UnknownList(ListId),
    /// The input breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The caller may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for ContactsError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NotFound => FailureKind::NotFound,
            Self::UnknownList(_) => FailureKind::Invalid,
            Self::Invalid(e) => e.kind(),
            Self::Denied(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "contact-not-found",
            Self::UnknownList(_) => "list-unknown",
            Self::Invalid(e) => e.code(),
            Self::Denied(e) => e.code(),
            Self::Store(e) => e.code(),
        }
    }

    fn problems(&self) -> &[FieldProblem] {
        match self {
            Self::Invalid(e) => e.problems(),
            _ => &[],
        }
    }
}

/// A contact with its live memberships.
#[derive(Debug, Clone, PartialEq)]
pub struct ContactView {
    /// The contact.
    pub contact: Contact,
    /// Its live memberships; `None` when they were not asked for.
    pub memberships: Option<Vec<Membership>>,
}

/// What became of one row of an import, in the order of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportOperation {
    /// The address as given, when there was one.
    pub email: String,
    /// What was done, or why nothing was.
    pub result: Result<UpsertAction, String>,
}

impl Contacts {
    /// Rows written in one unit of work.
    const IMPORT_CHUNK: usize = 500;

    /// Takes its ports.
    pub fn new(broker: Arc<dyn ConnectionBroker>, clock: Arc<dyn Clock>) -> Self {
        Self { broker, clock }
    }

    /// Stores a new contact or merges into a known one.
    ///
    /// # Errors
    /// Without `contacts:write`, or when the store fails.
    #[tracing::instrument(name = "contacts.upsert", skip_all)]
    pub async fn upsert(&self, caller: &Caller, patch: ContactPatch) -> Result<UpsertAction, ContactsError> {
        caller.require(Permission::Write(Resource::Contacts))?;
        let mut store = self.broker.write(&caller.workspace, Purpose::interactive("contacts.upsert")).await?;
        let actions = store.upsert_contacts(&[patch], self.clock.now()).await?;
        store.commit().await?;
        Ok(actions.first().copied().unwrap_or(UpsertAction::Update))
    }

    /// The contact with this address.
    ///
    /// # Errors
    /// Without `contacts:read`, or when there is none.
    #[tracing::instrument(name = "contacts.by_email", skip_all)]
    pub async fn by_email(
        &self,
        caller: &Caller,
        email: &EmailAddress,
    ) -> Result<ContactView, ContactsError> {
        caller.require(Permission::Read(Resource::Contacts))?;
        let mut store = self.broker.read(&caller.workspace, Purpose::interactive("contacts.get")).await?;
        let contact = store.contact(email).await?.ok_or(ContactsError::NotFound)?;
        view(store.as_mut(), contact).await
    }

    /// A contact with this external identifier.
    ///
    /// # Errors
    /// Without `contacts:read`, or when there is none.
    #[tracing::instrument(name = "contacts.by_external_id", skip_all)]
    pub async fn by_external_id(
        &self,
        caller: &Caller,
        external_id: &str,
    ) -> Result<ContactView, ContactsError> {
        caller.require(Permission::Read(Resource::Contacts))?;
        let mut store = self.broker.read(&caller.workspace, Purpose::interactive("contacts.get")).await?;
        let contact = store.contact_by_external_id(external_id).await?.ok_or(ContactsError::NotFound)?;
        view(store.as_mut(), contact).await
    }

    /// A page of contacts, newest first.
    ///
    /// # Errors
    /// Without `contacts:read`, or when the store fails.
    #[tracing::instrument(name = "contacts.list", skip_all)]
    pub async fn list(
        &self,
        caller: &Caller,
        filter: &ContactFilter,
        after: Option<&ContactCursor>,
        size: usize,
        with_lists: bool,
    ) -> Result<Page<ContactView>, ContactsError> {
        caller.require(Permission::Read(Resource::Contacts))?;
        let mut store = self.broker.read(&caller.workspace, Purpose::interactive("contacts.list")).await?;
        let page = store.contacts_after(filter, after, size).await?;
        let mut memberships: HashMap<EmailAddress, Vec<Membership>> = HashMap::new();
        if with_lists {
            let emails: Vec<_> = page.items.iter().map(|c| c.email.clone()).collect();
            for membership in store.memberships(&emails).await? {
                memberships.entry(membership.email.clone()).or_default().push(membership);
            }
        }
        let items = page.items.into_iter().map(|contact| ContactView {
            memberships: with_lists.then(|| memberships.remove(&contact.email).unwrap_or_default()),
            contact,
        });
        Ok(Page { items: items.collect(), has_more: page.has_more })
    }

    /// How many contacts there are.
    ///
    /// # Errors
    /// Without `contacts:read`, or when the store fails.
    #[tracing::instrument(name = "contacts.count", skip_all)]
    pub async fn count(&self, caller: &Caller) -> Result<u64, ContactsError> {
        caller.require(Permission::Read(Resource::Contacts))?;
        let mut store = self.broker.read(&caller.workspace, Purpose::interactive("contacts.count")).await?;
        Ok(store.count_contacts().await?)
    }

    /// Stores many contacts and puts them on lists. Every row gets an answer: a bad one its reason,
    /// and of several rows with one address the last is stored.
    ///
    /// # Errors
    /// Without `contacts:write` (and `lists:write` when lists are given), or when a list does not
    /// exist. A store that fails midway is reported row by row.
    #[tracing::instrument(name = "contacts.import", skip_all)]
    pub async fn import(
        &self,
        caller: &Caller,
        rows: &[Value],
        lists: &[ListId],
    ) -> Result<Vec<ImportOperation>, ContactsError> {
        caller.require(Permission::Write(Resource::Contacts))?;
        if !lists.is_empty() {
            caller.require(Permission::Write(Resource::Lists))?;
            let mut store =
                self.broker.read(&caller.workspace, Purpose::interactive("contacts.import")).await?;
            for list in lists {
                store.list(list).await?.ok_or_else(|| ContactsError::UnknownList(list.clone()))?;
            }
        }
        let parsed: Vec<_> = rows.iter().map(ContactPatch::from_json).collect();
        let mut last_row = HashMap::new();
        for (row, patch) in parsed.iter().enumerate() {
            if let Ok(patch) = patch {
                last_row.insert(patch.email.clone(), row);
            }
        }
        let mut operations = Vec::with_capacity(rows.len());
        let mut accepted = Vec::new();
        for (row, patch) in parsed.into_iter().enumerate() {
            let result = match patch {
                Err(invalid) => Err(format!("invalid contact at index {row}: {invalid}")),
                Ok(patch) if last_row[&patch.email] != row => {
                    let kept = last_row[&patch.email];
                    Err(format!("duplicate: the contact at index {kept} has the same address and was used"))
                }
                Ok(patch) => {
                    accepted.push((row, patch));
                    Ok(UpsertAction::Update)
                }
            };
            let email = rows[row]["email"].as_str().unwrap_or_default().trim().to_owned();
            operations.push(ImportOperation { email, result });
        }
        for chunk in accepted.chunks(Self::IMPORT_CHUNK) {
            let patches: Vec<_> = chunk.iter().map(|(_, patch)| patch.clone()).collect();
            let written = self.import_chunk(caller, &patches, lists).await;
            if let Err(error) = &written {
                tracing::error!(error = error as &dyn std::error::Error, "a chunk of an import failed");
            }
            for (n, (row, patch)) in chunk.iter().enumerate() {
                operations[*row].email = patch.email.to_string();
                operations[*row].result = match &written {
                    Ok(actions) => Ok(actions[n]),
                    Err(error) => Err(error.to_string()),
                };
            }
        }
        Ok(operations)
    }

    async fn import_chunk(
        &self,
        caller: &Caller,
        patches: &[ContactPatch],
        lists: &[ListId],
    ) -> Result<Vec<UpsertAction>, StoreError> {
        let now = self.clock.now();
        let mut store = self.broker.write(&caller.workspace, Purpose::interactive("contacts.import")).await?;
        let actions = store.upsert_contacts(patches, now).await?;
        if !lists.is_empty() {
            let emails: Vec<_> = patches.iter().map(|p| p.email.clone()).collect();
            store.add_members(&emails, lists, now).await?;
            hold_back(store.as_mut(), &emails, now).await?;
        }
        store.commit().await?;
        Ok(actions)
    }

    /// Removes a contact and what is kept about it.
    ///
    /// # Errors
    /// Without `contacts:write`, or when there is none.
    #[tracing::instrument(name = "contacts.delete", skip_all)]
    pub async fn delete(&self, caller: &Caller, email: &EmailAddress) -> Result<(), ContactsError> {
        caller.require(Permission::Write(Resource::Contacts))?;
        let mut store = self.broker.write(&caller.workspace, Purpose::interactive("contacts.delete")).await?;
        if !store.delete_contact(email).await? {
            return Err(ContactsError::NotFound);
        }
        store.commit().await?;
        Ok(())
    }
}

async fn view(store: &mut dyn WorkspaceStore, contact: Contact) -> Result<ContactView, ContactsError> {
    let memberships = store.memberships(std::slice::from_ref(&contact.email)).await?;
    Ok(ContactView { contact, memberships: Some(memberships) })
}

/// A contact as it stands on the wire and in templates: fields without a value are left out.
#[must_use]
pub fn contact_json(view: &ContactView) -> Map<String, Value> {
    let contact = &view.contact;
    let mut json = Map::new();
    json.insert("email".into(), contact.email.as_str().into());
    for (field, value) in &contact.fields {
        json.insert(field.name().into(), value.to_json());
    }
    json.insert("created_at".into(), json!(contact.created_at));
    json.insert("updated_at".into(), json!(contact.updated_at));
    let memberships =
        view.memberships.as_ref().map(|all| all.iter().map(membership_json).collect::<Vec<_>>());
    json.insert("contact_lists".into(), json!(memberships));
    json.insert("contact_segments".into(), json!([]));
    json
}

/// A membership as it stands on the wire and in templates.
#[must_use]
pub fn membership_json(membership: &Membership) -> Value {
    json!({
        "email": membership.email,
        "list_id": membership.list,
        "list_name": membership.list_name,
        "status": membership.status.name(),
        "created_at": membership.created_at,
        "updated_at": membership.updated_at,
        "deleted_at": membership.deleted_at,
    })
}
