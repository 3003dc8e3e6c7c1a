//! The statistics.

use super::{
    Core, Moment,
    gauge::{Histogram, ms},
    record::{Kind, Roll, Space, State, WantKind},
};
use crate::{
    BreakerState, BrokerStats, BrokerStatus, ByClass, Class, SortBy, StatsCursor, StatsPage, SystemStats,
    Target, WorkspaceStats,
};
use std::time::Duration;

impl Core {
    /// A consistent picture; costs O(connections + waiters + active workspaces).
    pub(crate) fn stats(&self, page: &StatsPage, now: Moment) -> BrokerStats {
        let meters = &self.meters;
        let count = |state: State| {
            let number = self.conns.iter().filter(|(_, conn)| conn.state == state).count();
            u32::try_from(number).unwrap_or(u32::MAX)
        };
        let total = u32::try_from(self.conns.len()).unwrap_or(u32::MAX);
        let in_use = count(State::Leased) + count(State::Cleaning);
        let share = self.limits.effective_share();
        let slots = self.limits.workspace_slots();
        let leases = meters.leases.total();
        let granted = leases.hit + leases.handed_over + leases.opened + leases.stolen;
        let longest_wait = self.waiters.iter().map(|(_, waiter)| now.since(waiter.arrived_at)).max();
        let breaker = self.server.breaker(now);
        let (workspaces, truncated, next) = self.workspace_page(page, now);
        BrokerStats {
            max_connections: self.limits.max_connections,
            max_connections_per_workspace: self.limits.max_connections_per_workspace,
            share,
            effective_share: share - slots.saturating_sub(self.server.effective_slots()).min(share),
            system_reserve: self.limits.effective_system_reserve(),
            workspace_slots: slots,
            total_open: total,
            total_in_use: in_use,
            total_idle: count(State::Idle),
            opening: count(State::Opening),
            cleaning: count(State::Cleaning),
            closing: count(State::Closing),
            zombie: count(State::Zombie),
            free_slots: slots.saturating_sub(self.used),
            system: self.system_stats(),
            active_workspaces: self.active_workspaces(),
            workspaces_without_connection_waiting: self.zero_wants(),
            waiters: u32::try_from(self.waiters.len()).unwrap_or(u32::MAX),
            waiters_by_class: self.waiters_by_class(),
            longest_wait_ms: ms(longest_wait.unwrap_or_default()),
            utilization: f64::from(total) / f64::from(share.max(1)),
            saturation: f64::from(in_use) / f64::from(share.max(1)),
            hit_rate: ratio(leases.hit, granted),
            opens_per_second: meters.open_rate.per_second(now),
            steals_per_second: meters.steal_rate.per_second(now),
            wait_ms: meters.waits.spread(),
            wait_ms_by_class: meters.waits.map(Histogram::spread),
            hold_ms: meters.holds.spread(),
            hold_ms_by_class: meters.holds.map(Histogram::spread),
            open_ms: meters.opens_took.spread(),
            close_ms: meters.closes_took.spread(),
            victim_age_ms: meters.victim_age.spread(),
            quantum_ms: ms(self.limits.quantum),
            growth_delay_ms: ms(self.growth_delay()),
            parallel_opens: self.limits.max_parallel_opens,
            opens_in_flight: self.in_flight,
            open_capacity_per_second: self.open_capacity(),
            leases,
            leases_by_class: meters.leases,
            opens: meters.opens,
            closes: meters.closes,
            steals: meters.steals,
            refusals: meters.refusals,
            server_refusals: meters.server_refusals,
            auth_failures: meters.auth_failures,
            zombies: meters.zombies,
            health_checks_passed: meters.checks_passed,
            health_checks_failed: meters.checks_failed,
            nested_leases: 0,
            leases_over_warn: meters.over_warn,
            leases_over_max: meters.over_max,
            oldest_lease_ms: ms(self.oldest_lease(now)),
            since_last_limit_ms: meters.last_limit.map(|at| ms(now.since(at))),
            uptime_ms: ms(now.since(Moment::START)),
            available: breaker == BreakerState::Closed && !self.shutting_down,
            breaker,
            status: self.status(longest_wait.unwrap_or_default(), total, now),
            workspaces,
            truncated,
            next,
        }
    }

    /// Connections with a record.
    #[cfg(feature = "model")]
    pub(crate) fn counted(&self) -> usize {
        self.conns.len()
    }

    /// Workspaces with a record.
    #[cfg(feature = "model")]
    pub(crate) fn known_workspaces(&self) -> usize {
        self.by_key.len()
    }

    /// Bytes reserved for records and lists. Nodes of trees and tables are counted with what they
    /// hold; the texts of keys belong to whoever made them.
    #[cfg(feature = "model")]
    pub(crate) fn footprint(&self) -> usize {
        use std::mem::size_of;
        let histograms = self.spaces.iter().filter(|(_, space)| space.tally.waits.is_some()).count();
        size_of::<Self>()
            + self.conns.footprint()
            + self.waiters.footprint()
            + self.spaces.footprint()
            + histograms * size_of::<super::gauge::Histogram>()
            + self.by_key.capacity() * size_of::<(crate::WorkspaceKey, super::slab::SpaceId)>()
            + self.wants.len() * size_of::<(u64, super::slab::SpaceId)>()
            + self.timers.len() * size_of::<(Moment, super::tick::Timer)>()
            + self.held_back.len() * size_of::<(u64, super::slab::SpaceId)>()
            + self.touched.capacity() * size_of::<super::slab::SpaceId>()
            + self.expired.capacity() * size_of::<super::ConnId>()
    }

    fn workspace_page(
        &self,
        page: &StatsPage,
        now: Moment,
    ) -> (Vec<WorkspaceStats>, bool, Option<StatsCursor>) {
        let place = |stats: &WorkspaceStats| StatsCursor {
            figure: figure(stats, page.sort),
            workspace: stats.workspace.clone(),
        };
        let is_behind =
            |stats: &WorkspaceStats| page.after.as_ref().is_none_or(|after| place(stats) < *after);
        let mut workspaces: Vec<_> = self
            .spaces
            .iter()
            .filter_map(|(_, space)| self.workspace_stats(space, now))
            .filter(is_behind)
            .collect();
        workspaces.sort_by_cached_key(|stats| std::cmp::Reverse(place(stats)));
        let more = workspaces.len() > page.limit;
        workspaces.truncate(page.limit);
        let next = if more { workspaces.last().map(place) } else { None };
        (workspaces, more, next)
    }

    fn status(&self, longest_wait: Duration, total: u32, now: Moment) -> BrokerStatus {
        let share = self.limits.effective_share();
        if self.server.breaker(now) != BreakerState::Closed {
            BrokerStatus::Unavailable
        } else if self.meters.last_limit.is_some_and(|at| now.since(at) < Duration::from_mins(1)) {
            BrokerStatus::Limited
        } else if longest_wait > Duration::from_secs(1) || total * 10 >= share * 9 {
            BrokerStatus::Pressure
        } else {
            BrokerStatus::Ok
        }
    }

    fn oldest_lease(&self, now: Moment) -> Duration {
        let heads = [Roll::Leased, Roll::Overdue, Roll::Revoked].map(|roll| self.rolls[roll as usize].head());
        let ages = heads.into_iter().flatten().map(|id| now.since(self.conns[id].since));
        ages.max().unwrap_or_default()
    }

    fn active_workspaces(&self) -> u32 {
        let active = self.spaces.iter().filter(|(_, space)| !space.is_system() && space.records() > 0);
        u32::try_from(active.count()).unwrap_or(u32::MAX)
    }

    fn zero_wants(&self) -> u32 {
        let zero = |space: &Space| space.want.is_some_and(|want| want.kind == WantKind::Zero);
        u32::try_from(self.spaces.iter().filter(|(_, space)| zero(space)).count()).unwrap_or(u32::MAX)
    }

    fn waiters_by_class(&self) -> ByClass<u32> {
        let mut by_class = ByClass::default();
        for (_, waiter) in self.waiters.iter() {
            match waiter.tenant.class {
                Class::Interactive => by_class.interactive += 1,
                Class::Delivery => by_class.delivery += 1,
                Class::Background => by_class.background += 1,
            }
        }
        by_class
    }

    fn system_stats(&self) -> SystemStats {
        let space = &self.spaces[self.system];
        let waits = space.tally.waits.as_ref().map(|waits| waits.spread());
        SystemStats {
            open: space.records(),
            in_use: space.count(State::Leased) + space.count(State::Cleaning),
            idle: space.count(State::Idle),
            waiting: Kind::ALL.into_iter().map(|kind| space.waiting(kind)).sum(),
            wait_count: waits.map_or(0, |waits| waits.count),
            wait_duration_ms: waits.map_or(0.0, |waits| waits.sum),
            max_open: self.limits.effective_system_reserve(),
        }
    }

    fn workspace_stats(&self, space: &Space, now: Moment) -> Option<WorkspaceStats> {
        let Target::Workspace(key) = &space.target else { return None };
        let (waits, tally) = (space.tally.waits.as_ref().map(|waits| waits.spread()), &space.tally);
        let in_use = space.count(State::Leased) + space.count(State::Cleaning);
        let cap = self.limits.max_connections_per_workspace;
        Some(WorkspaceStats {
            workspace: key.clone(),
            open: space.records(),
            in_use,
            idle: space.count(State::Idle),
            max_open: cap,
            waiting: space.waiters(),
            wait_count: waits.map_or(0, |waits| waits.count),
            wait_duration_ms: waits.map_or(0.0, |waits| waits.sum),
            wait_p99_ms: waits.map_or(0.0, |waits| waits.p99),
            opens: tally.opens,
            closed_idle: tally.closed_idle,
            closed_lifetime: tally.closed_lifetime,
            closed_stolen: tally.closed_stolen,
            closed_broken: tally.closed_broken,
            saturation: f64::from(in_use) / f64::from(cap.max(1)),
            breaker: match (space.ban.until > now, space.ban.failures) {
                (true, _) => BreakerState::Open,
                (false, 0) => BreakerState::Closed,
                (false, _) => BreakerState::HalfOpen,
            },
            debt_ms: ms(space.debt.amount(now)),
            retired: space.retired,
        })
    }
}

fn figure(stats: &WorkspaceStats, sort: SortBy) -> u64 {
    match sort {
        SortBy::InUse => u64::from(stats.in_use),
        SortBy::Waiting => u64::from(stats.waiting),
        SortBy::Opens => stats.opens,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio need not be exact beyond 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
