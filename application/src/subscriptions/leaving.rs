//! Leaving a list, and confirming that a mail was wanted.

use super::{ContactLink, Profile, Subscriptions, SubscriptionsError};
use crate::ports::{Purpose, StoreError, WorkspaceStore};
use domain::{
    contacts::ContactField,
    ids::{ListId, MessageId},
    lists::MembershipStatus,
    subscriptions::LinkRight,
    validation::Invalid,
    workspaces::Workspace,
};

/// What a link is about: one list, and the contact's place on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Whose list it is.
    pub profile: Profile,
    /// How the list is called; `None` when there is none any longer.
    pub list_name: Option<String>,
    /// The standing of the contact on it.
    pub standing: Option<MembershipStatus>,
    /// The language of the contact, as it was given.
    pub language: Option<String>,
}

impl Subscriptions {
    /// What a link to unsubscribe is about. Changes nothing.
    ///
    /// # Errors
    /// When the link is not good.
    #[tracing::instrument(name = "subscriptions.leaving", skip_all)]
    pub async fn leaving(&self, link: &ContactLink, list: &ListId) -> Result<About, SubscriptionsError> {
        let purpose = Purpose::interactive("subscriptions.leaving");
        let workspace = self.admit(link, LinkRight::Manage, purpose).await?;
        let mut store = self.ports.broker.read(&workspace.id, purpose).await?;
        Ok(about(store.as_mut(), &workspace, link, list).await?)
    }

    /// What a link to confirm is about. Changes nothing.
    ///
    /// # Errors
    /// When the link is not good.
    #[tracing::instrument(name = "subscriptions.confirming", skip_all)]
    pub async fn confirming(&self, link: &ContactLink, list: &ListId) -> Result<About, SubscriptionsError> {
        let purpose = Purpose::interactive("subscriptions.confirming");
        let workspace = self.admit(link, LinkRight::Confirm(list.clone()), purpose).await?;
        let mut store = self.ports.broker.read(&workspace.id, purpose).await?;
        Ok(about(store.as_mut(), &workspace, link, list).await?)
    }

    /// Takes the contact off lists. Succeeds again when repeated, and for lists that the contact is not
    /// on. Who bounced or complained stays so. The message that led here counts an unsubscription the
    /// first time, when a list was left through it.
    ///
    /// # Errors
    /// When the link is not good, or no list is named.
    #[tracing::instrument(name = "subscriptions.unsubscribe", skip_all)]
    pub async fn unsubscribe(
        &self,
        link: &ContactLink,
        lists: &[ListId],
        message: Option<&MessageId>,
    ) -> Result<About, SubscriptionsError> {
        let purpose = Purpose::interactive("subscriptions.unsubscribe");
        let workspace = self.admit(link, LinkRight::Manage, purpose).await?;
        let mut lists = lists.to_vec();
        let first = lists.first().cloned().ok_or_else(|| Invalid::one("/lids", "is required"))?;
        // In one order everywhere, so that two units never wait for each other.
        lists.sort();
        let now = self.ports.clock.now();
        let mut store = self.ports.broker.write(&workspace.id, purpose).await?;
        let mut left = false;
        for list in &lists {
            left |= store.unsubscribe_member(&link.email, list, now).await?;
        }
        if let Some(message) = message.filter(|_| left) {
            store.note_unsubscribed(message, &link.email, now).await?;
        }
        let about = about(store.as_mut(), &workspace, link, &first).await?;
        store.commit().await?;
        Ok(about)
    }

    /// Confirms a subscription that waits for it. Does nothing for any other standing.
    ///
    /// # Errors
    /// When the link is not good.
    #[tracing::instrument(name = "subscriptions.confirm", skip_all)]
    pub async fn confirm(&self, link: &ContactLink, list: &ListId) -> Result<About, SubscriptionsError> {
        let purpose = Purpose::interactive("subscriptions.confirm");
        let workspace = self.admit(link, LinkRight::Confirm(list.clone()), purpose).await?;
        let mut store = self.ports.broker.write(&workspace.id, purpose).await?;
        store.confirm_member(&link.email, list, self.ports.clock.now()).await?;
        let about = about(store.as_mut(), &workspace, link, list).await?;
        store.commit().await?;
        Ok(about)
    }
}

async fn about<S: WorkspaceStore + ?Sized>(
    store: &mut S,
    workspace: &Workspace,
    link: &ContactLink,
    list: &ListId,
) -> Result<About, StoreError> {
    let contact = store.contact(&link.email).await?;
    let list_name = store.list(list).await?.map(|list| list.name);
    let membership = store.membership(&link.email, list).await?;
    let live = membership.filter(|membership| list_name.is_some() && membership.deleted_at.is_none());
    Ok(About {
        profile: Profile::from(workspace),
        list_name,
        standing: live.map(|membership| membership.status),
        language: contact.and_then(|contact| contact.text(ContactField::Language).map(str::to_owned)),
    })
}
