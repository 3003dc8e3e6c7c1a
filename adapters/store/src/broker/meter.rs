//! The figures of the broker in the words of the application.

use super::StoreBroker;
use ::broker::{BrokerStats, SortBy, Spread, StatsCursor, StatsPage, SystemStats, WorkspaceStats};
use application::ports::{
    BreakerState, BrokerStatus, ConnectionFigures, ConnectionMeter, ConnectionPage, ConnectionPlace,
    ConnectionRefusals, ConnectionSort, LeaseOutcomes, PerClass, Quantiles, SystemConnections,
    WorkspaceConnections,
};
use domain::ids::WorkspaceId;
use std::time::Duration;

impl ConnectionMeter for StoreBroker {
    fn connections(&self, page: &ConnectionPage) -> ConnectionFigures {
        let after = page
            .after
            .as_ref()
            .map(|place| StatsCursor { figure: place.figure, workspace: place.workspace.as_str().into() });
        let stats = self.stats(StatsPage { limit: page.limit, sort: sort(page.sort), after });
        figures(&stats, self.instance())
    }
}

fn sort(sort: ConnectionSort) -> SortBy {
    match sort {
        ConnectionSort::InUse => SortBy::InUse,
        ConnectionSort::Waiting => SortBy::Waiting,
        ConnectionSort::Opens => SortBy::Opens,
    }
}

fn figures(stats: &BrokerStats, instance: &str) -> ConnectionFigures {
    let steals = &stats.steals;
    ConnectionFigures {
        instance: instance.to_owned(),
        uptime: time(stats.uptime_ms),
        status: status(stats.status),
        breaker: breaker(stats.breaker),
        max: stats.max_connections,
        max_per_workspace: stats.max_connections_per_workspace,
        share: stats.share,
        effective_share: stats.effective_share,
        system_reserve: stats.system_reserve,
        workspace_slots: stats.workspace_slots,
        free_slots: stats.free_slots,
        open: stats.total_open,
        in_use: stats.total_in_use,
        idle: stats.total_idle,
        opening: stats.opening,
        cleaning: stats.cleaning,
        closing: stats.closing,
        zombie: stats.zombie,
        system: system(&stats.system),
        active_workspaces: stats.active_workspaces,
        starved_workspaces: stats.workspaces_without_connection_waiting,
        waiters: PerClass {
            interactive: stats.waiters_by_class.interactive,
            delivery: stats.waiters_by_class.delivery,
            background: stats.waiters_by_class.background,
        },
        wait: quantiles(&stats.wait_ms),
        hold: quantiles(&stats.hold_ms),
        opening_took: quantiles(&stats.open_ms),
        closing_took: quantiles(&stats.close_ms),
        victim_age: quantiles(&stats.victim_age_ms),
        leases: outcomes(stats),
        refusals: refusals(stats),
        opens: stats.opens.succeeded,
        failed_opens: stats.opens.failed,
        steals: steals.idle + steals.share + steals.unneeded + steals.quantum,
        opens_per_second: stats.opens_per_second,
        steals_per_second: stats.steals_per_second,
        server_refusals: stats.server_refusals,
        nested_leases: stats.nested_leases,
        leases_over_warn: stats.leases_over_warn,
        oldest_lease: time(stats.oldest_lease_ms),
        since_last_limit: stats.since_last_limit_ms.map(time),
        quantum: time(stats.quantum_ms),
        growth_delay: time(stats.growth_delay_ms),
        parallel_opens: stats.parallel_opens,
        opens_in_flight: stats.opens_in_flight,
        open_capacity_per_second: stats.open_capacity_per_second,
        workspaces: stats.workspaces.iter().filter_map(workspace).collect(),
        truncated: stats.truncated,
        next: stats.next.as_ref().and_then(|next| {
            let workspace = WorkspaceId::parse(next.workspace.as_str()).ok()?;
            Some(ConnectionPlace { figure: next.figure, workspace })
        }),
    }
}

fn outcomes(stats: &BrokerStats) -> LeaseOutcomes {
    LeaseOutcomes {
        hit: stats.leases.hit,
        handed_over: stats.leases.handed_over,
        opened: stats.leases.opened,
        stolen: stats.leases.stolen,
        refused: stats.leases.refused,
        cancelled: stats.leases.cancelled,
    }
}

fn refusals(stats: &BrokerStats) -> ConnectionRefusals {
    ConnectionRefusals {
        wait_timed_out: stats.refusals.wait_timed_out,
        predicted_too_long: stats.refusals.predicted_too_long,
        workspace_queue_full: stats.refusals.workspace_queue_full,
        queue_full: stats.refusals.queue_full,
        unavailable: stats.refusals.unavailable,
    }
}

fn system(stats: &SystemStats) -> SystemConnections {
    SystemConnections {
        open: stats.open,
        in_use: stats.in_use,
        idle: stats.idle,
        max: stats.max_open,
        waits: stats.wait_count,
        waited: time(stats.wait_duration_ms),
    }
}

/// `None` for a key that is no identifier, which the broker never gets from us.
fn workspace(stats: &WorkspaceStats) -> Option<WorkspaceConnections> {
    Some(WorkspaceConnections {
        workspace: WorkspaceId::parse(stats.workspace.as_str()).ok()?,
        open: stats.open,
        in_use: stats.in_use,
        idle: stats.idle,
        max: stats.max_open,
        waiting: stats.waiting,
        waits: stats.wait_count,
        waited: time(stats.wait_duration_ms),
        wait_p99: time(stats.wait_p99_ms),
        opens: stats.opens,
        closed_idle: stats.closed_idle,
        closed_lifetime: stats.closed_lifetime,
        closed_stolen: stats.closed_stolen,
        closed_broken: stats.closed_broken,
        breaker: breaker(stats.breaker),
        debt: time(stats.debt_ms),
    })
}

fn quantiles(spread: &Spread) -> Quantiles {
    Quantiles {
        count: spread.count,
        p50: time(spread.p50),
        p95: time(spread.p95),
        p99: time(spread.p99),
        max: time(spread.max),
    }
}

fn breaker(state: ::broker::BreakerState) -> BreakerState {
    match state {
        ::broker::BreakerState::Closed => BreakerState::Closed,
        ::broker::BreakerState::HalfOpen => BreakerState::HalfOpen,
        ::broker::BreakerState::Open => BreakerState::Open,
    }
}

fn status(status: ::broker::BrokerStatus) -> BrokerStatus {
    match status {
        ::broker::BrokerStatus::Ok => BrokerStatus::Ok,
        ::broker::BrokerStatus::Pressure => BrokerStatus::Pressure,
        ::broker::BrokerStatus::Limited => BrokerStatus::Limited,
        ::broker::BrokerStatus::Unavailable => BrokerStatus::Unavailable,
    }
}

/// Milliseconds as a duration; nothing where there is no such time.
fn time(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default()
}
