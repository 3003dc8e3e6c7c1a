//! Who gets how much when more is wanted than there is.

use std::time::Duration;

use super::{
    Options,
    clock::{Outcome, Policy, Server, Simulation},
    limits,
    load::Source,
    policies::{Habits, Ours, Plain},
    progress,
};
use crate::{gates::Gates, table::Table};

const MS: Duration = Duration::from_millis(1);
const HOT: u32 = 40;
const STRANGERS: u32 = 1_000;

/// What one policy does with each load.
struct Row {
    name: &'static str,
    /// Forty workspaces with twenty clients each, alone.
    alone: Outcome,
    /// Likewise, with twenty strangers per second.
    visited: Outcome,
    /// Three hundred workspaces that always want more.
    crowded: Outcome,
}

/// See the module.
pub(super) struct Fairness {
    rows: Vec<Row>,
    seconds: u32,
}

const POLICIES: [(&str, Option<Habits>); 5] = [
    ("broker", None),
    ("connect per query", Some(Habits::CONNECT_PER_QUERY)),
    ("pool per tenant", Some(Habits::POOL_PER_TENANT)),
    ("no stealing", Some(Habits::NO_STEALING)),
    ("no fairness", Some(Habits::NO_FAIRNESS)),
];

impl Fairness {
    pub(super) fn run(options: &Options) -> Self {
        let seconds = if options.quick { 3 } else { 60 };
        let bar = progress(POLICIES.len(), "fairness");
        let rows = POLICIES.map(|(name, habits)| {
            bar.set_message(name);
            let of = |sources| outcome(habits, sources, seconds, options.seed);
            let visited = hot().into_iter().chain(strangers()).collect();
            let row = Row { name, alone: of(hot()), visited: of(visited), crowded: of(crowd()) };
            bar.inc(1);
            row
        });
        bar.finish_and_clear();
        Self { rows: rows.into(), seconds }
    }

    pub(super) fn print(&self, markdown: bool) {
        println!(
            "\n{HOT} busy workspaces × 20 clients, with and without 20 strangers per second; 300 busy \
             workspaces on {} slots. {} s each:\n",
            limits().workspace_slots(),
            self.seconds
        );
        let mut table = Table::new(&[
            "policy",
            "busy/s alone",
            "busy/s visited",
            "strangers' p99 ms",
            "strangers refused",
            "300: leases/s",
            "refused",
            "never served",
            "Jain",
        ]);
        for row in &self.rows {
            let per_second = |leases: u64| (leases / u64::from(self.seconds)).to_string();
            table.row([
                row.name.to_owned(),
                per_second(row.alone.leases(0..HOT)),
                per_second(row.visited.leases(0..HOT)),
                format!("{:.1}", row.visited.p99(STRANGERS..u32::MAX).as_secs_f64() * 1e3),
                strangers_refused(&row.visited).to_string(),
                per_second(row.crowded.granted),
                row.crowded.refused.to_string(),
                row.crowded.never_served().to_string(),
                format!("{:.4}", row.crowded.jain()),
            ]);
        }
        table.print(markdown);
    }

    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52")]
    pub(super) fn gates(&self, gates: &mut Gates) {
        let Some(ours) = self.rows.first() else { return };
        let part = ours.visited.leases(0..HOT) as f64 / ours.alone.leases(0..HOT) as f64 * 100.0;
        gates.at_least("C7 busy workspaces with strangers about", part, 95.0, "% of without");
        let p99 = ours.visited.p99(STRANGERS..u32::MAX).as_secs_f64() * 1e3;
        let limit = 3.0 * Server::USUAL.close_and_open().as_secs_f64() * 1e3;
        gates.at_most("C7 strangers' p99, three times a close and an open", p99, limit, "ms");
        gates.at_least("C7 Jain's index, 300 active on 90 slots", ours.crowded.jain(), 0.98, "");
        let never = ours.crowded.never_served() + ours.visited.never_served();
        gates.check("C7 nobody is never served under pressure", never == 0, &format!("{never} workspaces"));
        let refused = ours.crowded.refused + ours.visited.refused + ours.alone.refused;
        gates.check("C7 nobody refused under pressure", refused == 0, &format!("{refused} requests"));
    }
}

fn strangers_refused(outcome: &Outcome) -> u64 {
    let strangers = outcome.served.iter().filter(|(workspace, _)| **workspace >= STRANGERS);
    strangers.map(|(_, served)| served.asked.saturating_sub(served.leases)).sum()
}

fn hot() -> Vec<Source> {
    let client = |workspace| Source::Client { workspace, hold: 10 * MS };
    (0..HOT).flat_map(|workspace| (0..20).map(move |_| client(workspace))).collect()
}

/// Every stranger comes once.
fn strangers() -> Vec<Source> {
    let every = Duration::from_secs(1);
    let source = |number: u32| Source::Strangers {
        next: STRANGERS + number * 1_000_000,
        hold: 2 * MS,
        every,
        start: every * number / 20,
    };
    (0..20).map(source).collect()
}

fn crowd() -> Vec<Source> {
    let client = |workspace| Source::Client { workspace, hold: 20 * MS };
    let clients = |workspace: u32| (0..2 + workspace % 3).map(move |_| client(workspace));
    (0..300).flat_map(clients).collect()
}

/// After some seconds to settle.
fn outcome(habits: Option<Habits>, sources: Vec<Source>, seconds: u32, seed: u64) -> Outcome {
    let limits = limits();
    let (slots, cap) = (limits.workspace_slots() as usize, limits.max_connections_per_workspace as usize);
    match habits {
        None => settled(Ours::new(limits, seed), sources, seconds, seed),
        Some(habits) => settled(Plain::new(habits, slots, cap), sources, seconds, seed),
    }
}

fn settled<P: Policy>(policy: P, sources: Vec<Source>, seconds: u32, seed: u64) -> Outcome {
    let mut simulation = Simulation::new(policy, Server::USUAL, sources, 0, seed);
    simulation.run(Duration::from_secs(5));
    simulation.outcome = Outcome::default();
    simulation.run(Duration::from_secs(seconds.into()));
    simulation.end_asking(Duration::from_secs(6));
    simulation.outcome
}
