//! The history of messages.

use crate::{
    access::{Caller, Denied},
    directory::active_workspace,
    failure::{Failure, FailureKind},
    page::Page,
    ports::{ConnectionBroker, Purpose, StoreError, Vault, VaultError},
};
use domain::{
    Timestamp,
    ids::{BroadcastId, MessageId},
    messages::{Message, MessageCursor, MessageFilter, MessageStats},
    permissions::{Permission, Resource},
    secret::Secret,
    tracking::{Engagement, LinkClicks},
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The use cases of the message history.
pub struct Messages {
    broker: Arc<dyn ConnectionBroker>,
    vault: Arc<dyn Vault>,
}

/// Why a use case of the message history failed.
#[derive(Debug, thiserror::Error)]
pub enum MessagesError {
    /// No message has this identifier.
    #[error("no message has this identifier")]
    NotFound,
    /// The caller may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// What is stored cannot be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for MessagesError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NotFound => FailureKind::NotFound,
            Self::Denied(e) => e.kind(),
            Self::Vault(_) => FailureKind::Internal,
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "message-not-found",
            Self::Denied(e) => e.code(),
            Self::Vault(_) => "secret-unreadable",
            Self::Store(e) => e.code(),
        }
    }
}

/// A message with its template variables in clear.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageView {
    /// The message.
    pub message: Message,
    /// The caller's template variables.
    pub data: Map<String, Value>,
}

impl Messages {
    /// Engagements shown of one message.
    const MOST_ENGAGEMENTS: usize = 1_000;

    /// Takes its ports.
    pub fn new(broker: Arc<dyn ConnectionBroker>, vault: Arc<dyn Vault>) -> Self {
        Self { broker, vault }
    }

    /// A page of messages, newest first.
    ///
    /// # Errors
    /// Without `message_history:read`, or when the store fails.
    #[tracing::instrument(name = "messages.list", skip_all)]
    pub async fn list(
        &self,
        caller: &Caller,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: usize,
    ) -> Result<Page<MessageView>, MessagesError> {
        caller.require(Permission::Read(Resource::MessageHistory))?;
        let purpose = Purpose::interactive("messages.list");
        let workspace = active_workspace(self.broker.as_ref(), &caller.workspace, purpose).await?;
        let key = self.vault.open(&workspace.secret_key)?;
        let mut store = self.broker.read(&caller.workspace, purpose).await?;
        let page = store.messages_after(filter, after, size).await?;
        drop(store);
        let items = page.items.into_iter().map(|message| {
            let data = open_data(self.vault.as_ref(), &key, &message)?;
            Ok(MessageView { message, data })
        });
        Ok(Page { items: items.collect::<Result<_, VaultError>>()?, has_more: page.has_more })
    }

    /// How many messages of a broadcast have seen which event.
    ///
    /// # Errors
    /// Without `message_history:read`, or when the store fails.
    #[tracing::instrument(name = "messages.broadcast_stats", skip_all)]
    pub async fn broadcast_stats(
        &self,
        caller: &Caller,
        broadcast: &BroadcastId,
    ) -> Result<MessageStats, MessagesError> {
        caller.require(Permission::Read(Resource::MessageHistory))?;
        let purpose = Purpose::interactive("messages.broadcastStats");
        let mut store = self.broker.read(&caller.workspace, purpose).await?;
        Ok(store.message_stats(broadcast).await?)
    }

    /// A page of the links of a broadcast that were followed, in byte order, after one.
    ///
    /// # Errors
    /// Without `message_history:read`, or when the store fails.
    #[tracing::instrument(name = "messages.broadcast_links", skip_all)]
    pub async fn broadcast_links(
        &self,
        caller: &Caller,
        broadcast: &BroadcastId,
        after: Option<&str>,
        size: usize,
    ) -> Result<Page<LinkClicks>, MessagesError> {
        caller.require(Permission::Read(Resource::MessageHistory))?;
        let purpose = Purpose::interactive("messages.broadcastLinks");
        let mut store = self.broker.read(&caller.workspace, purpose).await?;
        let found = store.link_clicks_after(broadcast, after, size.saturating_add(1)).await?;
        Ok(Page::of(found, size))
    }

    /// What is known to have happened to a message, the earliest first.
    ///
    /// # Errors
    /// Without `message_history:read`, when there is no such message, or when the store fails.
    #[tracing::instrument(name = "messages.events", skip_all)]
    pub async fn events(&self, caller: &Caller, id: &MessageId) -> Result<Vec<Occurrence>, MessagesError> {
        caller.require(Permission::Read(Resource::MessageHistory))?;
        let purpose = Purpose::interactive("messages.events");
        let mut store = self.broker.read(&caller.workspace, purpose).await?;
        let message = store.messages(std::slice::from_ref(id)).await?.pop().ok_or(MessagesError::NotFound)?;
        let engagements = store.engagements(id, Self::MOST_ENGAGEMENTS).await?;
        drop(store);
        let mut events = moments(&message);
        events.extend(engagements.into_iter().map(Occurrence::Engaged));
        events.sort_by_key(Occurrence::at);
        Ok(events)
    }
}

/// Something that happened to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occurrence {
    /// It came to a stage of its way.
    Reached {
        /// The stage, by the name of its moment without `_at`.
        stage: &'static str,
        /// When.
        at: Timestamp,
    },
    /// It was opened or clicked, once or repeatedly.
    Engaged(Engagement),
}

impl Occurrence {
    /// When it happened for the first time.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Reached { at, .. } => *at,
            Self::Engaged(engagement) => engagement.first_at,
        }
    }
}

/// The stages that a message has come to.
fn moments(message: &Message) -> Vec<Occurrence> {
    let stages = [
        ("created", Some(message.created_at)),
        ("sent", message.sent_at),
        ("failed", message.failed_at),
        ("delivered", message.delivered_at),
        ("bounced", message.bounced_at),
        ("complained", message.complained_at),
        ("unsubscribed", message.unsubscribed_at),
    ];
    stages.into_iter().filter_map(|(stage, at)| Some(Occurrence::Reached { stage, at: at? })).collect()
}

/// The template variables of a message in clear.
pub(crate) fn open_data(
    vault: &dyn Vault,
    key: &Secret,
    message: &Message,
) -> Result<Map<String, Value>, VaultError> {
    let Some(sealed) = &message.data else {
        return Ok(Map::new());
    };
    let text = vault.open_with(key, sealed)?;
    serde_json::from_str(text.expose()).map_err(|_| VaultError)
}
