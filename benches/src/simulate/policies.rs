//! The production core, and what others do, behind one face.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::{Duration, Instant},
};

use broker::{
    Class, Limits, WorkspaceKey,
    model::{Input, Model, Output, Reply, Slot, Ticket},
};

use super::clock::{Act, Policy};

/// How long a request waits at most, under every policy.
pub(super) const WAIT: Duration = Duration::from_secs(5);

/// What the model was told, to be told again.
#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(u32),
    GiveBack(Slot),
    Opened(Slot),
    Closed(Slot),
    Tick,
}

/// The production core.
pub(super) struct Ours {
    limits: Limits,
    seed: u64,
    history: Vec<(Duration, Step)>,
    model: Model,
    pending: HashMap<Ticket, usize>,
    outputs: Vec<Output>,
    pub(super) most_workspaces: usize,
    pub(super) most_bytes: usize,
    pub(super) most_connections: usize,
}

impl Ours {
    pub(super) fn new(limits: Limits, seed: u64) -> Self {
        Self {
            model: Model::new(limits.clone(), seed),
            limits,
            seed,
            history: Vec::new(),
            pending: HashMap::new(),
            outputs: Vec::new(),
            most_workspaces: 0,
            most_bytes: 0,
            most_connections: 0,
        }
    }

    /// How many decisions there were and how long all of them took.
    ///
    /// Measured by telling the same history to three models again, without the simulation's own work
    /// between: of every thousand decisions the fastest of the three times counts, so that whatever
    /// else the machine does at the moment is left out.
    pub(super) fn measure(&self) -> (usize, Duration) {
        const BLOCK: usize = 1000;
        let mut models = [(); 3].map(|()| Model::new(self.limits.clone(), self.seed));
        let mut outputs = Vec::new();
        let mut total = Duration::ZERO;
        for block in self.history.chunks(BLOCK) {
            let keys: Vec<_> = block.iter().map(|(_, step)| step.key()).collect();
            let times = models.iter_mut().map(|model| {
                let start = Instant::now();
                for ((at, step), key) in block.iter().zip(&keys) {
                    model.apply(step.input(key.as_ref()), *at, &mut outputs);
                    outputs.clear();
                }
                start.elapsed()
            });
            total += times.min().unwrap_or_default();
        }
        (self.history.len(), total)
    }

    /// Workspaces known now.
    pub(super) fn workspaces(&self) -> usize {
        self.model.workspaces()
    }

    fn apply(&mut self, step: Step, at: Duration, acts: &mut Vec<Act<Slot>>) -> Reply {
        self.history.push((at, step));
        let key = step.key();
        let reply = self.model.apply(step.input(key.as_ref()), at, &mut self.outputs);
        self.most_connections = self.most_connections.max(self.model.connections());
        if self.model.workspaces() > self.most_workspaces {
            self.most_workspaces = self.model.workspaces();
            self.most_bytes = self.most_bytes.max(self.model.footprint());
        }
        let mut outputs = std::mem::take(&mut self.outputs);
        for output in outputs.drain(..) {
            let act = match output {
                Output::Granted(ticket, slot) => {
                    self.pending.remove(&ticket).map(|request| Act::Grant { request, slot })
                }
                Output::Refused(ticket, _) => {
                    self.pending.remove(&ticket).map(|request| Act::Refuse { request })
                }
                Output::Open(slot, _) => Some(Act::Open(slot)),
                Output::Close(slot) => Some(Act::Close(slot)),
                // The limits of the simulation ask for no checks, and leases here leave nothing.
                Output::Clean(_) => None,
            };
            acts.extend(act);
        }
        self.outputs = outputs;
        reply
    }
}

impl Step {
    /// Whose database is asked for.
    fn key(self) -> Option<WorkspaceKey> {
        if let Self::Ask(workspace) = self { Some(WorkspaceKey::new(format!("ws{workspace}"))) } else { None }
    }

    const fn input(self, key: Option<&WorkspaceKey>) -> Input<'_> {
        match (self, key) {
            (Self::Ask(_), Some(workspace)) => {
                Input::Ask { workspace, class: Class::Interactive, wait: WAIT }
            }
            (Self::GiveBack(slot), _) => Input::GiveBack(slot),
            (Self::Opened(slot), _) => Input::Opened(slot),
            (Self::Closed(slot), _) => Input::Closed(slot),
            (Self::Tick | Self::Ask(_), _) => Input::Tick,
        }
    }
}

impl Policy for Ours {
    type Slot = Slot;

    fn ask(&mut self, request: usize, workspace: u32, at: Duration, acts: &mut Vec<Act<Slot>>) {
        match self.apply(Step::Ask(workspace), at, acts) {
            Reply::Granted(slot) => acts.push(Act::Grant { request, slot }),
            Reply::Refused(_) => acts.push(Act::Refuse { request }),
            Reply::Queued(ticket) => drop(self.pending.insert(ticket, request)),
            Reply::None => {}
        }
    }

    fn give_back(&mut self, slot: Slot, at: Duration, acts: &mut Vec<Act<Slot>>) {
        self.apply(Step::GiveBack(slot), at, acts);
    }

    fn opened(&mut self, slot: Slot, at: Duration, acts: &mut Vec<Act<Slot>>) {
        self.apply(Step::Opened(slot), at, acts);
    }

    fn closed(&mut self, slot: Slot, at: Duration, acts: &mut Vec<Act<Slot>>) {
        self.apply(Step::Closed(slot), at, acts);
    }

    fn tick(&mut self, at: Duration, acts: &mut Vec<Act<Slot>>) {
        self.apply(Step::Tick, at, acts);
    }

    fn next_deadline(&self) -> Option<Duration> {
        self.model.next_deadline()
    }
}

/// What a [`Plain`] policy does and does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Habits {
    /// Connections outlive a lease.
    keep: bool,
    /// An idle connection of another workspace makes room.
    steal: bool,
    /// Whole pools make room at once, nobody waits for a slot, opens come one at a time, and what is
    /// still closing is not counted.
    pools: bool,
}

impl Habits {
    /// A connection for each query.
    pub(super) const CONNECT_PER_QUERY: Self = Self { keep: false, steal: false, pools: false };
    /// A pool for each workspace; the least recently used one makes room, else an error at once.
    pub(super) const POOL_PER_TENANT: Self = Self { keep: true, steal: true, pools: true };
    /// Connections stay with their workspace until they have been idle for long.
    pub(super) const NO_STEALING: Self = Self { keep: true, steal: false, pools: false };
    /// First come, first served, and whoever has a connection serves its own waiters first.
    pub(super) const NO_FAIRNESS: Self = Self { keep: true, steal: true, pools: false };
}

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_mins(5);

#[derive(Debug, Default)]
struct Tenant {
    /// Most recently used last.
    idle: Vec<u64>,
    waiting: VecDeque<usize>,
    opening: usize,
    /// Open or opening.
    connections: usize,
    /// When it was last used, as a place in the order of uses.
    used: u64,
}

/// First come, first served: the baselines.
pub(super) struct Plain {
    habits: Habits,
    slots: usize,
    cap: usize,
    tenants: HashMap<u32, Tenant>,
    owner: HashMap<u64, u32>,
    /// Idle connections by the order in which they became idle, with the time.
    idle: BTreeSet<(u64, u64)>,
    idle_at: HashMap<u64, (u64, Duration)>,
    /// Tenants without a connection in use or opening, by last use.
    quiet: BTreeSet<(u64, u32)>,
    wants: VecDeque<u32>,
    /// Opens that wait for the one that is under way.
    to_open: VecDeque<u64>,
    opening: usize,
    deadlines: VecDeque<(Duration, usize, u32)>,
    pending: HashMap<usize, u32>,
    closing: usize,
    /// Connections as the policy counts them.
    count: usize,
    next: u64,
    turn: u64,
}

impl Plain {
    pub(super) fn new(habits: Habits, slots: usize, cap: usize) -> Self {
        Self {
            habits,
            slots,
            cap: if habits.keep { cap } else { slots },
            tenants: HashMap::new(),
            owner: HashMap::new(),
            idle: BTreeSet::new(),
            idle_at: HashMap::new(),
            quiet: BTreeSet::new(),
            wants: VecDeque::new(),
            to_open: VecDeque::new(),
            opening: 0,
            deadlines: VecDeque::new(),
            pending: HashMap::new(),
            closing: 0,
            count: 0,
            next: 0,
            turn: 0,
        }
    }

    fn tenant(&mut self, workspace: u32) -> &mut Tenant {
        self.tenants.entry(workspace).or_default()
    }

    /// Keeps the order of tenants that could give their pool up.
    fn touch(&mut self, workspace: u32, use_it: bool) {
        self.turn += 1;
        let turn = self.turn;
        let tenant = self.tenants.entry(workspace).or_default();
        self.quiet.remove(&(tenant.used, workspace));
        if use_it {
            tenant.used = turn;
        }
        if tenant.connections > 0 && tenant.idle.len() == tenant.connections {
            self.quiet.insert((tenant.used, workspace));
        }
        if tenant.connections == 0 && tenant.waiting.is_empty() {
            self.tenants.remove(&workspace);
        }
    }

    fn grant(&mut self, request: usize, slot: u64, acts: &mut Vec<Act<u64>>) {
        self.pending.remove(&request);
        acts.push(Act::Grant { request, slot });
    }

    fn take_idle(&mut self, slot: u64) {
        if let Some((turn, _)) = self.idle_at.remove(&slot) {
            self.idle.remove(&(turn, slot));
        }
        if let Some(&workspace) = self.owner.get(&slot) {
            self.tenant(workspace).idle.retain(|idle| *idle != slot);
        }
    }

    fn open(&mut self, workspace: u32, acts: &mut Vec<Act<u64>>) {
        self.next += 1;
        self.count += 1;
        let slot = self.next;
        self.owner.insert(slot, workspace);
        let tenant = self.tenant(workspace);
        tenant.connections += 1;
        tenant.opening += 1;
        self.touch(workspace, true);
        if self.habits.pools && self.opening > 0 {
            self.to_open.push_back(slot);
        } else {
            self.opening += 1;
            acts.push(Act::Open(slot));
        }
    }

    fn close(&mut self, slot: u64, acts: &mut Vec<Act<u64>>) {
        self.take_idle(slot);
        if let Some(&workspace) = self.owner.get(&slot) {
            self.tenant(workspace).connections -= 1;
            self.touch(workspace, false);
        }
        if self.habits.pools {
            self.count -= 1;
        }
        self.closing += 1;
        acts.push(Act::Close(slot));
    }

    /// Gives up the pool of the tenant that has been quiet for longest.
    fn evict(&mut self, but: u32, acts: &mut Vec<Act<u64>>) -> bool {
        let Some(&(_, victim)) = self.quiet.iter().find(|(_, tenant)| *tenant != but) else { return false };
        let slots = self.tenants.get(&victim).map(|tenant| tenant.idle.clone()).unwrap_or_default();
        for slot in slots {
            self.close(slot, acts);
        }
        true
    }

    fn assign(&mut self, acts: &mut Vec<Act<u64>>) {
        while let Some(&workspace) = self.wants.front() {
            let cap = self.cap;
            let tenant = self.tenant(workspace);
            let needs = tenant.waiting.len() > tenant.opening && tenant.connections < cap;
            if !needs {
                self.wants.pop_front();
                self.touch(workspace, false);
                continue;
            }
            if self.count < self.slots {
                self.wants.pop_front();
                self.open(workspace, acts);
                continue;
            }
            if self.habits.steal && self.closing < self.wants.len() {
                let victim =
                    self.idle.iter().find(|(_, slot)| self.owner.get(slot) != Some(&workspace)).copied();
                if let Some((_, victim)) = victim {
                    self.close(victim, acts);
                }
            }
            return;
        }
    }

    fn released(&mut self, slot: u64, at: Duration, acts: &mut Vec<Act<u64>>) {
        let Some(&workspace) = self.owner.get(&slot) else { return };
        if let Some(request) = self.tenant(workspace).waiting.pop_front() {
            self.grant(request, slot, acts);
        } else if !self.habits.keep {
            return self.close(slot, acts);
        } else {
            self.turn += 1;
            self.idle.insert((self.turn, slot));
            self.idle_at.insert(slot, (self.turn, at));
            self.tenant(workspace).idle.push(slot);
        }
        self.touch(workspace, true);
        self.assign(acts);
    }

    fn ask_pools(&mut self, request: usize, workspace: u32, at: Duration, acts: &mut Vec<Act<u64>>) {
        let (slots, cap) = (self.slots, self.cap);
        let tenant = self.tenant(workspace);
        if tenant.connections >= cap {
            tenant.waiting.push_back(request);
            return self.wait(request, workspace, at);
        }
        if self.count >= slots && !self.evict(workspace, acts) {
            acts.push(Act::Refuse { request });
            return self.touch(workspace, false);
        }
        self.tenant(workspace).waiting.push_back(request);
        self.wait(request, workspace, at);
        self.open(workspace, acts);
    }

    fn wait(&mut self, request: usize, workspace: u32, at: Duration) {
        self.pending.insert(request, workspace);
        self.deadlines.push_back((at + WAIT, request, workspace));
    }
}

impl Policy for Plain {
    type Slot = u64;

    fn ask(&mut self, request: usize, workspace: u32, at: Duration, acts: &mut Vec<Act<u64>>) {
        if let Some(&slot) = self.tenant(workspace).idle.last() {
            self.take_idle(slot);
            self.touch(workspace, true);
            return acts.push(Act::Grant { request, slot });
        }
        if self.habits.pools {
            return self.ask_pools(request, workspace, at, acts);
        }
        self.tenant(workspace).waiting.push_back(request);
        self.wait(request, workspace, at);
        self.wants.push_back(workspace);
        self.assign(acts);
    }

    fn give_back(&mut self, slot: u64, at: Duration, acts: &mut Vec<Act<u64>>) {
        if self.habits.keep {
            self.released(slot, at, acts);
        } else {
            self.close(slot, acts);
        }
    }

    fn opened(&mut self, slot: u64, at: Duration, acts: &mut Vec<Act<u64>>) {
        self.opening -= 1;
        if let Some(next) = self.to_open.pop_front() {
            self.opening += 1;
            acts.push(Act::Open(next));
        }
        if let Some(&workspace) = self.owner.get(&slot) {
            self.tenant(workspace).opening -= 1;
        }
        self.released(slot, at, acts);
    }

    fn closed(&mut self, slot: u64, _: Duration, acts: &mut Vec<Act<u64>>) {
        self.owner.remove(&slot);
        self.closing -= 1;
        if !self.habits.pools {
            self.count -= 1;
        }
        self.assign(acts);
    }

    fn tick(&mut self, at: Duration, acts: &mut Vec<Act<u64>>) {
        while let Some(&(deadline, request, workspace)) = self.deadlines.front()
            && deadline <= at
        {
            self.deadlines.pop_front();
            if self.pending.remove(&request).is_some() {
                self.tenant(workspace).waiting.retain(|waiting| *waiting != request);
                self.touch(workspace, false);
                acts.push(Act::Refuse { request });
            }
        }
        while let Some(&(_, slot)) = self.idle.first()
            && self.idle_at.get(&slot).is_some_and(|(_, since)| *since + IDLE <= at)
        {
            self.close(slot, acts);
        }
        self.assign(acts);
    }

    fn next_deadline(&self) -> Option<Duration> {
        let waits = self.deadlines.front().map(|(deadline, ..)| *deadline);
        let idle =
            self.idle.first().and_then(|(_, slot)| self.idle_at.get(slot)).map(|(_, since)| *since + IDLE);
        waits.into_iter().chain(idle).min()
    }
}
