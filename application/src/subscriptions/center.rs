//! What a contact sees and chooses on its own page.

use super::{ContactLink, Profile, Subscriptions, SubscriptionsError};
use crate::{
    feedback::hold_back,
    ports::{Purpose, UnitOfWork},
    rate_limit::Limit,
};
use domain::{
    Timestamp,
    contacts::{Contact, ContactField, ContactPatch, FieldValue},
    email_address::EmailAddress,
    ids::ListId,
    lists::{List, Membership, MembershipStatus},
    subscriptions::LinkRight,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// What a contact may see about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Center {
    /// Whose page it is.
    pub profile: Profile,
    /// The contact, with none but [`ContactField::OWN`] of its fields.
    pub contact: Contact,
    /// Public lists, and others that the contact is on or waits for.
    pub offers: Vec<Offer>,
}

/// A list, and the contact's place on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The list.
    pub list: List,
    /// The live membership, when there is one.
    pub membership: Option<Membership>,
}

impl Offer {
    /// The standing of the contact on the list.
    #[must_use]
    pub fn standing(&self) -> Option<MembershipStatus> {
        self.membership.as_ref().map(|membership| membership.status)
    }
}

/// What a contact chooses. What is not named stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Preferences {
    /// Fields to set, or to clear with `None`. None but [`ContactField::OWN`] are stored.
    pub fields: BTreeMap<ContactField, Option<FieldValue>>,
    /// Lists to be on.
    pub join: BTreeSet<ListId>,
    /// Lists to leave.
    pub leave: BTreeSet<ListId>,
    /// Whether to leave every list.
    pub leave_all: bool,
}

impl Subscriptions {
    /// What the contact of a link may see about itself.
    ///
    /// # Errors
    /// When the link is not good, or the contact is gone.
    #[tracing::instrument(name = "subscriptions.center", skip_all)]
    pub async fn center(&self, link: &ContactLink) -> Result<Center, SubscriptionsError> {
        let purpose = Purpose::interactive("subscriptions.center");
        let workspace = self.admit(link, LinkRight::Manage, purpose).await?;
        let mut store = self.ports.broker.read(&workspace.id, purpose).await?;
        let mut contact = store.contact(&link.email).await?.ok_or(SubscriptionsError::NoContact)?;
        contact.fields.retain(|field, _| ContactField::OWN.contains(field));
        let lists = store.lists().await?;
        let memberships = store.memberships(std::slice::from_ref(&link.email)).await?;
        let mut memberships: BTreeMap<_, _> = memberships.into_iter().map(|m| (m.list.clone(), m)).collect();
        let offers = lists.into_iter().filter_map(|list| {
            use MembershipStatus::{Active, Pending};
            let membership = memberships.remove(&list.id);
            let member = membership.as_ref().is_some_and(|m| matches!(m.status, Active | Pending));
            (list.is_public || member).then_some(Offer { list, membership })
        });
        Ok(Center { profile: Profile::from(&workspace), contact, offers: offers.collect() })
    }

    /// Stores what the contact of a link has chosen: all of it or nothing. Only public lists, and those
    /// that wait for the contact, can be joined; nobody comes back who bounced or complained anywhere.
    ///
    /// # Errors
    /// When the link is not good, the contact is gone, or there were too many attempts.
    #[tracing::instrument(name = "subscriptions.choose", skip_all)]
    pub async fn choose(
        &self,
        link: &ContactLink,
        chosen: Preferences,
        from: Option<IpAddr>,
    ) -> Result<(), SubscriptionsError> {
        let purpose = Purpose::interactive("subscriptions.choose");
        let workspace = self.admit(link, LinkRight::Manage, purpose).await?;
        self.count([Limit::PREFERENCES, Limit::PREFERENCES_FROM], &workspace.id, &link.email, from)?;
        let now = self.ports.clock.now();
        let mut store = self.ports.broker.write(&workspace.id, purpose).await?;
        store.contact(&link.email).await?.ok_or(SubscriptionsError::NoContact)?;
        let mut patch = ContactPatch::of(link.email.clone());
        patch.changes = chosen.fields.into_iter().filter(|(f, _)| ContactField::OWN.contains(f)).collect();
        if !patch.changes.is_empty() {
            store.upsert_contacts(&[patch], now).await?;
        }
        let memberships = store.memberships(std::slice::from_ref(&link.email)).await?;
        let mut leave = chosen.leave;
        if chosen.leave_all {
            leave.extend(memberships.iter().map(|membership| membership.list.clone()));
        } else if !memberships.iter().any(|membership| membership.status.is_suppressed()) {
            join(store.as_mut(), &link.email, &chosen.join, now).await?;
        }
        for list in &leave {
            store.unsubscribe_member(&link.email, list, now).await?;
        }
        store.commit().await?;
        Ok(())
    }
}

/// Puts a contact that is known on lists that it may join.
async fn join(
    store: &mut dyn UnitOfWork,
    email: &EmailAddress,
    lists: &BTreeSet<ListId>,
    now: Timestamp,
) -> Result<(), SubscriptionsError> {
    use MembershipStatus::{Active, Pending, Unsubscribed};
    for id in lists {
        let Some(list) = store.list(id).await? else { continue };
        let standing = store.membership(email, id).await?.and_then(|membership| membership.standing());
        let open = list.is_public || standing == Some(Pending);
        if open && MembershipStatus::after_subscribing(standing, true, list.is_double_optin) == Active {
            store.subscribe_member(email, id, Active, &[Pending, Unsubscribed], now).await?;
        }
    }
    hold_back(store, std::slice::from_ref(email), now).await?;
    Ok(())
}
