//! C2: random histories, shrunk when one fails. After every event `Core::check_invariants` looks at
//! the records, and a naive model that knows nothing of them at what was done.

use std::time::Duration;

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::world::{MS, World, key, limits};
use crate::{
    Access, Class, Limits, OpenFailure,
    core::{Effect, Event, Release},
};

#[derive(Clone, Debug)]
enum Step {
    Ask {
        workspace: usize,
        class: Class,
        access: Access,
        wait: u64,
    },
    Cancel(usize),
    Release(usize, Release),
    /// Performs one of the effects, successfully or not.
    Perform(usize),
    Fail(usize, OpenFailure, bool),
    Pass(u64),
    Retire(usize),
    Readmit(usize),
    Prewarm(usize),
    PeerGone,
    Renew,
    Resize {
        slots: u32,
        cap: u32,
        parallel: u32,
    },
}

const WORKSPACES: usize = 5;

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![3 => Just(Class::Interactive), 1 => Just(Class::Delivery), 2 => Just(Class::Background)]
}

fn workspace() -> impl Strategy<Value = usize> {
    prop_oneof![12 => 0..WORKSPACES, 1 => Just(usize::MAX)]
}

fn step() -> impl Strategy<Value = Step> {
    let access = prop_oneof![Just(Access::Read), Just(Access::Write)];
    let release = prop_oneof![
        6 => Just(Release::Clean),
        2 => any::<bool>().prop_map(|discard| Release::Dirty { discard }),
        1 => Just(Release::Broken),
    ];
    let failure = prop_oneof![
        2 => Just(OpenFailure::Limit),
        1 => Just(OpenFailure::Down),
        1 => Just(OpenFailure::DatabaseMissing),
        1 => Just(OpenFailure::Auth),
        2 => Just(OpenFailure::Other),
    ];
    prop_oneof![
        40 => (workspace(), class(), access, prop_oneof![0..300_u64, 1000..90_000_u64])
            .prop_map(|(workspace, class, access, wait)| Step::Ask { workspace, class, access, wait }),
        6 => any::<usize>().prop_map(Step::Cancel),
        30 => (any::<usize>(), release).prop_map(|(index, how)| Step::Release(index, how)),
        40 => any::<usize>().prop_map(Step::Perform),
        3 => (any::<usize>(), failure, any::<bool>()).prop_map(|(at, failure, proven)| Step::Fail(at, failure, proven)),
        25 => prop_oneof![6 => 0..15_u64, 3 => 15..400_u64, 1 => 400..400_000_u64].prop_map(Step::Pass),
        1 => (0..WORKSPACES).prop_map(Step::Retire),
        2 => (0..WORKSPACES).prop_map(Step::Readmit),
        2 => (0..WORKSPACES).prop_map(Step::Prewarm),
        1 => Just(Step::PeerGone),
        1 => Just(Step::Renew),
        1 => (1..7_u32, 1..4_u32, 1..5_u32)
            .prop_map(|(slots, cap, parallel)| Step::Resize { slots, cap, parallel }),
    ]
}

impl World {
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Ask { workspace, class, access, wait } => {
                self.ask(workspace, class, access, Duration::from_millis(wait));
            }
            Step::Cancel(index) => {
                let waiter = self.waiting.keys().nth(index % self.waiting.len().max(1)).copied();
                if let Some(waiter) = waiter {
                    self.waiting.remove(&waiter);
                    self.apply(Event::Cancel(waiter));
                }
            }
            Step::Release(index, how) => {
                if let Some((conn, _)) = self.leases.get(index % self.leases.len().max(1)).copied() {
                    self.release_as(conn, how);
                }
            }
            Step::Perform(index) => {
                if !self.todo.is_empty() {
                    let effect = self.todo.remove(index % self.todo.len());
                    self.perform(&effect);
                }
            }
            Step::Fail(index, failure, proven) => self.fail(index, failure, proven),
            Step::Pass(millis) => self.pass(Duration::from_millis(millis)),
            Step::Retire(workspace) => drop(self.apply(Event::Retire(&key(workspace)))),
            Step::Readmit(workspace) => drop(self.apply(Event::Readmit(&key(workspace)))),
            Step::Prewarm(workspace) => drop(self.apply(Event::Prewarm(&key(workspace)))),
            Step::PeerGone => {
                let idle = self.core.conns.iter().map(|(id, _)| id).next();
                if let Some(conn) = idle {
                    self.apply(Event::PeerGone(conn));
                }
            }
            Step::Renew => drop(self.apply(Event::Renew)),
            Step::Resize { slots, cap, parallel } => {
                let limits = Limits { max_parallel_opens: parallel, ..limits(slots, cap) };
                self.apply(Event::Reconfigure(&limits));
            }
        }
    }

    fn fail(&mut self, index: usize, failure: OpenFailure, proven: bool) {
        if self.todo.is_empty() {
            return;
        }
        let at = index % self.todo.len();
        match self.todo.remove(at) {
            Effect::Open { conn, .. } => {
                self.apply(Event::OpenFailed { conn, failure, proven });
            }
            Effect::Clean { conn, .. } | Effect::Check { conn } => {
                self.apply(Event::Cleaned { conn, usable: false });
            }
            Effect::Close { conn } => {
                self.apply(Event::CloseTimedOut(conn));
            }
            effect => self.todo.insert(at, effect),
        }
    }

    /// From any state, once effects complete and leases end, every waiter has its answer (I5, I6)
    /// and nothing is left but idle connections (I7).
    fn settles(&mut self) {
        for _ in 0..10_000 {
            self.finish();
            while let Some((conn, _)) = self.leases.first().copied() {
                self.release(conn);
            }
            if self.waiting.is_empty() && self.todo.is_empty() && self.leases.is_empty() {
                break;
            }
            self.pass(50 * MS);
        }
        assert!(self.waiting.is_empty(), "somebody waits for ever");
        for workspace in 0..WORKSPACES {
            self.apply(Event::Readmit(&key(workspace)));
        }
        self.finish();
        let stats = self.stats();
        assert_eq!(stats.total_open, stats.total_idle, "something is left over");
        self.pass(Duration::from_hours(2));
        self.finish();
        assert_eq!((self.stats().total_open, self.core.spaces.len()), (0, 1), "something is remembered");
        assert_eq!(self.core.timers.len(), 0);
    }
}

fn run(name: &str, limits: impl Fn(u32, u32) -> Limits) {
    let cases = if cfg!(feature = "long") { 12_000 } else { 200 };
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    });
    let input = (1..6_u32, 1..4_u32, 1..5_u32, prop::collection::vec(step(), 1..250));
    let steps = std::cell::Cell::new(0_u64);
    let result = runner.run(&input, |(slots, cap, parallel, history)| {
        let mut world = World::watched(Limits { max_parallel_opens: parallel, ..limits(slots, cap) });
        for step in history {
            steps.set(steps.get() + 1);
            world.step(&step);
        }
        world.settles();
        Ok(())
    });
    println!("C2 {name}: {} transitions", steps.get());
    result.unwrap();
    assert!(steps.get() >= u64::from(cases) * 80, "fewer transitions than there were");
}

#[test]
fn no_history_breaks_an_invariant() {
    run("many writers", limits);
}

#[test]
fn no_history_breaks_an_invariant_with_a_single_writer() {
    run("single writer", |slots, cap| Limits { single_writer: true, ..limits(slots, cap) });
}

#[test]
fn no_history_breaks_an_invariant_when_every_grant_is_checked() {
    run("always checked", |slots, cap| Limits {
        health_check_after: Duration::ZERO,
        background_share: 30,
        single_writer: true,
        ..limits(slots, cap)
    });
}
