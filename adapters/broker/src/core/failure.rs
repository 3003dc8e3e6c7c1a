//! Opens that fail, closes that hang, and what keeps the broker from trying again too soon.

use std::time::Duration;

use super::{
    Core, Effect, Moment, Note,
    record::{Ban, CloseReason, Origin, State},
    slab::{ConnId, SpaceId},
    tick::Timer,
};
use crate::{BreakerState, BrokerError, OpenFailure};

const LEAST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const LEAST_BREAK: Duration = Duration::from_millis(100);
const LONGEST_BREAK: Duration = Duration::from_secs(10);
const LEAST_BAN: Duration = Duration::from_secs(1);
const LONGEST_BAN: Duration = Duration::from_mins(1);
const MISSING_FOR: Duration = Duration::from_secs(30);
/// A refused slot is tried again after this time.
const RECOVERY: Duration = Duration::from_secs(5);

/// What is known of the server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// S, less what the server has refused.
    effective_slots: u32,
    /// Refusals for want of connections in a row, and whose the last one was.
    refusals: u32,
    refused: Option<SpaceId>,
    /// No open before.
    paused_until: Moment,
    /// Failures in a row; the breaker is closed at 0.
    failures: u32,
    /// The breaker is half-open from then on.
    broken_until: Moment,
}

impl Server {
    pub(super) const fn new(slots: u32) -> Self {
        Self {
            effective_slots: slots,
            refusals: 0,
            refused: None,
            paused_until: Moment::START,
            failures: 0,
            broken_until: Moment::START,
        }
    }

    pub(super) const fn effective_slots(&self) -> u32 {
        self.effective_slots
    }

    /// Until when nothing can be opened; `now` if something can.
    pub(super) fn closed_until(&self, now: Moment) -> Moment {
        self.broken_until.max(self.paused_until).max(now)
    }

    pub(super) fn breaker(&self, now: Moment) -> BreakerState {
        if self.failures == 0 {
            BreakerState::Closed
        } else if self.broken_until > now {
            BreakerState::Open
        } else {
            BreakerState::HalfOpen
        }
    }
}

/// Doubling from `least` to `most`.
fn back_off(least: Duration, most: Duration, failures: u32) -> Duration {
    least.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(most)
}

impl Core {
    /// Whether the server is believed to take a connection; after it was down, one probe at a time.
    pub(super) fn server_allows(&self, now: Moment) -> bool {
        if self.server.paused_until > now {
            return false;
        }
        match self.server.breaker(now) {
            BreakerState::Closed => true,
            BreakerState::Open => false,
            BreakerState::HalfOpen => self.in_flight == 0 && self.spaces[self.system].opens() == 0,
        }
    }

    /// As [`Core::server_allows`], for a slot whose open is in flight already.
    fn server_allows_reserved(&self, now: Moment) -> bool {
        let server = &self.server;
        server.paused_until <= now
            && match server.breaker(now) {
                BreakerState::Closed => true,
                BreakerState::Open => false,
                BreakerState::HalfOpen => self.conns_opening() == 0,
            }
    }

    const fn conns_opening(&self) -> u32 {
        self.rolls[super::record::Roll::Opening as usize].len()
    }

    pub(super) fn open_succeeded(&mut self, id: ConnId, now: Moment, effects: &mut Vec<Effect>) {
        let server = &mut self.server;
        server.refusals = 0;
        server.refused = None;
        server.paused_until = now.min(server.paused_until);
        if server.failures > 0 {
            server.failures = 0;
            server.broken_until = Moment::START;
            effects.push(Effect::Note(Note::ServerBack));
        }
        let space = self.conns[id].space;
        self.spaces[space].ban = Ban::default();
        self.arm_pause(now);
    }

    pub(super) fn open_failed(
        &mut self,
        id: ConnId,
        failure: OpenFailure,
        proven: bool,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        if !self.is(id, State::Opening) {
            return;
        }
        self.meters.opens.failed += 1;
        let delay = self.growth_delay();
        let space = self.conns[id].space;
        self.spaces[space].growth_from = now + delay;
        if proven {
            self.remove_conn(id, effects);
        } else {
            self.bury(id, now, effects);
        }
        match failure {
            OpenFailure::Limit => self.refused_by_server(space, now, effects),
            OpenFailure::Down => self.trip(now, effects),
            OpenFailure::Auth => {
                self.meters.auth_failures += 1;
                effects.push(Effect::Note(Note::RoleRefused));
                self.trip(now, effects);
                self.refuse_hopeless(space, Duration::MAX, now, effects);
            }
            OpenFailure::DatabaseMissing => self.missing(space, now, effects),
            OpenFailure::Other => self.ban(space, now, effects),
        }
        self.arm_pause(now);
    }

    /// Fewer slots for a while, and a pause if it happens to one workspace after another.
    fn refused_by_server(&mut self, space: SpaceId, now: Moment, effects: &mut Vec<Effect>) {
        self.meters.server_refusals += 1;
        let pause = back_off(LEAST_PAUSE, LONGEST_PAUSE, self.server.refusals + 1);
        let pause = LEAST_PAUSE + pause.saturating_sub(LEAST_PAUSE).mul_f64(self.dice.roll());
        let server = &mut self.server;
        server.effective_slots = (server.effective_slots * 9 / 10).max(1);
        server.refusals += 1;
        if space != self.system {
            self.spaces[space].ban.until = now + pause;
        }
        if space == self.system || server.refused.is_some_and(|before| before != space) {
            server.paused_until = now + pause;
        }
        server.refused = Some(space);
        let effective_slots = server.effective_slots;
        let recover_at = self.recover_timer.or(Some(now + RECOVERY));
        Self::arm(&mut self.timers, &mut self.recover_timer, Timer::Recover, recover_at);
        effects.push(Effect::Note(Note::ServerRefused { effective_slots }));
    }

    pub(super) fn recover(&mut self, now: Moment) {
        let slots = self.limits.workspace_slots();
        let server = &mut self.server;
        server.effective_slots = (server.effective_slots + 1).min(slots);
        let next = (server.effective_slots < slots).then_some(now + RECOVERY);
        Self::arm(&mut self.timers, &mut self.recover_timer, Timer::Recover, next);
    }

    /// After a change of the limits.
    pub(super) fn resize(&mut self, before: u32) {
        let slots = self.limits.workspace_slots();
        let server = &mut self.server;
        server.effective_slots =
            if server.effective_slots == before { slots } else { server.effective_slots.min(slots) };
        if server.effective_slots == slots {
            Self::arm(&mut self.timers, &mut self.recover_timer, Timer::Recover, None);
        }
    }

    /// Opens the breaker for the whole server.
    fn trip(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let server = &mut self.server;
        if server.failures > 0 && server.broken_until > now {
            // One of several attempts that were under way together.
            return;
        }
        server.failures += 1;
        let time = back_off(LEAST_BREAK, LONGEST_BREAK, server.failures);
        let retry_in = time.mul_f64(0.75 + 0.5 * self.dice.roll()).clamp(LEAST_BREAK, LONGEST_BREAK);
        self.server.broken_until = now + retry_in;
        effects.push(Effect::Note(Note::ServerDown { retry_in }));
    }

    fn arm_pause(&mut self, now: Moment) {
        let until = self.server.closed_until(now);
        let at = (until > now).then_some(until);
        Self::arm(&mut self.timers, &mut self.pause_timer, Timer::Pause, at);
    }

    fn missing(&mut self, id: SpaceId, now: Moment, effects: &mut Vec<Effect>) {
        let Some(workspace) = self.spaces[id].key() else {
            // Without the system database nothing works.
            return self.trip(now, effects);
        };
        self.spaces[id].ban = Ban { until: now + MISSING_FOR, failures: 0, missing: true };
        self.refuse_waiters(id, now, effects, |_, _| {
            Some(BrokerError::DatabaseMissing { workspace: workspace.clone() })
        });
    }

    /// Opens the breaker for one workspace. The system lane has only the server's.
    fn ban(&mut self, id: SpaceId, now: Moment, effects: &mut Vec<Effect>) {
        let Some(workspace) = self.spaces[id].key() else {
            return self.trip(now, effects);
        };
        let ban = &mut self.spaces[id].ban;
        ban.failures += 1;
        let retry_in = back_off(LEAST_BAN, LONGEST_BAN, ban.failures);
        ban.until = now + retry_in;
        ban.missing = false;
        effects.push(Effect::Note(Note::WorkspaceFailing { workspace, retry_in }));
        self.refuse_hopeless(id, retry_in, now, effects);
    }

    /// Waiters of a workspace without connections that cannot get one before their deadline.
    fn refuse_hopeless(&mut self, id: SpaceId, closed: Duration, now: Moment, effects: &mut Vec<Effect>) {
        if self.spaces[id].live() > 0 {
            return;
        }
        let until = now + closed;
        let back = self.server.closed_until(now).max(self.spaces[id].ban.until).since(now);
        self.refuse_waiters(id, now, effects, |core, deadline| {
            (deadline < until).then(|| BrokerError::Unavailable { retry_after: core.retry_after(back) })
        });
    }

    /// The slot is known to be free.
    pub(super) fn closed(&mut self, id: ConnId, now: Moment, effects: &mut Vec<Effect>) {
        let Some(conn) = self.conns.get(id) else { return };
        match conn.state {
            State::Closing => {
                let took = now.since(conn.since);
                self.meters.close_time.record(took);
                self.meters.closes_took.record(took);
            }
            State::Zombie => {}
            _ => return,
        }
        let heir = self.unreserve(id);
        self.remove_conn(id, effects);
        let Some(heir) = heir else { return };
        let room = self.used < self.limits.workspace_slots();
        let allowed = !self.shutting_down && self.server_allows_reserved(now);
        if room && allowed && self.still_needs(heir, now) {
            self.start_open(heir, Origin::Stolen, now, effects);
        }
    }

    /// No proof in time: it counts until there is one.
    pub(super) fn close_timed_out(&mut self, id: ConnId, now: Moment, effects: &mut Vec<Effect>) {
        if self.is(id, State::Closing) {
            self.bury(id, now, effects);
        }
    }

    fn bury(&mut self, id: ConnId, now: Moment, effects: &mut Vec<Effect>) {
        self.unreserve(id);
        self.move_to(id, State::Zombie, now);
        self.meters.zombies += 1;
        let workspace = self.spaces[self.conns[id].space].key();
        effects.push(Effect::Prove { conn: id });
        effects.push(Effect::Note(Note::Zombie { workspace }));
    }

    pub(super) fn peer_gone(&mut self, id: ConnId, now: Moment, effects: &mut Vec<Effect>) {
        if self.is(id, State::Idle) {
            self.close(id, CloseReason::Broken, None, now, effects);
        }
    }
}
