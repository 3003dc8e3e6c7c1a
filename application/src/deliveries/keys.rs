//! Forgetting the keys of requests when they are no longer good.
//!
//! A key is always reserved together with a delivery, so that whoever looks after the deliveries of a
//! workspace also looks after its keys: no other entry of the work index is needed.

use crate::ports::{StoreError, UnitOfWork};
use chrono::Duration;
use domain::Timestamp;

/// Keys removed in one unit of work.
const AT_ONCE: usize = 1_000;

/// Removes keys that are no longer good. Answers when to look again; `None` when no key is left.
/// Keys that expire soon after each other are removed together.
pub(super) async fn forget_keys(
    store: &mut dyn UnitOfWork,
    retention: Duration,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let Some(mut oldest) = store.oldest_key().await? else { return Ok(None) };
    if oldest + retention <= now {
        store.purge_keys(now - retention, AT_ONCE).await?;
        match store.oldest_key().await? {
            Some(next) => oldest = next,
            None => return Ok(None),
        }
    }
    let expires = oldest + retention;
    Ok(Some(if expires <= now { now } else { expires + retention / 24 }))
}
