//! How near the broker comes to an ideal cache: few requests and enough openers, so that the gate
//! never closes and every miss is one of the cache.

use std::time::Duration;

use super::{
    Options,
    clock::{Server, Simulation},
    limits,
    load::{Pattern, Source, Zipf},
    optimum,
    policies::Ours,
    progress,
};
use crate::{gates::Gates, table::Table};
use broker::Limits;

/// Requests per second.
const RATE: f64 = 20.0;

struct Row {
    workspaces: u32,
    exponent: f64,
    ours: f64,
    least_recently_used: f64,
    best: f64,
}

/// See the module.
pub(super) struct Hits {
    rows: Vec<Row>,
}

impl Hits {
    pub(super) fn run(options: &Options) -> Self {
        let sizes: &[u32] = if options.quick { &[1_000] } else { &[100, 1_000, 10_000, 100_000, 1_000_000] };
        let exponents: &[f64] = if options.quick { &[1.0] } else { &[0.8, 1.0, 1.2] };
        let bar = progress(sizes.len() * exponents.len(), "hits");
        let mut rows = Vec::new();
        for &workspaces in sizes {
            for &exponent in exponents {
                rows.push(Row::run(options, workspaces, exponent));
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        Self { rows }
    }

    pub(super) fn print(&self, markdown: bool) {
        println!("\nHit rates while there is always an opener, {RATE} requests per second:\n");
        let mut table = Table::new(&["workspaces, Zipf", "broker %", "ideal LRU %", "Bélády %"]);
        for row in &self.rows {
            let name = format!("{} {:.1}", row.workspaces, row.exponent);
            let rates =
                [row.ours, row.least_recently_used, row.best].map(|rate| format!("{:.2}", rate * 100.0));
            table.row(std::iter::once(name).chain(rates));
        }
        table.print(markdown);
    }

    pub(super) fn gates(&self, gates: &mut Gates) {
        let furthest = self.rows.iter().map(|row| (row.ours - row.least_recently_used).abs());
        let percent = furthest.fold(0.0, f64::max) * 100.0;
        gates.at_most("C7 hit rate, distance from an ideal LRU", percent, 3.0, "points");
    }
}

impl Row {
    fn run(options: &Options, workspaces: u32, exponent: f64) -> Self {
        // Nothing is closed for its age: the cache has no such thing.
        let day = Duration::from_hours(24);
        let limits = Limits {
            max_parallel_opens: 64,
            connection_max_idle_time: day,
            connection_max_lifetime: day,
            health_check_after: day,
            ..limits()
        };
        let slots = limits.workspace_slots() as usize;
        let (popularity, pattern) = (Zipf::new(workspaces, exponent), Pattern::Memoryless);
        let source = Source::Arrivals { rate: RATE, pattern, popularity, hold: Pattern::HOLD };
        let server = Server { parallel_opens: 64, ..Server::USUAL };
        let policy = Ours::new(limits, options.seed);
        let mut simulation = Simulation::new(policy, server, vec![source], options.requests(), options.seed);
        simulation.run(Duration::from_hours(20));
        let outcome = simulation.outcome;
        Self {
            workspaces,
            exponent,
            ours: outcome.hit_rate(),
            least_recently_used: optimum::least_recently_used(&outcome.asked, slots),
            best: optimum::belady(&outcome.asked, slots),
        }
    }
}
