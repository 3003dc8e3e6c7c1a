//! A connection becomes available: opened, given back, cleaned, checked.

use super::{
    Core, Effect, Moment, Release,
    assign::Route,
    record::{CloseReason, Shortage, State, Watch},
    slab::ConnId,
};

impl Core {
    pub(super) fn opened(&mut self, id: ConnId, now: Moment, effects: &mut Vec<Effect>) {
        if !self.is(id, State::Opening) {
            return;
        }
        let took = now.since(self.conns[id].since);
        self.meters.open_time.record(took);
        self.meters.opens_took.record(took);
        self.meters.open_rate.record(now);
        self.meters.opens.succeeded += 1;
        self.open_succeeded(id, now, effects);
        let delay = self.growth_delay();
        let conn = &mut self.conns[id];
        conn.opened_at = now;
        conn.opened_before = self.opened;
        let space = conn.space;
        self.opened += u64::from(space != self.system);
        let space = &mut self.spaces[space];
        space.tally.opens += 1;
        space.former_place = None;
        space.shortage = Shortage::default();
        space.growth_from = now + delay;
        if let Some(reason) = self.unfit(id, now) {
            return self.close(id, reason, None, now, effects);
        }
        self.place_with_waiter(id, Route::Opened, now, effects);
    }

    pub(super) fn release(&mut self, id: ConnId, how: Release, now: Moment, effects: &mut Vec<Effect>) {
        if !self.is(id, State::Leased) {
            return;
        }
        let conn = &self.conns[id];
        let (space, started, revoked) = (conn.space, conn.since, conn.watch == Watch::Revoked);
        let held = now.since(started);
        if let Some(tenant) = conn.tenant {
            self.meters.holds.of(tenant.class).record(held);
        }
        self.meters.hold_time.record(held);
        self.spaces[space].hold.record(held);
        self.charge_overrun(id, now);
        let unfit = self.unfit(id, now);
        match how {
            _ if unfit.is_some_and(|reason| reason != CloseReason::Share) || revoked => {
                self.close(id, unfit.unwrap_or(CloseReason::Broken), None, now, effects);
            }
            Release::Broken => self.close(id, CloseReason::Broken, None, now, effects),
            _ if let Some(reason) = unfit => self.close(id, reason, None, now, effects),
            Release::Dirty { discard } => {
                self.move_to(id, State::Cleaning, now);
                effects.push(Effect::Clean { conn: id, discard });
            }
            Release::Clean => self.place(id, now, effects),
        }
    }

    /// What a lease took beyond its quantum while others had nothing is owed to them.
    fn charge_overrun(&mut self, id: ConnId, now: Moment) {
        let (conn, quantum) = (&self.conns[id], self.limits.quantum);
        let Some(since) = self.wants.zero_since() else { return };
        if conn.space == self.system {
            return;
        }
        let overrun = now.since((conn.since + quantum).max(since));
        if !overrun.is_zero() {
            let debt = &mut self.spaces[conn.space].debt;
            let amount = (debt.amount(now) + overrun).min(quantum * 10);
            debt.set(amount, now);
        }
    }

    /// Why a connection must not be lent again.
    fn unfit(&self, id: ConnId, now: Moment) -> Option<CloseReason> {
        let conn = &self.conns[id];
        if self.shutting_down {
            Some(CloseReason::Shutdown)
        } else if self.spaces[conn.space].retired {
            Some(CloseReason::Retired)
        } else if conn.generation != self.generation {
            Some(CloseReason::Generation)
        } else if conn.expires_at <= now {
            Some(CloseReason::Lifetime)
        } else if self.over_its_limit(id) {
            Some(CloseReason::Share)
        } else {
            None
        }
    }

    /// Only after a limit has been lowered.
    fn over_its_limit(&self, id: ConnId) -> bool {
        let space = &self.spaces[self.conns[id].space];
        let limits = &self.limits;
        if space.is_system() {
            return space.live() > limits.effective_system_reserve();
        }
        self.surplus() > 0 || space.live() > limits.max_connections_per_workspace
    }

    pub(super) fn cleaned(&mut self, id: ConnId, usable: bool, now: Moment, effects: &mut Vec<Effect>) {
        if !self.is(id, State::Cleaning) {
            return;
        }
        let checked = self.conns[id].checking;
        match (checked, usable) {
            (true, true) => self.meters.checks_passed += 1,
            (true, false) => self.meters.checks_failed += 1,
            _ => {}
        }
        if !usable {
            let reason = if checked { CloseReason::Broken } else { CloseReason::Dirty };
            return self.close(id, reason, None, now, effects);
        }
        if let Some(reason) = self.unfit(id, now)
            && !(checked && reason == CloseReason::Lifetime)
        {
            return self.close(id, reason, None, now, effects);
        }
        if checked {
            self.place_with_waiter(id, Route::Hit, now, effects);
        } else {
            self.place(id, now, effects);
        }
    }

    /// For its workspace's best waiter, whoever that is by now; else as if just released.
    fn place_with_waiter(&mut self, id: ConnId, route: Route, now: Moment, effects: &mut Vec<Effect>) {
        let space = self.conns[id].space;
        match self.best_waiter(space, now) {
            Some(waiter) => self.grant(id, waiter, route, now, effects),
            None => self.place(id, now, effects),
        }
    }

    /// The rules of a release.
    fn place(&mut self, id: ConnId, now: Moment, effects: &mut Vec<Effect>) {
        let space = self.conns[id].space;
        self.vacate(id, now);
        if let Some(reason) = self.takeover(id, now)
            && let Some(heir) = self.take_turn(Some(space), now)
        {
            self.count_takeover(reason);
            self.serve(heir, now);
            return self.steal(id, heir, reason, now, effects);
        }
        match self.best_waiter(space, now) {
            Some(waiter) => self.grant(id, waiter, Route::HandedOver, now, effects),
            None => self.move_to(id, State::Idle, now),
        }
    }

    /// Not counted any more as a lease, a writer, a check or an open while the rules look at it.
    fn vacate(&mut self, id: ConnId, now: Moment) {
        let conn = &self.conns[id];
        if conn.state == State::Opening || conn.space == self.system {
            self.move_to(id, State::Cleaning, now);
        } else {
            self.leave(id);
        }
    }

    pub(super) fn is(&self, id: ConnId, state: State) -> bool {
        self.conns.get(id).is_some_and(|conn| conn.state == state)
    }
}
