//! The surface over the memory adapters: routes, bodies, problems.

mod house;

mod api_keys;
mod bodies;
mod broadcasts;
mod connections;
mod document;
mod edges;
mod integrations;
mod members;
mod users;
mod workspaces;
