//! The stores of a workspace database.

mod attachments;
mod broadcasts;
mod contacts;
mod deliveries;
mod expressions;
mod feedback;
mod idempotency;
mod lists;
mod messages;
mod publications;
mod templates;
mod tracking;
mod transactional;

use crate::session::Session;
use application::ports::WorkspaceStore;

impl WorkspaceStore for Session {}

#[cfg(test)]
mod tests;
