//! Forgetting what is no longer needed: the keys of requests, the bytes of attached files, and old messages.
//!
//! All are always stored together with a delivery, so that whoever looks after the deliveries of a
//! workspace also looks after them: no other entry of the work index is needed.

use super::earlier;
use crate::ports::{StoreError, UnitOfWork};
use chrono::Duration;
use domain::Timestamp;

/// Rows removed in one unit of work.
const AT_ONCE: usize = 1_000;

/// What expires soon after each other is removed together.
const TOGETHER: Duration = Duration::hours(1);

/// Removes what is no longer needed. Answers when to look again; `None` when nothing is left.
pub(super) async fn forget(
    store: &mut dyn UnitOfWork,
    key_retention: Duration,
    message_retention: Duration,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let keys = forget_keys(store, key_retention, now).await?;
    let contents = forget_contents(store, now).await?;
    let messages = forget_messages(store, message_retention, now).await?;
    Ok(earlier(earlier(keys, contents), messages))
}

async fn forget_messages(
    store: &mut dyn UnitOfWork,
    retention: Duration,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let mut oldest = store.oldest_message().await?;
    if oldest.is_some_and(|at| at + retention <= now) {
        let purged = store.purge_messages(now - retention, AT_ONCE).await?;
        tracing::info!(count = purged, "old messages have left the history");
        oldest = store.oldest_message().await?;
    }
    Ok(oldest.map(|at| look_at(at + retention, now)))
}

async fn forget_keys(
    store: &mut dyn UnitOfWork,
    retention: Duration,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let mut oldest = store.oldest_key().await?;
    if oldest.is_some_and(|at| at + retention <= now) {
        store.purge_keys(now - retention, AT_ONCE).await?;
        oldest = store.oldest_key().await?;
    }
    Ok(oldest.map(|at| look_at(at + retention, now)))
}

async fn forget_contents(
    store: &mut dyn UnitOfWork,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let mut next = store.next_content_purge().await?;
    if next.is_some_and(|at| at <= now) {
        store.purge_contents(now, AT_ONCE).await?;
        next = store.next_content_purge().await?;
    }
    Ok(next.map(|at| look_at(at, now)))
}

fn look_at(expires: Timestamp, now: Timestamp) -> Timestamp {
    if expires <= now { now } else { expires + TOGETHER }
}
