//! Leases and databases on both engines.

mod budget;
mod databases;
mod server;
mod units;
