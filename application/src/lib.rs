//! What the business does: use cases, and the ports that they need.
//!
//! A feature is one struct with a method per use case. The caller comes first, and permission is
//! checked here and nowhere else.

pub mod access;
pub mod api_keys;
pub mod broadcasts;
pub mod connections;
pub mod contacts;
pub mod data_feeds;
pub mod deliveries;
pub mod failure;
pub mod feedback;
pub mod integrations;
pub mod links;
pub mod lists;
pub mod members;
pub mod messages;
pub mod page;
pub mod platform;
pub mod ports;
pub mod publications;
pub mod rate_limit;
pub mod readiness;
pub mod subscriptions;
pub mod templates;
pub mod tracking;
pub mod transactional;
pub mod users;
pub mod work;
pub mod workspaces;

mod directory;
mod system_mails;
