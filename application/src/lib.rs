//! What the business does: use cases, and the ports that they need.
//!
//! A feature is one struct with a method per use case. The caller comes first, and permission is
//! checked here and nowhere else.

pub mod access;
pub mod failure;
pub mod page;
pub mod ports;
