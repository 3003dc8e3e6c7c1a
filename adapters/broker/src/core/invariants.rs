//! What must be true after every event. Compiled for tests only; each check names its invariant.

use super::{
    Core, Moment,
    record::{Kind, Roll, State},
    slab::SpaceId,
};
use crate::Class;

impl Core {
    /// Panics if an invariant does not hold.
    pub(super) fn check_invariants(&mut self, now: Moment) {
        if self.shrinking {
            self.shrinking = self.over_a_limit();
        }
        self.check_limits();
        self.check_lists();
        self.check_totals();
        self.check_waiters(now);
        self.check_quiescence(now);
        self.check_memory(now);
        if let Err(problem) = self.wants_agree(now) {
            panic!("wants: {problem}");
        }
    }

    /// Only until a limit that was lowered is kept.
    fn over_a_limit(&self) -> bool {
        let limits = &self.limits;
        let (cap, reserve) = (limits.max_connections_per_workspace, limits.effective_system_reserve());
        let over = self
            .spaces
            .iter()
            .any(|(_, space)| space.against_cap() > if space.is_system() { reserve } else { cap });
        over || self.used > limits.workspace_slots() || self.in_flight > limits.max_parallel_opens
    }

    /// I1 and I2.
    fn check_limits(&self) {
        let (limits, system) = (&self.limits, &self.spaces[self.system]);
        if self.shrinking {
            return;
        }
        assert!(self.used <= limits.workspace_slots(), "I1: {} workspace connections", self.used);
        assert!(system.records() <= limits.effective_system_reserve(), "I1: system lane");
        for (id, space) in self.spaces.iter() {
            let cap = limits.max_connections_per_workspace;
            assert!(
                space.is_system() || space.against_cap() <= cap,
                "I2: {id:?} has {}",
                space.against_cap()
            );
        }
        assert!(self.in_flight <= limits.max_parallel_opens, "gate: {} opens in flight", self.in_flight);
    }

    /// I3 and I8: every record in exactly one list, the one of its state.
    fn check_lists(&self) {
        let mut seen = vec![];
        for roll in Roll::ALL {
            let ids: Vec<_> = self.rolls[roll as usize].ids(&self.conns, |conn| &conn.link).collect();
            assert_eq!(ids.len(), self.rolls[roll as usize].len() as usize, "I8: length of {roll:?}");
            for id in &ids {
                assert_eq!(self.roll(&self.conns[*id]), roll, "I8: {id:?} is in the wrong list");
            }
            seen.extend(ids);
        }
        assert_eq!(seen.len(), self.conns.len(), "I8: records in lists");
        for (id, conn) in self.conns.iter() {
            assert_eq!(conn.tenant.is_some(), conn.state == State::Leased, "I3: {id:?}");
            assert!(conn.reserved_for.is_none() || conn.state == State::Closing, "I8: reservation of {id:?}");
        }
    }

    /// I8: the counters say what the records say.
    fn check_totals(&self) {
        for (id, space) in self.spaces.iter() {
            let of_space = || self.conns.iter().map(|(_, conn)| conn).filter(move |conn| conn.space == id);
            for state in
                [State::Opening, State::Idle, State::Leased, State::Cleaning, State::Closing, State::Zombie]
            {
                let counted = of_space().filter(|conn| conn.state == state).count();
                assert_eq!(counted, space.count(state) as usize, "I8: {state:?} of {id:?}");
            }
            let writers = of_space().filter(|conn| conn.tenant.is_some_and(|tenant| tenant.kind.writes()));
            assert_eq!(writers.count(), space.writers as usize, "writers of {id:?}");
            assert!(space.writers <= 1, "two writers of {id:?}");
            let reserved = self.conns.iter().filter(|(_, conn)| conn.reserved_for == Some(id)).count();
            assert_eq!(reserved, space.reserved as usize, "I8: reservations of {id:?}");
            let checking = of_space().filter(|conn| conn.checking).count();
            assert_eq!(checking, space.checking as usize, "I8: checks of {id:?}");
            assert_eq!(space.idle.len(), space.count(State::Idle), "I8: idle stack of {id:?}");
        }
        let of_workspaces = || self.conns.iter().filter(|(_, conn)| conn.space != self.system);
        assert_eq!(of_workspaces().count(), self.used as usize, "I8: used");
        let in_flight = of_workspaces()
            .filter(|(_, conn)| conn.state == State::Opening || conn.reserved_for.is_some())
            .count();
        assert_eq!(in_flight, self.in_flight as usize, "I8: in flight");
        let background = of_workspaces()
            .filter(|(_, conn)| conn.tenant.is_some_and(|tenant| tenant.class == Class::Background))
            .count();
        assert_eq!(background, self.background_leases as usize, "background leases");
    }

    /// I5: nobody waits beyond the deadline.
    fn check_waiters(&self, now: Moment) {
        let mut queued = 0;
        for (id, space) in self.spaces.iter() {
            for kind in Kind::ALL {
                for (rank, queue) in space.queues[kind as usize].iter().enumerate() {
                    for waiter in queue.ids(&self.waiters, |waiter| &waiter.link) {
                        let record = &self.waiters[waiter];
                        assert_eq!((record.space, record.tenant.kind, record.rank), (id, kind, rank));
                        queued += 1;
                    }
                }
            }
        }
        assert_eq!(queued, self.waiters.len(), "I8: waiters in queues");
        assert!(self.waiters.iter().all(|(_, waiter)| waiter.deadline > now), "I5: a deadline has passed");
        let interactive = self
            .waiters
            .iter()
            .filter(|(_, waiter)| waiter.tenant.class == Class::Interactive && waiter.space != self.system);
        assert_eq!(interactive.count(), self.interactive_waiters as usize, "interactive waiters");
    }

    /// I6 and I11: nothing is left to do.
    fn check_quiescence(&self, now: Moment) {
        assert!(self.touched.is_empty(), "something was not looked at again");
        for (id, space) in self.spaces.iter() {
            let served = space.count(State::Idle) == 0 || self.servable_now(space) <= space.checking;
            assert!(served, "I6: {id:?} has an idle connection and a waiter");
        }
        if !self.gate_is_open(now) {
            return;
        }
        if let Some((want, kind)) = self.next_want(None) {
            assert!(self.used >= self.server.effective_slots(), "I11: a slot is free and {want:?} wants it");
            let idle = self.rolls[Roll::Idle as usize].head();
            if let Some(victim) = idle
                && self.used <= self.limits.workspace_slots()
                && self.conns[victim].space != want
            {
                let permitted = self.permitted_at(victim, want, kind, now) <= now;
                assert!(!permitted, "I11: {want:?} wants {victim:?}");
            }
        }
    }

    /// I17: whatever is remembered has a reason, and is bounded.
    fn check_memory(&self, now: Moment) {
        for (id, space) in self.spaces.iter() {
            let reason = space.is_system()
                || space.records() + space.reserved + space.waiters() > 0
                || space.retired
                || space.ban.until > now
                || space.forget_timer.is_some();
            assert!(reason, "I17: {id:?} has nothing");
        }
        assert_eq!(self.by_key.len() + 1, self.spaces.len(), "I17: keys");
        let most = self.waiters.len() + self.conns.len() + 3 * self.spaces.len() + 3;
        assert!(self.timers.len() <= most, "I17: {} timers", self.timers.len());
    }

    /// I1, I2 and I9, at the moment an open starts.
    pub(super) fn check_open(&self, id: SpaceId) {
        let (space, limits) = (&self.spaces[id], &self.limits);
        // A prewarm counts as a waiter.
        let waiters = space.waiters().max(1);
        assert!(space.opens() <= waiters, "I9: {} opens for {waiters} waiters", space.opens());
        if space.is_system() {
            assert!(space.records() <= limits.effective_system_reserve(), "I1: an open for the system lane");
        } else {
            assert!(self.used <= limits.workspace_slots(), "I1: an open without a slot");
            assert!(
                space.against_cap() <= limits.max_connections_per_workspace,
                "I2: an open beyond the cap"
            );
        }
    }
}
