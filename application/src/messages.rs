//! The history of messages.

use crate::{
    access::{Caller, Denied},
    directory::active_workspace,
    failure::{Failure, FailureKind},
    page::Page,
    ports::{ConnectionBroker, Purpose, StoreError, Vault, VaultError},
};
use domain::{
    ids::BroadcastId,
    messages::{Message, MessageCursor, MessageFilter, MessageStats},
    permissions::{Permission, Resource},
    secret::Secret,
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
            Self::Denied(e) => e.kind(),
            Self::Vault(_) => FailureKind::Internal,
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
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
