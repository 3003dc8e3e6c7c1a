//! Subscribing to lists: by anybody through a public form, by a contact through its link, by a program.

use super::{
    ContactLink, Profile, Subscriptions, SubscriptionsError,
    mails::{Asked, language_of},
};
use crate::{
    access::Caller,
    directory::active_workspace,
    feedback::hold_back,
    ports::{Purpose, StoreError, UnitOfWork, WorkKind},
    rate_limit::Limit,
};
use domain::{
    contacts::{ContactField, ContactPatch, FieldValue},
    email_address::EmailAddress,
    ids::{ListId, WorkspaceId},
    lists::{List, MembershipStatus},
    permissions::{Permission, Resource},
    subscriptions::LinkRight,
    validation::Invalid,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// What somebody without a key asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// Where.
    pub workspace: WorkspaceId,
    /// Who shall receive mails.
    pub email: EmailAddress,
    /// The signed part of a link of the contact, which makes it known.
    pub token: Option<String>,
    /// What the contact says about itself. None but [`ContactField::OWN`] are stored.
    pub fields: BTreeMap<ContactField, FieldValue>,
    /// To what.
    pub lists: BTreeSet<ListId>,
}

impl Subscriptions {
    /// The lists of a workspace that anybody may subscribe to.
    ///
    /// # Errors
    /// When there is no such workspace, or the store fails.
    #[tracing::instrument(name = "subscriptions.offered", skip_all)]
    pub async fn offered(&self, workspace: &WorkspaceId) -> Result<(Profile, Vec<List>), StoreError> {
        let purpose = Purpose::interactive("subscriptions.offered");
        let workspace = active_workspace(self.ports.broker.as_ref(), workspace, purpose).await?;
        let mut store = self.ports.broker.read(&workspace.id, purpose).await?;
        let lists = store.lists().await?.into_iter().filter(|list| list.is_public).collect();
        Ok((Profile::from(&workspace), lists))
    }

    /// Subscribes an address to public lists. It succeeds alike whether the address is a contact or not,
    /// and whatever became of it before: a contact that is there keeps its fields unless its own link is
    /// given, a stranger's wish waits for confirmation where the list wants that and always for who once
    /// left, and who bounced or complained stays away.
    ///
    /// # Errors
    /// When the link is not good, a list is not public, a confirmation cannot be asked for, or there were
    /// too many attempts. Nothing is then stored.
    #[tracing::instrument(name = "subscriptions.subscribe", skip_all)]
    pub async fn subscribe(
        &self,
        wish: Subscription,
        from: Option<IpAddr>,
    ) -> Result<(), SubscriptionsError> {
        let Subscription { workspace, email, token, fields, lists } = wish;
        if lists.is_empty() {
            return Err(Invalid::one("/list_ids", "must name at least one list").into());
        }
        self.count([Limit::SUBSCRIBE, Limit::SUBSCRIBE_FROM], &workspace, &email, from)?;
        let purpose = Purpose::interactive("subscriptions.subscribe");
        let known = token.is_some();
        let workspace = if let Some(token) = token {
            let link = ContactLink { workspace, email: email.clone(), token };
            self.admit(&link, LinkRight::Manage, purpose).await?
        } else {
            active_workspace(self.ports.broker.as_ref(), &workspace, purpose).await?
        };
        let promise = self.ports.work.promise(&workspace.id, WorkKind::Deliveries, purpose).await?;
        let now = self.ports.clock.now();
        let provider = workspace.settings.mail_provider_for_contacts();
        let mut store = self.ports.broker.write(&workspace.id, purpose).await?;
        let lists = public_lists(store.as_mut(), &lists).await?;
        if !known && provider.is_none() && lists.iter().any(|list| list.is_double_optin) {
            return Err(SubscriptionsError::NoProvider);
        }
        let memberships = store.memberships(std::slice::from_ref(&email)).await?;
        if memberships.iter().any(|membership| membership.status.is_suppressed()) {
            return Ok(());
        }
        let contact = store.contact(&email).await?;
        let said = fields.get(&ContactField::Language).and_then(|value| match value {
            FieldValue::Text(text) => Some(text.clone()),
            _ => None,
        });
        let language = language_of(contact.as_ref(), said.as_deref(), &workspace);
        if contact.is_none() || known {
            let fields = fields.into_iter().filter(|(field, _)| ContactField::OWN.contains(field));
            let changes: BTreeMap<_, _> = fields.map(|(field, value)| (field, Some(value))).collect();
            if contact.is_none() || !changes.is_empty() {
                let patch = ContactPatch { changes, ..ContactPatch::of(email.clone()) };
                store.upsert_contacts(&[patch], now).await?;
            }
        }
        let mut asked = false;
        for list in &lists {
            let standing = store.membership(&email, &list.id).await?.and_then(|m| m.standing());
            let wanted = MembershipStatus::after_subscribing(standing, known, list.is_double_optin);
            put(store.as_mut(), &email, list, standing, wanted, now).await?;
            if let (MembershipStatus::Pending, Some(integration)) = (wanted, provider) {
                let mail = Asked { workspace: &workspace, email: &email, list: Some(list), language };
                asked |= self.ask(store.as_mut(), &mail, integration, now).await?;
            }
        }
        if asked {
            promise.commit(store).await?;
        } else {
            store.commit().await?;
        }
        Ok(())
    }

    /// Subscribes a contact on behalf of a program, which answers for its consent: at once, and also one
    /// that once left, but none that bounced or complained on the list. The contact is stored or merged.
    ///
    /// # Errors
    /// Without `lists:write`, when no list is named, or one does not exist. Nothing is then stored.
    #[tracing::instrument(name = "subscriptions.subscribe_for", skip_all)]
    pub async fn subscribe_for(
        &self,
        caller: &Caller,
        mut contact: ContactPatch,
        lists: &BTreeSet<ListId>,
    ) -> Result<(), SubscriptionsError> {
        caller.require(Permission::Write(Resource::Lists))?;
        if lists.is_empty() {
            return Err(Invalid::one("/list_ids", "must name at least one list").into());
        }
        let now = self.ports.clock.now();
        let purpose = Purpose::interactive("lists.subscribe");
        let mut store = self.ports.broker.write(&caller.workspace, purpose).await?;
        let mut found = Vec::with_capacity(lists.len());
        for id in lists {
            found.push(store.list(id).await?.ok_or(SubscriptionsError::NoList)?);
        }
        contact.changes.retain(|_, value| value.is_some());
        let email = contact.email.clone();
        store.upsert_contacts(&[contact], now).await?;
        for list in &found {
            let standing = store.membership(&email, &list.id).await?.and_then(|m| m.standing());
            let wanted = MembershipStatus::after_subscribing(standing, true, list.is_double_optin);
            put(store.as_mut(), &email, list, standing, wanted, now).await?;
        }
        store.commit().await?;
        Ok(())
    }

    /// Mails a contact a new link to its own page. Succeeds alike for an address that is unknown, bounced
    /// or complained, which is mailed nothing.
    ///
    /// # Errors
    /// When there is no such workspace, or there were too many attempts.
    #[tracing::instrument(name = "subscriptions.mail_link", skip_all)]
    pub async fn mail_link(
        &self,
        workspace: &WorkspaceId,
        email: &EmailAddress,
        from: Option<IpAddr>,
    ) -> Result<(), SubscriptionsError> {
        self.count([Limit::SUBSCRIBE, Limit::SUBSCRIBE_FROM], workspace, email, from)?;
        let purpose = Purpose::interactive("subscriptions.mail_link");
        let workspace = active_workspace(self.ports.broker.as_ref(), workspace, purpose).await?;
        let Some(integration) = workspace.settings.mail_provider_for_contacts() else {
            tracing::warn!(workspace.id = %workspace.id, "a link is asked for and no provider can mail it");
            return Ok(());
        };
        let promise = self.ports.work.promise(&workspace.id, WorkKind::Deliveries, purpose).await?;
        let mut store = self.ports.broker.write(&workspace.id, purpose).await?;
        let Some(contact) = store.contact(email).await? else { return Ok(()) };
        let memberships = store.memberships(std::slice::from_ref(email)).await?;
        if memberships.iter().any(|membership| membership.status.is_suppressed()) {
            return Ok(());
        }
        let language = language_of(Some(&contact), None, &workspace);
        let mail = Asked { workspace: &workspace, email, list: None, language };
        if self.ask(store.as_mut(), &mail, integration, self.ports.clock.now()).await? {
            promise.commit(store).await?;
        }
        Ok(())
    }
}

/// Writes a standing that differs from the one that was read, unless another has written meanwhile.
async fn put(
    store: &mut dyn UnitOfWork,
    email: &EmailAddress,
    list: &List,
    standing: Option<MembershipStatus>,
    wanted: MembershipStatus,
    now: domain::Timestamp,
) -> Result<(), StoreError> {
    if standing != Some(wanted) {
        let from = standing.as_slice();
        store.subscribe_member(email, &list.id, wanted, from, now).await?;
        hold_back(store, std::slice::from_ref(email), now).await?;
    }
    Ok(())
}

/// The lists, in one order, so that two units never wait for each other.
async fn public_lists(
    store: &mut dyn UnitOfWork,
    ids: &BTreeSet<ListId>,
) -> Result<Vec<List>, SubscriptionsError> {
    let mut lists = Vec::with_capacity(ids.len());
    for id in ids {
        // Whether a list exists that is not public is nobody's business.
        let list = store.list(id).await?.filter(|list| list.is_public);
        lists.push(list.ok_or(SubscriptionsError::NotPublic)?);
    }
    Ok(lists)
}
