//! A world for the core: remembers what was asked for and lets the test decide when it is done.

use std::{collections::BTreeMap, time::Duration};

use super::reference::Reference;
use crate::{
    Access, BrokerError, Class, Limits, OpenFailure, StatsPage, Target, WorkspaceKey,
    core::{Answer, ConnId, Core, Effect, Event, Lane, Moment, Release, Request, WaiterId, record::State},
};

pub(super) const MS: Duration = Duration::from_millis(1);

/// Small limits with round numbers: `slots` for workspaces and two for the system.
pub(super) fn limits(slots: u32, cap: u32) -> Limits {
    Limits {
        max_connections: slots + 2,
        system_reserve: Some(2),
        max_connections_per_workspace: cap,
        growth_delay: Some(10 * MS),
        ..Limits::default()
    }
}

pub(super) fn key(number: usize) -> WorkspaceKey {
    WorkspaceKey::new(format!("ws{number}"))
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) core: Core,
    pub(super) now: Moment,
    /// What is to be done, in order.
    pub(super) todo: Vec<Effect>,
    pub(super) leases: Vec<(ConnId, usize)>,
    pub(super) waiting: BTreeMap<WaiterId, usize>,
    pub(super) refused: Vec<BrokerError>,
    targets: BTreeMap<ConnId, Target>,
    /// Watches what is done, if asked to.
    pub(super) reference: Option<Reference>,
}

impl World {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            core: Core::new(limits, 1),
            now: Moment::START,
            todo: Vec::new(),
            leases: Vec::new(),
            waiting: BTreeMap::new(),
            refused: Vec::new(),
            targets: BTreeMap::new(),
            reference: None,
        }
    }

    /// Under the eyes of a naive model.
    pub(super) fn watched(limits: Limits) -> Self {
        Self { reference: Some(Reference::new(limits.clone())), ..Self::new(limits) }
    }

    pub(super) fn apply(&mut self, event: Event<'_>) -> Answer {
        let mut effects = Vec::new();
        let answer = self.core.apply(event, self.now, &mut effects);
        if let Some(reference) = &mut self.reference {
            reference.observe(&event, &answer, &effects, self.now);
        }
        let mut conflict = None;
        for effect in effects {
            match effect {
                Effect::Grant { waiter, conn } => match self.waiting.remove(&waiter) {
                    Some(workspace) => self.lent(conn, workspace),
                    None => conflict = Some((waiter, conn)),
                },
                Effect::Refuse { waiter, error } => {
                    self.waiting.remove(&waiter);
                    self.refused.push(error);
                }
                Effect::Note(_) => {}
                effect => {
                    if let Effect::Open { conn, target } = &effect {
                        self.targets.insert(*conn, target.clone());
                    }
                    self.todo.push(effect);
                }
            }
        }
        assert_eq!(conflict, None, "granted to nobody");
        answer
    }

    /// I3 and I4.
    fn lent(&mut self, conn: ConnId, workspace: usize) {
        assert!(self.leases.iter().all(|(leased, _)| *leased != conn), "I3: lent twice");
        let expected =
            if workspace == usize::MAX { Target::System } else { Target::Workspace(key(workspace)) };
        assert_eq!(self.targets.get(&conn), Some(&expected), "I4: the wrong database");
        self.leases.push((conn, workspace));
    }

    pub(super) fn ask(&mut self, workspace: usize, class: Class, access: Access, wait: Duration) -> Answer {
        let key = key(workspace);
        let lane = if workspace == usize::MAX { Lane::System } else { Lane::Workspace(&key) };
        let request = Request { lane, class, access, wait, label: "test", own: false };
        let answer = self.apply(Event::Acquire(request));
        match &answer {
            Answer::Granted(conn) => self.lent(*conn, workspace),
            Answer::Queued(waiter) => {
                // It may have been refused at once, if it was not willing to wait at all.
                if self.core.is_waiting(*waiter) {
                    self.waiting.insert(*waiter, workspace);
                }
            }
            Answer::Refused(error) => self.refused.push(error.clone()),
            Answer::None => unreachable!(),
        }
        answer
    }

    pub(super) fn lease(&mut self, workspace: usize) -> Answer {
        self.ask(workspace, Class::Interactive, Access::Read, Duration::from_mins(1))
    }

    /// A lease that is there at once, opened if need be.
    pub(super) fn leased(&mut self, workspace: usize) -> ConnId {
        if let Answer::Granted(conn) = self.lease(workspace) {
            return conn;
        }
        self.finish();
        let found = self.leases.iter().rev().find(|(_, of)| *of == workspace);
        found.expect("the lease was granted").0
    }

    pub(super) fn idle(&mut self, workspace: usize) -> ConnId {
        let conn = self.leased(workspace);
        self.release(conn);
        conn
    }

    pub(super) fn release(&mut self, conn: ConnId) {
        self.release_as(conn, Release::Clean);
    }

    pub(super) fn release_as(&mut self, conn: ConnId, how: Release) {
        let before = self.leases.len();
        self.leases.retain(|(leased, _)| *leased != conn);
        assert_eq!(self.leases.len() + 1, before, "released what was not leased");
        self.apply(Event::Release(conn, how));
    }

    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.core.next_deadline().filter(|at| *at <= until) {
            assert!(at >= self.now || self.core.next_deadline() != Some(at), "a deadline in the past");
            self.now = at.max(self.now);
            self.apply(Event::Tick);
        }
        self.now = until;
    }

    /// Drops what only the statistics need, so that many worlds can be kept.
    pub(super) fn forget_figures(&mut self) {
        self.refused = Vec::new();
        let live: Vec<_> = self.core.conns.iter().map(|(id, _)| id).collect();
        self.targets.retain(|id, _| live.contains(id));
        self.core.forget_waits();
    }

    /// Performs one effect successfully.
    pub(super) fn perform(&mut self, effect: &Effect) {
        match effect {
            Effect::Open { conn, .. } => drop(self.apply(Event::Opened(*conn))),
            Effect::Close { conn } | Effect::Prove { conn } => drop(self.apply(Event::Closed(*conn))),
            Effect::Clean { conn, .. } | Effect::Check { conn } => {
                self.apply(Event::Cleaned { conn: *conn, usable: true });
            }
            _ => {}
        }
    }

    /// Performs all effects, and those that follow from them.
    pub(super) fn finish(&mut self) {
        while !self.todo.is_empty() {
            let effect = self.todo.remove(0);
            self.perform(&effect);
        }
    }

    /// Performs the first effect that is asked for.
    pub(super) fn finish_one(&mut self) {
        let effect = self.todo.remove(0);
        self.perform(&effect);
    }

    pub(super) fn fail_open(&mut self, failure: OpenFailure, proven: bool) {
        let at = self.todo.iter().position(|effect| matches!(effect, Effect::Open { .. }));
        let effect = self.todo.remove(at.expect("an open is under way"));
        if let Effect::Open { conn, .. } = effect {
            self.apply(Event::OpenFailed { conn, failure, proven });
        }
    }

    pub(super) fn opens(&self) -> usize {
        self.todo.iter().filter(|effect| matches!(effect, Effect::Open { .. })).count()
    }

    pub(super) fn closes(&self) -> Vec<ConnId> {
        let closes = self.todo.iter().filter_map(|effect| match effect {
            Effect::Close { conn } => Some(*conn),
            _ => None,
        });
        closes.collect()
    }

    pub(super) fn state(&self, conn: ConnId) -> Option<State> {
        self.core.conns.get(conn).map(|record| record.state)
    }

    /// c(W), as the core sees it.
    pub(super) fn live(&self, workspace: usize) -> u32 {
        let id = self.core.by_key.get(&key(workspace));
        id.map_or(0, |id| self.core.spaces[*id].live())
    }

    pub(super) fn stats(&self) -> crate::BrokerStats {
        self.core.stats(&StatsPage::default(), self.now)
    }
}
