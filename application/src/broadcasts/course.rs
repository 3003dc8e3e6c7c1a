//! What is done to a broadcast on its course: pausing, resuming, cancelling and deleting it.
//!
//! The broadcast is locked first, as planning and retries do, so that a mail of one that does not run
//! is never left waiting in the queue.

use super::{Broadcasts, BroadcastsError};
use crate::{
    access::Caller,
    ports::{MessageEvent, Purpose, StoreError, UnitOfWork, WorkKind},
};
use domain::{
    Timestamp,
    broadcasts::Broadcast,
    ids::BroadcastId,
    messages::MessageState,
    permissions::{Permission, Resource},
};

/// Why a mail that was tried before is not tried again.
pub(crate) const CANCELLED: &str = "the broadcast was cancelled";

impl Broadcasts {
    /// Mails taken out of the queue by one statement.
    const REMOVAL_BATCH: usize = 5_000;

    /// Stops planning, and sets aside the mails that are not begun; those that are begun finish.
    ///
    /// # Errors
    /// Without `broadcasts:write`, when there is none, or it is not running.
    #[tracing::instrument(name = "broadcasts.pause", skip_all)]
    pub async fn pause(&self, caller: &Caller, id: &BroadcastId) -> Result<(), BroadcastsError> {
        caller.require(Permission::Write(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.pause");
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        let mut broadcast = locked(store.as_mut(), id).await?;
        broadcast.pause(self.clock.now())?;
        store.update_broadcast(&broadcast).await?;
        store.set_deliveries_aside(id).await?;
        store.commit().await?;
        Ok(())
    }

    /// Goes on with a paused broadcast: plans who is missing, and puts the mails set aside back.
    ///
    /// # Errors
    /// Without `broadcasts:write`, when there is none, or it is not paused.
    #[tracing::instrument(name = "broadcasts.resume", skip_all)]
    pub async fn resume(&self, caller: &Caller, id: &BroadcastId) -> Result<(), BroadcastsError> {
        caller.require(Permission::Write(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.resume");
        let planning = self.work.promise(&caller.workspace, WorkKind::Planning, purpose).await?;
        let deliveries = self.work.promise(&caller.workspace, WorkKind::Deliveries, purpose).await?;
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        let mut broadcast = locked(store.as_mut(), id).await?;
        broadcast.resume(self.clock.now())?;
        store.update_broadcast(&broadcast).await?;
        store.put_deliveries_back(id).await?;
        planning.and(deliveries).commit(store).await?;
        Ok(())
    }

    /// Ends a broadcast for good: mails that are not begun leave the queue, and the account says so.
    ///
    /// # Errors
    /// Without `broadcasts:write`, when there is none, or it was not started or cancelled before.
    #[tracing::instrument(name = "broadcasts.cancel", skip_all)]
    pub async fn cancel(&self, caller: &Caller, id: &BroadcastId) -> Result<(), BroadcastsError> {
        caller.require(Permission::Write(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.cancel");
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        let mut broadcast = locked(store.as_mut(), id).await?;
        let now = self.clock.now();
        broadcast.cancel(now)?;
        store.update_broadcast(&broadcast).await?;
        empty_queue(store.as_mut(), id, now).await?;
        store.cancel_recipients(id).await?;
        store.commit().await?;
        self.sites.changed(&caller.workspace);
        Ok(())
    }

    /// Removes a broadcast with its account and its mails in the queue. The message history stays.
    ///
    /// # Errors
    /// Without `broadcasts:write`, when there is none, or while its recipients are being planned.
    #[tracing::instrument(name = "broadcasts.delete", skip_all)]
    pub async fn delete(&self, caller: &Caller, id: &BroadcastId) -> Result<(), BroadcastsError> {
        caller.require(Permission::Write(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.delete");
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        locked(store.as_mut(), id).await?.check_deletable()?;
        empty_queue(store.as_mut(), id, self.clock.now()).await?;
        store.delete_broadcast(id).await?;
        store.commit().await?;
        self.sites.changed(&caller.workspace);
        Ok(())
    }
}

pub(super) async fn locked(
    store: &mut dyn UnitOfWork,
    id: &BroadcastId,
) -> Result<Broadcast, BroadcastsError> {
    store.broadcast_for_update(id).await?.ok_or(BroadcastsError::NotFound)
}

/// Takes the mails of a broadcast that are not begun out of the queue. The history of those that were
/// tried before ends.
async fn empty_queue(store: &mut dyn UnitOfWork, id: &BroadcastId, now: Timestamp) -> Result<(), StoreError> {
    loop {
        let removed = store.remove_deliveries(id, Broadcasts::REMOVAL_BATCH).await?;
        if removed.is_empty() {
            return Ok(());
        }
        let tried = removed.into_iter().filter(|delivery| delivery.attempts > 0);
        let events: Vec<_> = tried
            .map(|delivery| MessageEvent {
                message: delivery.message,
                state: MessageState::Failed,
                status_info: Some(CANCELLED.to_owned()),
                at: now,
            })
            .collect();
        store.record_events(&events).await?;
    }
}
