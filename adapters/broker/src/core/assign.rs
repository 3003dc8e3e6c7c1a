//! Who gets a slot: the gate, free slots, victims. And granting what is idle.

use super::{
    Core, Effect, Moment, WaiterId,
    record::{CloseReason, Kind, Origin, Roll, State, WantKind, Watch},
    slab::{ConnId, SpaceId},
    tick::Timer,
};
use std::time::Duration;

/// How a connection came to a waiter; only for the statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Hit,
    HandedOver,
    Opened,
}

impl Core {
    /// The gate: opens are the scarce resource. A slot taken before there is an opener for it would
    /// be a warm connection thrown away.
    pub(super) fn gate_is_open(&self, now: Moment) -> bool {
        self.in_flight < self.limits.max_parallel_opens && !self.shutting_down && self.server_allows(now)
    }

    pub(super) fn assign(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.assign_system(now, effects);
        self.close_surplus(now, effects);
        let mut victim_at = None;
        while self.gate_is_open(now) {
            let Some((want, kind)) = self.next_want(None) else { break };
            if self.used < self.server.effective_slots() {
                let Some(id) = self.take_turn(None, now) else { break };
                self.serve(id, now);
                self.start_open(id, Origin::Free, now, effects);
            } else if self.used <= self.limits.workspace_slots()
                && let Some(victim) = self.victim(want)
            {
                let permitted_at = self.permitted_at(victim, want, kind, now);
                if permitted_at > now {
                    victim_at = Some(permitted_at);
                    break;
                }
                let owner = self.conns[victim].space;
                let Some(id) = self.take_turn(Some(owner), now) else { break };
                self.serve(id, now);
                self.meters.steals.idle += 1;
                self.steal(victim, id, CloseReason::Stolen, now, effects);
            } else {
                break;
            }
            self.look_again(now, effects);
        }
        Self::arm(&mut self.timers, &mut self.victim_timer, Timer::Victim, victim_at);
    }

    /// The least recently used idle connection of another workspace.
    fn victim(&self, want: SpaceId) -> Option<ConnId> {
        let idle = self.rolls[Roll::Idle as usize];
        idle.ids(&self.conns, |conn| &conn.link).find(|id| self.conns[*id].space != want)
    }

    /// From when on an idle connection may be taken for a workspace.
    pub(super) fn permitted_at(&self, victim: ConnId, want: SpaceId, kind: WantKind, now: Moment) -> Moment {
        let conn = &self.conns[victim];
        if self.spaces[conn.space].live() >= self.spaces[want].live() + 2 {
            return Moment::START;
        }
        match kind {
            WantKind::Zero if self.turn_is_over(victim, now) => Moment::START,
            WantKind::Zero => conn.since + self.growth_delay(),
            WantKind::Growth => conn.since + self.growth_delay().max(self.limits.quantum),
        }
    }

    /// Whether a workspace's only connection may go to one that has none: those that were opened first
    /// go first, or whoever happens to be asked less often would have the shorter turn. When none of
    /// them is given back for a while, anybody's turn is over.
    fn turn_is_over(&self, id: ConnId, now: Moment) -> bool {
        let first = (2 * self.limits.max_parallel_opens).max(self.limits.workspace_slots() / 10);
        let others = self.used.saturating_sub(self.in_flight + first);
        let opened_since = self.opened - self.conns[id].opened_before;
        opened_since >= u64::from(others) || now >= self.served_at + self.growth_delay() * 2
    }

    /// Takes a workspace off its list: it gets its slot. It keeps its place in mind in case the
    /// open fails.
    pub(super) fn serve(&mut self, id: SpaceId, now: Moment) {
        let delay = self.growth_delay();
        let space = &mut self.spaces[id];
        space.former_place = space.want.filter(|want| want.kind == WantKind::Zero).map(|want| want.place);
        space.growth_from = now + delay;
        self.served_at = now;
    }

    pub(super) fn steal(
        &mut self,
        conn: ConnId,
        heir: SpaceId,
        reason: CloseReason,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        self.meters.steal_rate.record(now);
        if self.conns[conn].state == State::Idle {
            let age = now.since(self.conns[conn].since);
            self.meters.victim_age.record(age);
        }
        self.close(conn, reason, Some(heir), now, effects);
    }

    pub(super) fn start_open(&mut self, id: SpaceId, origin: Origin, now: Moment, effects: &mut Vec<Effect>) {
        let conn = self.add_conn(id, origin, now);
        let target = self.spaces[id].target.clone();
        #[cfg(test)]
        self.check_open(id);
        effects.push(Effect::Open { conn, target });
    }

    /// Idle connections go first when a limit has been lowered.
    fn close_surplus(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        while self.surplus() > 0
            && let Some(conn) = self.rolls[Roll::Idle as usize].head()
        {
            self.close(conn, CloseReason::Share, None, now, effects);
        }
    }

    /// Connections over the slots, those that are going already left out.
    pub(super) fn surplus(&self) -> u32 {
        let going = self.rolls[Roll::Closing as usize].len();
        let staying = self.used.saturating_sub(going);
        staying.saturating_sub(self.limits.workspace_slots())
    }

    pub(super) fn needs_check(&self, conn: ConnId, now: Moment) -> bool {
        now.since(self.conns[conn].since) >= self.limits.health_check_after
    }

    /// Brings a space's idle connections and waiters together.
    pub(super) fn serve_idle(&mut self, id: SpaceId, now: Moment, effects: &mut Vec<Effect>) {
        while let Some(conn) = self.spaces[id].idle.head() {
            let space = &self.spaces[id];
            if self.servable_now(space) <= space.checking {
                return;
            }
            if self.needs_check(conn, now) {
                self.check(conn, now, effects);
            } else if let Some(waiter) = self.best_waiter(id, now) {
                self.grant(conn, waiter, Route::Hit, now, effects);
            } else {
                return;
            }
        }
    }

    pub(super) fn grant(
        &mut self,
        conn: ConnId,
        waiter: WaiterId,
        route: Route,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let Some(served) = self.dequeue(waiter) else { return };
        self.occupy(conn, served.tenant, now);
        let wait = now.since(served.arrived_at);
        let origin = self.conns[conn].origin;
        let counts = self.meters.leases.of(served.tenant.class);
        match (route, origin) {
            (Route::Hit, _) => counts.hit += 1,
            (Route::HandedOver, _) => counts.handed_over += 1,
            (Route::Opened, Origin::Free) => counts.opened += 1,
            (Route::Opened, Origin::Stolen) => counts.stolen += 1,
        }
        self.meters.waits.of(served.tenant.class).record(wait);
        self.spaces[served.space].tally.waits.get_or_insert_default().record(wait);
        effects.push(Effect::Grant { waiter, conn });
    }

    /// A workspace's turn without a waiter: into a free slot, never beyond 80 % of them.
    pub(super) fn prewarm(&mut self, key: &crate::WorkspaceKey, now: Moment, effects: &mut Vec<Effect>) {
        let slots = self.server.effective_slots();
        if (self.used + 1) * 5 > slots * 4 || !self.gate_is_open(now) {
            return;
        }
        let id = self.space_for(key);
        self.touch(id);
        let space = &self.spaces[id];
        if space.against_cap() > 0 || space.waiters() > 0 || space.retired || space.ban.until > now {
            return;
        }
        self.start_open(id, Origin::Free, now, effects);
    }

    /// Whether the holder should give the connection back soon: somebody waits whom its release
    /// would serve.
    pub(crate) fn should_yield(&self, conn: ConnId, now: Moment) -> bool {
        let Some(lent) = self.conns.get(conn) else { return false };
        let Some(tenant) = lent.tenant else { return false };
        let space = &self.spaces[lent.space];
        if lent.watch == Watch::Revoked || space.retired || self.shutting_down {
            return true;
        }
        let writers = space.waiting(Kind::Writer) + space.waiting(Kind::BackgroundWriter);
        self.servable_now(space) > space.checking
            || (tenant.kind.writes() && writers > 0)
            || self.takeover(conn, now).is_some()
    }

    /// Which rule of a release would take this connection for another workspace.
    pub(super) fn takeover(&self, conn: ConnId, now: Moment) -> Option<CloseReason> {
        let record = &self.conns[conn];
        if record.space == self.system || !self.gate_is_open(now) || self.used > self.limits.workspace_slots()
        {
            return None;
        }
        let owner = &self.spaces[record.space];
        let (want, kind) = self.next_want(Some(record.space))?;
        if owner.live() >= self.spaces[want].live() + 2 {
            return Some(CloseReason::Share);
        }
        if kind == WantKind::Growth {
            return None;
        }
        if owner.live() > 1 || !self.turn_is_over(conn, now) {
            return None;
        }
        if self.servable_now(owner) == 0 {
            return Some(CloseReason::Stolen);
        }
        let tenure: Duration = now.since(record.opened_at);
        (tenure >= self.limits.quantum).then_some(CloseReason::Quantum)
    }
}
