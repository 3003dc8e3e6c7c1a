//! B2 to B6: the broker before a real PostgreSQL, beside what others do.

mod drive;
mod ground;
mod ways;

use self::{
    drive::{Load, Pick, Seen, drive},
    ground::{Ground, Sampler},
    ways::{CloseOpenAsk, Direct, Library, Ours, PerQuery, PoolPerTenant, Way},
};
use crate::{figures::Rounds, gates::Gates, machine, table::Table};
use broker::Limits;
use clap::{Args, ValueEnum};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// What can be asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these scenarios
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Rounds, interleaved; medians are compared
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds for each measurement in a round
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Seconds for each measurement of B6, where every workspace needs several turns
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    turns: u64,
    /// Where choices begin
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print tables in Markdown
    #[arg(long)]
    markdown: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// One workspace, 8 clients
    B2,
    /// 20 databases that all fit, 64 clients
    B3a,
    /// 100 databases, Zipf 1.1, budget 30, 64 clients
    B3b,
    /// Every lease takes a connection from another workspace
    B4,
    /// 40 hot workspaces with 20 clients each, and 20 cold requests per second
    B5,
    /// 300 active workspaces on 90 slots
    B6,
}

const DATABASES: usize = 100;

/// Prints the tables and looks at the gates of B2 to B6.
pub(crate) fn run(options: &Options) -> anyhow::Result<Gates> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(options))
}

async fn measure(options: &Options) -> anyhow::Result<Gates> {
    let ground = Ground::new(DATABASES).await?;
    let settings = [
        ("server", ground.describe().await?),
        ("rounds", format!("{} × {} s each, B6 {} s", options.rounds, options.seconds, options.turns)),
    ];
    machine::print("B2 to B6: the broker before PostgreSQL", &settings, options.seed);
    let mut run = Run { ground, options, gates: Gates::default() };
    let wanted = |scenario| options.only.is_empty() || options.only.contains(&scenario);
    if wanted(Scenario::B2) {
        run.one_workspace().await?;
    }
    if wanted(Scenario::B3a) {
        run.all_fit().await?;
    }
    if wanted(Scenario::B3b) {
        run.too_many_databases().await?;
    }
    if wanted(Scenario::B4) {
        run.only_misses().await?;
    }
    if wanted(Scenario::B5) {
        run.hot_and_cold().await?;
    }
    if wanted(Scenario::B6) {
        run.more_active_than_slots().await?;
    }
    Ok(run.gates)
}

struct Run<'a> {
    ground: Ground,
    options: &'a Options,
    gates: Gates,
}

/// What one way has shown, round by round.
#[derive(Default)]
struct Shown {
    seen: Vec<Seen>,
    peak: i64,
}

impl Shown {
    fn median(&self, figure: impl Fn(&Seen) -> f64) -> f64 {
        Rounds::of(self.seen.iter().map(figure)).median
    }

    /// Of each round to the same round of another way.
    fn ratio(&self, other: &Self) -> Rounds {
        Rounds::of(self.seen.iter().zip(&other.seen).map(|(a, b)| a.per_second() / b.per_second().max(1e-9)))
    }

    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52")]
    fn refused_percent(&self) -> f64 {
        let refused: u64 = self.seen.iter().map(|seen| seen.refused).sum();
        let all: u64 = self.seen.iter().map(|seen| seen.refused + seen.served + seen.failed).sum();
        refused as f64 * 100.0 / all.max(1) as f64
    }

    fn failed(&self) -> u64 {
        self.seen.iter().map(|seen| seen.failed).sum()
    }

    fn refused(&self) -> u64 {
        self.seen.iter().map(|seen| seen.refused).sum()
    }
}

impl Run<'_> {
    fn load(&self, clients: usize, pick: Pick) -> Load {
        Load {
            clients,
            pick,
            time: Duration::from_secs(self.options.seconds),
            warm_up: Duration::from_millis(500),
            seed: self.options.seed,
        }
    }

    /// One round of one way, counted by the server.
    async fn round<W: Way>(
        &self,
        way: &Arc<W>,
        load: &Load,
        role: &str,
        shown: &mut Shown,
    ) -> anyhow::Result<()> {
        let sampler = Sampler::start(&self.ground, role).await?;
        shown.seen.push(drive(way, load).await);
        shown.peak = shown.peak.max(sampler.peak().await?);
        Ok(())
    }

    async fn ours(&self, limits: Limits, workspaces: usize) -> anyhow::Result<Arc<Ours>> {
        Ok(Arc::new(Ours::new(&self.ground, limits, workspaces).await?))
    }

    async fn ours_holding(&self, limits: Limits, workspaces: usize) -> anyhow::Result<Arc<Ours>> {
        Ok(Arc::new(Ours::new(&self.ground, limits, workspaces).await?.holding()))
    }

    fn print(&self, title: &str, rows: &[(&str, &Shown)]) {
        println!("{title}");
        let head =
            ["way", "per second", "ours ÷ it", "p50 ms", "p99 ms", "refused %", "failed", "peak sessions"];
        let mut table = Table::new(&head);
        let Some((_, ours)) = rows.first() else { return };
        for (name, shown) in rows {
            table.row([
                (*name).to_owned(),
                Rounds::of(shown.seen.iter().map(Seen::per_second)).text(0),
                ours.ratio(shown).text(2),
                format!("{:.2}", shown.median(Seen::p50)),
                format!("{:.2}", shown.median(Seen::p99)),
                format!("{:.1}", shown.refused_percent()),
                shown.failed().to_string(),
                shown.peak.to_string(),
            ]);
        }
        table.print(self.options.markdown);
    }

    fn roles(&self) -> (String, String) {
        (self.ground.role.user.clone(), self.ground.server.user.clone())
    }

    async fn one_workspace(&mut self) -> anyhow::Result<()> {
        const CLIENTS: usize = 8;
        let (role, others) = self.roles();
        let limits = Limits { max_connections: 30, max_connections_per_workspace: 8, ..patient() };
        let ours = self.ours(limits, 1).await?;
        let direct = Arc::new(Direct::new(&self.ground, CLIENTS, 1).await?);
        let library = Arc::new(Library::new(&self.ground).await?);
        let load = self.load(CLIENTS, Pick::Own(1));
        let [mut a, mut b, mut c] = <[Shown; 3]>::default();
        for _ in 0..self.options.rounds {
            self.round(&ours, &load, &role, &mut a).await?;
            self.round(&direct, &load, &others, &mut b).await?;
            self.round(&library, &load, &others, &mut c).await?;
        }
        ours.end().await;
        library.end().await;
        if let Some(direct) = Arc::into_inner(direct) {
            direct.end().await;
        }
        let rows = [("ours", &a), ("direct, pinned", &b), ("library pool, its defaults", &c)];
        self.print("B2: SELECT 1, one workspace, 8 clients", &rows);
        self.gates.at_least("B2 to direct", a.ratio(&b).median, 0.95, "");
        self.gates.at_least("B2 to the library's pool", a.ratio(&c).median, 1.7, "");
        println!();
        Ok(())
    }

    async fn all_fit(&mut self) -> anyhow::Result<()> {
        const CLIENTS: usize = 64;
        const FITTING: usize = 20;
        let (role, others) = self.roles();
        let limits = Limits { max_connections: 100, max_connections_per_workspace: 4, ..patient() };
        let ours = self.ours(limits, FITTING).await?;
        let direct = Arc::new(Direct::new(&self.ground, CLIENTS, FITTING).await?);
        let per_query = Arc::new(PerQuery::new(&self.ground));
        let load = self.load(CLIENTS, Pick::Own(FITTING));
        let [mut a, mut b, mut c] = <[Shown; 3]>::default();
        for _ in 0..self.options.rounds {
            self.round(&ours, &load, &role, &mut a).await?;
            self.round(&direct, &load, &others, &mut b).await?;
            self.round(&per_query, &load, &others, &mut c).await?;
        }
        ours.end().await;
        if let Some(direct) = Arc::into_inner(direct) {
            direct.end().await;
        }
        let rows = [("ours", &a), ("direct, pinned", &b), ("connect per query", &c)];
        self.print("B3a: 20 databases that all fit, 64 clients", &rows);
        self.gates.at_least("B3a to connect per query", a.ratio(&c).median, 30.0, "");
        self.gates.at_least("B3a to direct", a.ratio(&b).median, 0.9, "");
        println!();
        Ok(())
    }

    async fn too_many_databases(&mut self) -> anyhow::Result<()> {
        const BUDGET: u32 = 30;
        let (role, others) = self.roles();
        let ours = self.ours(Limits { max_connections: BUDGET, ..patient() }, DATABASES).await?;
        let per_query = Arc::new(PerQuery::new(&self.ground));
        let pools = Arc::new(PoolPerTenant::new(&self.ground, BUDGET, 3));
        let load = self.load(64, Pick::zipf(DATABASES, 1.1));
        let [mut a, mut b, mut c] = <[Shown; 3]>::default();
        for _ in 0..self.options.rounds {
            self.round(&ours, &load, &role, &mut a).await?;
            self.round(&per_query, &load, &others, &mut b).await?;
            self.round(&pools, &load, &others, &mut c).await?;
        }
        ours.end().await;
        pools.end().await;
        let rows = [("ours", &a), ("connect per query", &b), ("pool per tenant, LRU of pools", &c)];
        self.print("B3b: 100 databases, Zipf 1.1, budget 30, 64 clients", &rows);
        let errors = figure(a.refused() + a.failed());
        self.gates.at_most("B3b errors", errors, 0.0, "");
        self.gates.at_least("B3b to connect per query", a.ratio(&b).median, 5.0, "");
        self.gates.at_least("B3b to pool per tenant", a.ratio(&c).median, 2.0, "");
        let p99 = a.median(Seen::p99) / c.median(Seen::p99).max(1e-9);
        self.gates.at_most("B3b p99 to that of pool per tenant", p99, 0.5, "");
        self.gates.at_most("B3b peak", figure(a.peak.unsigned_abs()), f64::from(BUDGET), "sessions");
        println!();
        Ok(())
    }

    async fn only_misses(&mut self) -> anyhow::Result<()> {
        let limits = Limits { max_connections: 30, ..patient() };
        let openers = usize::try_from(limits.max_parallel_opens).unwrap_or(4);
        let (role, others) = self.roles();
        let ours = self.ours(limits, DATABASES).await?;
        let raw = Arc::new(CloseOpenAsk::new(&self.ground, openers));
        let (mut a, mut b) = (Shown::default(), Shown::default());
        for _ in 0..self.options.rounds {
            let load = self.load(16, Pick::in_turn(DATABASES));
            self.round(&ours, &load, &role, &mut a).await?;
            let load = Load { clients: openers, ..load };
            self.round(&raw, &load, &others, &mut b).await?;
        }
        let stats = ours.stats();
        ours.end().await;
        if let Some(raw) = Arc::into_inner(raw) {
            raw.end().await;
        }
        self.print("B4: every lease a steal", &[("ours", &a), ("close, open, ask in 4 loops", &b)]);
        println!(
            "ours: an open takes {:.1} ms, a close {:.1} ms until it is proven; {} refused by the server",
            stats.open_ms.p50, stats.close_ms.p50, stats.server_refusals
        );
        self.gates.at_least("B4 to the raw loop", a.ratio(&b).median, 0.85, "");
        let refusals = figure(a.refused() + a.failed() + stats.server_refusals);
        self.gates.at_most("B4 refusals", refusals, 0.0, "");
        println!();
        Ok(())
    }

    async fn hot_and_cold(&mut self) -> anyhow::Result<()> {
        const HOT: usize = 40;
        const CLIENTS: usize = 800;
        const COLD: usize = 40;
        let (role, _) = self.roles();
        let ours = self.ours_holding(Limits { max_connections: 100, ..patient() }, HOT + COLD).await?;
        let load = Load { warm_up: Duration::from_secs(1), ..self.load(CLIENTS, Pick::Own(HOT)) };
        let (mut with, mut without) = (Shown::default(), Shown::default());
        let (mut waits, mut errors) = (Vec::new(), 0);
        for _ in 0..self.options.rounds {
            self.round(&ours, &load, &role, &mut without).await?;
            let over = Arc::new(AtomicBool::new(false));
            let cold = tokio::spawn(cold_requests(Arc::clone(&ours), HOT, COLD, Arc::clone(&over)));
            self.round(&ours, &load, &role, &mut with).await?;
            over.store(true, Ordering::Relaxed);
            let (took, failed) = cold.await?;
            waits.extend(took);
            errors += failed;
        }
        let stats = ours.stats();
        ours.end().await;
        waits.sort_unstable();
        let rows = [("hot with cold", &with), ("hot alone", &without)];
        self.print("B5: 40 × 20 hot clients, 20 cold requests per second, 10 ms each", &rows);
        let p99 = crate::figures::percentile(&waits, 0.99).as_secs_f64() * 1e3;
        let p50 = crate::figures::percentile(&waits, 0.5).as_secs_f64() * 1e3;
        let open_and_close = stats.open_ms.p50 + stats.close_ms.p50;
        println!(
            "cold: {} requests, p50 {p50:.1} ms, p99 {p99:.1} ms; an open {:.1} ms, a close {:.1} ms",
            waits.len(),
            stats.open_ms.p50,
            stats.close_ms.p50
        );
        self.gates.at_least("B5 hot with cold to hot alone", with.ratio(&without).median, 0.95, "");
        self.gates.at_most("B5 cold p99 to open + close", p99 / open_and_close.max(1e-9), 8.0, "");
        self.gates.at_most("B5 errors", figure(errors), 0.0, "");
        println!();
        Ok(())
    }

    async fn more_active_than_slots(&mut self) -> anyhow::Result<()> {
        const ACTIVE: usize = 300;
        const SLOTS: usize = 90;
        let (role, _) = self.roles();
        // Beside the slots: the reserve, and the one that asks for proofs. One opener: here the
        // processors belong to the server and to the clients as well, and an open takes a whole one.
        let limits =
            Limits { max_connections: 100, system_reserve: Some(9), max_parallel_opens: 1, ..patient() };
        let ours = self.ours_holding(limits, ACTIVE).await?;
        let (mut all, mut few) = (Shown::default(), Shown::default());
        for _ in 0..self.options.rounds {
            let load = self.load(SLOTS, Pick::Own(SLOTS));
            self.round(&ours, &load, &role, &mut few).await?;
            let time = Duration::from_secs(self.options.turns);
            let load = Load { time, warm_up: time / 4, ..self.load(ACTIVE, Pick::Own(ACTIVE)) };
            self.round(&ours, &load, &role, &mut all).await?;
        }
        ours.end().await;
        let rows = [("300 active", &all), ("90 active", &few)];
        self.print("B6: more active workspaces than slots, 10 ms each, one opener", &rows);
        let unserved =
            all.seen.iter().map(|seen| seen.by_client.iter().filter(|n| **n == 0).count()).sum::<usize>();
        self.gates.at_most("B6 unserved", figure(unserved as u64), 0.0, "workspaces");
        self.gates.at_least("B6 Jain's index", all.median(Seen::fairness), 0.98, "");
        self.gates.at_least("B6 throughput to 90 active", all.ratio(&few).median, 0.9, "");
        println!();
        Ok(())
    }
}

/// The usual limits, for clients that wait as long as it takes.
fn patient() -> Limits {
    Limits { acquire_timeout: Duration::from_mins(1), max_waiters_per_workspace: 1_000, ..Limits::default() }
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52")]
fn figure(count: u64) -> f64 {
    count as f64
}

/// Twenty requests per second, each for the workspace that was asked for longest ago. Answers how long
/// each took, and how many failed.
async fn cold_requests(
    ours: Arc<Ours>,
    first: usize,
    cold: usize,
    over: Arc<AtomicBool>,
) -> (Vec<Duration>, u64) {
    let mut every = tokio::time::interval(Duration::from_millis(50));
    let mut asking = tokio::task::JoinSet::new();
    let mut next = 0;
    while !over.load(Ordering::Relaxed) {
        every.tick().await;
        let (ours, workspace) = (Arc::clone(&ours), first + next % cold);
        next += 1;
        asking.spawn(async move {
            let began = Instant::now();
            let outcome = ours.select_one(0, workspace).await;
            (outcome == ways::Outcome::Served).then(|| began.elapsed())
        });
    }
    let all = asking.join_all().await;
    let failed = all.iter().filter(|took| took.is_none()).count();
    (all.into_iter().flatten().collect(), failed as u64)
}
