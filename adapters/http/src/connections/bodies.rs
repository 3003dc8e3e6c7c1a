//! The figures on the wire. Times are in milliseconds.

use crate::{Moment, cursor};
use application::{
    connections::ConnectionReport,
    ports::{
        BreakerState, BrokerStatus, ConnectionFigures, ConnectionRefusals, LeaseOutcomes, PerClass,
        Quantiles, SystemConnections, WorkspaceConnections,
    },
};
use poem_openapi::{Enum, Object};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// How the database connections are used.
#[derive(Object)]
#[oai(rename = "ConnectionStats", rename_all = "camelCase")]
pub(super) struct ConnectionStatsAnswer {
    /// The budget of all instances together.
    max_connections: u32,
    /// Most connections of one workspace.
    #[oai(rename = "maxConnectionsPerDB")]
    max_connections_per_db: u32,
    /// Connections in whatever state, those of the system database included.
    total_open_connections: u32,
    /// Of these leased or being cleaned.
    total_in_use_connections: u32,
    /// Of these idle.
    total_idle_connections: u32,
    /// Workspaces with a connection.
    active_workspace_databases: u32,
    system_connections: SystemConnectionsBody,
    /// By workspace: those with a connection or a caller waiting, one page of them.
    workspace_pools: BTreeMap<String, WorkspacePoolBody>,
    /// Whether there are more workspaces.
    truncated: bool,
    /// For the next page; absent on the last.
    #[oai(skip_serializing_if_is_none)]
    next_cursor: Option<String>,
    /// Whether connections can be opened.
    available: bool,
    /// Whether the server gives less than the configured share.
    degraded: bool,
    status: StatusBody,
    /// The breaker for the whole server.
    breaker: BreakerBody,
    /// The part of the budget for this instance.
    share: u32,
    /// The share less what the server has lately refused.
    effective_share: u32,
    /// The part of the share for the system database.
    system_reserve: u32,
    /// The rest of the share.
    workspace_slots: u32,
    /// Of these unused.
    free_slots: u32,
    /// Connections being opened.
    opening: u32,
    /// Connections being cleaned or checked.
    cleaning: u32,
    /// Connections being closed.
    closing: u32,
    /// Connections closed, but perhaps not yet gone from the server.
    zombie: u32,
    /// Callers waiting.
    waiters: u32,
    waiters_by_class: WaitersBody,
    /// Workspaces without a connection for whom somebody waits.
    workspaces_without_connection_waiting: u32,
    /// Connections / share.
    utilization: f64,
    /// Connections in use / share.
    saturation: f64,
    /// Leases granted with an idle connection / leases granted.
    hit_rate: f64,
    /// Lately.
    opens_per_second: f64,
    /// Connections closed so that another workspace could have one, lately.
    steals_per_second: f64,
    /// How long those waited who got a lease.
    wait_ms: QuantilesBody,
    /// How long leases were held.
    hold_ms: QuantilesBody,
    /// How long connections took to open.
    open_ms: QuantilesBody,
    /// How long connections took to close, until the server had freed their place.
    close_ms: QuantilesBody,
    /// How long connections had been idle when another workspace took their place. If small, the
    /// budget is too small.
    victim_age_ms: QuantilesBody,
    leases: LeasesBody,
    /// Connections opened.
    opens: u64,
    /// Attempts to open a connection that failed.
    failed_opens: u64,
    /// Connections closed so that another workspace could have one.
    steals: u64,
    /// How long a workspace keeps its only connection while others have none.
    quantum_ms: f64,
    /// How long a caller waits before its workspace gets one more connection.
    growth_delay_ms: f64,
    /// Connections opened at once, at most.
    parallel_opens: u32,
    /// Connections being opened, those whose place is still being made included.
    opens_in_flight: u32,
    /// At the measured speed.
    open_capacity_per_second: f64,
    refusals: RefusalsBody,
    /// Attempts to open that the server refused for want of places. Should be 0.
    server_refusals: u64,
    /// Leases asked for by a task that held one. Should be 0.
    nested_leases: u64,
    /// Leases held for longer than the warning time.
    leases_over_warn: u64,
    /// Age of the oldest lease.
    oldest_lease_ms: f64,
    /// When somebody was last refused for want of connections; null for never.
    last_limit_at: Option<Moment>,
    /// How long this instance has run.
    uptime_seconds: u64,
    /// Names this run of the process; part of `application_name` at the server.
    instance: String,
}

/// Connections of the system database.
#[derive(Object)]
#[oai(rename = "SystemConnections", rename_all = "camelCase")]
struct SystemConnectionsBody {
    open_connections: u32,
    in_use: u32,
    idle: u32,
    max_open: u32,
    /// Leases granted.
    wait_count: u64,
    /// Time waited for all of them.
    wait_duration_ms: f64,
}

/// Connections of one workspace. Counters begin anew when it has had none for a while.
#[derive(Object)]
#[oai(rename = "WorkspacePool", rename_all = "camelCase")]
struct WorkspacePoolBody {
    open_connections: u32,
    in_use: u32,
    idle: u32,
    max_open: u32,
    /// Callers waiting.
    waiting: u32,
    /// Leases granted.
    wait_count: u64,
    /// Time waited for all of them.
    wait_duration_ms: f64,
    /// 99 % waited for less.
    #[oai(rename = "waitP99Ms")]
    wait_p99_ms: f64,
    /// Connections opened.
    opens: u64,
    /// Closed because unused.
    closed_idle: u64,
    /// Closed because old.
    closed_lifetime: u64,
    /// Closed in favour of another workspace.
    closed_stolen: u64,
    /// Closed because broken.
    closed_broken: u64,
    /// In use / most.
    saturation: f64,
    breaker: BreakerBody,
    /// Time it has taken from others and not yet paid for.
    debt_ms: f64,
}

/// A measured time in milliseconds, within about a tenth.
#[derive(Object)]
#[oai(rename = "Quantiles", rename_all = "camelCase")]
struct QuantilesBody {
    /// How often it was measured.
    count: u64,
    p50: f64,
    p95: f64,
    p99: f64,
    max: f64,
}

/// Callers waiting, by class.
#[derive(Object)]
#[oai(rename = "WaitersByClass", rename_all = "camelCase")]
struct WaitersBody {
    interactive: u32,
    delivery: u32,
    background: u32,
}

/// Requests for a lease, by how they ended.
#[derive(Object)]
#[oai(rename = "LeaseOutcomes", rename_all = "camelCase")]
struct LeasesBody {
    /// Granted with an idle connection.
    hit: u64,
    /// Granted with a connection that somebody had just given back.
    handed_over: u64,
    /// Granted with a connection opened in a free place.
    opened: u64,
    /// Granted with a connection opened in the place of another workspace's.
    stolen: u64,
    refused: u64,
    /// Given up by the caller.
    cancelled: u64,
}

/// Refused requests, by reason.
#[derive(Object)]
#[oai(rename = "ConnectionRefusals", rename_all = "camelCase")]
struct RefusalsBody {
    /// No connection came in time.
    wait_timed_out: u64,
    /// None was to be expected in time.
    predicted_too_long: u64,
    /// Too many waited for the workspace.
    workspace_queue_full: u64,
    /// Too many waited altogether.
    queue_full: u64,
    /// The server could not be reached.
    unavailable: u64,
}

/// All in one word.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "ConnectionStatus", rename_all = "lowercase")]
enum StatusBody {
    /// Nothing to say.
    Ok,
    /// Somebody has waited for over a second, or nine tenths of the share are open.
    Pressure,
    /// Somebody was refused within the last minute.
    Limited,
    /// The server cannot be reached.
    Unavailable,
}

/// What a breaker lets through.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "BreakerState", rename_all = "camelCase")]
enum BreakerBody {
    /// Everything.
    Closed,
    /// One attempt at a time.
    HalfOpen,
    /// Nothing.
    Open,
}

impl From<ConnectionReport> for ConnectionStatsAnswer {
    fn from(report: ConnectionReport) -> Self {
        let ConnectionReport { figures, last_limit_at } = report;
        let waiters = &figures.waiters;
        let leases = &figures.leases;
        let granted = leases.hit + leases.handed_over + leases.opened + leases.stolen;
        Self {
            max_connections: figures.max,
            max_connections_per_db: figures.max_per_workspace,
            total_open_connections: figures.open,
            total_in_use_connections: figures.in_use,
            total_idle_connections: figures.idle,
            active_workspace_databases: figures.active_workspaces,
            system_connections: figures.system.into(),
            truncated: figures.truncated,
            next_cursor: figures.next.as_ref().map(cursor::write_place),
            available: matches!(figures.breaker, BreakerState::Closed),
            degraded: figures.effective_share < figures.share
                || !matches!(figures.breaker, BreakerState::Closed),
            status: figures.status.into(),
            breaker: figures.breaker.into(),
            share: figures.share,
            effective_share: figures.effective_share,
            system_reserve: figures.system_reserve,
            workspace_slots: figures.workspace_slots,
            free_slots: figures.free_slots,
            opening: figures.opening,
            cleaning: figures.cleaning,
            closing: figures.closing,
            zombie: figures.zombie,
            waiters: waiters.interactive + waiters.delivery + waiters.background,
            waiters_by_class: figures.waiters.into(),
            workspaces_without_connection_waiting: figures.starved_workspaces,
            utilization: ratio(figures.open.into(), figures.share.into()),
            saturation: ratio(figures.in_use.into(), figures.share.into()),
            hit_rate: ratio(leases.hit, granted),
            opens_per_second: figures.opens_per_second,
            steals_per_second: figures.steals_per_second,
            wait_ms: figures.wait.into(),
            hold_ms: figures.hold.into(),
            open_ms: figures.opening_took.into(),
            close_ms: figures.closing_took.into(),
            victim_age_ms: figures.victim_age.into(),
            leases: figures.leases.into(),
            opens: figures.opens,
            failed_opens: figures.failed_opens,
            steals: figures.steals,
            quantum_ms: ms(figures.quantum),
            growth_delay_ms: ms(figures.growth_delay),
            parallel_opens: figures.parallel_opens,
            opens_in_flight: figures.opens_in_flight,
            open_capacity_per_second: figures.open_capacity_per_second,
            refusals: figures.refusals.into(),
            server_refusals: figures.server_refusals,
            nested_leases: figures.nested_leases,
            leases_over_warn: figures.leases_over_warn,
            oldest_lease_ms: ms(figures.oldest_lease),
            last_limit_at: last_limit_at.map(Moment),
            uptime_seconds: figures.uptime.as_secs(),
            instance: figures.instance,
            workspace_pools: figures
                .workspaces
                .into_iter()
                .map(|pool| (pool.workspace.to_string(), pool.into()))
                .collect(),
        }
    }
}

impl From<SystemConnections> for SystemConnectionsBody {
    fn from(system: SystemConnections) -> Self {
        Self {
            open_connections: system.open,
            in_use: system.in_use,
            idle: system.idle,
            max_open: system.max,
            wait_count: system.waits,
            wait_duration_ms: ms(system.waited),
        }
    }
}

impl From<WorkspaceConnections> for WorkspacePoolBody {
    fn from(pool: WorkspaceConnections) -> Self {
        Self {
            open_connections: pool.open,
            in_use: pool.in_use,
            idle: pool.idle,
            max_open: pool.max,
            waiting: pool.waiting,
            wait_count: pool.waits,
            wait_duration_ms: ms(pool.waited),
            wait_p99_ms: ms(pool.wait_p99),
            opens: pool.opens,
            closed_idle: pool.closed_idle,
            closed_lifetime: pool.closed_lifetime,
            closed_stolen: pool.closed_stolen,
            closed_broken: pool.closed_broken,
            saturation: ratio(pool.in_use.into(), pool.max.into()),
            breaker: pool.breaker.into(),
            debt_ms: ms(pool.debt),
        }
    }
}

impl From<Quantiles> for QuantilesBody {
    fn from(times: Quantiles) -> Self {
        Self {
            count: times.count,
            p50: ms(times.p50),
            p95: ms(times.p95),
            p99: ms(times.p99),
            max: ms(times.max),
        }
    }
}

impl From<PerClass<u32>> for WaitersBody {
    fn from(waiters: PerClass<u32>) -> Self {
        Self { interactive: waiters.interactive, delivery: waiters.delivery, background: waiters.background }
    }
}

impl From<LeaseOutcomes> for LeasesBody {
    fn from(leases: LeaseOutcomes) -> Self {
        Self {
            hit: leases.hit,
            handed_over: leases.handed_over,
            opened: leases.opened,
            stolen: leases.stolen,
            refused: leases.refused,
            cancelled: leases.cancelled,
        }
    }
}

impl From<ConnectionRefusals> for RefusalsBody {
    fn from(refusals: ConnectionRefusals) -> Self {
        Self {
            wait_timed_out: refusals.wait_timed_out,
            predicted_too_long: refusals.predicted_too_long,
            workspace_queue_full: refusals.workspace_queue_full,
            queue_full: refusals.queue_full,
            unavailable: refusals.unavailable,
        }
    }
}

impl From<BrokerStatus> for StatusBody {
    fn from(status: BrokerStatus) -> Self {
        match status {
            BrokerStatus::Ok => Self::Ok,
            BrokerStatus::Pressure => Self::Pressure,
            BrokerStatus::Limited => Self::Limited,
            BrokerStatus::Unavailable => Self::Unavailable,
        }
    }
}

impl From<BreakerState> for BreakerBody {
    fn from(state: BreakerState) -> Self {
        match state {
            BreakerState::Closed => Self::Closed,
            BreakerState::HalfOpen => Self::HalfOpen,
            BreakerState::Open => Self::Open,
        }
    }
}

/// The answer of `/health`: the members of the reference product, with the status.
pub(super) fn health(figures: &ConnectionFigures) -> Value {
    let status = match figures.status {
        BrokerStatus::Ok => "ok",
        BrokerStatus::Pressure => "pressure",
        BrokerStatus::Limited => "limited",
        BrokerStatus::Unavailable => "unavailable",
    };
    json!({
        "active_workspace_databases": figures.active_workspaces,
        "max_connections": figures.max,
        "max_connections_per_db": figures.max_per_workspace,
        "system_connections": {
            "open_connections": figures.system.open,
            "in_use": figures.system.in_use,
            "idle": figures.system.idle,
            "max_open": figures.system.max,
            "wait_count": figures.system.waits,
            "wait_duration": u64::try_from(figures.system.waited.as_nanos()).unwrap_or(u64::MAX),
        },
        "total_idle_connections": figures.idle,
        "total_in_use_connections": figures.in_use,
        "total_open_connections": figures.open,
        "status": status,
    })
}

fn ms(time: Duration) -> f64 {
    // Microseconds are as exact as the figures are.
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "a ratio need not be exact beyond 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
