//! Use cases over the memory adapters: outcome, permission, what was stored and sent.

mod support;

mod broadcasts;
mod contacts;
mod deliveries;
mod lists;
mod messages;
mod subscriptions;
mod templates;
mod transactional;
mod work;
