//! Leases of database connections, and what can go wrong with them.

use super::{
    AttachmentStore, BroadcastStore, ContactStore, DeliveryStore, FeedbackStore, GateStore, IdempotencyStore,
    IntegrationStore, ListStore, MemberStore, MessageStore, NotificationStore, PublicationStore,
    TemplateStore, TrackingStore, UserStore, WorkStore, WorkspaceDirectory,
};
use async_trait::async_trait;
use domain::ids::WorkspaceId;
use std::time::Duration;

/// Which lease goes first when connections are short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Somebody waits for the answer.
    Interactive,
    /// Mails wait for it.
    Delivery,
    /// Nobody waits for it.
    Background,
}

/// Why a lease is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose {
    /// Its urgency.
    pub class: Class,
    /// The use case, for statistics and logs.
    pub label: &'static str,
}

impl Purpose {
    /// For a request that somebody waits for.
    #[must_use]
    pub const fn interactive(label: &'static str) -> Self {
        Self { class: Class::Interactive, label }
    }

    /// For the delivery of mails.
    #[must_use]
    pub const fn delivery(label: &'static str) -> Self {
        Self { class: Class::Delivery, label }
    }

    /// For work that nobody waits for.
    #[must_use]
    pub const fn background(label: &'static str) -> Self {
        Self { class: Class::Background, label }
    }
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A value that must be unique is taken.
    #[error("a value that must be unique is taken")]
    Duplicate,
    /// All connections of the budget are in use.
    #[error("the limit of {max} database connections is reached")]
    ConnectionLimit {
        /// The budget.
        max: u32,
        /// Connections counted now.
        current: u32,
        /// Whose connections are short; `None` for the system database.
        workspace: Option<WorkspaceId>,
        /// When to try again.
        retry_after: Duration,
    },
    /// The database cannot be reached.
    #[error("the database is not available")]
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// The workspace is unknown, or is being created or deleted.
    #[error("the workspace is not available")]
    WorkspaceMissing,
    /// The process is ending.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// An earlier statement of this unit of work failed, so nothing of it is kept.
    #[error("the unit of work was abandoned after an earlier failure")]
    Abandoned,
    /// Anything else. The source is for the log only.
    #[error("the database failed")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A leased connection to a workspace's database. Dropping it gives the connection back.
pub trait WorkspaceStore:
    ContactStore
    + ListStore
    + TemplateStore
    + NotificationStore
    + BroadcastStore
    + PublicationStore
    + DeliveryStore
    + MessageStore
    + IdempotencyStore
    + AttachmentStore
    + TrackingStore
    + FeedbackStore
    + Send
{
}

/// A leased connection to a workspace's database with an open transaction; dropping it rolls back.
#[async_trait]
pub trait UnitOfWork: WorkspaceStore {
    /// Keeps everything that was written.
    ///
    /// # Errors
    /// When an earlier statement failed, or the database does not answer with success.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// A leased connection to the system database. Dropping it gives the connection back.
pub trait SystemStore:
    UserStore + WorkspaceDirectory + MemberStore + IntegrationStore + GateStore + WorkStore + Send
{
}

/// A leased connection to the system database with an open transaction; dropping it rolls back.
#[async_trait]
pub trait SystemUnitOfWork: SystemStore {
    /// Keeps everything that was written.
    ///
    /// # Errors
    /// When an earlier statement failed, or the database does not answer with success.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Lends connections under one budget. A lease is never held across SMTP, HTTP or a sleep, and
/// never taken inside another.
#[async_trait]
pub trait ConnectionBroker: Send + Sync {
    /// A lease to read a workspace.
    ///
    /// # Errors
    /// When no connection can be had in time, or the workspace is not available.
    async fn read(
        &self,
        workspace: &WorkspaceId,
        purpose: Purpose,
    ) -> Result<Box<dyn WorkspaceStore>, StoreError>;

    /// A lease to change a workspace, with a transaction begun.
    ///
    /// # Errors
    /// When no connection can be had in time, or the workspace is not available.
    async fn write(
        &self,
        workspace: &WorkspaceId,
        purpose: Purpose,
    ) -> Result<Box<dyn UnitOfWork>, StoreError>;

    /// A lease to read the system database.
    ///
    /// # Errors
    /// When no connection can be had in time.
    async fn read_system(&self, purpose: Purpose) -> Result<Box<dyn SystemStore>, StoreError>;

    /// A lease to change the system database, with a transaction begun.
    ///
    /// # Errors
    /// When no connection can be had in time.
    async fn write_system(&self, purpose: Purpose) -> Result<Box<dyn SystemUnitOfWork>, StoreError>;
}

/// Makes and drops the databases of workspaces. Both steps can be repeated.
#[async_trait]
pub trait WorkspaceDatabases: Send + Sync {
    /// Makes the database when absent and brings its tables up to date.
    ///
    /// # Errors
    /// When the database cannot be made.
    async fn create(&self, workspace: &WorkspaceId) -> Result<(), StoreError>;

    /// Ends all leases of the workspace and drops its database when present.
    ///
    /// # Errors
    /// When the database cannot be dropped.
    async fn remove(&self, workspace: &WorkspaceId) -> Result<(), StoreError>;
}
