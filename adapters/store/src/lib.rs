//! Keeps everything in PostgreSQL or SQLite, over connections lent by the broker.

mod connection;
mod entity;
mod failure;
mod naming;
mod session;
mod system;
mod workspace;
