//! What is known of the database connections, for whoever runs the installation.

use domain::ids::WorkspaceId;
use std::time::Duration;

/// Tells how the database connections are used. Never needs one itself, and never waits.
pub trait ConnectionMeter: Send + Sync {
    /// Figures that fit together, with one page of workspaces.
    fn connections(&self, page: &ConnectionPage) -> ConnectionFigures;
}

/// Which workspaces are listed: those with a connection or a caller waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionPage {
    /// At most so many.
    pub limit: usize,
    /// The highest come first.
    pub sort: ConnectionSort,
    /// Only what comes behind this place. Figures change between two pages: a workspace that moves
    /// past the place is listed twice or not at all.
    pub after: Option<ConnectionPlace>,
}

/// The order of workspaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConnectionSort {
    /// By connections in use.
    #[default]
    InUse,
    /// By callers waiting.
    Waiting,
    /// By connections opened.
    Opens,
}

/// The place of a workspace in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionPlace {
    /// The figure that it is ordered by.
    pub figure: u64,
    /// Among workspaces with the same figure.
    pub workspace: WorkspaceId,
}

/// Everything that is known at one moment. Connections are counted in whatever state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectionFigures {
    /// Names this run of the process to the database server.
    pub instance: String,
    /// How long it has run.
    pub uptime: Duration,
    /// All in one word.
    pub status: BrokerStatus,
    /// The breaker for the whole server.
    pub breaker: BreakerState,

    /// The budget of all instances together.
    pub max: u32,
    /// Most connections of one workspace.
    pub max_per_workspace: u32,
    /// The part of the budget for this instance.
    pub share: u32,
    /// The share less what the server has lately refused.
    pub effective_share: u32,
    /// The part of the share for the system database.
    pub system_reserve: u32,
    /// The rest of the share.
    pub workspace_slots: u32,
    /// Of these unused.
    pub free_slots: u32,

    /// Connections.
    pub open: u32,
    /// Of these leased or being cleaned.
    pub in_use: u32,
    /// Of these idle.
    pub idle: u32,
    /// Of these being opened.
    pub opening: u32,
    /// Of these being cleaned or checked.
    pub cleaning: u32,
    /// Of these being closed.
    pub closing: u32,
    /// Of these closed, but perhaps not yet gone from the server.
    pub zombie: u32,
    /// Of these the system database's.
    pub system: SystemConnections,

    /// Workspaces with a connection.
    pub active_workspaces: u32,
    /// Workspaces without one for whom somebody waits.
    pub starved_workspaces: u32,
    /// Callers waiting.
    pub waiters: PerClass<u32>,

    /// How long those waited who got a lease.
    pub wait: Quantiles,
    /// How long leases were held.
    pub hold: Quantiles,
    /// How long connections took to open.
    pub opening_took: Quantiles,
    /// How long connections took to close, until the server had freed their place.
    pub closing_took: Quantiles,
    /// How long connections had been idle when another workspace took their place.
    pub victim_age: Quantiles,

    /// How requests for a lease ended.
    pub leases: LeaseOutcomes,
    /// Why requests were refused.
    pub refusals: ConnectionRefusals,
    /// Connections opened.
    pub opens: u64,
    /// Attempts to open a connection that failed.
    pub failed_opens: u64,
    /// Connections closed so that another workspace could have one.
    pub steals: u64,
    /// Connections opened per second, lately.
    pub opens_per_second: f64,
    /// Steals per second, lately.
    pub steals_per_second: f64,
    /// Attempts to open that the server refused for want of places. Should be 0.
    pub server_refusals: u64,
    /// Leases asked for by a task that held one. Should be 0.
    pub nested_leases: u64,
    /// Leases held for longer than the warning time.
    pub leases_over_warn: u64,
    /// Age of the oldest lease.
    pub oldest_lease: Duration,
    /// How long ago somebody was last refused for want of connections.
    pub since_last_limit: Option<Duration>,

    /// How long a workspace keeps its only connection while others have none.
    pub quantum: Duration,
    /// How long a caller waits before its workspace gets one more connection.
    pub growth_delay: Duration,
    /// Connections opened at once, at most.
    pub parallel_opens: u32,
    /// Connections being opened, those whose place is still being made included.
    pub opens_in_flight: u32,
    /// Connections that can be opened per second, at the measured speed.
    pub open_capacity_per_second: f64,

    /// One page of workspaces, in the order asked for.
    pub workspaces: Vec<WorkspaceConnections>,
    /// Whether there are more.
    pub truncated: bool,
    /// Where the next page begins.
    pub next: Option<ConnectionPlace>,
}

/// Connections of the system database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SystemConnections {
    /// In whatever state.
    pub open: u32,
    /// Leased or being cleaned.
    pub in_use: u32,
    /// Idle.
    pub idle: u32,
    /// At most.
    pub max: u32,
    /// Leases granted.
    pub waits: u64,
    /// Time waited for all of them.
    pub waited: Duration,
}

/// Connections of one workspace. Counters begin anew when it has had none for a while.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkspaceConnections {
    /// Which.
    pub workspace: WorkspaceId,
    /// In whatever state.
    pub open: u32,
    /// Leased or being cleaned.
    pub in_use: u32,
    /// Idle.
    pub idle: u32,
    /// At most.
    pub max: u32,
    /// Callers waiting.
    pub waiting: u32,
    /// Leases granted.
    pub waits: u64,
    /// Time waited for all of them.
    pub waited: Duration,
    /// 99 % waited for less.
    pub wait_p99: Duration,
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
    /// The workspace's breaker.
    pub breaker: BreakerState,
    /// Time it has taken from others and not yet paid for.
    pub debt: Duration,
}

/// A measured time, within about a tenth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quantiles {
    /// How often it was measured.
    pub count: u64,
    /// Half were shorter.
    pub p50: Duration,
    /// 95 % were shorter.
    pub p95: Duration,
    /// 99 % were shorter.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// A value for each class of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PerClass<T> {
    /// Somebody waits for the answer.
    pub interactive: T,
    /// Mails wait for it.
    pub delivery: T,
    /// Nobody waits for it.
    pub background: T,
}

/// Requests for a lease, by how they ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeaseOutcomes {
    /// Granted with an idle connection.
    pub hit: u64,
    /// Granted with a connection that somebody had just given back.
    pub handed_over: u64,
    /// Granted with a connection opened in a free place.
    pub opened: u64,
    /// Granted with a connection opened in the place of another workspace's.
    pub stolen: u64,
    /// Refused.
    pub refused: u64,
    /// Given up by the caller.
    pub cancelled: u64,
}

/// Refused requests, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectionRefusals {
    /// No connection came in time.
    pub wait_timed_out: u64,
    /// None was to be expected in time.
    pub predicted_too_long: u64,
    /// Too many waited for the workspace.
    pub workspace_queue_full: u64,
    /// Too many waited altogether.
    pub queue_full: u64,
    /// The server could not be reached.
    pub unavailable: u64,
}

/// What a breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BreakerState {
    /// Everything.
    #[default]
    Closed,
    /// One attempt at a time.
    HalfOpen,
    /// Nothing.
    Open,
}

/// The state of the connections in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BrokerStatus {
    /// Nothing to say.
    #[default]
    Ok,
    /// Somebody has waited for over a second, or nine tenths of the share are open.
    Pressure,
    /// Somebody was refused within the last minute.
    Limited,
    /// The server cannot be reached.
    Unavailable,
}
