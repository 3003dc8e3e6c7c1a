//! A virtual clock with a server: performs what a policy asks for and writes down what came of it.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    hash::Hash,
    ops::Range,
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::load::{Pattern, Source};
use crate::figures::percentile;

/// What decides who gets which connection.
pub(super) trait Policy {
    /// Names one connection.
    type Slot: Copy + Ord + Hash;

    /// Somebody asks for a connection of a workspace.
    fn ask(&mut self, request: usize, workspace: u32, at: Duration, acts: &mut Vec<Act<Self::Slot>>);
    /// A connection that was granted is given back.
    fn give_back(&mut self, slot: Self::Slot, at: Duration, acts: &mut Vec<Act<Self::Slot>>);
    /// A connection is open.
    fn opened(&mut self, slot: Self::Slot, at: Duration, acts: &mut Vec<Act<Self::Slot>>);
    /// The server has freed a connection.
    fn closed(&mut self, slot: Self::Slot, at: Duration, acts: &mut Vec<Act<Self::Slot>>);
    /// The deadline has come.
    fn tick(&mut self, at: Duration, acts: &mut Vec<Act<Self::Slot>>);
    /// When `tick` is due.
    fn next_deadline(&self) -> Option<Duration>;
}

/// What a policy asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act<S> {
    Grant { request: usize, slot: S },
    Refuse { request: usize },
    Open(S),
    Close(S),
}

/// How long the server takes; opens beyond those in parallel wait for a processor.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) open: Range<Duration>,
    pub(super) close: Range<Duration>,
    pub(super) parallel_opens: usize,
}

impl Server {
    /// As measured on a machine with two cores: 5 ms and 3 ms in the mean, four opens at a time.
    pub(super) const USUAL: Self = Self {
        open: Duration::from_millis(4)..Duration::from_millis(6),
        close: Duration::from_millis(2)..Duration::from_millis(4),
        parallel_opens: 4,
    };

    /// Mean time for a close and an open.
    pub(super) fn close_and_open(&self) -> Duration {
        (self.open.start + self.open.end + self.close.start + self.close.end) / 2
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens<S> {
    /// A source has its turn.
    Turn(usize),
    /// The next request of a session.
    Session {
        workspace: u32,
        left: u32,
    },
    Ends(S),
    Opened(S),
    Closed(S),
    Tick,
}

/// The earliest first; in the order in which they were planned.
type Due<S> = Reverse<(Duration, u64, Happens<S>)>;

#[derive(Clone, Copy, Debug)]
struct Request {
    workspace: u32,
    asked: Duration,
    hold: Duration,
    /// Which source asks again when this ends.
    client: Option<usize>,
}

/// What one workspace got.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Served {
    pub(super) asked: u64,
    pub(super) leases: u64,
    pub(super) held: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) granted: u64,
    pub(super) refused: u64,
    pub(super) opens: u64,
    /// Most connections that the server had at once.
    pub(super) peak: usize,
    /// Waits, by workspace, in the order of the grants.
    waits: Vec<(u32, Duration)>,
    pub(super) served: HashMap<u32, Served>,
    /// Which workspaces were asked for, in order.
    pub(super) asked: Vec<u32>,
}

impl Outcome {
    /// Grants that cost no open / grants.
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52")]
    pub(super) fn hit_rate(&self) -> f64 {
        1.0 - self.opens as f64 / (self.granted as f64).max(1.0)
    }

    /// Refusals / requests answered.
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52")]
    pub(super) fn refusal_rate(&self) -> f64 {
        self.refused as f64 / ((self.granted + self.refused) as f64).max(1.0)
    }

    pub(super) fn p99(&self, workspaces: Range<u32>) -> Duration {
        let waits = self.waits.iter().filter(|(workspace, _)| workspaces.contains(workspace));
        let mut sorted: Vec<_> = waits.map(|(_, wait)| *wait).collect();
        sorted.sort_unstable();
        percentile(&sorted, 0.99)
    }

    pub(super) fn leases(&self, workspaces: Range<u32>) -> u64 {
        let served = self.served.iter().filter(|(workspace, _)| workspaces.contains(workspace));
        served.map(|(_, served)| served.leases).sum()
    }

    /// Workspaces that asked and got nothing.
    pub(super) fn never_served(&self) -> usize {
        self.served.values().filter(|served| served.asked > 0 && served.leases == 0).count()
    }

    /// Jain's index of the time that the workspaces had: 1 if all had the same.
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52")]
    pub(super) fn jain(&self) -> f64 {
        let held: Vec<f64> = self.served.values().map(|served| served.held.as_secs_f64()).collect();
        let (sum, squares) = held.iter().fold((0.0, 0.0), |(sum, squares), it| (sum + it, squares + it * it));
        sum * sum / (held.len() as f64 * squares)
    }
}

/// When a client that was refused asks again.
const AFTER_REFUSAL: Duration = Duration::from_millis(50);

/// One run.
pub(super) struct Simulation<P: Policy> {
    pub(super) policy: P,
    pub(super) outcome: Outcome,
    server: Server,
    now: Duration,
    queue: BinaryHeap<Due<P::Slot>>,
    order: u64,
    sources: Vec<Source>,
    /// Nobody asks any more.
    ended: bool,
    /// Requests that sources which do not wait for an answer may still make.
    budget: u64,
    requests: Vec<Request>,
    held: HashMap<P::Slot, usize>,
    connections: usize,
    opening: usize,
    waiting_to_open: VecDeque<P::Slot>,
    armed: Option<Duration>,
    acts: Vec<Act<P::Slot>>,
    random: StdRng,
}

impl<P: Policy> Simulation<P> {
    pub(super) fn new(policy: P, server: Server, sources: Vec<Source>, budget: u64, seed: u64) -> Self {
        let mut simulation = Self {
            policy,
            outcome: Outcome::default(),
            server,
            now: Duration::ZERO,
            queue: BinaryHeap::new(),
            order: 0,
            ended: false,
            budget,
            requests: Vec::new(),
            held: HashMap::new(),
            connections: 0,
            opening: 0,
            waiting_to_open: VecDeque::new(),
            armed: None,
            acts: Vec::new(),
            random: StdRng::seed_from_u64(seed),
            sources,
        };
        for source in 0..simulation.sources.len() {
            let start = simulation.sources[source].start();
            simulation.at(start, Happens::Turn(source));
        }
        simulation
    }

    fn at(&mut self, at: Duration, happens: Happens<P::Slot>) {
        self.order += 1;
        self.queue.push(Reverse((at, self.order, happens)));
    }

    /// Until everything asked for has ended and nothing is left to happen within the time.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(Reverse((at, order, happens))) = self.queue.pop() {
            if at > end {
                self.queue.push(Reverse((at, order, happens)));
                break;
            }
            self.now = at;
            self.happens(happens);
        }
        self.now = end;
    }

    /// Nobody asks any more; whoever waits is answered.
    pub(super) fn end_asking(&mut self, time: Duration) {
        self.ended = true;
        self.run(time);
    }

    fn happens(&mut self, happens: Happens<P::Slot>) {
        let now = self.now;
        match happens {
            Happens::Turn(_) | Happens::Session { .. } if self.ended => return,
            Happens::Turn(source) => return self.turn(source),
            Happens::Session { workspace, left } => return self.session(workspace, left),
            Happens::Ends(slot) => return self.end(slot),
            Happens::Opened(slot) => {
                self.opening -= 1;
                if let Some(next) = self.waiting_to_open.pop_front() {
                    self.start_open(next);
                }
                self.policy.opened(slot, now, &mut self.acts);
            }
            Happens::Closed(slot) => {
                self.connections -= 1;
                self.policy.closed(slot, now, &mut self.acts);
            }
            Happens::Tick if self.armed == Some(now) => {
                self.armed = None;
                self.policy.tick(now, &mut self.acts);
            }
            Happens::Tick => return,
        }
        self.perform();
    }

    fn turn(&mut self, source: usize) {
        match &mut self.sources[source] {
            Source::Client { workspace, hold, .. } => {
                let (workspace, hold) = (*workspace, *hold);
                self.ask(workspace, hold, Some(source));
            }
            Source::Strangers { next, hold, every, .. } => {
                let (workspace, hold, again) = (*next, *hold, self.now + *every);
                *next += 1;
                self.at(again, Happens::Turn(source));
                self.ask(workspace, hold, None);
            }
            Source::Arrivals { rate, pattern, popularity, hold } => {
                let (pattern, hold) = (*pattern, *hold);
                let workspace = popularity.choose(&mut self.random);
                let per_arrival = f64::from(pattern.requests());
                let pause = exponential(&mut self.random, Duration::from_secs_f64(per_arrival / *rate));
                if self.budget == 0 {
                    return;
                }
                self.at(self.now + pause, Happens::Turn(source));
                match pattern {
                    Pattern::Memoryless => self.arrive(workspace, hold),
                    Pattern::Sessions => self.session(workspace, pattern.requests()),
                    Pattern::Bursts => (0..pattern.requests()).for_each(|_| self.arrive(workspace, hold)),
                }
            }
        }
    }

    /// One more of the budgeted requests.
    fn arrive(&mut self, workspace: u32, hold: Duration) {
        self.budget = self.budget.saturating_sub(1);
        let hold = exponential(&mut self.random, hold);
        self.ask(workspace, hold, None);
    }

    fn session(&mut self, workspace: u32, left: u32) {
        if left == 0 || self.budget == 0 {
            return;
        }
        let pause = exponential(&mut self.random, Pattern::THINKING);
        self.at(self.now + pause, Happens::Session { workspace, left: left - 1 });
        self.arrive(workspace, Pattern::HOLD);
    }

    fn ask(&mut self, workspace: u32, hold: Duration, client: Option<usize>) {
        let request = self.requests.len();
        self.requests.push(Request { workspace, asked: self.now, hold, client });
        self.outcome.asked.push(workspace);
        self.outcome.served.entry(workspace).or_default().asked += 1;
        self.policy.ask(request, workspace, self.now, &mut self.acts);
        self.perform();
    }

    fn end(&mut self, slot: P::Slot) {
        let Some(request) = self.held.remove(&slot) else { return };
        let Request { workspace, client, hold, .. } = self.requests[request];
        self.outcome.served.entry(workspace).or_default().held += hold;
        self.policy.give_back(slot, self.now, &mut self.acts);
        self.perform();
        self.client_again(client, Duration::ZERO);
    }

    fn client_again(&mut self, client: Option<usize>, pause: Duration) {
        if let Some(source) = client {
            self.at(self.now + pause, Happens::Turn(source));
        }
    }

    fn perform(&mut self) {
        let mut acts = std::mem::take(&mut self.acts);
        for act in acts.drain(..) {
            match act {
                Act::Grant { request, slot } => {
                    let Request { workspace, asked, hold, .. } = self.requests[request];
                    self.outcome.granted += 1;
                    self.outcome.waits.push((workspace, self.now.saturating_sub(asked)));
                    self.outcome.served.entry(workspace).or_default().leases += 1;
                    self.held.insert(slot, request);
                    self.at(self.now + hold, Happens::Ends(slot));
                }
                Act::Refuse { request } => {
                    self.outcome.refused += 1;
                    self.client_again(self.requests[request].client, AFTER_REFUSAL);
                }
                Act::Open(slot) => {
                    self.outcome.opens += 1;
                    self.connections += 1;
                    self.outcome.peak = self.outcome.peak.max(self.connections);
                    if self.opening < self.server.parallel_opens {
                        self.start_open(slot);
                    } else {
                        self.waiting_to_open.push_back(slot);
                    }
                }
                Act::Close(slot) => {
                    let time = self.random.random_range(self.server.close.clone());
                    self.at(self.now + time, Happens::Closed(slot));
                }
            }
        }
        self.acts = acts;
        if let Some(next) = self.policy.next_deadline()
            && self.armed.is_none_or(|armed| next < armed)
        {
            let next = next.max(self.now);
            self.armed = Some(next);
            self.at(next, Happens::Tick);
        }
    }

    fn start_open(&mut self, slot: P::Slot) {
        self.opening += 1;
        let time = self.random.random_range(self.server.open.clone());
        self.at(self.now + time, Happens::Opened(slot));
    }
}

/// Memoryless, with the mean given.
fn exponential(random: &mut StdRng, mean: Duration) -> Duration {
    mean.mul_f64(-(1.0 - random.random::<f64>()).ln())
}
