//! What happens because time passes.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Core, Effect, Moment, Note, WaiterId,
    record::{CloseReason, Roll, State, Watch},
    slab::{ConnId, SpaceId},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A waiter's time is over.
    Deadline(WaiterId),
    /// A workspace's waiters have waited long enough for it to grow.
    Growth(SpaceId),
    /// A workspace may open again.
    Ban(SpaceId),
    /// A workspace's debt is too small to be remembered.
    Forget(SpaceId),
    /// A connection's lifetime is over.
    Expire(ConnId),
    /// The least recently used connection may be taken.
    Victim,
    /// The server may be asked again.
    Pause,
    /// One more of the slots that the server refused may be tried.
    Recover,
}

/// So many per second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Budgeted {
    began: Moment,
    spent: u32,
}

impl Budgeted {
    const WINDOW: Duration = Duration::from_secs(1);

    fn take(&mut self, rate: u32, now: Moment) -> bool {
        if now.since(self.began) >= Self::WINDOW {
            *self = Self { began: now, spent: 0 };
        }
        let left = self.spent < rate;
        self.spent += u32::from(left);
        left
    }

    fn next(&self, rate: u32) -> Moment {
        if self.spent < rate { Moment::START } else { self.began + Self::WINDOW }
    }
}

impl Core {
    /// Sets, moves or clears a timer of which there is one.
    pub(super) fn arm(
        timers: &mut BTreeSet<(Moment, Timer)>,
        set: &mut Option<Moment>,
        timer: Timer,
        at: Option<Moment>,
    ) {
        if *set == at {
            return;
        }
        if let Some(before) = std::mem::replace(set, at) {
            timers.remove(&(before, timer));
        }
        if let Some(at) = at {
            timers.insert((at, timer));
        }
    }

    pub(super) fn run_timers(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        while let Some(&(at, timer)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            match timer {
                Timer::Deadline(waiter) => self.time_out(waiter, now, effects),
                Timer::Growth(id) => {
                    self.spaces[id].growth_timer = None;
                    self.touch(id);
                }
                Timer::Ban(id) => {
                    self.spaces[id].ban_timer = None;
                    self.touch(id);
                }
                Timer::Forget(id) => {
                    self.spaces[id].forget_timer = None;
                    self.touch(id);
                }
                Timer::Expire(conn) => {
                    if self.is(conn, State::Idle) {
                        self.expired.push_back(conn);
                    }
                }
                Timer::Victim => self.victim_timer = None,
                Timer::Pause => self.pause_timer = None,
                Timer::Recover => {
                    self.recover_timer = None;
                    self.recover(now);
                }
            }
        }
        self.watch_leases(now, effects);
        self.reap(now, effects);
    }

    fn watch_leases(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        while let Some(id) = self.rolls[Roll::Leased as usize].head()
            && now.since(self.conns[id].since) >= self.limits.lease_warn_after
        {
            self.watch(id, Watch::Overdue);
            self.meters.over_warn += 1;
            effects.extend(self.lease_note(id, now, false));
        }
        while let Some(id) = self.rolls[Roll::Overdue as usize].head()
            && now.since(self.conns[id].since) >= self.limits.lease_max
        {
            self.watch(id, Watch::Revoked);
            self.meters.over_max += 1;
            effects.extend(self.lease_note(id, now, true));
            effects.push(Effect::Interrupt { conn: id });
        }
    }

    fn lease_note(&self, id: ConnId, now: Moment, over: bool) -> Option<Effect> {
        let conn = &self.conns[id];
        let tenant = conn.tenant?;
        let (label, class, held) = (tenant.label, tenant.class, now.since(conn.since));
        let workspace = self.spaces[conn.space].key();
        Some(Effect::Note(if over {
            Note::LeaseOverMax { label, class, workspace, held }
        } else {
            Note::LeaseOverWarn { label, class, workspace, held }
        }))
    }

    /// Closes per second because of age.
    fn reap_rate(&self) -> u32 {
        (self.limits.workspace_slots() / 20).max(2)
    }

    fn reap(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let rate = self.reap_rate();
        while let Some((id, reason)) = self.reapable(now) {
            if !self.reaping.take(rate, now) {
                return;
            }
            if reason == CloseReason::Lifetime {
                self.expired.pop_front();
            }
            self.close(id, reason, None, now, effects);
        }
    }

    fn reapable(&mut self, now: Moment) -> Option<(ConnId, CloseReason)> {
        while let Some(&id) = self.expired.front() {
            if self.is(id, State::Idle) {
                return Some((id, CloseReason::Lifetime));
            }
            self.expired.pop_front();
        }
        [Roll::Idle, Roll::IdleSystem].into_iter().find_map(|roll| {
            let id = self.rolls[roll as usize].head()?;
            let idle = now.since(self.conns[id].since);
            (idle >= self.limits.connection_max_idle_time).then_some((id, CloseReason::Idle))
        })
    }

    /// When [`Event::Tick`](super::Event::Tick) is due, if nothing else happens before.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        let head = |roll: Roll, after: Duration| {
            let id = self.rolls[roll as usize].head()?;
            Some(self.conns[id].since + after)
        };
        let limits = &self.limits;
        let reap_from = self.reaping.next(self.reap_rate());
        let expired = (!self.expired.is_empty()).then_some(reap_from);
        let idle = [Roll::Idle, Roll::IdleSystem]
            .map(|roll| head(roll, limits.connection_max_idle_time).map(|at| at.max(reap_from)));
        let others = [
            self.timers.first().map(|(at, _)| *at),
            head(Roll::Leased, limits.lease_warn_after),
            head(Roll::Overdue, limits.lease_max),
            expired,
        ];
        others.into_iter().chain(idle).flatten().min()
    }
}
