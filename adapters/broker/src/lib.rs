//! Lends the database connections of one server to any number of workspaces within a fixed budget.
//!
//! The [`Broker`] is the only component that opens, lends and closes connections. It knows no
//! database engine: a [`Connector`] opens, cleans, checks and closes; the broker decides when.
//!
//! Inside are two layers. `core` is a pure, synchronous state machine that takes every decision:
//! no I/O, no clock, no task. `shell` puts one mutex round it and performs what it decides.

mod cluster;
mod connector;
mod core;
mod error;
mod key;
mod limits;
#[cfg(feature = "model")]
pub mod model;
mod shell;
mod stats;

pub use cluster::{CannotJoin, ClusterRules, JOINING, Ledger, Member, Report, Told};
pub use connector::{
    CleanStep, CloseProof, Connector, OpenError, OpenFailure, Target, Unusable, ZombieProbe,
};
pub use error::{BrokerError, LimitReason};
pub use key::{Access, Class, WorkspaceKey};
pub use limits::{InvalidLimits, LimitProblem, Limits};
pub use shell::{Broker, Lease, LeaseOptions, Retired, ShutdownReport};
pub use stats::{
    BreakerState, BrokerStats, BrokerStatus, ByClass, CloseCounts, LeaseCounts, OpenCounts, RefusalCounts,
    SortBy, Spread, StatsCursor, StatsPage, StealCounts, SystemStats, WorkspaceStats,
};
