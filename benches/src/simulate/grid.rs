//! From a hundred to a million workspaces, by popularity and by how requests come.

use std::time::Duration;

use super::{
    Options,
    clock::{Outcome, Policy, Server, Simulation},
    limits,
    load::{Pattern, Source, Zipf},
    optimum,
    policies::{Habits, Ours, Plain},
    progress,
};
use crate::{gates::Gates, table::Table};

/// Requests per second.
pub(super) const RATE: f64 = 300.0;

/// Longer than any connection is kept.
const UNTIL_ALL_IS_IDLE: Duration = Duration::from_hours(24 * 7);

struct Cell {
    workspaces: u32,
    exponent: f64,
    pattern: Pattern,
    ours: Outcome,
    others: Vec<Outcome>,
    least_recently_used: f64,
    best: f64,
    decisions: usize,
    deciding: Duration,
    most_workspaces: usize,
    most_bytes: usize,
    most_connections: usize,
    remembered: usize,
}

/// See the module.
pub(super) struct Grid {
    cells: Vec<Cell>,
}

const OTHERS: [Habits; 4] =
    [Habits::CONNECT_PER_QUERY, Habits::POOL_PER_TENANT, Habits::NO_STEALING, Habits::NO_FAIRNESS];

impl Grid {
    pub(super) fn run(options: &Options) -> Self {
        let sizes: &[u32] =
            if options.quick { &[100, 10_000] } else { &[100, 1_000, 10_000, 100_000, 1_000_000] };
        let exponents: &[f64] = if options.quick { &[1.0] } else { &[0.8, 1.0, 1.2] };
        let bar = progress(sizes.len() * exponents.len() * Pattern::ALL.len(), "grid");
        let mut cells = Vec::new();
        for &workspaces in sizes {
            for &exponent in exponents {
                let popularity = Zipf::new(workspaces, exponent);
                for pattern in Pattern::ALL {
                    bar.set_message(format!("{workspaces} workspaces, Zipf {exponent}, {}", pattern.name()));
                    cells.push(Cell::run(options, workspaces, exponent, pattern, &popularity));
                    bar.inc(1);
                }
            }
        }
        bar.finish_and_clear();
        Self { cells }
    }

    pub(super) fn print(&self, markdown: bool) {
        let mut table = Table::new(&[
            "workspaces, Zipf, requests",
            "hit %",
            "LRU %",
            "best %",
            "p99 ms",
            "connect",
            "pools",
            "no steal",
            "no fair",
            "refused %",
            "pools",
            "no steal",
            "peak",
            "pools",
            "known",
            "ns",
        ]);
        for cell in &self.cells {
            let percent = |part: f64| format!("{:.1}", part * 100.0);
            let p99 = |outcome: &Outcome| format!("{:.1}", outcome.p99(0..u32::MAX).as_secs_f64() * 1e3);
            let [connect, pools, no_steal, no_fair] = &cell.others[..] else { continue };
            table.row([
                cell.name(),
                percent(cell.ours.hit_rate()),
                percent(cell.least_recently_used),
                percent(cell.best),
                p99(&cell.ours),
                p99(connect),
                p99(pools),
                p99(no_steal),
                p99(no_fair),
                percent(cell.ours.refusal_rate()),
                percent(pools.refusal_rate()),
                percent(no_steal.refusal_rate()),
                cell.ours.peak.to_string(),
                pools.peak.to_string(),
                cell.most_workspaces.to_string(),
                format!("{:.0}", cell.mean_decision() * 1e3),
            ]);
        }
        println!(
            "Columns without a name of their own belong to the broker. connect: a connection for each query;"
        );
        println!("pools: a pool for each workspace, the least recently used one makes room; no steal: idle");
        println!(
            "connections stay where they are; no fair: first come, first served, with stealing. hit: leases"
        );
        println!(
            "that cost no open; known: most workspaces that the broker remembered at once; ns: per decision.\n"
        );
        table.print(markdown);
    }

    pub(super) fn gates(&self, gates: &mut Gates, timed: bool) {
        let slots = limits().workspace_slots() as usize;
        let all = |passes: fn(&Cell, usize) -> bool| {
            let failing: Vec<_> =
                self.cells.iter().filter(|cell| !passes(cell, slots)).map(Cell::name).collect();
            (
                failing.is_empty(),
                if failing.is_empty() { "in every cell".to_owned() } else { failing.join("; ") },
            )
        };
        let mut check = |name: &str, passes: fn(&Cell, usize) -> bool| {
            let (passed, seen) = all(passes);
            gates.check(name, passed, &seen);
        };
        check("C7 peak within the budget", |cell, slots| {
            cell.ours.peak <= slots && cell.most_connections <= slots
        });
        check("C7 nobody is never served, nobody refused", |cell, _| {
            cell.ours.never_served() == 0 && cell.ours.refused == 0
        });
        check("C7 an idle workspace is not remembered", |cell, _| cell.remembered == 0);
        check("C7 records only for connections and waiters", |cell, slots| {
            cell.most_workspaces <= slots + 500
        });
        let largest = |workspaces: u32| {
            let cells = self.cells.iter().filter(move |cell| cell.workspaces == workspaces);
            cells.map(|cell| cell.most_bytes).max().unwrap_or(0)
        };
        let most = self.cells.iter().map(|cell| cell.workspaces).max().unwrap_or(0);
        let middle = self.cells.iter().map(|cell| cell.workspaces).filter(|it| *it < most).max().unwrap_or(0);
        let more = largest(most).saturating_sub(largest(middle));
        let seen = format!(
            "{} KB with {most} workspaces, {} KB with {middle}",
            largest(most) / 1024,
            largest(middle) / 1024
        );
        gates.check(
            "C7 less than a byte per idle workspace",
            more < ((most - middle) / 8).max(100_000) as usize,
            &seen,
        );
        if timed {
            let mean = mean_decision(self.cells.iter());
            gates.at_most("C7 mean decision", mean, 1.0, "µs");
            let largest = self.cells.iter().filter(|cell| cell.workspaces == most);
            let worst = largest.map(Cell::mean_decision).fold(0.0, f64::max);
            gates.at_most(&format!("B7 mean decision with {most} workspaces"), worst, 1.0, "µs");
        }
    }

    /// What must be the same in two runs.
    #[cfg(test)]
    pub(super) fn figures(&self) -> Vec<(u64, u64, usize, Duration)> {
        let figures = self.cells.iter().map(|cell| &cell.ours);
        figures.map(|it| (it.granted, it.opens, it.peak, it.p99(0..u32::MAX))).collect()
    }
}

impl Cell {
    fn run(options: &Options, workspaces: u32, exponent: f64, pattern: Pattern, popularity: &Zipf) -> Self {
        let limits = limits();
        let slots = limits.workspace_slots() as usize;
        let cap = limits.max_connections_per_workspace as usize;
        let (seed, requests) = (options.seed, options.requests());
        let source =
            || Source::Arrivals { rate: RATE, pattern, popularity: popularity.clone(), hold: Pattern::HOLD };
        let (ours, policy) = run(Ours::new(limits, seed), source(), requests, seed);
        let (decisions, deciding) = policy.measure();
        let others = OTHERS.map(|habits| run(Plain::new(habits, slots, cap), source(), requests, seed).0);
        Self {
            workspaces,
            exponent,
            pattern,
            least_recently_used: optimum::least_recently_used(&ours.asked, slots),
            best: optimum::belady(&ours.asked, slots),
            ours,
            others: others.into(),
            decisions,
            deciding,
            most_workspaces: policy.most_workspaces,
            most_bytes: policy.most_bytes,
            most_connections: policy.most_connections,
            remembered: policy.workspaces(),
        }
    }

    /// In microseconds.
    fn mean_decision(&self) -> f64 {
        mean_decision(std::iter::once(self))
    }

    fn name(&self) -> String {
        format!("{} {:.1} {}", self.workspaces, self.exponent, self.pattern.name())
    }
}

/// Over all decisions of some cells, in microseconds.
#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52")]
fn mean_decision<'a>(cells: impl Iterator<Item = &'a Cell>) -> f64 {
    let (decisions, time) = cells.fold((0, Duration::ZERO), |(decisions, time), cell| {
        (decisions + cell.decisions, time + cell.deciding)
    });
    time.as_secs_f64() * 1e6 / (decisions as f64).max(1.0)
}

fn run<P: Policy>(policy: P, source: Source, requests: u64, seed: u64) -> (Outcome, P) {
    let mut simulation = Simulation::new(policy, Server::USUAL, vec![source], requests, seed);
    simulation.run(UNTIL_ALL_IS_IDLE);
    (simulation.outcome, simulation.policy)
}
