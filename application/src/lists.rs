//! Lists and the standing of their members.

use crate::{
    access::{Caller, Denied},
    failure::{Failure, FailureKind},
    ports::{Clock, ConnectionBroker, Purpose, StoreError},
};
use domain::{
    email_address::EmailAddress,
    ids::ListId,
    lists::{List, ListStats, MembershipStatus, TemplateRef},
    permissions::{Permission, Resource},
    validation::{Check, FieldProblem, Invalid, required_text},
};
use std::sync::Arc;

/// The use cases of lists.
pub struct Lists {
    broker: Arc<dyn ConnectionBroker>,
    clock: Arc<dyn Clock>,
}

/// Why a use case of lists failed.
#[derive(Debug, thiserror::Error)]
pub enum ListsError {
    /// No list has this identifier.
    #[error("no list has this id")]
    NotFound,
    /// The identifier is taken, perhaps by a deleted list.
    #[error("a list with this id exists or existed; choose another id")]
    Taken,
    /// The input breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The caller may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for ListsError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Duplicate => Self::Taken,
            other => Self::Store(other),
        }
    }
}

impl Failure for ListsError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NotFound => FailureKind::NotFound,
            Self::Taken => FailureKind::Conflict,
            Self::Invalid(e) => e.kind(),
            Self::Denied(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "list-not-found",
            Self::Taken => "list-id-taken",
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

/// What a client gives of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListDraft {
    /// See [`List::id`].
    pub id: ListId,
    /// See [`List::name`].
    pub name: String,
    /// See [`List::is_double_optin`].
    pub is_double_optin: bool,
    /// See [`List::is_public`].
    pub is_public: bool,
    /// See [`List::description`].
    pub description: String,
    /// See [`List::double_optin_template`].
    pub double_optin_template: Option<TemplateRef>,
}

impl ListDraft {
    fn check(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.field("/name", required_text(&self.name, 255));
        let version = self.double_optin_template.as_ref().map_or(0, |t| t.version);
        check.require(version >= 0, "/double_optin_template/version", "must not be negative");
        check.finish()
    }
}

impl Lists {
    /// Takes its ports.
    pub fn new(broker: Arc<dyn ConnectionBroker>, clock: Arc<dyn Clock>) -> Self {
        Self { broker, clock }
    }

    /// Makes a list.
    ///
    /// # Errors
    /// Without `lists:write`, when the identifier is taken, or the draft breaks a rule.
    #[tracing::instrument(name = "lists.create", skip_all)]
    pub async fn create(&self, caller: &Caller, draft: ListDraft) -> Result<List, ListsError> {
        caller.require(Permission::Write(Resource::Lists))?;
        draft.check()?;
        let now = self.clock.now();
        let list = List {
            id: draft.id,
            name: draft.name.trim().to_owned(),
            is_double_optin: draft.is_double_optin,
            is_public: draft.is_public,
            description: draft.description,
            double_optin_template: draft.double_optin_template,
            created_at: now,
            updated_at: now,
        };
        let mut store = self.broker.write(&caller.workspace, Purpose::interactive("lists.create")).await?;
        store.insert_list(&list).await?;
        store.commit().await?;
        Ok(list)
    }

    /// Replaces a list.
    ///
    /// # Errors
    /// Without `lists:write`, when there is no such list, or the draft breaks a rule.
    #[tracing::instrument(name = "lists.update", skip_all)]
    pub async fn update(&self, caller: &Caller, draft: ListDraft) -> Result<List, ListsError> {
        caller.require(Permission::Write(Resource::Lists))?;
        draft.check()?;
        let mut store = self.broker.write(&caller.workspace, Purpose::interactive("lists.update")).await?;
        let existing = store.list(&draft.id).await?.ok_or(ListsError::NotFound)?;
        let list = List {
            id: draft.id,
            name: draft.name.trim().to_owned(),
            is_double_optin: draft.is_double_optin,
            is_public: draft.is_public,
            description: draft.description,
            double_optin_template: draft.double_optin_template,
            created_at: existing.created_at,
            updated_at: self.clock.now(),
        };
        store.update_list(&list).await?;
        store.commit().await?;
        Ok(list)
    }

    /// All lists, newest first.
    ///
    /// # Errors
    /// Without `lists:read`, or when the store fails.
    #[tracing::instrument(name = "lists.list", skip_all)]
    pub async fn list(&self, caller: &Caller) -> Result<Vec<List>, ListsError> {
        caller.require(Permission::Read(Resource::Lists))?;
        let mut store = self.broker.read(&caller.workspace, Purpose::interactive("lists.list")).await?;
        Ok(store.lists().await?)
    }

    /// One list.
    ///
    /// # Errors
    /// Without `lists:read`, or when there is none.
    #[tracing::instrument(name = "lists.get", skip_all)]
    pub async fn get(&self, caller: &Caller, id: &ListId) -> Result<List, ListsError> {
        caller.require(Permission::Read(Resource::Lists))?;
        let mut store = self.broker.read(&caller.workspace, Purpose::interactive("lists.get")).await?;
        store.list(id).await?.ok_or(ListsError::NotFound)
    }

    /// How many members have which standing.
    ///
    /// # Errors
    /// Without `lists:read`, or when there is no such list.
    #[tracing::instrument(name = "lists.stats", skip_all)]
    pub async fn stats(&self, caller: &Caller, id: &ListId) -> Result<ListStats, ListsError> {
        caller.require(Permission::Read(Resource::Lists))?;
        let mut store = self.broker.read(&caller.workspace, Purpose::interactive("lists.stats")).await?;
        store.list(id).await?.ok_or(ListsError::NotFound)?;
        Ok(store.list_stats(id).await?)
    }

    /// Removes a list and its memberships.
    ///
    /// # Errors
    /// Without `lists:write`, or when there is none.
    #[tracing::instrument(name = "lists.delete", skip_all)]
    pub async fn delete(&self, caller: &Caller, id: &ListId) -> Result<(), ListsError> {
        caller.require(Permission::Write(Resource::Lists))?;
        let mut store = self.broker.write(&caller.workspace, Purpose::interactive("lists.delete")).await?;
        if !store.delete_list(id, self.clock.now()).await? {
            return Err(ListsError::NotFound);
        }
        store.commit().await?;
        Ok(())
    }

    /// Sets the standing of a contact on a list. Answers whether the contact was on it. Whoever makes
    /// it active vouches for the address: an earlier bounce or complaint keeps no mails away then.
    ///
    /// # Errors
    /// Without `lists:write`, or when the store fails.
    #[tracing::instrument(name = "lists.update_status", skip_all)]
    pub async fn update_status(
        &self,
        caller: &Caller,
        email: &EmailAddress,
        list: &ListId,
        status: MembershipStatus,
    ) -> Result<bool, ListsError> {
        caller.require(Permission::Write(Resource::Lists))?;
        let purpose = Purpose::interactive("contactLists.updateStatus");
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        let found = store.set_membership_status(email, list, status, self.clock.now()).await?;
        if found && status == MembershipStatus::Active {
            store.lift_suppression(email).await?;
        }
        store.commit().await?;
        Ok(found)
    }
}
