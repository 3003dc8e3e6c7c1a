//! What the business is: values, entities and their rules.
//!
//! No input or output, no async, no clock: time comes in as a parameter. A value has private
//! fields and one door, `parse`; past that door nobody checks again.

pub mod attachments;
pub mod broadcasts;
pub mod circuits;
pub mod contacts;
pub mod data_feeds;
pub mod deliveries;
pub mod dkim;
pub mod email_address;
pub mod feedback;
pub mod hosts;
pub mod idempotency;
pub mod ids;
pub mod integrations;
pub mod languages;
pub mod lists;
pub mod mail_name;
pub mod messages;
pub mod pace;
pub mod permissions;
pub mod publications;
pub mod secret;
pub mod slug;
pub mod subscriptions;
pub mod templates;
pub mod timezones;
pub mod tracking;
pub mod transactional;
pub mod users;
pub mod utm;
pub mod validation;
pub mod workspaces;

/// A moment in UTC. Stored with microseconds, as both databases keep no more.
pub type Timestamp = chrono::DateTime<chrono::Utc>;

/// Cuts a moment to whole microseconds, so that what was written equals what is read back.
#[must_use]
pub fn to_microseconds(at: Timestamp) -> Timestamp {
    use chrono::SubsecRound as _;
    at.trunc_subsecs(6)
}
