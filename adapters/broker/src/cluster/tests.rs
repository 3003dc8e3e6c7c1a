//! The shares never add up to more than the budget, whatever happens.

use super::*;
use proptest::prelude::*;

const RULES: ClusterRules = ClusterRules { budget: 100, ttl: Duration::from_secs(15) };
const FLOOR: u32 = 9;

fn beat(ledger: &mut Ledger, instance: &str, wanted: u32, now: u64) -> Told {
    let reached = ledger.member(instance).map_or(0, |m| m.share.min(m.target));
    let report = Report { instance, reached, wanted, floor: FLOOR };
    ledger.hear(&RULES, &report, now, |_| false)
}

/// Lets all be heard every five seconds for so long.
fn settle(ledger: &mut Ledger, wanted: &[(&str, u32)], from: u64, rounds: u64) -> u64 {
    for round in 0..rounds {
        for (instance, wanted) in wanted {
            beat(ledger, instance, *wanted, from + round * 5_000);
            assert!(ledger.members.iter().map(|m| m.share).sum::<u32>() <= RULES.shared());
        }
    }
    from + rounds * 5_000
}

fn share(ledger: &Ledger, instance: &str) -> u32 {
    ledger.member(instance).map_or(0, |m| m.share)
}

fn alone() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.join(&RULES, "a", FLOOR, 10_000).unwrap();
    beat(&mut ledger, "a", 10, 10_000);
    ledger
}

#[test]
fn the_only_instance_has_all_but_what_joining_needs() {
    assert_eq!(share(&alone(), "a"), 98);
}

#[test]
fn a_second_one_gets_its_half_in_steps_of_a_fifth() {
    let mut ledger = alone();
    ledger.join(&RULES, "b", FLOOR, 20_000).unwrap();
    let mut before = 98;
    for round in 0..6 {
        let now = 20_000 + round * 5_000;
        beat(&mut ledger, "a", 10, now);
        beat(&mut ledger, "b", 10, now + 10);
        beat(&mut ledger, "a", 10, now + 20);
        beat(&mut ledger, "b", 10, now + 30);
        assert!(before - share(&ledger, "a") <= 20);
        before = share(&ledger, "a");
    }
    assert!((47..=51).contains(&share(&ledger, "a")), "{ledger:?}");
    assert!((47..=51).contains(&share(&ledger, "b")), "{ledger:?}");
}

#[test]
fn the_busier_one_gets_more_and_the_idle_one_keeps_its_floor() {
    let mut ledger = alone();
    ledger.join(&RULES, "b", FLOOR, 20_000).unwrap();
    settle(&mut ledger, &[("a", 0), ("b", 80)], 20_000, 20);
    assert!(share(&ledger, "b") > 80 && share(&ledger, "a") >= FLOOR, "{ledger:?}");
}

#[test]
fn what_is_asked_back_stays_with_its_owner_until_it_reports() {
    let mut ledger = alone();
    ledger.join(&RULES, "b", FLOOR, 20_000).unwrap();
    let report = |reached| Report { instance: "a", reached, wanted: 10, floor: FLOOR };
    let told = ledger.hear(&RULES, &report(98), 20_000, |_| false);
    assert_eq!(told, Told::Share { share: 98, target: 78 });
    assert_eq!(beat(&mut ledger, "b", 10, 20_010), Told::Share { share: 0, target: 0 });
    ledger.hear(&RULES, &report(90), 20_020, |_| false);
    assert_eq!(beat(&mut ledger, "b", 10, 20_030), Told::Share { share: 8, target: 8 });
}

#[test]
fn a_silent_one_keeps_its_share_until_none_of_its_sessions_is_left() {
    let mut ledger = alone();
    ledger.join(&RULES, "b", FLOOR, 20_000).unwrap();
    let now = settle(&mut ledger, &[("a", 10), ("b", 10)], 20_000, 8);
    let theirs = share(&ledger, "b");
    let report = Report { instance: "a", reached: 98, wanted: 10, floor: FLOOR };
    let later = now + 60_000;
    ledger.hear(&RULES, &report, later, |_| false);
    assert_eq!((share(&ledger, "b"), ledger.silent(later).collect::<Vec<_>>()), (theirs, vec!["b"]));
    ledger.hear(&RULES, &report, later + 5_000, |instance| instance == "b");
    assert_eq!((ledger.member("b"), share(&ledger, "a")), (None, 98));
    assert_eq!(beat(&mut ledger, "b", 10, later + 5_001), Told::Lost);
}

#[test]
fn one_too_many_is_refused_with_the_numbers() {
    let rules = ClusterRules { budget: 20, ..RULES };
    let mut ledger = Ledger::default();
    ledger.join(&rules, "a", FLOOR, 0).unwrap();
    ledger.join(&rules, "b", FLOOR, 0).unwrap();
    let refused = ledger.join(&rules, "c", FLOOR, 0);
    assert_eq!(refused, Err(CannotJoin::NoRoom { budget: 20, taken: 18, floor: FLOOR }));
}

#[test]
fn instances_must_agree_on_the_budget() {
    let mut ledger = alone();
    let other = ClusterRules { budget: 50, ..RULES };
    let refused = ledger.join(&other, "b", FLOOR, 20_000);
    assert_eq!(refused, Err(CannotJoin::OtherBudget { mine: 50, theirs: 100 }));
}

#[test]
fn whoever_leaves_makes_room_at_once() {
    let mut ledger = alone();
    ledger.join(&RULES, "b", FLOOR, 20_000).unwrap();
    let now = settle(&mut ledger, &[("a", 10), ("b", 10)], 20_000, 8);
    ledger.leave("b");
    settle(&mut ledger, &[("a", 10)], now, 2);
    assert_eq!(share(&ledger, "a"), 98);
}

/// An instance as it is, beside what the ledger says of it.
#[derive(Clone, Debug, Default)]
struct Process {
    joined: bool,
    /// What it believes it may have.
    limit: u32,
    /// What it believes is its share, at least its limit.
    share: u32,
    /// Its sessions at the server.
    sessions: u32,
    /// When it stops by itself.
    expires_at: u64,
    paused: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Beat { process: usize, wanted: u32, answer_lost: bool },
    Open { process: usize, sessions: u32 },
    Close { process: usize, sessions: u32 },
    Pause(usize),
    Resume(usize),
    Kill(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let process = 0..4_usize;
    prop_oneof![
        6 => (process.clone(), 0..120_u32, prop::bool::weighted(0.1))
            .prop_map(|(process, wanted, answer_lost)| Step::Beat { process, wanted, answer_lost }),
        4 => (process.clone(), 1..60_u32).prop_map(|(process, sessions)| Step::Open { process, sessions }),
        3 => (process.clone(), 1..60_u32).prop_map(|(process, sessions)| Step::Close { process, sessions }),
        1 => process.clone().prop_map(Step::Pause),
        1 => process.clone().prop_map(Step::Resume),
        1 => process.prop_map(Step::Kill),
        3 => (1..8_000_u64).prop_map(Step::Wait),
        1 => (8_000..60_000_u64).prop_map(Step::Wait),
    ]
}

struct World {
    ledger: Ledger,
    processes: Vec<Process>,
    now: u64,
}

impl World {
    fn name(process: usize) -> String {
        format!("p{process}")
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Wait(time) => self.now += time,
            Step::Pause(process) => self.processes[process].paused = true,
            Step::Resume(process) => self.processes[process].paused = false,
            // The server notices that the process is gone; a new one has a new name, so here it joins anew.
            Step::Kill(process) => self.processes[process] = Process::default(),
            Step::Open { process, sessions } => {
                let now = self.now;
                let process = &mut self.processes[process];
                if !process.paused && now < process.expires_at {
                    process.sessions = (process.sessions + sessions).min(process.limit.max(process.sessions));
                }
            }
            Step::Close { process, sessions } => {
                let process = &mut self.processes[process];
                if !process.paused {
                    process.sessions = process.sessions.saturating_sub(sessions);
                }
            }
            Step::Beat { process, wanted, answer_lost } => self.beat(process, wanted, answer_lost),
        }
    }

    fn beat(&mut self, number: usize, wanted: u32, answer_lost: bool) {
        let (name, now) = (Self::name(number), self.now);
        if self.processes[number].paused {
            return;
        }
        if now >= self.processes[number].expires_at {
            // It has closed everything by now.
            self.processes[number].sessions = 0;
            self.processes[number].limit = 0;
        }
        if !self.processes[number].joined {
            if self.ledger.join(&RULES, &name, FLOOR, now).is_err() {
                return;
            }
            self.processes[number] = Process { joined: true, ..Process::default() };
        }
        // Whoever is silent is ended by whoever notices.
        for silent in self.ledger.silent(now).map(str::to_owned).collect::<Vec<_>>() {
            let other: usize = silent[1..].parse().unwrap();
            if other != number {
                self.processes[other].sessions = 0;
            }
        }
        let process = self.processes[number].clone();
        let reached = if process.sessions <= process.limit { process.limit } else { process.share };
        let report = Report { instance: &name, reached, wanted, floor: FLOOR };
        let processes = self.processes.clone();
        let gone = |name: &str| processes[name[1..].parse::<usize>().unwrap()].sessions == 0;
        let told = self.ledger.hear(&RULES, &report, now, gone);
        if answer_lost {
            return;
        }
        let process = &mut self.processes[number];
        match told {
            Told::Lost => *process = Process { sessions: process.sessions, ..Process::default() },
            Told::Share { share, target } => {
                process.share = share;
                process.limit = target;
                process.expires_at = now + 15_000;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn in_no_history_are_there_more_sessions_than_the_budget(steps in prop::collection::vec(step(), 1..200)) {
        let mut world = World { ledger: Ledger::default(), processes: vec![Process::default(); 4], now: 10_000 };
        for step in &steps {
            world.take(step);
            let shares: u32 = world.ledger.members.iter().map(|m| m.share).sum();
            prop_assert!(shares <= RULES.shared(), "{step:?}: {:?}", world.ledger);
            let sessions: u32 = world.processes.iter().map(|p| p.sessions).sum();
            prop_assert!(sessions <= RULES.budget, "{step:?}: {sessions} sessions");
        }
    }
}
