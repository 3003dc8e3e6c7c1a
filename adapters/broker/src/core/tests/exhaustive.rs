//! Every order of events of a small broker, breadth first. The invariants are checked after every
//! event; from every state all waiters must come to an end once effects complete.

use std::{
    collections::{HashSet, VecDeque},
    fmt::Write,
};

use super::world::{MS, World, limits};
use crate::{
    Access, Class, Limits, OpenFailure,
    core::{Effect, Event, Release, record::Roll},
};
use std::time::Duration;

#[derive(Clone, Copy)]
struct Bounds {
    workspaces: usize,
    waiters: usize,
    failures: u32,
    /// How often time passes until the next deadline.
    ticks: u32,
    access: Access,
}

#[derive(Clone)]
struct Node {
    world: World,
    failures: u32,
    ticks: u32,
}

impl Node {
    /// What distinguishes states, whatever the time and the ids.
    fn signature(&self) -> String {
        let core = &self.world.core;
        let mut text = format!("{}{}|", self.failures, self.ticks);
        for roll in Roll::ALL {
            for id in core.rolls[roll as usize].ids(&core.conns, |conn| &conn.link) {
                let conn = &core.conns[id];
                let heir = conn.reserved_for.map(|heir| &core.spaces[heir].target);
                let kind = conn.tenant.map(|tenant| tenant.kind);
                let (target, checking) = (&core.spaces[conn.space].target, conn.checking);
                let _ = write!(text, "{roll:?}{target:?}{heir:?}{kind:?}{checking};");
            }
        }
        let mut spaces: Vec<_> = core
            .spaces
            .iter()
            .map(|(_, space)| {
                let queues: Vec<_> =
                    space.queues.as_flattened().iter().map(super::super::list::List::len).collect();
                let growing = space.growth_timer.is_some();
                let banned = space.ban_timer.is_some();
                let want = space.want.map(|want| want.kind);
                format!("{:?}{queues:?}{want:?}{}{growing}{banned}", space.target, space.listed)
            })
            .collect();
        spaces.sort();
        let _ = write!(text, "{spaces:?}{:?}", core.server.breaker(self.world.now));
        text
    }

    fn successors(&self, bounds: Bounds) -> Vec<Self> {
        let mut all = Vec::new();
        let mut add = |change: &dyn Fn(&mut Self)| {
            let mut next = self.clone();
            change(&mut next);
            all.push(next);
        };
        if self.world.waiting.len() < bounds.waiters {
            for workspace in 0..bounds.workspaces {
                add(&|next| {
                    next.world.ask(workspace, Class::Interactive, bounds.access, Duration::from_mins(1));
                });
            }
        }
        for waiter in self.world.waiting.keys() {
            add(&|next| {
                next.world.waiting.remove(waiter);
                next.world.apply(Event::Cancel(*waiter));
            });
        }
        for (lease, _) in &self.world.leases {
            for how in [Release::Clean, Release::Broken, Release::Dirty { discard: false }] {
                add(&|next| next.world.release_as(*lease, how));
            }
        }
        for at in 0..self.world.todo.len() {
            add(&|next| {
                let effect = next.world.todo.remove(at);
                next.world.perform(&effect);
            });
            if self.failures < bounds.failures {
                add(&|next| next.fail(at));
            }
        }
        if self.ticks < bounds.ticks {
            add(&|next| {
                next.ticks += 1;
                next.world.pass(15 * MS);
            });
        }
        all
    }

    fn fail(&mut self, at: usize) {
        self.failures += 1;
        match self.world.todo.remove(at) {
            Effect::Open { conn, .. } => {
                let failure = OpenFailure::Other;
                self.world.apply(Event::OpenFailed { conn, failure, proven: false });
            }
            Effect::Clean { conn, .. } | Effect::Check { conn } => {
                self.world.apply(Event::Cleaned { conn, usable: false });
            }
            Effect::Close { conn } => drop(self.world.apply(Event::CloseTimedOut(conn))),
            _ => {}
        }
    }

    /// I5, I6: everybody comes to an end.
    fn all_are_served(&self) -> bool {
        let mut world = self.world.clone();
        for _ in 0..200 {
            world.finish();
            while let Some((conn, _)) = world.leases.first().copied() {
                world.release(conn);
            }
            if world.waiting.is_empty() && world.todo.is_empty() {
                return true;
            }
            world.pass(20 * MS);
        }
        false
    }
}

/// Returns the number of states.
fn explore(limits: Limits, bounds: Bounds) -> usize {
    let first = Node { world: World::new(limits), failures: 0, ticks: 0 };
    let mut seen = HashSet::from([first.signature()]);
    let mut queue = VecDeque::from([first]);
    while let Some(node) = queue.pop_front() {
        assert!(node.all_are_served(), "somebody waits for ever: {}", node.signature());
        for next in node.successors(bounds) {
            if seen.insert(next.signature()) {
                queue.push_back(next);
            }
        }
    }
    seen.len()
}

fn check(name: &str, limits: Limits, bounds: Bounds, at_least: usize) {
    let states = explore(limits, bounds);
    println!("{name}: {states} states");
    assert!(states >= at_least, "{name}: only {states} states, there were {at_least}");
}

const SMALL: Bounds = Bounds { workspaces: 2, waiters: 2, failures: 1, ticks: 1, access: Access::Read };

#[test]
fn two_workspaces_on_one_slot() {
    check("two workspaces, one slot", limits(1, 1), SMALL, 408);
}

#[test]
fn two_workspaces_with_one_writer_each() {
    let bounds = Bounds { access: Access::Write, failures: 0, ..SMALL };
    check("one writer each", Limits { single_writer: true, ..limits(2, 2) }, bounds, 756);
}

#[test]
fn two_workspaces_on_two_slots() {
    check("two workspaces, two slots", limits(2, 2), Bounds { waiters: 3, ..SMALL }, 4702);
}

#[test]
fn three_workspaces_on_two_slots_without_failures() {
    let bounds = Bounds { workspaces: 3, failures: 0, ..SMALL };
    check("three workspaces, two slots", limits(2, 1), bounds, 2180);
}

/// Larger, half a minute: `cargo test -p broker --features exhaustive larger -- --nocapture`.
#[cfg(feature = "exhaustive")]
#[test]
fn a_larger_broker_with_three_workspaces_and_failures() {
    let bounds = Bounds { workspaces: 3, ..SMALL };
    check("three workspaces, two slots, failures", limits(2, 2), bounds, 16_764);
}
