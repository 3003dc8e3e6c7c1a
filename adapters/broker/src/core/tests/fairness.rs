//! Simulated load on a virtual clock: who gets how much, and who waits how long.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    rc::Rc,
    time::Duration,
};

use super::world::{MS, key, limits};
use crate::{
    Access, Class, Limits, StatsPage, WorkspaceKey,
    core::{Answer, ConnId, Core, Effect, Event, Lane, Moment, Release, Request, WaiterId, gauge::Dice},
};

const OPEN: Duration = Duration::from_millis(5);
const CLOSE: Duration = Duration::from_millis(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    /// A client asks for its next lease.
    Asks(usize),
    Ends(ConnId),
    Opened(ConnId),
    Closed(ConnId),
    Tick,
}

/// A client: a workspace to choose, how long a lease is held, how long it pauses.
struct Client {
    choose: Box<dyn FnMut(&mut Dice) -> usize>,
    hold: Duration,
    pause: Duration,
}

#[derive(Default)]
struct Served {
    leases: usize,
    held: Duration,
    waits: Vec<Duration>,
}

struct Simulation {
    core: Core,
    now: Moment,
    queue: BinaryHeap<Reverse<(Moment, u64, Happens)>>,
    order: u64,
    clients: Vec<Client>,
    waiting: HashMap<WaiterId, (usize, usize, Moment)>,
    holding: HashMap<ConnId, (usize, usize, Moment)>,
    keys: Vec<WorkspaceKey>,
    served: BTreeMap<usize, Served>,
    dice: Dice,
    events: u64,
    most_spaces: usize,
    /// When the next tick is due.
    armed: Option<Moment>,
}

impl Simulation {
    fn new(limits: Limits, workspaces: usize) -> Self {
        let mut core = Core::new(limits, 3);
        core.unchecked = true;
        Self {
            core,
            now: Moment::START,
            queue: BinaryHeap::new(),
            order: 0,
            clients: Vec::new(),
            waiting: HashMap::new(),
            holding: HashMap::new(),
            keys: (0..workspaces).map(key).collect(),
            served: BTreeMap::new(),
            dice: Dice::seeded(5),
            events: 0,
            most_spaces: 0,
            armed: None,
        }
    }

    /// A client that always has work for one workspace.
    fn busy(&mut self, workspace: usize, hold: Duration) {
        self.client(Client { choose: Box::new(move |_| workspace), hold, pause: Duration::ZERO });
    }

    fn client(&mut self, client: Client) {
        self.client_from(self.now, client);
    }

    fn client_from(&mut self, start: Moment, client: Client) {
        self.clients.push(client);
        self.at(start, Happens::Asks(self.clients.len() - 1));
    }

    fn at(&mut self, at: Moment, happens: Happens) {
        self.order += 1;
        self.queue.push(Reverse((at, self.order, happens)));
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(Reverse((at, _, happens))) = self.queue.pop() {
            if at > end {
                self.at(at, happens);
                break;
            }
            self.now = at;
            match happens {
                Happens::Asks(client) => self.ask(client),
                Happens::Ends(conn) => self.end(conn),
                Happens::Opened(conn) => drop(self.apply(Event::Opened(conn))),
                Happens::Closed(conn) => drop(self.apply(Event::Closed(conn))),
                Happens::Tick if self.armed == Some(at) => {
                    self.armed = None;
                    self.apply(Event::Tick);
                }
                Happens::Tick => {}
            }
        }
        self.now = end;
    }

    fn apply(&mut self, event: Event<'_>) -> Answer {
        let mut effects = Vec::new();
        let answer = self.core.apply(event, self.now, &mut effects);
        self.events += 1;
        self.most_spaces = self.most_spaces.max(self.core.spaces.len());
        if let Some(next) = self.core.next_deadline()
            && self.armed.is_none_or(|armed| next < armed)
        {
            self.armed = Some(next);
            self.at(next.max(self.now), Happens::Tick);
        }
        for effect in effects {
            match effect {
                Effect::Grant { waiter, conn } => {
                    let (client, workspace, asked) = self.waiting.remove(&waiter).unwrap();
                    self.granted(client, workspace, conn, asked);
                }
                Effect::Open { conn, .. } => self.at(self.now + OPEN, Happens::Opened(conn)),
                Effect::Close { conn } => self.at(self.now + CLOSE, Happens::Closed(conn)),
                Effect::Note(_) => {}
                other => panic!("{other:?}"),
            }
        }
        answer
    }

    fn ask(&mut self, client: usize) {
        let workspace = (self.clients[client].choose)(&mut self.dice);
        let key = self.keys[workspace].clone();
        let request = Request {
            lane: Lane::Workspace(&key),
            class: Class::Interactive,
            access: Access::Read,
            wait: Duration::from_mins(2),
            label: "simulation",
            own: false,
        };
        match self.apply(Event::Acquire(request)) {
            Answer::Granted(conn) => self.granted(client, workspace, conn, self.now),
            Answer::Queued(waiter) => drop(self.waiting.insert(waiter, (client, workspace, self.now))),
            other => panic!("{other:?}"),
        }
    }

    fn granted(&mut self, client: usize, workspace: usize, conn: ConnId, asked: Moment) {
        let served = self.served.entry(workspace).or_default();
        served.leases += 1;
        served.waits.push(self.now.since(asked));
        self.holding.insert(conn, (client, workspace, self.now));
        self.at(self.now + self.clients[client].hold, Happens::Ends(conn));
    }

    fn end(&mut self, conn: ConnId) {
        let (client, workspace, since) = self.holding.remove(&conn).unwrap();
        self.served.entry(workspace).or_default().held += self.now.since(since);
        self.apply(Event::Release(conn, Release::Clean));
        self.at(self.now + self.clients[client].pause, Happens::Asks(client));
    }

    fn live(&self, workspace: usize) -> u32 {
        let id = self.core.by_key.get(&self.keys[workspace]);
        id.map_or(0, |id| self.core.spaces[*id].live())
    }

    fn leases(&self, of: std::ops::Range<usize>) -> usize {
        self.served.range(of).map(|(_, served)| served.leases).sum()
    }

    fn p99(&self, of: std::ops::Range<usize>) -> Duration {
        let mut waits: Vec<_> =
            self.served.range(of).flat_map(|(_, served)| &served.waits).copied().collect();
        waits.sort();
        waits[waits.len() * 99 / 100]
    }
}

/// Jain's index: 1 if all are equal, 1/n if one has everything.
fn jain(values: &[f64]) -> f64 {
    let (sum, squares) = values.iter().fold((0.0, 0.0), |(sum, squares), v| (sum + v, squares + v * v));
    let count = u32::try_from(values.len()).unwrap();
    sum * sum / (f64::from(count) * squares)
}

#[test]
fn backlogged_workspaces_that_fit_hold_the_same_number_of_connections_but_for_one() {
    let mut sim = Simulation::new(limits(25, 5), 10);
    for workspace in 0..10 {
        // The first has many more clients than the last.
        for _ in 0..24 - 2 * workspace {
            sim.busy(workspace, 3 * MS);
        }
    }
    sim.run(Duration::from_secs(5));
    for _ in 0..50 {
        sim.run(100 * MS);
        let live: Vec<_> = (0..10).map(|workspace| sim.live(workspace)).collect();
        let (least, most) = (live.iter().min().unwrap(), live.iter().max().unwrap());
        assert!(*least >= 1 && most - least <= 1, "{live:?}");
    }
}

#[test]
fn more_backlogged_workspaces_than_slots_get_the_same_time() {
    let mut sim = Simulation::new(limits(90, 3), 300);
    for workspace in 0..300 {
        // Always one that waits.
        for _ in 0..2 + workspace % 3 {
            sim.busy(workspace, 20 * MS);
        }
    }
    sim.run(Duration::from_secs(5));
    sim.served.clear();
    sim.run(Duration::from_secs(10));
    assert_eq!(sim.served.len(), 300, "nobody is left out");
    let held: Vec<_> = sim.served.values().map(|served| served.held.as_secs_f64()).collect();
    let mean = held.iter().sum::<f64>() / 300.0;
    println!("300 active, 90 slots: Jain {:.4}, {} leases", jain(&held), sim.leases(0..300));
    assert!(jain(&held) >= 0.98, "Jain {}", jain(&held));
    assert!(held.iter().all(|held| (held / mean - 1.0).abs() <= 0.2), "{held:?}");
}

#[test]
fn long_leases_are_paid_for_by_their_workspace() {
    let mut sim = Simulation::new(limits(4, 2), 8);
    for workspace in 0..8 {
        // The first one's leases take five quanta each.
        let hold = if workspace == 0 { 500 * MS } else { 5 * MS };
        sim.busy(workspace, hold);
        sim.busy(workspace, hold);
    }
    sim.run(Duration::from_secs(40));
    let held: Vec<_> = sim.served.values().map(|served| served.held.as_secs_f64()).collect();
    let others = held[1..].iter().sum::<f64>() / 7.0;
    println!("long leases: {:.1} s against {others:.1} s", held[0]);
    assert!(held[0] <= 1.6 * others, "{held:?}");
}

#[test]
fn quiet_workspaces_are_served_quickly_and_cost_the_busy_ones_little() {
    let run = |cold: bool| {
        let mut sim = Simulation::new(limits(90, 3), 2000);
        for workspace in 0..40 {
            for _ in 0..20 {
                sim.busy(workspace, 10 * MS);
            }
        }
        if cold {
            // Twenty requests per second, each for another workspace.
            for first in 0..20_u32 {
                let mut next = 40 + first as usize;
                let choose = Box::new(move |_: &mut Dice| {
                    next += 20;
                    next
                });
                let start = Moment::after(first * 50 * MS);
                let pause = Duration::from_secs(1);
                sim.client_from(start, Client { choose, hold: 2 * MS, pause });
            }
        }
        sim.run(Duration::from_secs(2));
        sim.served.clear();
        sim.run(Duration::from_secs(4));
        sim
    };
    let (without, with) = (run(false).leases(0..40), run(true));
    let (hot, p99) = (with.leases(0..40), with.p99(40..2000));
    println!("hot {hot} of {without}, cold p99 {p99:?}");
    assert!(hot * 100 >= without * 95, "{hot} of {without}");
    assert!(p99 <= 3 * (OPEN + CLOSE), "{p99:?}");
}

/// Popularity of workspaces as in practice: the n-th has 1/n^s of the first.
fn zipf(workspaces: usize, exponent: f64) -> impl Fn(&mut Dice) -> usize + Clone {
    let mut sums = Vec::with_capacity(workspaces);
    let mut sum = 0.0;
    for rank in 1..=u32::try_from(workspaces).unwrap() {
        sum += f64::from(rank).powf(-exponent);
        sums.push(sum);
    }
    let sums: Rc<[f64]> = sums.into();
    move |dice| {
        let at = dice.roll() * sum;
        sums.partition_point(|sum| *sum < at).min(workspaces - 1)
    }
}

#[test]
fn far_more_workspaces_than_slots_are_served_without_losing_anyone() {
    let mut sim = Simulation::new(limits(28, 3), 100);
    let popular = zipf(100, 1.1);
    for _ in 0..64 {
        let choose = Box::new(popular.clone());
        sim.client(Client { choose, hold: MS, pause: Duration::ZERO });
    }
    sim.run(Duration::from_secs(4));
    let stats = sim.core.stats(&StatsPage::default(), sim.now);
    println!(
        "100 databases, 28 slots, 64 clients: {} leases/s, hit rate {:.2}, {} opens/s, p99 {:?}",
        sim.leases(0..100) / 4,
        stats.hit_rate,
        stats.opens.succeeded / 4,
        sim.p99(0..100),
    );
    assert_eq!(stats.leases.refused, 0);
    assert!(sim.leases(0..100) >= 8_000, "{}", sim.leases(0..100));
    assert!(sim.p99(0..100) <= Duration::from_millis(500), "{:?}", sim.p99(0..100));
}

#[test]
fn a_hundred_thousand_workspaces_cost_only_those_that_are_active() {
    let mut sim = Simulation::new(limits(90, 3), 100_000);
    let popular = zipf(100_000, 1.0);
    for _ in 0..200 {
        let choose = Box::new(popular.clone());
        sim.client(Client { choose, hold: 2 * MS, pause: 250 * MS });
    }
    let start = std::time::Instant::now();
    sim.run(Duration::from_secs(25));
    let per_event = start.elapsed().as_nanos() / u128::from(sim.events);
    println!("{} events, {per_event} ns each with the simulation's own work", sim.events);
    assert!(sim.served.len() > 3_000, "{}", sim.served.len());
    assert!(sim.most_spaces <= 1 + 90 + 200 + 10, "{} records", sim.most_spaces);
    assert_eq!(sim.core.stats(&StatsPage::default(), sim.now).leases.refused, 0);
}

#[test]
fn a_workspace_without_a_connection_waits_no_longer_than_the_bound() {
    let mut sim = Simulation::new(limits(10, 1), 60);
    for workspace in 0..40 {
        sim.busy(workspace, 4 * MS);
        sim.busy(workspace, 4 * MS);
    }
    sim.run(Duration::from_secs(5));
    for workspace in 40..60 {
        let ahead = f64::from(u32::try_from(sim.core.wants.zeros()).unwrap());
        let rate = sim.core.open_capacity().min(10.0 / 0.1);
        sim.client(Client {
            choose: Box::new(move |_| workspace),
            hold: 4 * MS,
            pause: Duration::from_hours(1),
        });
        sim.run(Duration::from_secs(2));
        let waited = sim.served[&workspace].waits[0];
        let bound = Duration::from_secs_f64(ahead / rate) + 100 * MS + 4 * MS + CLOSE + OPEN;
        assert!(waited <= bound, "{waited:?} > {bound:?} with {ahead} ahead");
    }
}
