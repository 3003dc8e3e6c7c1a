//! The stores of the system database.

mod gates;
mod integrations;
mod members;
mod users;
mod work;
mod workspaces;
