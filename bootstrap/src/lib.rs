//! Puts adapters into ports: settings, telemetry, the assembled application, commands.

pub mod settings;
pub mod telemetry;
