//! Puts adapters into ports: settings, telemetry, the assembled application, commands.

pub mod app;
pub mod cli;
pub mod demo;
pub mod ledger;
pub mod migrate;
pub mod settings;
pub mod telemetry;
pub mod welcome;
