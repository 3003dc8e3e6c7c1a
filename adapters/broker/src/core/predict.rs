//! How long a request would wait, and when a refused caller should come back.

use std::time::Duration;

use super::{
    Core, Moment,
    record::{Roll, Space, WantKind},
};
use crate::{BrokerError, Class, LimitReason, WorkspaceKey};

/// Assumed until something has been measured.
const FIRST_GUESS: Duration = Duration::from_millis(5);

impl Core {
    pub(super) fn open_and_close(&self) -> Duration {
        self.meters.open_time.get().unwrap_or(FIRST_GUESS)
            + self.meters.close_time.get().unwrap_or(FIRST_GUESS)
    }

    /// g: it pays to wait for as long as an open would take before paying for one.
    pub(super) fn growth_delay(&self) -> Duration {
        self.limits.growth_delay.unwrap_or_else(|| {
            self.open_and_close().clamp(Duration::from_millis(2), Duration::from_millis(50))
        })
    }

    /// R: opens per second.
    pub(super) fn open_capacity(&self) -> f64 {
        f64::from(self.limits.max_parallel_opens) / self.open_and_close().as_secs_f64().max(1e-6)
    }

    /// How long a new request would wait. `None` stands for a workspace without a record.
    pub(super) fn predicted_wait(&self, space: Option<&Space>, class: Class, now: Moment) -> Duration {
        let live = space.map_or(0, Space::live);
        if let Some(space) = space
            && live > 0
        {
            let ahead = Self::ahead_of(space, class);
            let hold = space.hold.get().or_else(|| self.meters.hold_time.get()).unwrap_or(FIRST_GUESS);
            return hold * ahead / live;
        }
        if space.is_some_and(Space::is_system) {
            return self.server.closed_until(now).since(now) + self.open_and_close();
        }
        let closed = self.server.closed_until(now).max(space.map_or(now, |space| space.ban.until)).since(now);
        let ahead = self.wants_ahead(space);
        let parallel = u64::from(self.limits.max_parallel_opens);
        if self.used < self.server.effective_slots() || self.rolls[Roll::Idle as usize].len() > 0 {
            let rounds = u32::try_from((ahead + 1).div_ceil(parallel)).unwrap_or(u32::MAX);
            return closed + self.open_and_close().saturating_mul(rounds);
        }
        let slots = f64::from(self.limits.workspace_slots().max(1));
        let rate = self.open_capacity().min(slots / self.limits.quantum.as_secs_f64().max(1e-6));
        #[expect(clippy::cast_precision_loss, reason = "there are fewer waiters than 2^52")]
        let turns = Duration::try_from_secs_f64(ahead as f64 / rate).unwrap_or(Duration::MAX);
        closed.saturating_add(turns).saturating_add(self.limits.quantum)
    }

    /// Workspaces ahead in Z: exact for one that would join, an estimate for one that has.
    fn wants_ahead(&self, space: Option<&Space>) -> u64 {
        match space {
            Some(space) if space.want.is_some_and(|want| want.kind == WantKind::Zero) => {
                let (ahead, departures) = space.ahead;
                ahead.saturating_sub(self.wants.departures() - departures)
            }
            _ => self.wants.zeros(),
        }
    }

    /// Whole seconds from 1 to 30, spread so that callers do not come back all at once.
    pub(super) fn retry_after(&mut self, wait: Duration) -> Duration {
        let spread = 1.0 + 0.5 * self.dice.roll();
        let seconds = (wait.as_secs_f64() * spread).ceil().clamp(1.0, 30.0);
        Duration::from_secs_f64(seconds)
    }

    pub(super) fn limit_error(
        &mut self,
        reason: LimitReason,
        workspace: Option<WorkspaceKey>,
        wait: Duration,
    ) -> BrokerError {
        BrokerError::ConnectionLimit {
            max: self.limits.max_connections,
            current: u32::try_from(self.conns.len()).unwrap_or(u32::MAX),
            workspace,
            retry_after: self.retry_after(wait),
            reason,
        }
    }
}
