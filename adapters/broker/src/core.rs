//! The state machine that takes every decision: pure, synchronous, no I/O, no clock.
//!
//! [`Core::apply`] takes an event and the time and says what to do. Words used throughout:
//! a *space* is a workspace or the system lane; Z is the list of spaces with waiters and no
//! connection, G that of spaces that have some but too few; a *want* is a place in one of them.

mod acquire;
mod administer;
mod assign;
mod event;
mod failure;
mod gauge;
#[cfg(test)]
mod invariants;
mod list;
mod meters;
mod moment;
mod predict;
mod queue;
mod record;
mod records;
mod release;
mod slab;
mod snapshot;
#[cfg(test)]
mod tests;
mod tick;
mod wants;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

pub(crate) use self::{
    event::{Answer, Effect, Event, Lane, Note, Release, Request},
    moment::Moment,
    slab::{ConnId, Id, WaiterId},
};
use self::{
    failure::Server,
    gauge::Dice,
    list::List,
    meters::Meters,
    record::{Conn, Roll, Space, Waiter},
    slab::{Slab, SpaceId},
    tick::{Budgeted, Timer},
    wants::Wants,
};
use crate::{Limits, Target, WorkspaceKey};

/// See the module.
#[derive(Clone, Debug)]
#[cfg_attr(test, expect(clippy::struct_excessive_bools, reason = "two of them are for tests"))]
pub(crate) struct Core {
    limits: Limits,
    conns: Slab<ConnId, Conn>,
    rolls: [List<ConnId>; Roll::ALL.len()],
    waiters: Slab<WaiterId, Waiter>,
    spaces: Slab<SpaceId, Space>,
    by_key: HashMap<WorkspaceKey, SpaceId>,
    system: SpaceId,
    /// Connection records of workspaces; those of the system lane are counted in its space.
    used: u32,
    /// Opens for workspaces in flight, reservations included.
    in_flight: u32,
    /// Connections of workspaces opened so far.
    opened: u64,
    /// When a workspace was last given a slot.
    served_at: Moment,
    wants: Wants,
    /// Spaces whose idle connections and background waiters are kept apart for the moment.
    held_back: BTreeMap<u64, SpaceId>,
    /// Spaces that have changed since they were last looked at.
    touched: Vec<SpaceId>,
    timers: BTreeSet<(Moment, Timer)>,
    victim_timer: Option<Moment>,
    pause_timer: Option<Moment>,
    recover_timer: Option<Moment>,
    /// Idle connections past their lifetime.
    expired: VecDeque<ConnId>,
    reaping: Budgeted,
    interactive_waiters: u32,
    background_leases: u32,
    server: Server,
    meters: Meters,
    dice: Dice,
    next_turn: u64,
    generation: u32,
    shutting_down: bool,
    drained: bool,
    /// A limit may have been lowered below what there is.
    #[cfg(test)]
    shrinking: bool,
    /// Leaves the invariants to other tests, where time matters.
    #[cfg(test)]
    unchecked: bool,
}

impl Core {
    pub(crate) fn new(limits: Limits, seed: u64) -> Self {
        let mut spaces = Slab::new();
        let system = spaces.insert(Space::new(Target::System));
        Self {
            server: Server::new(limits.workspace_slots()),
            limits,
            conns: Slab::new(),
            rolls: <[List<ConnId>; Roll::ALL.len()]>::default(),
            waiters: Slab::new(),
            spaces,
            by_key: HashMap::new(),
            system,
            used: 0,
            in_flight: 0,
            opened: 0,
            served_at: Moment::START,
            wants: Wants::default(),
            held_back: BTreeMap::new(),
            touched: Vec::new(),
            timers: BTreeSet::new(),
            victim_timer: None,
            pause_timer: None,
            recover_timer: None,
            expired: VecDeque::new(),
            reaping: Budgeted::default(),
            interactive_waiters: 0,
            background_leases: 0,
            meters: Meters::default(),
            dice: Dice::seeded(seed),
            next_turn: 0,
            generation: 0,
            shutting_down: false,
            drained: false,
            #[cfg(test)]
            shrinking: false,
            #[cfg(test)]
            unchecked: false,
        }
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes one event and appends to `effects` what is to be done, in order.
    ///
    /// An event about a connection or waiter that is not in the state for it is ignored: it
    /// crossed with another.
    pub(crate) fn apply(&mut self, event: Event<'_>, now: Moment, effects: &mut Vec<Effect>) -> Answer {
        let mut answer = Answer::None;
        match event {
            Event::Acquire(request) => answer = self.acquire(request, now, effects),
            Event::TryAcquire(request) => answer = self.try_acquire(request, now),
            Event::Cancel(waiter) => self.cancel(waiter),
            Event::Release(conn, release) => self.release(conn, release, now, effects),
            Event::Opened(conn) => self.opened(conn, now, effects),
            Event::OpenFailed { conn, failure, proven } => {
                self.open_failed(conn, failure, proven, now, effects);
            }
            Event::Cleaned { conn, usable } => self.cleaned(conn, usable, now, effects),
            Event::Closed(conn) => self.closed(conn, now, effects),
            Event::CloseTimedOut(conn) => self.close_timed_out(conn, now, effects),
            Event::PeerGone(conn) => self.peer_gone(conn, now, effects),
            Event::Tick => {}
            Event::Reconfigure(limits) => self.reconfigure(limits, now, effects),
            Event::Renew => self.renew(now, effects),
            Event::Retire(key) => self.retire(key, now, effects),
            Event::Readmit(key) => self.readmit(key),
            Event::Revoke(key) => self.revoke_all(key, effects),
            Event::Prewarm(key) => self.prewarm(key, now, effects),
            Event::Shutdown => self.shut_down(now, effects),
        }
        self.run_timers(now, effects);
        self.settle(now, effects);
        #[cfg(test)]
        if !self.unchecked {
            self.check_invariants(now);
        }
        answer
    }

    /// Brings everything that depends on what has changed up to date: grants, wants, opens.
    fn settle(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        loop {
            self.look_again(now, effects);
            self.serve_held_back(now, effects);
            self.assign(now, effects);
            if self.touched.is_empty() {
                break;
            }
        }
        if self.shutting_down && !self.drained && self.conns.len() == 0 {
            self.drained = true;
            effects.push(Effect::Drained);
        }
    }
}
