//! B1: lending an idle connection and taking it back. B8: what a snapshot of the statistics costs.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Barrier, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use broker::{
    Broker, Class, LeaseOptions, Limits, StatsPage, WorkspaceKey,
    model::{Input, Model, Output, Reply},
};
use clap::Args;
use tokio::{runtime::Runtime, sync::Semaphore};

use crate::{
    connector::Nothing,
    figures::{Rounds, micros, per_second, percentile},
    gates::Gates,
    machine,
    table::Table,
};

/// What can be asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Rounds, interleaved; medians are compared
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds for each measurement in a round
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// Print tables in Markdown
    #[arg(long)]
    markdown: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=600.0).contains(&seconds) { Ok(seconds) } else { Err("allowed is 0.01 to 600".to_owned()) }
}

/// Operations between two looks at the clock.
const BATCH: u64 = 256;
/// Snapshots per second beside the load: a hundred times as many as a dashboard takes, so that
/// their effect stands out from the noise; it is divided by as many.
const SNAPSHOTS: u32 = 100;

/// How fast it went.
#[derive(Clone, Copy, Debug)]
struct Speed {
    /// While nothing else wanted the processor: from the middle batch.
    per_second: f64,
    /// In the mean of the batches that were not interrupted: those of up to three times the middle one.
    mean: f64,
    p50: Duration,
}

/// Prints the tables and looks at the gates of B1 and B8.
pub(crate) fn run(options: &Options) -> anyhow::Result<Gates> {
    let limits = limits();
    let settings = [
        ("rounds", format!("{} × {} s each", options.rounds, options.seconds)),
        ("budget", format!("{}, cap {}", limits.max_connections, limits.max_connections_per_workspace)),
    ];
    machine::print("B1 lending an idle connection; B8 the statistics", &settings, 1);
    let time = Duration::from_secs_f64(options.seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
    let mut found = Found::default();
    for _ in 0..options.rounds {
        found.bare.push(bare_pool(time));
        found.core.push(core_alone(time));
        found.one.push(through_shell(&runtime, time, 1, None));
        found.two.push(through_shell(&runtime, time, 2, None));
        found.watched.push(through_shell(&runtime, time, 1, Some(SNAPSHOTS)));
        found.snapshot.push(snapshot(&runtime, time));
    }
    found.print(options.markdown);
    Ok(found.gates())
}

fn limits() -> Limits {
    Limits { max_connections: 130, health_check_after: Duration::from_hours(1), ..Limits::default() }
}

#[derive(Default)]
struct Found {
    bare: Vec<Speed>,
    core: Vec<Speed>,
    one: Vec<Speed>,
    two: Vec<Speed>,
    watched: Vec<Speed>,
    snapshot: Vec<Duration>,
}

impl Found {
    fn print(&self, markdown: bool) {
        let mut table = Table::new(&["acquire + release", "p50 µs", "per second", "× bare pool"]);
        let rows = [
            ("bare pool: semaphore and mutex", &self.bare),
            ("core alone", &self.core),
            ("broker, 1 thread", &self.one),
            ("broker, 2 threads", &self.two),
            ("broker, 1 thread, 100 snapshots/s", &self.watched),
        ];
        for (name, speeds) in rows {
            let ratio =
                Rounds::of(speeds.iter().zip(&self.bare).map(|(it, bare)| it.per_second / bare.per_second));
            table.row([
                name.to_owned(),
                Rounds::of(speeds.iter().map(|speed| micros(speed.p50))).text(2),
                Rounds::of(speeds.iter().map(|speed| speed.per_second)).text(0),
                ratio.text(2),
            ]);
        }
        table.print(markdown);
        println!("snapshot with 100 active workspaces: {} µs\n", self.snapshot_micros().text(1));
    }

    fn snapshot_micros(&self) -> Rounds {
        Rounds::of(self.snapshot.iter().map(|time| micros(*time)))
    }

    fn gates(&self) -> Gates {
        let mut gates = Gates::default();
        let speed = |speeds: &[Speed]| Rounds::of(speeds.iter().map(|speed| speed.per_second)).median;
        let p50 = |speeds: &[Speed]| Rounds::of(speeds.iter().map(|speed| micros(speed.p50))).median;
        gates.at_least("B1 core alone", speed(&self.core), 1e6, "per second");
        gates.at_most("B1 core alone, p50", p50(&self.core), 1.0, "µs");
        gates.at_most("B1 broker with 1 thread, p50", p50(&self.one), 1.0, "µs");
        gates.at_most("B1 broker with 2 threads, p50", p50(&self.two), 1.0, "µs");
        gates.at_most("B8 snapshot", self.snapshot_micros().median, 100.0, "µs");
        let slower = self.watched.iter().zip(&self.one).map(|(with, without)| 1.0 - with.mean / without.mean);
        let percent = Rounds::of(slower).median / f64::from(SNAPSHOTS) * 100.0;
        gates.at_most("B8 loss of B1 with one snapshot per second", percent, 1.0, "%");
        gates
    }
}

/// Repeats an operation for a time; tells how often per second and how long the middle one took.
fn measure(time: Duration, mut operation: impl FnMut()) -> Speed {
    let (start, mut batches) = (Instant::now(), Vec::new());
    while start.elapsed() < time / 2 {
        let before = Instant::now();
        for _ in 0..BATCH {
            operation();
        }
        batches.push(before.elapsed());
    }
    batches.sort_unstable();
    let middle = percentile(&batches, 0.5);
    let speed = per_second(BATCH, middle);
    batches.retain(|batch| *batch <= 3 * middle);
    let mean = per_second(batches.len() as u64 * BATCH, batches.iter().sum());
    let (start, mut samples) = (Instant::now(), Vec::new());
    while start.elapsed() < time / 2 {
        for _ in 0..BATCH {
            let before = Instant::now();
            operation();
            samples.push(before.elapsed());
        }
    }
    samples.sort_unstable();
    Speed { per_second: speed, mean, p50: percentile(&samples, 0.5) }
}

/// The baseline: the least that a pool of one database has to do.
fn bare_pool(time: Duration) -> Speed {
    let (permits, idle) = (Semaphore::new(1), Mutex::new(VecDeque::from([0_u64])));
    measure(time, || {
        let Ok(_permit) = permits.try_acquire() else { return };
        let connection = idle.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        std::hint::black_box(&connection);
        idle.lock().unwrap_or_else(PoisonError::into_inner).extend(connection);
    })
}

/// The state machine with a hundred connections of as many workspaces.
fn core_alone(time: Duration) -> Speed {
    let mut model = Model::new(limits(), 1);
    let keys = workspaces();
    let mut outputs = Vec::new();
    for key in &keys {
        model.apply(ask(key), Duration::ZERO, &mut outputs);
        while let Some(output) = outputs.pop() {
            let input = match output {
                Output::Open(slot, _) => Input::Opened(slot),
                Output::Granted(_, slot) => Input::GiveBack(slot),
                _ => continue,
            };
            model.apply(input, Duration::ZERO, &mut outputs);
        }
    }
    let start = Instant::now();
    let mut next = keys.iter().cycle();
    measure(time, || {
        let (Some(key), at) = (next.next(), start.elapsed()) else { return };
        if let Reply::Granted(slot) = model.apply(ask(key), at, &mut outputs) {
            model.apply(Input::GiveBack(slot), at, &mut outputs);
        }
        assert!(outputs.is_empty(), "an idle connection was there");
    })
}

fn workspaces() -> Vec<WorkspaceKey> {
    (0..100).map(|number| WorkspaceKey::new(format!("ws{number}"))).collect()
}

const fn ask(workspace: &WorkspaceKey) -> Input<'_> {
    Input::Ask { workspace, class: Class::Interactive, wait: Duration::from_secs(5) }
}

const fn lease() -> LeaseOptions {
    LeaseOptions::read(Class::Interactive, "bench")
}

async fn broker(keys: &[WorkspaceKey]) -> Broker<Nothing> {
    let broker = Broker::new(limits(), Nothing).expect("the limits are valid");
    for key in keys {
        drop(broker.lease(key, lease()).await.expect("there is room"));
    }
    broker
}

/// The whole broker, by so many threads, each with workspaces of its own; the slowest median counts.
fn through_shell(runtime: &Runtime, time: Duration, threads: usize, snapshots: Option<u32>) -> Speed {
    let keys = workspaces();
    let broker = runtime.block_on(broker(&keys));
    let (ready, done) = (Arc::new(Barrier::new(threads)), Arc::new(AtomicBool::new(false)));
    let watcher = snapshots.map(|rate| {
        let (broker, done) = (broker.clone(), Arc::clone(&done));
        thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                std::hint::black_box(broker.stats(StatsPage::default()));
                thread::sleep(Duration::from_secs(1) / rate);
            }
        })
    });
    let workers: Vec<_> = (0..threads)
        .map(|thread| {
            let (broker, ready, runtime) = (broker.clone(), Arc::clone(&ready), runtime.handle().clone());
            let own: Vec<_> = keys.iter().skip(thread).step_by(threads).cloned().collect();
            thread::spawn(move || {
                let _inside = runtime.enter();
                let mut next = own.iter().cycle();
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                ready.wait();
                measure(time, || {
                    let Some(key) = next.next() else { return };
                    let waiting = std::pin::pin!(broker.lease(key, lease()));
                    assert!(waiting.poll(&mut context).is_ready(), "an idle connection was there");
                })
            })
        })
        .collect();
    let speeds: Vec<_> = workers.into_iter().map(|worker| worker.join().expect("no worker panics")).collect();
    done.store(true, Ordering::Relaxed);
    if let Some(watcher) = watcher {
        watcher.join().expect("the watcher does not panic");
    }
    Speed {
        per_second: speeds.iter().map(|speed| speed.per_second).sum(),
        mean: speeds.iter().map(|speed| speed.mean).sum(),
        p50: speeds.iter().map(|speed| speed.p50).max().unwrap_or_default(),
    }
}

/// A snapshot while a hundred workspaces hold a lease each.
fn snapshot(runtime: &Runtime, time: Duration) -> Duration {
    let keys = workspaces();
    let broker = runtime.block_on(broker(&keys));
    let _inside = runtime.enter();
    let leases: Vec<_> = keys.iter().filter_map(|key| broker.try_lease(key, lease())).collect();
    let (start, mut samples) = (Instant::now(), Vec::new());
    while start.elapsed() < time / 2 {
        let before = Instant::now();
        let stats = broker.stats(StatsPage::default());
        samples.push(before.elapsed());
        assert_eq!((stats.active_workspaces, leases.len()), (100, 100), "all are active");
    }
    samples.sort_unstable();
    percentile(&samples, 0.5)
}
