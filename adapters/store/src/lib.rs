//! Keeps everything in PostgreSQL or SQLite, over connections lent by the broker.

mod broker;
mod channel;
mod config;
mod connection;
mod connector;
mod entity;
mod failure;
mod fence;
mod naming;
#[cfg(feature = "raw")]
pub mod raw;
mod session;
mod system;
#[cfg(test)]
mod testing;
mod workspace;

pub use broker::{MigrationProgress, StoreBroker};
pub use channel::WorkChannel;
pub use config::{Cluster, Config, ConfigError, Engine, PostgresServer, SqliteFiles, TlsMode};
