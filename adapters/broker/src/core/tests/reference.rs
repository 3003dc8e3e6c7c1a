//! A naive model of the broker: knows nothing of the core's records, only what it was told and what
//! it answered, and looks at everything again after every event. What it allows is less exact than
//! what the core does, but it cannot be wrong in the same way.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    Access, Class, Limits, Target, WorkspaceKey,
    core::{Answer, ConnId, Effect, Event, Lane, Moment, Release, WaiterId},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Opening,
    Idle,
    Leased,
    Cleaning,
    /// Before it is lent to somebody who waits.
    Checking,
    Closing,
}

#[derive(Clone, Debug)]
struct Connection {
    target: Target,
    phase: Phase,
}

#[derive(Clone, Debug)]
struct Caller {
    target: Target,
    class: Class,
    access: Access,
    own: bool,
    arrived: Moment,
    deadline: Moment,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    limits: Limits,
    connections: BTreeMap<ConnId, Connection>,
    callers: BTreeMap<WaiterId, Caller>,
    retired: Vec<WorkspaceKey>,
    /// Until when a failure may explain that nothing is opened.
    troubled_until: Moment,
    /// A limit was lowered: what is above it may stay for a while.
    above: bool,
}

/// No pause after a failure is longer, nor do the slots that a server refused take longer to return.
const LONGEST_TROUBLE: Duration = Duration::from_mins(10);
const SECOND: Duration = Duration::from_secs(1);

impl Reference {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            connections: BTreeMap::new(),
            callers: BTreeMap::new(),
            retired: Vec::new(),
            troubled_until: Moment::START,
            above: false,
        }
    }

    /// Takes what the core was told and what it did, and panics if it must not have.
    pub(super) fn observe(&mut self, event: &Event<'_>, answer: &Answer, effects: &[Effect], now: Moment) {
        self.told(event, answer, now);
        for effect in effects {
            self.done(effect, now);
        }
        self.look_at_everything(now);
    }

    fn told(&mut self, event: &Event<'_>, answer: &Answer, now: Moment) {
        match event {
            Event::Acquire(request) | Event::TryAcquire(request) => {
                let target = match request.lane {
                    Lane::System => Target::System,
                    Lane::Workspace(key) => Target::Workspace(key.clone()),
                };
                match answer {
                    Answer::Granted(conn) => {
                        assert!(!self.retired(&target), "granted to a retired workspace");
                        self.lend(*conn, &target, Phase::Idle);
                    }
                    Answer::Queued(waiter) => {
                        let (class, access, own) = (request.class, request.access, request.own);
                        let (arrived, deadline) = (now, now + request.wait);
                        let caller = Caller { target, class, access, own, arrived, deadline };
                        self.callers.insert(*waiter, caller);
                    }
                    Answer::Refused(_) | Answer::None => {}
                }
            }
            Event::Cancel(waiter) => drop(self.callers.remove(waiter)),
            Event::Release(conn, how) => {
                let phase = if *how == Release::Clean { Phase::Idle } else { Phase::Cleaning };
                self.phase(*conn, Phase::Leased, phase);
            }
            Event::Opened(conn) => self.phase(*conn, Phase::Opening, Phase::Idle),
            Event::OpenFailed { conn, proven, .. } => {
                self.troubled_until = now + LONGEST_TROUBLE;
                if *proven {
                    self.connections.remove(conn);
                } else {
                    self.phase(*conn, Phase::Opening, Phase::Closing);
                }
            }
            Event::Cleaned { conn, .. } => {
                self.phase(*conn, Phase::Cleaning, Phase::Idle);
                self.phase(*conn, Phase::Checking, Phase::Idle);
            }
            Event::Closed(conn) => {
                let gone = self.connections.remove(conn);
                assert!(gone.is_none_or(|gone| gone.phase == Phase::Closing), "closed what was not closing");
            }
            Event::Reconfigure(limits) => {
                self.limits = Limits { single_writer: self.limits.single_writer, ..(*limits).clone() };
                self.above = true;
            }
            Event::Retire(key) => self.retired.push((*key).clone()),
            Event::Readmit(key) => self.retired.retain(|retired| retired != *key),
            _ => {}
        }
    }

    fn done(&mut self, effect: &Effect, now: Moment) {
        match effect {
            Effect::Grant { waiter, conn } => {
                let served = self.callers.get(waiter).expect("granted to somebody who waits").clone();
                assert!(served.deadline >= now, "granted too late");
                self.is_next(&served, now);
                self.callers.remove(waiter);
                self.lend(*conn, &served.target, Phase::Idle);
            }
            Effect::Refuse { waiter, .. } => {
                self.callers.remove(waiter).expect("refused to somebody who waits");
            }
            Effect::Open { conn, target } => {
                let opening = self.count(|it| it.target == *target && it.phase == Phase::Opening);
                let waiting = self.callers.values().filter(|it| it.target == *target).count();
                assert!(opening < waiting.max(1), "I9: {opening} opens for {waiting} callers");
                assert!(!self.retired(target), "I15: an open for a retired workspace");
                self.connections.insert(*conn, Connection { target: target.clone(), phase: Phase::Opening });
                let workspaces = self.count(|it| it.phase == Phase::Opening && it.target != Target::System);
                assert!(self.above || workspaces <= self.limits.max_parallel_opens as usize, "the gate");
            }
            Effect::Clean { conn, .. } => {
                let known = self.connections.get(conn).map(|it| it.phase);
                assert_eq!(known, Some(Phase::Cleaning), "cleans what was given back clean");
            }
            Effect::Check { conn } => self.phase(*conn, Phase::Idle, Phase::Checking),
            Effect::Close { conn } => {
                let connection = self.connections.get_mut(conn).expect("closes what is there");
                assert!(
                    matches!(connection.phase, Phase::Idle | Phase::Cleaning),
                    "I3: closes {connection:?}"
                );
                connection.phase = Phase::Closing;
            }
            _ => {}
        }
    }

    fn phase(&mut self, conn: ConnId, from: Phase, to: Phase) {
        if let Some(connection) = self.connections.get_mut(&conn)
            && connection.phase == from
        {
            connection.phase = to;
        }
    }

    fn lend(&mut self, conn: ConnId, target: &Target, from: Phase) {
        let connection = self.connections.get_mut(&conn).expect("lends what is there");
        assert_eq!(connection.phase, from, "I3: lends what is not free");
        assert_eq!(connection.target, *target, "I4: the wrong database");
        connection.phase = Phase::Leased;
    }

    fn retired(&self, target: &Target) -> bool {
        matches!(target, Target::Workspace(key) if self.retired.contains(key))
    }

    fn count(&self, of: impl Fn(&Connection) -> bool) -> usize {
        self.connections.values().filter(|it| of(it)).count()
    }

    /// Nobody of the same kind is ahead: the class, less one for each second, then who came into it
    /// first.
    fn is_next(&self, served: &Caller, now: Moment) {
        let place = |caller: &Caller| {
            let seconds = usize::try_from(now.since(caller.arrived).as_secs()).unwrap();
            let risen = seconds.min(caller.class as usize);
            (caller.class as usize - risen, caller.arrived + SECOND * u32::try_from(risen).unwrap())
        };
        let kind = |caller: &Caller| (caller.class == Class::Background, caller.access, caller.own);
        for other in self.callers.values() {
            let same = other.target == served.target && kind(other) == kind(served);
            assert!(!same || place(served) <= place(other), "{served:?} is served before {other:?}");
        }
    }

    fn look_at_everything(&mut self, now: Moment) {
        let limits = &self.limits;
        let (slots, cap) = (limits.workspace_slots() as usize, limits.max_connections_per_workspace as usize);
        let mut targets: BTreeMap<Option<&WorkspaceKey>, Vec<Phase>> = BTreeMap::new();
        for connection in self.connections.values() {
            let key = match &connection.target {
                Target::System => None,
                Target::Workspace(key) => Some(key),
            };
            targets.entry(key).or_default().push(connection.phase);
        }
        let system = targets.remove(&None).map_or(0, |phases| phases.len());
        let used: usize = targets.values().map(Vec::len).sum();
        let most = targets.values().map(Vec::len).max().unwrap_or(0);
        let within = used <= slots && most <= cap && system <= limits.effective_system_reserve() as usize;
        assert!(within || self.above, "I1, I2: {used} of {slots}, {most} of {cap}, {system} for the system");
        let in_flight = self.count(|it| matches!(it.phase, Phase::Opening | Phase::Closing));
        self.above &= !within || in_flight > self.limits.max_parallel_opens as usize;
        assert!(self.callers.values().all(|caller| caller.deadline > now), "I5: somebody waits for too long");
        for caller in self.callers.values().filter(|it| !it.own && it.target != Target::System) {
            self.is_waiting_for_a_reason(caller, used, now);
        }
    }

    /// I6 and I11, for those whom nothing else can hold back.
    fn is_waiting_for_a_reason(&self, caller: &Caller, used: usize, now: Moment) {
        let plain = |it: &Caller| {
            it.class != Class::Background && !(self.limits.single_writer && it.access == Access::Write)
        };
        if !plain(caller) {
            return;
        }
        let own = |it: &Connection| it.target == caller.target;
        let waiting = self.callers.values().filter(|it| it.target == caller.target && plain(it)).count();
        let idle = self.count(|it| own(it) && it.phase == Phase::Idle);
        let checking = self.count(|it| own(it) && it.phase == Phase::Checking);
        assert!(idle == 0 || waiting <= checking, "I6: {caller:?} waits beside an idle connection");
        let busy = self.count(|it| matches!(it.phase, Phase::Opening | Phase::Closing));
        let quiet = now >= self.troubled_until && !self.above && busy == 0;
        if !quiet || self.count(own) > 0 {
            return;
        }
        let free = used < self.limits.workspace_slots() as usize;
        let victims = self.count(|it| it.phase == Phase::Idle && it.target != Target::System);
        assert!(!free && victims == 0, "I11: {caller:?} waits, with {used} used and {victims} idle");
    }
}
