//! The command `bench`: measures the product, and measures and simulates the connection broker.
//!
//! Whatever is measured is set against a baseline of the same run, in interleaved rounds; each gate
//! prints PASS or FAIL, and the exit code says whether one failed.

mod connector;
mod core;
mod figures;
mod gates;
mod machine;
mod product;
mod server;
mod simulate;
mod table;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

use self::gates::Gates;

/// Measures the product, and measures and simulates the connection broker.
#[derive(Debug, Parser)]
#[command(name = "bench", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lending an idle connection and taking the statistics, without any database (B1, B8)
    Core(core::Options),
    /// The broker before a real PostgreSQL, beside what others do (B2 to B6); starts a server of its own
    Server(server::Options),
    /// The whole product beside what is bare: sends, a newsletter, pages, rendering
    Product(product::Options),
    /// The broker's decisions on a virtual clock, against other policies, for up to a million
    /// workspaces (C7, B7)
    Simulate(simulate::Options),
}

impl Cli {
    fn run(self) -> anyhow::Result<Gates> {
        match self.command {
            Command::Core(options) => core::run(&options),
            Command::Product(options) => product::run(&options),
            Command::Server(options) => server::run(&options),
            Command::Simulate(options) => simulate::run(&options),
        }
    }
}

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(gates) => gates.finish(),
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
