//! The assembled application through HTTP, over both databases, with real SMTP conversations.

#[macro_use]
mod support;

mod authorization;
mod broadcast_faults;
mod connections;
mod contacts;
mod data_feeds;
mod faults;
mod feedback;
mod identity;
mod integrations;
mod newsletters;
mod openapi;
mod pages;
mod production;
mod publications;
mod shape;
mod signatures;
mod subscriptions;
mod templates;
mod tracking;
mod transactional;
