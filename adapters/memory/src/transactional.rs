//! Transactional notifications of a workspace.

use crate::{
    MemorySession,
    contacts::holds,
    state::{Kept, WorkspaceState},
};
use application::{
    page::Counted,
    ports::{NotificationStore, StoreError},
};
use async_trait::async_trait;
use domain::{Timestamp, ids::NotificationId, transactional::Notification};
use std::{cmp::Reverse, collections::btree_map::Entry};

#[async_trait]
impl NotificationStore for MemorySession<WorkspaceState> {
    async fn notification(&mut self, id: &NotificationId) -> Result<Option<Notification>, StoreError> {
        self.look(|state| state.notifications.get(id).and_then(Kept::live).cloned())
    }

    async fn notifications(
        &mut self,
        search: Option<&str>,
        limit: Option<u64>,
        offset: u64,
    ) -> Result<Counted<Notification>, StoreError> {
        self.look(|state| {
            let mut found: Vec<_> = state
                .notifications
                .values()
                .filter_map(Kept::live)
                .filter(|n| search.is_none_or(|part| holds(&n.name, part) || holds(n.id.as_str(), part)))
                .collect();
            found.sort_by_key(|n| Reverse(n.created_at));
            counted(&found, limit.unwrap_or(u64::MAX), offset)
        })
    }

    async fn insert_notification(&mut self, notification: &Notification) -> Result<(), StoreError> {
        self.change(|state| match state.notifications.entry(notification.id.clone()) {
            Entry::Occupied(_) => Err(StoreError::Duplicate),
            Entry::Vacant(place) => {
                place.insert(Kept::new(notification.clone()));
                Ok(())
            }
        })
    }

    async fn update_notification(&mut self, notification: &Notification) -> Result<bool, StoreError> {
        self.change(|state| {
            let Some(kept) = state.notifications.get_mut(&notification.id).and_then(Kept::live_mut) else {
                return Ok(false);
            };
            *kept = Notification { created_at: kept.created_at, ..notification.clone() };
            Ok(true)
        })
    }

    async fn delete_notification(&mut self, id: &NotificationId, now: Timestamp) -> Result<bool, StoreError> {
        self.change(|state| Ok(state.notifications.get_mut(id).is_some_and(|kept| kept.delete(now))))
    }
}

/// A page of an ordered list, from an offset.
pub(crate) fn counted<T: Clone>(found: &[&T], limit: u64, offset: u64) -> Counted<T> {
    let [limit, offset] = [limit, offset].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let items = found.iter().skip(offset).take(limit).map(|item| (*item).clone()).collect();
    Counted { items, total: found.len() as u64 }
}
