//! What a new workspace begins with: its creator on a first list, so that a first mail has a reader.

use super::Workspaces;
use crate::{
    access::Identity,
    ports::{Purpose, StoreError},
};
use domain::{
    contacts::{ContactField, ContactPatch, FieldValue},
    email_address::EmailAddress,
    ids::{ListId, WorkspaceId},
    lists::List,
    users::User,
};

const LIST_ID: &str = "test";

impl Workspaces {
    /// Adds the creator and the first list. Without them the workspace works as well, so a failure
    /// is only logged.
    pub(super) async fn add_starter_content(&self, identity: &Identity, id: &WorkspaceId) {
        if let Err(error) = self.try_add_starter_content(identity, id).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(workspace.id = %id, error, "the workspace begins without its first list");
        }
    }

    async fn try_add_starter_content(&self, identity: &Identity, id: &WorkspaceId) -> Result<(), StoreError> {
        let purpose = Purpose::interactive("workspaces.create");
        let mut system = self.platform.broker.read_system(purpose).await?;
        let creator = system.user(identity.user).await?;
        drop(system);
        let (Some(patch), Ok(list)) = (creator.and_then(contact), ListId::parse(LIST_ID)) else {
            return Ok(());
        };
        let now = self.platform.clock.now();
        let mut store = self.platform.broker.write(id, purpose).await?;
        let email = patch.email.clone();
        store.upsert_contacts(&[patch], now).await?;
        if store.list(&list).await?.is_none() {
            let first = List {
                id: list.clone(),
                name: "Test List".to_owned(),
                is_double_optin: false,
                is_public: false,
                description: String::new(),
                double_optin_template: None,
                created_at: now,
                updated_at: now,
            };
            store.insert_list(&first).await?;
        }
        store.add_members(&[email], &[list], now).await?;
        store.commit().await
    }
}

fn contact(user: User) -> Option<ContactPatch> {
    let mut patch = ContactPatch::of(EmailAddress::parse(&user.email).ok()?);
    if let Some(name) = user.name {
        patch.changes.insert(ContactField::FirstName, Some(FieldValue::Text(name)));
    }
    Some(patch)
}
