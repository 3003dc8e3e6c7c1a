//! The whole product: what a send costs the caller, a newsletter the machine, a page its reader.
//!
//! Product, clients and mail server share one process and its processors, and so do the baselines
//! that they are set against.

mod accept;
mod house;
mod newsletter;
mod pages;
mod render;

use crate::{gates::Gates, machine};
use clap::{Args, ValueEnum};
use house::Engine;
use std::time::Duration;

/// What can be asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these scenarios
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Only this database
    #[arg(long, value_enum)]
    database: Option<Engine>,
    /// Contacts that get the newsletter
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    recipients: u32,
    /// Seconds for each other measurement
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Print tables in Markdown
    #[arg(long)]
    markdown: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// transactional.send with 64 clients, beside commits of one row
    Accept,
    /// A newsletter to everybody, beside a program that only speaks SMTP
    Newsletter,
    /// Public pages, beside a server that has nothing but their bytes
    Pages,
    /// One mail for one recipient, without sending it
    Render,
}

impl Options {
    fn wants(&self, scenario: Scenario) -> bool {
        self.only.is_empty() || self.only.contains(&scenario)
    }

    fn engines(&self) -> Vec<Engine> {
        self.database.map_or_else(|| vec![Engine::Sqlite, Engine::Postgres], |one| vec![one])
    }

    fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// Prints the tables and looks at the gates.
pub(crate) fn run(options: &Options) -> anyhow::Result<Gates> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(options))
}

async fn measure(options: &Options) -> anyhow::Result<Gates> {
    let settings = [
        ("recipients", options.recipients.to_string()),
        ("otherwise", format!("{} s for each measurement", options.seconds)),
    ];
    machine::print("The product beside what is bare", &settings, 1);
    let mut gates = Gates::default();
    if options.wants(Scenario::Render) {
        render::measure(&mut gates).await?;
    }
    if options.wants(Scenario::Accept) {
        accept::measure(options).await?;
    }
    if options.wants(Scenario::Newsletter) {
        newsletter::measure(options, &mut gates).await?;
    }
    if options.wants(Scenario::Pages) {
        pages::measure(options).await?;
    }
    Ok(gates)
}
