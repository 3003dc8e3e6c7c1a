//! Figures about the broker, taken under one lock and without any I/O. Times are in milliseconds.

use crate::{LimitReason, WorkspaceKey};

/// Which workspaces a snapshot lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsPage {
    /// At most so many workspaces.
    pub limit: usize,
    /// The order; the highest come first.
    pub sort: SortBy,
    /// Only what comes behind this place: the [`next`](BrokerStats::next) of the page before.
    pub after: Option<StatsCursor>,
}

impl Default for StatsPage {
    fn default() -> Self {
        Self { limit: 100, sort: SortBy::InUse, after: None }
    }
}

/// The place of a workspace in an order. Figures change between two pages: a workspace that moves
/// past the place is then listed twice or not at all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatsCursor {
    /// The figure that it is ordered by.
    pub figure: u64,
    /// Among workspaces with the same figure.
    pub workspace: WorkspaceKey,
}

/// The order of workspaces in a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// Connections in use.
    #[default]
    InUse,
    /// Callers waiting.
    Waiting,
    /// Connections opened.
    Opens,
}

/// A consistent snapshot of the whole broker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BrokerStats {
    /// Budget of all instances together.
    pub max_connections: u32,
    /// Cap per workspace.
    pub max_connections_per_workspace: u32,
    /// This instance's share of the budget.
    pub share: u32,
    /// The share less what the server has recently refused.
    pub effective_share: u32,
    /// Part of the share kept for the system database.
    pub system_reserve: u32,
    /// S: the rest, for workspaces.
    pub workspace_slots: u32,

    /// Connections counted, whatever their state, those of the system database included.
    pub total_open: u32,
    /// Of these leased or being cleaned.
    pub total_in_use: u32,
    /// Of these idle.
    pub total_idle: u32,
    /// Being opened.
    pub opening: u32,
    /// Being cleaned or checked.
    pub cleaning: u32,
    /// Being closed.
    pub closing: u32,
    /// Closed, but not known to be gone from the server.
    pub zombie: u32,
    /// Unused slots for workspaces.
    pub free_slots: u32,
    /// The part for the system database.
    pub system: SystemStats,

    /// Workspaces with at least one connection.
    pub active_workspaces: u32,
    /// Workspaces with a caller waiting and no connection.
    pub workspaces_without_connection_waiting: u32,
    /// Callers waiting, the system database's included.
    pub waiters: u32,
    /// Callers waiting, by class.
    pub waiters_by_class: ByClass<u32>,
    /// For how long the longest waiting caller has waited.
    pub longest_wait_ms: f64,
    /// Connections counted / share.
    pub utilization: f64,
    /// Connections in use / share.
    pub saturation: f64,
    /// Leases granted from an idle connection / all leases granted.
    pub hit_rate: f64,
    /// Opens per second, over about the last ten seconds.
    pub opens_per_second: f64,
    /// Connections taken from one workspace for another per second, over about the last ten seconds.
    pub steals_per_second: f64,

    /// How long granted leases were waited for.
    pub wait_ms: Spread,
    /// The same, by class.
    pub wait_ms_by_class: ByClass<Spread>,
    /// How long leases were held.
    pub hold_ms: Spread,
    /// The same, by class.
    pub hold_ms_by_class: ByClass<Spread>,
    /// How long opens took.
    pub open_ms: Spread,
    /// How long closes took, until the slot was known to be free.
    pub close_ms: Spread,
    /// How long connections had been idle when they were taken for another workspace. If small, the
    /// budget is too small.
    pub victim_age_ms: Spread,

    /// q.
    pub quantum_ms: f64,
    /// g, as it is now.
    pub growth_delay_ms: f64,
    /// P.
    pub parallel_opens: u32,
    /// Opens in flight, including those whose room is still being made.
    pub opens_in_flight: u32,
    /// R: opens per second that P allows at the measured speed.
    pub open_capacity_per_second: f64,

    /// Leases, by how they were granted or not.
    pub leases: LeaseCounts,
    /// The same, by class.
    pub leases_by_class: ByClass<LeaseCounts>,
    /// Finished opens.
    pub opens: OpenCounts,
    /// Closes, by reason.
    pub closes: CloseCounts,
    /// Connections taken from one workspace for another, by rule.
    pub steals: StealCounts,
    /// Refusals, by reason.
    pub refusals: RefusalCounts,
    /// Opens that the server refused for want of connections.
    pub server_refusals: u64,
    /// Opens refused because of the role. Should be 0.
    pub auth_failures: u64,
    /// Connections that became zombies.
    pub zombies: u64,
    /// Health checks passed.
    pub health_checks_passed: u64,
    /// Health checks failed.
    pub health_checks_failed: u64,
    /// Leases asked for by a task that held one. Should be 0.
    pub nested_leases: u64,
    /// Leases held for longer than the warning time.
    pub leases_over_warn: u64,
    /// Leases held for longer than the hard limit.
    pub leases_over_max: u64,
    /// Age of the oldest lease.
    pub oldest_lease_ms: f64,
    /// For how long ago the last refusal for want of connections was.
    pub since_last_limit_ms: Option<f64>,
    /// Since the broker was made.
    pub uptime_ms: f64,

    /// Whether connections can be opened at all, as far as is known.
    pub available: bool,
    /// The breaker for the whole server.
    pub breaker: BreakerState,
    /// All in one word.
    pub status: BrokerStatus,
    /// Workspaces that have a connection or a waiter, in the order asked for.
    pub workspaces: Vec<WorkspaceStats>,
    /// Whether there are more than the limit.
    pub truncated: bool,
    /// Where the next page begins, when there is one.
    pub next: Option<StatsCursor>,
}

/// Connections of the system database.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SystemStats {
    /// Counted, whatever their state.
    pub open: u32,
    /// Leased or being cleaned.
    pub in_use: u32,
    /// Idle.
    pub idle: u32,
    /// Callers waiting.
    pub waiting: u32,
    /// Leases that had to be waited for.
    pub wait_count: u64,
    /// Time waited for all of them.
    pub wait_duration_ms: f64,
    /// The reserve.
    pub max_open: u32,
}

/// One workspace. Counters begin anew when it has had no connection and no waiter for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkspaceStats {
    /// Which.
    pub workspace: WorkspaceKey,
    /// Connections counted, whatever their state.
    pub open: u32,
    /// Leased or being cleaned.
    pub in_use: u32,
    /// Idle.
    pub idle: u32,
    /// The cap.
    pub max_open: u32,
    /// Callers waiting.
    pub waiting: u32,
    /// Leases that had to be waited for.
    pub wait_count: u64,
    /// Time waited for all of them.
    pub wait_duration_ms: f64,
    /// 99 % of the waits were shorter.
    pub wait_p99_ms: f64,
    /// Connections opened.
    pub opens: u64,
    /// Closed because unused.
    pub closed_idle: u64,
    /// Closed because old.
    pub closed_lifetime: u64,
    /// Closed in favour of another workspace.
    pub closed_stolen: u64,
    /// Closed because broken.
    pub closed_broken: u64,
    /// In use / cap.
    pub saturation: f64,
    /// The workspace's breaker.
    pub breaker: BreakerState,
    /// Time it has overrun its quantum by and not yet paid for.
    pub debt_ms: f64,
    /// Whether it is retired.
    pub retired: bool,
}

/// Percentiles of a measured time, within about 10 %.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// How many were measured.
    pub count: u64,
    /// Half were shorter.
    pub p50: f64,
    /// 95 % were shorter.
    pub p95: f64,
    /// 99 % were shorter.
    pub p99: f64,
    /// The longest.
    pub max: f64,
    /// All together.
    pub sum: f64,
    /// How many were at most as long as each of [`Spread::BOUNDS_MS`].
    pub up_to: [u64; Self::BOUNDS],
}

impl Spread {
    /// How many bounds there are.
    pub const BOUNDS: usize = 18;
    /// 64 µs, doubled up to 8.4 s.
    pub const BOUNDS_MS: [f64; Self::BOUNDS] = {
        let (mut bounds, mut at, mut next) = ([0.0; Self::BOUNDS], 0, 0.064);
        while at < Self::BOUNDS {
            bounds[at] = next;
            next *= 2.0;
            at += 1;
        }
        bounds
    };
}

/// One value per class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByClass<T> {
    /// [`Class::Interactive`](crate::Class::Interactive).
    pub interactive: T,
    /// [`Class::Delivery`](crate::Class::Delivery).
    pub delivery: T,
    /// [`Class::Background`](crate::Class::Background).
    pub background: T,
}

impl<T> ByClass<T> {
    /// The value of a class.
    pub const fn of(&mut self, class: crate::Class) -> &mut T {
        match class {
            crate::Class::Interactive => &mut self.interactive,
            crate::Class::Delivery => &mut self.delivery,
            crate::Class::Background => &mut self.background,
        }
    }

    /// Each value with the name of its class.
    pub fn named(&self) -> [(&'static str, &T); 3] {
        [("interactive", &self.interactive), ("delivery", &self.delivery), ("background", &self.background)]
    }

    pub(crate) fn map<U>(&self, value: impl Fn(&T) -> U) -> ByClass<U> {
        ByClass {
            interactive: value(&self.interactive),
            delivery: value(&self.delivery),
            background: value(&self.background),
        }
    }
}

/// Requests, by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseCounts {
    /// Granted from an idle connection.
    pub hit: u64,
    /// Granted by the holder before.
    pub handed_over: u64,
    /// Granted with a connection opened in a free slot.
    pub opened: u64,
    /// Granted with a connection opened in a slot taken from another workspace.
    pub stolen: u64,
    /// Refused.
    pub refused: u64,
    /// Given up by the caller.
    pub cancelled: u64,
}

impl LeaseCounts {
    fn add(&mut self, other: &Self) {
        self.hit += other.hit;
        self.handed_over += other.handed_over;
        self.opened += other.opened;
        self.stolen += other.stolen;
        self.refused += other.refused;
        self.cancelled += other.cancelled;
    }
}

impl ByClass<LeaseCounts> {
    pub(crate) fn total(&self) -> LeaseCounts {
        let mut total = LeaseCounts::default();
        for (_, counts) in self.named() {
            total.add(counts);
        }
        total
    }
}

/// Opens, by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenCounts {
    /// Succeeded.
    pub succeeded: u64,
    /// Failed.
    pub failed: u64,
}

/// Closes, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CloseCounts {
    /// Unused for long.
    pub idle: u64,
    /// Older than its lifetime.
    pub lifetime: u64,
    /// An idle one, for another workspace.
    pub stolen: u64,
    /// A released one, for a workspace with fewer, or because the share shrank.
    pub share: u64,
    /// A released one, after its quantum, for a workspace without any.
    pub quantum: u64,
    /// Broken, or its peer was gone.
    pub broken: u64,
    /// Could not be cleaned.
    pub dirty: u64,
    /// Opened under an older configuration.
    pub generation: u64,
    /// Its workspace is retired.
    pub retired: u64,
    /// Shutdown.
    pub shutdown: u64,
}

/// Steals, by rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StealCounts {
    /// The least recently used idle connection.
    pub idle: u64,
    /// A released one of a workspace with at least two more.
    pub share: u64,
    /// A released one that its workspace did not need.
    pub unneeded: u64,
    /// The only one of a workspace, after its quantum.
    pub quantum: u64,
}

/// Refusals, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusalCounts {
    /// [`LimitReason::WaitTimedOut`].
    pub wait_timed_out: u64,
    /// [`LimitReason::PredictedTooLong`].
    pub predicted_too_long: u64,
    /// [`LimitReason::WorkspaceQueueFull`].
    pub workspace_queue_full: u64,
    /// [`LimitReason::QueueFull`].
    pub queue_full: u64,
    /// [`BrokerError::Unavailable`](crate::BrokerError::Unavailable).
    pub unavailable: u64,
    /// Database missing, retired, shutting down.
    pub other: u64,
}

impl RefusalCounts {
    pub(crate) const fn of(&mut self, reason: LimitReason) -> &mut u64 {
        match reason {
            LimitReason::WaitTimedOut => &mut self.wait_timed_out,
            LimitReason::PredictedTooLong => &mut self.predicted_too_long,
            LimitReason::WorkspaceQueueFull => &mut self.workspace_queue_full,
            LimitReason::QueueFull => &mut self.queue_full,
        }
    }
}

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    #[default]
    Closed,
    /// One probe at a time.
    HalfOpen,
    /// Nothing.
    Open,
}

/// The state of the broker in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BrokerStatus {
    /// Nothing to say.
    #[default]
    Ok,
    /// Somebody has waited for over a second, or 90 % of the share is open.
    Pressure,
    /// Somebody was refused within the last minute.
    Limited,
    /// The server cannot be reached.
    Unavailable,
}
