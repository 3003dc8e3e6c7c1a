//! Deciding which messages are made, and making them, inside of one unit of work.

use super::{Transactional, TransactionalError, email_template_version, request::SendRequest};
use crate::ports::{FileContent, Reservation, StoreError, UnitOfWork};
use domain::{
    Timestamp,
    contacts::ContactPatch,
    deliveries::{Delivery, DeliverySource},
    idempotency::{IdempotencyKey, KeyScope},
    ids::{IntegrationId, MessageId, NotificationId, TemplateId},
    messages::{Message, MessageState},
    secret::Sealed,
    transactional::Notification,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// A request whose files and variables are ready to be stored.
pub(super) struct Ready {
    pub(super) request: SendRequest,
    pub(super) contents: Vec<FileContent>,
    pub(super) data: Option<Sealed>,
    /// The message that is made of it, unless there is an earlier one.
    pub(super) id: MessageId,
}

/// What becomes of a request.
pub(super) enum Verdict {
    /// A message is to be made; its keys are reserved.
    New(Known),
    /// One of its keys belongs to this message.
    Earlier(MessageId),
    /// Nothing is made.
    Refused(TransactionalError),
}

/// What a notification sends.
#[derive(Clone)]
pub(super) struct Known {
    notification: Arc<Notification>,
    template_version: i64,
}

/// Why a notification sends nothing.
#[derive(Clone)]
enum Unknown {
    Notification,
    Template(TemplateId),
}

impl From<Unknown> for TransactionalError {
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::Notification => Self::NotFound,
            Unknown::Template(id) => Self::UnknownTemplate(id),
        }
    }
}

impl Transactional {
    /// Decides about each request, in their order, and reserves the keys of those that are new.
    pub(super) async fn judge(
        &self,
        store: &mut dyn UnitOfWork,
        ready: &[Ready],
        now: Timestamp,
    ) -> Result<Vec<Verdict>, StoreError> {
        let mut known: HashMap<&NotificationId, Result<Known, Unknown>> = HashMap::new();
        for Ready { request, .. } in ready {
            if !known.contains_key(&request.notification) {
                known.insert(&request.notification, look_up(store, &request.notification).await?);
            }
        }
        let mut keys: Vec<(IdempotencyKey, usize, String)> = Vec::new();
        for (place, Ready { request, .. }) in ready.iter().enumerate() {
            keys.extend(request.keys().into_iter().map(|(key, payload)| (key.clone(), place, payload)));
        }
        // In one order everywhere, so that two units never wait for each other.
        keys.sort();
        let mut verdicts: Vec<Option<Verdict>> = ready.iter().map(|_| None).collect();
        for (key, place, payload) in keys {
            if verdicts[place].is_none() {
                let fingerprint = self.vault.fingerprint(payload.as_bytes());
                let sends = known[&ready[place].request.notification].is_ok();
                let expired = now - self.retention.keys;
                let reservation = if sends {
                    store.reserve_key(&key, &fingerprint, &ready[place].id, now, expired).await?
                } else {
                    store.find_key(&key, expired).await?.unwrap_or(Reservation::Reserved)
                };
                verdicts[place] = verdict(&key, &fingerprint, reservation);
            }
        }
        let decided = verdicts.into_iter().zip(ready).map(|(verdict, ready)| {
            verdict.unwrap_or_else(|| match known[&ready.request.notification].clone() {
                Ok(known) => Verdict::New(known),
                Err(unknown) => Verdict::Refused(unknown.into()),
            })
        });
        Ok(decided.collect())
    }

    /// Stores contacts, files, messages and their places in the queue.
    pub(super) async fn store(
        &self,
        store: &mut dyn UnitOfWork,
        fresh: Vec<(Ready, Known)>,
        integration: IntegrationId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut contacts: Vec<&ContactPatch> = fresh.iter().map(|(r, _)| &r.request.contact).collect();
        while !contacts.is_empty() {
            // An address that comes again is merged after the first.
            let mut seen = HashSet::new();
            let (round, later): (Vec<_>, Vec<_>) =
                contacts.into_iter().partition(|patch| seen.insert(patch.email.clone()));
            let round: Vec<ContactPatch> = round.into_iter().cloned().collect();
            store.upsert_contacts(&round, now).await?;
            contacts = later;
        }
        let mut contents = Vec::new();
        let mut messages = Vec::with_capacity(fresh.len());
        let mut deliveries = Vec::with_capacity(fresh.len());
        let mut last_due = now;
        for (ready, known) in fresh {
            let due_at = ready.request.send_at.map_or(now, |at| domain::to_microseconds(at.max(now)));
            last_due = last_due.max(due_at);
            contents.extend(ready.contents);
            let message = message(ready.id, &ready.request, &known, ready.data, now);
            deliveries.push(Delivery {
                message: message.id.clone(),
                source: DeliverySource::Transactional { notification: known.notification.id.clone() },
                recipient: message.contact_email.clone(),
                template: message.template.clone(),
                template_version: message.template_version,
                integration,
                attempts: 0,
                due_at,
                created_at: now,
            });
            messages.push(message);
        }
        if !contents.is_empty() {
            let needed_until = last_due + self.retention.attachments;
            store.insert_contents_if_absent(&contents, needed_until, now).await?;
        }
        store.insert_messages_if_absent(&messages).await?;
        store.insert_deliveries(&deliveries).await
    }
}

/// What a notification sends, unless it or its template is unknown.
async fn look_up(
    store: &mut dyn UnitOfWork,
    id: &NotificationId,
) -> Result<Result<Known, Unknown>, StoreError> {
    let Some(notification) = store.notification(id).await? else { return Ok(Err(Unknown::Notification)) };
    let template = notification.email.template_id.clone();
    Ok(match email_template_version(store, &template).await? {
        Some(template_version) => Ok(Known { notification: Arc::new(notification), template_version }),
        None => Err(Unknown::Template(template)),
    })
}

/// What the reservation of a key decides, when it does.
fn verdict(key: &IdempotencyKey, fingerprint: &str, reservation: Reservation) -> Option<Verdict> {
    match reservation {
        Reservation::Reserved => None,
        Reservation::Taken { message, fingerprint: earlier } if earlier == fingerprint => {
            Some(Verdict::Earlier(message))
        }
        Reservation::Taken { .. } => Some(Verdict::Refused(match key.scope() {
            KeyScope::ExternalId => TransactionalError::ExternalIdReused,
            KeyScope::Header | KeyScope::Batch => TransactionalError::KeyReused,
        })),
    }
}

/// The message of a request, before anything has happened to it.
fn message(
    id: MessageId,
    request: &SendRequest,
    known: &Known,
    data: Option<Sealed>,
    now: Timestamp,
) -> Message {
    Message {
        id,
        external_id: request.external_id.as_ref().map(|key| key.as_str().to_owned()),
        contact_email: request.contact.email.clone(),
        broadcast: None,
        notification: Some(known.notification.id.clone()),
        list: None,
        template: known.notification.email.template_id.clone(),
        template_version: known.template_version,
        state: MessageState::Queued,
        status_info: None,
        data,
        metadata: request.metadata.clone(),
        options: request.options.clone(),
        sent_at: None,
        delivered_at: None,
        failed_at: None,
        opened_at: None,
        clicked_at: None,
        bounced_at: None,
        complained_at: None,
        unsubscribed_at: None,
        created_at: now,
        updated_at: now,
    }
}
