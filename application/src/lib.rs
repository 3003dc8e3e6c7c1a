//! What the business does: use cases, and the ports that they need.
//!
//! A feature is one struct with a method per use case. The caller comes first, and permission is
//! checked here and nowhere else.

pub mod access;
pub mod broadcasts;
pub mod contacts;
pub mod deliveries;
pub mod failure;
pub mod links;
pub mod lists;
pub mod messages;
pub mod page;
pub mod platform;
pub mod ports;
pub mod rate_limit;
pub mod subscriptions;
pub mod templates;
pub mod transactional;
pub mod work;

mod directory;
mod system_mails;
