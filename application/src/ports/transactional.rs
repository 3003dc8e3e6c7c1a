//! Transactional notifications of a workspace.

use super::StoreError;
use crate::page::Counted;
use async_trait::async_trait;
use domain::{Timestamp, ids::NotificationId, transactional::Notification};

/// Keeps transactional notifications. A deleted one is invisible, but its identifier stays taken.
#[async_trait]
pub trait NotificationStore {
    /// The notification, unless deleted.
    async fn notification(&mut self, id: &NotificationId) -> Result<Option<Notification>, StoreError>;

    /// Notifications whose name or identifier holds `search` without regard to case, newest first;
    /// all of them when `limit` is `None`.
    async fn notifications(
        &mut self,
        search: Option<&str>,
        limit: Option<u64>,
        offset: u64,
    ) -> Result<Counted<Notification>, StoreError>;

    /// Fails with [`StoreError::Duplicate`] when the identifier is or was taken.
    async fn insert_notification(&mut self, notification: &Notification) -> Result<(), StoreError>;

    /// Replaces all but the moment of creation. Answers whether the notification was there.
    async fn update_notification(&mut self, notification: &Notification) -> Result<bool, StoreError>;

    /// Marks it as deleted. Answers whether it was there.
    async fn delete_notification(&mut self, id: &NotificationId, now: Timestamp) -> Result<bool, StoreError>;
}
