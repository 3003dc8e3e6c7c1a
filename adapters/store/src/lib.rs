//! Keeps everything in PostgreSQL or SQLite, over connections lent by the broker.

mod connection;
mod failure;
mod session;
mod workspace;
