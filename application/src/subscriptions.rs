//! What a contact may do about its own mails, through the links in them.

use crate::{
    directory::active_workspace,
    failure::{Failure, FailureKind},
    ports::{Clock, ConnectionBroker, Purpose, StoreError, Vault, VaultError},
};
use domain::{
    email_address::EmailAddress,
    ids::{ListId, WorkspaceId},
    lists::{Membership, MembershipStatus},
};
use std::sync::Arc;

/// The use cases of contacts themselves. The proof in the link stands for the caller.
pub struct Subscriptions {
    broker: Arc<dyn ConnectionBroker>,
    clock: Arc<dyn Clock>,
    vault: Arc<dyn Vault>,
}

/// Why a contact's own use case failed.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionsError {
    /// The link was not made by this installation for this address, or its workspace is gone.
    #[error("this link is not valid; use the link of a recent mail")]
    BadLink,
    /// What is stored cannot be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for SubscriptionsError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::BadLink => FailureKind::Unauthenticated,
            Self::Vault(_) => FailureKind::Internal,
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::BadLink => "link-invalid",
            Self::Vault(_) => "secret-unreadable",
            Self::Store(e) => e.code(),
        }
    }
}

/// The proof that a contact comes from a mail of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactLink {
    /// The workspace that sent the mail.
    pub workspace: WorkspaceId,
    /// Who received it.
    pub email: EmailAddress,
    /// Keyed hash of the address.
    pub email_hmac: String,
}

impl Subscriptions {
    /// Takes its ports.
    pub fn new(broker: Arc<dyn ConnectionBroker>, clock: Arc<dyn Clock>, vault: Arc<dyn Vault>) -> Self {
        Self { broker, clock, vault }
    }

    /// Checks a link without changing anything.
    ///
    /// # Errors
    /// When the link is not good.
    #[tracing::instrument(name = "subscriptions.check", skip_all)]
    pub async fn check(&self, link: &ContactLink) -> Result<(), SubscriptionsError> {
        let purpose = Purpose::interactive("subscriptions.check");
        let workspace = match active_workspace(self.broker.as_ref(), &link.workspace, purpose).await {
            Err(StoreError::WorkspaceMissing) => return Err(SubscriptionsError::BadLink),
            other => other?,
        };
        let key = self.vault.open(&workspace.secret_key)?;
        let wanted = self.vault.hash_with(&key, link.email.as_str());
        if self.vault.same(&wanted, &link.email_hmac) { Ok(()) } else { Err(SubscriptionsError::BadLink) }
    }

    /// Takes the contact off the lists. Succeeds again when repeated, and for lists that the contact
    /// is not on. Who bounced or complained stays so.
    ///
    /// # Errors
    /// When the link is not good.
    #[tracing::instrument(name = "subscriptions.unsubscribe", skip_all)]
    pub async fn unsubscribe(&self, link: &ContactLink, lists: &[ListId]) -> Result<(), SubscriptionsError> {
        self.check(link).await?;
        let now = self.clock.now();
        let purpose = Purpose::interactive("subscriptions.unsubscribe");
        let mut store = self.broker.write(&link.workspace, purpose).await?;
        for list in lists {
            let standing = store.membership(&link.email, list).await?.map(|m| m.status);
            if matches!(standing, Some(MembershipStatus::Active | MembershipStatus::Pending)) {
                let status = MembershipStatus::Unsubscribed;
                store.set_membership_status(&link.email, list, status, now).await?;
            }
        }
        store.commit().await?;
        Ok(())
    }

    /// The lists that the contact is on, in whatever standing.
    ///
    /// # Errors
    /// When the link is not good.
    #[tracing::instrument(name = "subscriptions.memberships", skip_all)]
    pub async fn memberships(&self, link: &ContactLink) -> Result<Vec<Membership>, SubscriptionsError> {
        self.check(link).await?;
        let purpose = Purpose::interactive("subscriptions.memberships");
        let mut store = self.broker.read(&link.workspace, purpose).await?;
        Ok(store.memberships(std::slice::from_ref(&link.email)).await?)
    }

    /// Confirms a subscription that waits for it. Does nothing for any other standing.
    ///
    /// # Errors
    /// When the link is not good.
    #[tracing::instrument(name = "subscriptions.confirm", skip_all)]
    pub async fn confirm(&self, link: &ContactLink, list: &ListId) -> Result<(), SubscriptionsError> {
        self.check(link).await?;
        let purpose = Purpose::interactive("subscriptions.confirm");
        let mut store = self.broker.write(&link.workspace, purpose).await?;
        let membership = store.membership(&link.email, list).await?.filter(|m| m.deleted_at.is_none());
        if membership.is_some_and(|m| m.status == MembershipStatus::Pending) {
            let status = MembershipStatus::Active;
            store.set_membership_status(&link.email, list, status, self.clock.now()).await?;
        }
        store.commit().await?;
        Ok(())
    }
}
