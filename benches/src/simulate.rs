//! The production core on a virtual clock, with other policies under the same load beside it.

mod clock;
mod fairness;
mod grid;
mod hits;
mod load;
mod optimum;
mod policies;

use broker::Limits;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

use self::clock::Server;
use crate::{gates::Gates, machine};

/// What can be asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A small grid and short runs
    #[arg(long)]
    quick: bool,
    /// Requests in each cell of the grid [default: 100000, or 8000 if quick]
    #[arg(long, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    requests: Option<u64>,
    /// Where chance begins; a run with the same seed is the same
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Print tables in Markdown
    #[arg(long)]
    markdown: bool,
}

impl Options {
    fn requests(&self) -> u64 {
        self.requests.unwrap_or(if self.quick { 8_000 } else { 100_000 })
    }
}

/// Prints the tables and looks at the gates of C7 and B7.
#[expect(clippy::unnecessary_wraps, reason = "as the other commands")]
pub(crate) fn run(options: &Options) -> anyhow::Result<Gates> {
    let limits = limits();
    let server = Server::USUAL;
    let settings = [
        (
            "budget",
            format!(
                "{} slots for workspaces, cap {}, {} parallel opens, quantum {:?}",
                limits.workspace_slots(),
                limits.max_connections_per_workspace,
                limits.max_parallel_opens,
                limits.quantum
            ),
        ),
        (
            "server",
            format!(
                "opens in {:?}, closes in {:?}, {} opens at once",
                server.open, server.close, server.parallel_opens
            ),
        ),
        ("requests", format!("{} per cell, {} per second", options.requests(), grid::RATE)),
    ];
    machine::print("C7 simulation of the broker's decisions on a virtual clock", &settings, options.seed);
    Ok(simulate(options, true))
}

/// `timed`: whether the time taken by decisions is looked at.
fn simulate(options: &Options, timed: bool) -> Gates {
    let mut gates = Gates::default();
    let grid = grid::Grid::run(options);
    grid.print(options.markdown);
    let hits = hits::Hits::run(options);
    hits.print(options.markdown);
    let fairness = fairness::Fairness::run(options);
    fairness.print(options.markdown);
    grid.gates(&mut gates, timed);
    hits.gates(&mut gates);
    fairness.gates(&mut gates);
    gates
}

/// The defaults, without health checks: the server of a simulation never drops a connection.
fn limits() -> Limits {
    Limits { health_check_after: Duration::from_hours(1), ..Limits::default() }
}

/// A bar on the terminal, if there is one.
fn progress(steps: usize, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {bar:40} {pos}/{len} {msg} {elapsed}");
    let bar = ProgressBar::new(steps as u64).with_prefix(what);
    style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C7, B7: all gates but that of time.
    #[test]
    fn the_quick_simulation_passes_its_gates() {
        let options = Options { quick: true, requests: Some(2_000), seed: 7, markdown: false };
        assert_eq!(simulate(&options, false).failed(), [""; 0]);
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let options = Options { quick: true, requests: Some(500), seed: 3, markdown: false };
        let run = || grid::Grid::run(&options).figures();
        assert_eq!(run(), run());
    }
}
