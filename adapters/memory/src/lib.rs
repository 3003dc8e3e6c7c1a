//! Every port in memory, for tests only.
//!
//! The stores keep real state with real transactions and are held to the same conformance suite as
//! the databases; the other fakes keep the contracts of their ports and can be looked into.

mod attachments;
mod broadcasts;
mod broker;
mod callbacks;
mod connections;
mod contacts;
mod data_feeds;
mod deliveries;
mod dkim;
mod feedback;
mod integrations;
mod lists;
mod mailer;
mod members;
mod messages;
mod publications;
mod renderer;
mod session;
mod sites;
mod state;
mod subscriptions;
mod system;
mod templates;
mod tracking;
mod transactional;
mod users;
mod vault;
mod work;
mod workspaces;

pub use broker::MemoryBroker;
pub use callbacks::MemoryRegistrar;
pub use connections::FixedMeter;
pub use data_feeds::{Asked, MemoryFeeds};
pub use dkim::PlainDkimKeys;
pub use feedback::PlainReader;
pub use mailer::{MemoryMailer, Posted};
pub use renderer::PlainRenderer;
pub use session::MemorySession;
pub use sites::RecordingSites;
pub use subscriptions::PlainContactTokens;
pub use system::{FixedClock, FixedRandom, SequentialIds};
pub use tracking::PlainTrackingTokens;
pub use vault::{PlainTokens, PlainVault};
pub use work::RecordingSignal;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks also after a panic elsewhere: a failed test must not fail others.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
