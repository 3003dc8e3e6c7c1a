//! The broker's configuration, checked as a whole before anything starts.

use std::{fmt, ops::RangeInclusive, time::Duration};

/// Limits and times of a broker. [`Limits::validate`] names everything that is wrong at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Budget: server connections of all instances together (`DB_MAX_CONNECTIONS`, 20–10000).
    pub max_connections: u32,
    /// The part of the budget this instance may use; `None` for all of it.
    pub share: Option<u32>,
    /// Cap: connections per workspace (`DB_MAX_CONNECTIONS_PER_DB`, 1–50).
    pub max_connections_per_workspace: u32,
    /// Connections kept for the system database, part of the share (`DB_SYSTEM_RESERVE`, 2–100);
    /// `None` for a tenth of the share, but 5 to 20.
    pub system_reserve: Option<u32>,
    /// A connection is closed after this time, less up to 15 % at random
    /// (`DB_CONNECTION_MAX_LIFETIME`, 10 s – 24 h).
    pub connection_max_lifetime: Duration,
    /// An unused connection is closed after this time (`DB_CONNECTION_MAX_IDLE_TIME`, 1 s – 24 h).
    pub connection_max_idle_time: Duration,
    /// How long interactive and delivery requests wait by default (`DB_ACQUIRE_TIMEOUT`,
    /// 50 ms – 120 s).
    pub acquire_timeout: Duration,
    /// How long background requests wait by default (`DB_ACQUIRE_TIMEOUT_BACKGROUND`,
    /// 50 ms – 15 min).
    pub acquire_timeout_background: Duration,
    /// Time for a whole open (`DB_CONNECT_TIMEOUT`, 100 ms – 60 s).
    pub connect_timeout: Duration,
    /// Time for a close, after which the connection is a zombie (`DB_CLOSE_TIMEOUT`, 100 ms – 30 s).
    pub close_timeout: Duration,
    /// Time for each step of cleaning (`DB_CLEAN_TIMEOUT`, 50 ms – 10 s).
    pub clean_timeout: Duration,
    /// Opens in flight at most, P (`DB_MAX_PARALLEL_OPENS`, 1–64).
    pub max_parallel_opens: u32,
    /// A connection idle for longer is checked before it is lent (`DB_HEALTH_CHECK_AFTER`,
    /// 0 = always – 1 h).
    pub health_check_after: Duration,
    /// Time for that check (`DB_HEALTH_CHECK_TIMEOUT`, 50 ms – 5 s).
    pub health_check_timeout: Duration,
    /// How long a workspace keeps its only connection while others have none, q (`DB_QUANTUM`,
    /// 5 ms – 10 s).
    pub quantum: Duration,
    /// How long a waiter waits before its workspace asks for one more connection, g
    /// (`DB_GROWTH_DELAY`, 0 – 1 s); `None` for the measured time of a close and an open.
    pub growth_delay: Option<Duration>,
    /// Waiters at most (`DB_MAX_WAITERS`, 1–1000000).
    pub max_waiters: u32,
    /// Waiters per workspace at most (`DB_MAX_WAITERS_PER_DB`, 1–1000000).
    pub max_waiters_per_workspace: u32,
    /// Percent of the workspace slots that background leases may hold while an interactive caller
    /// waits (`DB_BACKGROUND_SHARE`, 10–100).
    pub background_share: u32,
    /// A lease held for longer is logged once (`DB_LEASE_WARN_AFTER`, 100 ms – 24 h).
    pub lease_warn_after: Duration,
    /// A lease held for longer is interrupted and its connection closed (`DB_LEASE_MAX`,
    /// 100 ms – 24 h).
    pub lease_max: Duration,
    /// So many of the busiest workspaces are given a connection ahead of their next request, into
    /// free slots only (`DB_PREWARM`, 0–1000). Fixed at start.
    pub prewarm: u32,
    /// At most one lease for writing per workspace at a time, for engines with a single writer.
    /// Fixed at start.
    pub single_writer: bool,
    /// Panic when a task asks for a lease while it holds one. For tests.
    pub panic_on_nested: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 100,
            share: None,
            max_connections_per_workspace: 3,
            system_reserve: None,
            connection_max_lifetime: Duration::from_mins(10),
            connection_max_idle_time: Duration::from_mins(5),
            acquire_timeout: Duration::from_secs(5),
            acquire_timeout_background: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(2),
            clean_timeout: Duration::from_secs(1),
            max_parallel_opens: 4,
            health_check_after: Duration::from_secs(30),
            health_check_timeout: Duration::from_millis(500),
            quantum: Duration::from_millis(100),
            growth_delay: None,
            max_waiters: 10_000,
            max_waiters_per_workspace: 256,
            background_share: 60,
            lease_warn_after: Duration::from_secs(30),
            lease_max: Duration::from_mins(15),
            prewarm: 0,
            single_writer: false,
            panic_on_nested: false,
        }
    }
}

impl Limits {
    /// Connections this instance may have: the share, or the budget.
    #[must_use]
    pub fn effective_share(&self) -> u32 {
        self.share.unwrap_or(self.max_connections).min(self.max_connections)
    }

    /// Connections kept for the system database.
    #[must_use]
    pub fn effective_system_reserve(&self) -> u32 {
        self.system_reserve.unwrap_or_else(|| (self.effective_share() / 10).clamp(5, 20))
    }

    /// S: connections for workspaces.
    #[must_use]
    pub fn workspace_slots(&self) -> u32 {
        self.effective_share().saturating_sub(self.effective_system_reserve())
    }

    /// Checks every range and how the values go together.
    ///
    /// # Errors
    ///
    /// All problems found, not only the first.
    pub fn validate(&self) -> Result<(), Vec<LimitProblem>> {
        let mut found = Vec::new();
        self.check_counts(&mut found);
        self.check_times(&mut found);
        self.check_together(&mut found);
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    fn check_counts(&self, found: &mut Vec<LimitProblem>) {
        let mut check = |variable, value: u32, allowed: RangeInclusive<u32>| {
            if !allowed.contains(&value) {
                let allowed = format!("{} to {}", allowed.start(), allowed.end());
                found.push(LimitProblem { variable, value: value.to_string(), allowed });
            }
        };
        check("DB_MAX_CONNECTIONS", self.max_connections, 20..=10_000);
        check("DB_MAX_CONNECTIONS_PER_DB", self.max_connections_per_workspace, 1..=50);
        if let Some(reserve) = self.system_reserve {
            check("DB_SYSTEM_RESERVE", reserve, 2..=100);
        }
        check("DB_MAX_PARALLEL_OPENS", self.max_parallel_opens, 1..=64);
        check("DB_MAX_WAITERS", self.max_waiters, 1..=1_000_000);
        check("DB_MAX_WAITERS_PER_DB", self.max_waiters_per_workspace, 1..=1_000_000);
        check("DB_BACKGROUND_SHARE", self.background_share, 10..=100);
        check("DB_PREWARM", self.prewarm, 0..=1_000);
    }

    fn check_times(&self, found: &mut Vec<LimitProblem>) {
        const MS: fn(u64) -> Duration = Duration::from_millis;
        const S: fn(u64) -> Duration = Duration::from_secs;
        let mut check = |variable, value: Duration, from: Duration, to: Duration| {
            if !(from..=to).contains(&value) {
                found.push(LimitProblem {
                    variable,
                    value: format!("{value:?}"),
                    allowed: format!("{from:?} to {to:?}"),
                });
            }
        };
        let (hour, day) = (S(3600), S(86_400));
        check("DB_CONNECTION_MAX_LIFETIME", self.connection_max_lifetime, S(10), day);
        check("DB_CONNECTION_MAX_IDLE_TIME", self.connection_max_idle_time, S(1), day);
        check("DB_ACQUIRE_TIMEOUT", self.acquire_timeout, MS(50), S(120));
        check("DB_ACQUIRE_TIMEOUT_BACKGROUND", self.acquire_timeout_background, MS(50), S(900));
        check("DB_CONNECT_TIMEOUT", self.connect_timeout, MS(100), S(60));
        check("DB_CLOSE_TIMEOUT", self.close_timeout, MS(100), S(30));
        check("DB_CLEAN_TIMEOUT", self.clean_timeout, MS(50), S(10));
        check("DB_HEALTH_CHECK_AFTER", self.health_check_after, MS(0), hour);
        check("DB_HEALTH_CHECK_TIMEOUT", self.health_check_timeout, MS(50), S(5));
        check("DB_QUANTUM", self.quantum, MS(5), S(10));
        if let Some(delay) = self.growth_delay {
            check("DB_GROWTH_DELAY", delay, MS(0), S(1));
        }
        check("DB_LEASE_WARN_AFTER", self.lease_warn_after, MS(100), day);
        check("DB_LEASE_MAX", self.lease_max, MS(100), day);
    }

    fn check_together(&self, found: &mut Vec<LimitProblem>) {
        let (budget, share) = (self.max_connections, self.share.unwrap_or(self.max_connections));
        let (reserve, cap) = (self.effective_system_reserve(), self.max_connections_per_workspace);
        if share > budget {
            found.push(LimitProblem {
                variable: "share of this instance",
                value: share.to_string(),
                allowed: format!("at most DB_MAX_CONNECTIONS = {budget}"),
            });
        }
        if reserve.saturating_add(cap) > share {
            found.push(LimitProblem {
                variable: "DB_SYSTEM_RESERVE + DB_MAX_CONNECTIONS_PER_DB",
                value: format!("{reserve} + {cap}"),
                allowed: format!("together at most {share}, the connections of this instance"),
            });
        }
        if self.lease_warn_after > self.lease_max {
            found.push(LimitProblem {
                variable: "DB_LEASE_WARN_AFTER",
                value: format!("{:?}", self.lease_warn_after),
                allowed: format!("at most DB_LEASE_MAX = {:?}", self.lease_max),
            });
        }
        if self.max_waiters_per_workspace > self.max_waiters {
            found.push(LimitProblem {
                variable: "DB_MAX_WAITERS_PER_DB",
                value: self.max_waiters_per_workspace.to_string(),
                allowed: format!("at most DB_MAX_WAITERS = {}", self.max_waiters),
            });
        }
    }
}

/// One value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitProblem {
    /// The variable it comes from.
    pub variable: &'static str,
    /// The value found.
    pub value: String,
    /// What is allowed.
    pub allowed: String,
}

impl fmt::Display for LimitProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, allowed is {}", self.variable, self.value, self.allowed)
    }
}

/// The limits cannot be used; lists every problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection limits are invalid: {}", join(problems))]
pub struct InvalidLimits {
    /// What is wrong, at least one.
    pub problems: Vec<LimitProblem>,
}

fn join(problems: &[LimitProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl FnOnce(&mut Limits)) -> Vec<&'static str> {
        let mut limits = Limits::default();
        change(&mut limits);
        limits.validate().err().unwrap_or_default().iter().map(|p| p.variable).collect()
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Limits::default().validate(), Ok(()));
    }

    #[test]
    fn all_problems_are_reported_at_once_with_variable_value_and_range() {
        let limits = Limits {
            max_connections: 19,
            max_parallel_opens: 0,
            quantum: Duration::from_millis(4),
            ..Limits::default()
        };
        let found = limits.validate().unwrap_err();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].to_string(), "DB_MAX_CONNECTIONS is 19, allowed is 20 to 10000");
        assert_eq!(found[2].to_string(), "DB_QUANTUM is 4ms, allowed is 5ms to 10s");
    }

    #[test]
    fn every_bound_is_inside_its_range_and_the_next_value_outside() {
        type Set<T> = fn(&mut Limits, T);
        let counts: [(&str, Set<u32>, u32, u32); 6] = [
            ("DB_MAX_CONNECTIONS_PER_DB", |l, v| l.max_connections_per_workspace = v, 1, 50),
            ("DB_SYSTEM_RESERVE", |l, v| l.system_reserve = Some(v), 2, 100),
            ("DB_MAX_PARALLEL_OPENS", |l, v| l.max_parallel_opens = v, 1, 64),
            ("DB_MAX_WAITERS", |l, v| l.max_waiters = v, 1, 1_000_000),
            ("DB_MAX_WAITERS_PER_DB", |l, v| l.max_waiters_per_workspace = v, 1, 1_000_000),
            ("DB_BACKGROUND_SHARE", |l, v| l.background_share = v, 10, 100),
        ];
        let wide = |l: &mut Limits| {
            l.max_connections = 10_000;
            l.max_waiters = 1_000_000;
            l.max_waiters_per_workspace = 1;
        };
        for (name, set, low, high) in counts {
            let with = |value| {
                problems(|l| {
                    wide(l);
                    set(l, value);
                })
            };
            assert_eq!(with(low), [""; 0], "{name} {low}");
            assert_eq!(with(high), [""; 0], "{name} {high}");
            assert!(with(low - 1).contains(&name), "{name} {}", low - 1);
            assert!(with(high + 1).contains(&name), "{name} {}", high + 1);
        }
        let times: [(&str, Set<Duration>, u64, u64); 12] = [
            ("DB_CONNECTION_MAX_LIFETIME", |l, v| l.connection_max_lifetime = v, 10_000, 86_400_000),
            ("DB_CONNECTION_MAX_IDLE_TIME", |l, v| l.connection_max_idle_time = v, 1_000, 86_400_000),
            ("DB_ACQUIRE_TIMEOUT", |l, v| l.acquire_timeout = v, 50, 120_000),
            ("DB_ACQUIRE_TIMEOUT_BACKGROUND", |l, v| l.acquire_timeout_background = v, 50, 900_000),
            ("DB_CONNECT_TIMEOUT", |l, v| l.connect_timeout = v, 100, 60_000),
            ("DB_CLOSE_TIMEOUT", |l, v| l.close_timeout = v, 100, 30_000),
            ("DB_CLEAN_TIMEOUT", |l, v| l.clean_timeout = v, 50, 10_000),
            ("DB_HEALTH_CHECK_TIMEOUT", |l, v| l.health_check_timeout = v, 50, 5_000),
            ("DB_QUANTUM", |l, v| l.quantum = v, 5, 10_000),
            ("DB_GROWTH_DELAY", |l, v| l.growth_delay = Some(v), 0, 1_000),
            ("DB_HEALTH_CHECK_AFTER", |l, v| l.health_check_after = v, 0, 3_600_000),
            ("DB_LEASE_MAX", |l, v| l.lease_max = v, 100, 86_400_000),
        ];
        for (name, set, low, high) in times {
            let with = |ms| {
                problems(|l| {
                    l.lease_warn_after = Duration::from_millis(100);
                    set(l, Duration::from_millis(ms));
                })
            };
            assert_eq!(with(low), [""; 0], "{name} {low}");
            assert_eq!(with(high), [""; 0], "{name} {high}");
            assert!(low == 0 || with(low - 1).contains(&name), "{name} {}", low.saturating_sub(1));
            assert!(with(high + 1).contains(&name), "{name} {}", high + 1);
        }
    }

    #[test]
    fn values_must_go_together() {
        let reserve = problems(|l| {
            l.max_connections = 20;
            l.system_reserve = Some(18);
        });
        assert_eq!(reserve, ["DB_SYSTEM_RESERVE + DB_MAX_CONNECTIONS_PER_DB"]);
        assert_eq!(problems(|l| l.share = Some(101)), ["share of this instance"]);
        assert_eq!(problems(|l| l.lease_max = Duration::from_secs(1)), ["DB_LEASE_WARN_AFTER"]);
        assert_eq!(problems(|l| l.max_waiters = 255), ["DB_MAX_WAITERS_PER_DB"]);
    }

    #[test]
    fn the_system_reserve_is_a_tenth_but_five_to_twenty() {
        let reserve =
            |max_connections| Limits { max_connections, ..Limits::default() }.effective_system_reserve();
        assert_eq!([reserve(20), reserve(100), reserve(1000)], [5, 10, 20]);
    }
}
