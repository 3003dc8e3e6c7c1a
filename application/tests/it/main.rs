//! Use cases over the memory adapters: outcome, permission, what was stored and sent.

mod installation;
mod support;

mod api_keys;
mod attachments;
mod batches;
mod broadcast_tests;
mod broadcasts;
mod connections;
mod contacts;
mod data_feeds;
mod deliveries;
mod feedback;
mod gates;
mod integrations;
mod lists;
mod members;
mod messages;
mod outages;
mod precedence;
mod publications;
mod subscriptions;
mod templates;
mod tracking;
mod transactional;
mod trials;
mod users;
mod work;
mod workspaces;
