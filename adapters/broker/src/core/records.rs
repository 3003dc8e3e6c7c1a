//! Keeping records, lists and counts in step: the only code that changes a connection's state.

use super::{
    Core, Effect, Moment,
    list::Link,
    record::{CloseReason, Conn, Origin, Roll, Shortage, Space, State, Tenant, Watch},
    slab::{ConnId, SpaceId},
    tick::Timer,
};
use crate::{Class, Target, WorkspaceKey};

impl Core {
    /// The space of a workspace, made if there is none.
    pub(super) fn space_for(&mut self, key: &WorkspaceKey) -> SpaceId {
        if let Some(&id) = self.by_key.get(key) {
            return id;
        }
        let id = self.spaces.insert(Space::new(Target::Workspace(key.clone())));
        self.by_key.insert(key.clone(), id);
        id
    }

    /// Has the space looked at again before the event ends.
    pub(super) fn touch(&mut self, id: SpaceId) {
        let space = &mut self.spaces[id];
        if !space.touched {
            space.touched = true;
            self.touched.push(id);
        }
    }

    pub(super) fn look_again(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        while let Some(id) = self.touched.pop() {
            let Some(space) = self.spaces.get_mut(id) else { continue };
            space.touched = false;
            self.serve_idle(id, now, effects);
            self.refresh(id, now);
            self.forget_if_empty(id, now);
        }
    }

    fn forget_if_empty(&mut self, id: SpaceId, now: Moment) {
        let space = &self.spaces[id];
        if space.is_system() || space.retired || space.records() + space.reserved + space.waiters() > 0 {
            return;
        }
        let banned = space.ban.until > now;
        let debt_until = space.debt.gone_at(now);
        if banned || debt_until.is_some() {
            if let Some(at) = debt_until {
                self.set_timer(id, Timer::Forget(id), Some(at));
            }
            return;
        }
        self.remove_space(id);
    }

    fn remove_space(&mut self, id: SpaceId) {
        self.set_timer(id, Timer::Growth(id), None);
        self.set_timer(id, Timer::Ban(id), None);
        self.set_timer(id, Timer::Forget(id), None);
        if let Some(Space { target: Target::Workspace(key), .. }) = self.spaces.remove(id) {
            self.by_key.remove(&key);
        }
    }

    /// Sets, moves or clears one of a space's timers.
    pub(super) fn set_timer(&mut self, id: SpaceId, timer: Timer, at: Option<Moment>) {
        let space = &mut self.spaces[id];
        let set = match timer {
            Timer::Growth(_) => &mut space.growth_timer,
            Timer::Ban(_) => &mut space.ban_timer,
            _ => &mut space.forget_timer,
        };
        if *set == at {
            return;
        }
        if let Some(before) = std::mem::replace(set, at) {
            self.timers.remove(&(before, timer));
        }
        if let Some(at) = at {
            self.timers.insert((at, timer));
        }
    }

    pub(super) fn roll(&self, conn: &Conn) -> Roll {
        match (conn.state, conn.watch) {
            (State::Opening, _) => Roll::Opening,
            (State::Idle, _) if conn.space == self.system => Roll::IdleSystem,
            (State::Idle, _) => Roll::Idle,
            (State::Leased, Watch::Fresh) => Roll::Leased,
            (State::Leased, Watch::Overdue) => Roll::Overdue,
            (State::Leased, Watch::Revoked) => Roll::Revoked,
            (State::Cleaning, _) => Roll::Cleaning,
            (State::Closing, _) => Roll::Closing,
            (State::Zombie, _) => Roll::Zombie,
        }
    }

    fn link(&mut self, id: ConnId) {
        let conn = &self.conns[id];
        let (space, state, roll) = (conn.space, conn.state, self.roll(conn));
        self.rolls[roll as usize].push_back(&mut self.conns, id, Conn::via_link);
        let space = &mut self.spaces[space];
        space.counts[state as usize] += 1;
        if state == State::Idle {
            space.idle.push_front(&mut self.conns, id, Conn::via_stack);
        }
    }

    fn unlink(&mut self, id: ConnId) {
        let conn = &self.conns[id];
        let (space, state, roll) = (conn.space, conn.state, self.roll(conn));
        self.rolls[roll as usize].remove(&mut self.conns, id, Conn::via_link);
        let space = &mut self.spaces[space];
        space.counts[state as usize] -= 1;
        if state == State::Idle {
            space.idle.remove(&mut self.conns, id, Conn::via_stack);
        }
    }

    /// A new record, Opening.
    pub(super) fn add_conn(&mut self, space: SpaceId, origin: Origin, now: Moment) -> ConnId {
        let lifetime = self.limits.connection_max_lifetime.mul_f64(1.0 - 0.15 * self.dice.roll());
        let expires_at = now + lifetime;
        let id = self.conns.insert(Conn {
            space,
            state: State::Opening,
            watch: Watch::Fresh,
            link: Link::default(),
            stack: Link::default(),
            opened_at: now,
            opened_before: self.opened,
            since: now,
            expires_at,
            generation: self.generation,
            origin,
            tenant: None,
            checking: false,
            reserved_for: None,
        });
        if space != self.system {
            self.used += 1;
            self.in_flight += 1;
        }
        self.timers.insert((expires_at, Timer::Expire(id)));
        self.link(id);
        self.touch(space);
        id
    }

    /// Moves a record to another state. Whoever leaves Opening is no longer in flight; whoever
    /// leaves Leased or Cleaning has no tenant and no check.
    pub(super) fn move_to(&mut self, id: ConnId, state: State, now: Moment) {
        self.unlink(id);
        self.leave(id);
        let conn = &mut self.conns[id];
        conn.state = state;
        conn.watch = Watch::Fresh;
        conn.since = now;
        let space = conn.space;
        if state == State::Idle {
            self.spaces[space].shortage = Shortage::default();
        }
        self.link(id);
        self.touch(space);
    }

    pub(super) fn leave(&mut self, id: ConnId) {
        let conn = &mut self.conns[id];
        let (space, state) = (conn.space, conn.state);
        let tenant = conn.tenant.take();
        let checking = std::mem::take(&mut conn.checking);
        if state == State::Opening && space != self.system {
            self.in_flight -= 1;
        }
        if checking {
            self.spaces[space].checking -= 1;
        }
        if let Some(tenant) = tenant {
            if tenant.kind.writes() {
                self.spaces[space].writers -= 1;
            }
            if tenant.class == Class::Background && space != self.system {
                self.background_leases -= 1;
            }
        }
    }

    /// Leases an idle connection, or one that was just opened, cleaned or given back.
    pub(super) fn occupy(&mut self, id: ConnId, tenant: Tenant, now: Moment) {
        self.move_to(id, State::Leased, now);
        let conn = &mut self.conns[id];
        conn.tenant = Some(tenant);
        let space = conn.space;
        if tenant.kind.writes() {
            self.spaces[space].writers += 1;
        }
        if tenant.class == Class::Background && space != self.system {
            self.background_leases += 1;
        }
    }

    pub(super) fn watch(&mut self, id: ConnId, watch: Watch) {
        self.unlink(id);
        self.conns[id].watch = watch;
        self.link(id);
    }

    pub(super) fn check(&mut self, id: ConnId, now: Moment, effects: &mut Vec<Effect>) {
        self.move_to(id, State::Cleaning, now);
        let conn = &mut self.conns[id];
        conn.checking = true;
        let space = conn.space;
        self.spaces[space].checking += 1;
        effects.push(Effect::Check { conn: id });
    }

    /// Closes a connection, for another space if so said.
    pub(super) fn close(
        &mut self,
        id: ConnId,
        reason: CloseReason,
        reserved_for: Option<SpaceId>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        self.move_to(id, State::Closing, now);
        let conn = &mut self.conns[id];
        conn.reserved_for = reserved_for;
        let space = conn.space;
        if let Some(heir) = reserved_for {
            self.spaces[heir].reserved += 1;
            self.in_flight += 1;
            self.touch(heir);
        }
        *self.meters.closes_for(reason) += 1;
        let tally = &mut self.spaces[space].tally;
        match reason {
            CloseReason::Idle => tally.closed_idle += 1,
            CloseReason::Lifetime => tally.closed_lifetime += 1,
            CloseReason::Stolen | CloseReason::Share | CloseReason::Quantum => tally.closed_stolen += 1,
            CloseReason::Broken | CloseReason::Dirty => tally.closed_broken += 1,
            CloseReason::Generation | CloseReason::Retired | CloseReason::Shutdown => {}
        }
        effects.push(Effect::Close { conn: id });
    }

    /// Ends a reservation, without an open.
    pub(super) fn unreserve(&mut self, id: ConnId) -> Option<SpaceId> {
        let heir = self.conns[id].reserved_for.take()?;
        self.spaces[heir].reserved -= 1;
        self.in_flight -= 1;
        self.touch(heir);
        Some(heir)
    }

    /// The slot is free.
    pub(super) fn remove_conn(&mut self, id: ConnId, effects: &mut Vec<Effect>) {
        self.unlink(id);
        self.leave(id);
        let Some(conn) = self.conns.remove(id) else { return };
        self.timers.remove(&(conn.expires_at, Timer::Expire(id)));
        if conn.space != self.system {
            self.used -= 1;
        }
        self.touch(conn.space);
        let space = &self.spaces[conn.space];
        if space.retired && space.records() == 0 {
            effects.extend(space.key().map(Effect::Gone));
        }
    }
}
