//! The shell under a scheduler that tries the orders in which threads can meet: no double grant, no
//! lost wake-up, no deadlock, nothing left behind.
//!
//! What threads share is the one mutex; the rest are tokio's channels, which have been through loom
//! upstream. Loom itself would need them compiled for it, and shuttle does not: its tasks bring
//! their own wakers. So shuttle stands alone here.
//!
//! `cargo test -p broker --features shuttle` tries some thousands, with the feature `long` a hundred
//! thousand per test.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex as StdMutex, MutexGuard as StdMutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use shuttle::{
    future::{block_on, spawn, yield_now},
    rand::{Rng as _, thread_rng},
};

use super::{Broker, LeaseOptions, platform::start_clock};
use crate::{
    BrokerError, Class, CleanStep, CloseProof, Connector, Limits, OpenError, OpenFailure, StatsPage, Target,
    Unusable, WorkspaceKey, ZombieProbe,
};

const SCHEDULES: usize = if cfg!(feature = "long") { 100_000 } else { 1_000 };

/// A server whose sessions know whether somebody holds them. Every call lets others run first.
#[derive(Clone)]
struct Server {
    sessions: Arc<StdMutex<Sessions>>,
    /// Whether opens, cleanings and closes may fail.
    faults: bool,
}

#[derive(Default)]
struct Sessions {
    next: u64,
    open: BTreeMap<u64, Target>,
    peak: usize,
}

struct Session {
    id: u64,
    target: Target,
    holders: Arc<AtomicUsize>,
}

impl Server {
    fn fails(&self, chance: f64) -> bool {
        self.faults && thread_rng().gen_bool(chance)
    }

    /// No task is switched while it is held.
    fn sessions(&self) -> StdMutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap()
    }
}

impl Connector for Server {
    type Connection = Session;
    type Handle = u64;

    async fn open(&self, target: &Target) -> Result<Session, OpenError<u64>> {
        yield_now().await;
        let id = {
            let mut sessions = self.sessions();
            sessions.next += 1;
            let id = sessions.next;
            sessions.open.insert(id, target.clone());
            sessions.peak = sessions.peak.max(sessions.open.len());
            id
        };
        yield_now().await;
        if self.fails(0.05) {
            return Err(OpenError::unproven(OpenFailure::Other, id));
        }
        Ok(Session { id, target: target.clone(), holders: Arc::default() })
    }

    fn handle(&self, session: &Session) -> u64 {
        session.id
    }

    async fn clean(&self, _: &mut Session, _: CleanStep) -> Result<(), Unusable> {
        yield_now().await;
        if self.fails(0.1) { Err(Unusable) } else { Ok(()) }
    }

    async fn check(&self, _: &mut Session) -> Result<(), Unusable> {
        yield_now().await;
        Ok(())
    }

    async fn close(&self, session: Session) -> CloseProof<u64> {
        yield_now().await;
        if self.fails(0.05) {
            return CloseProof::NotProven(session.id);
        }
        self.sessions().open.remove(&session.id);
        CloseProof::Free
    }

    async fn prove_gone(&self, _: Option<&mut Session>, zombies: &[ZombieProbe<u64>]) -> Vec<bool> {
        yield_now().await;
        let mut sessions = self.sessions();
        for zombie in zombies {
            sessions.open.remove(&zombie.handle);
        }
        vec![true; zombies.len()]
    }
}

const SLOTS: u32 = 2;

fn broker(cap: u32, faults: bool) -> (Broker<Server>, Server) {
    let limits = Limits {
        max_connections: SLOTS + 2,
        system_reserve: Some(2),
        max_connections_per_workspace: cap,
        ..Limits::default()
    };
    let server = Server { sessions: Arc::default(), faults };
    (Broker::unchecked(limits, server.clone()), server)
}

fn key(number: usize) -> WorkspaceKey {
    WorkspaceKey::new(format!("ws{number}"))
}

fn read() -> LeaseOptions {
    LeaseOptions::read(Class::Interactive, "schedule")
}

/// Leases, looks whether it is alone with the right session, and gives it back in some way.
async fn one_lease(broker: &Broker<Server>, workspace: usize) -> Result<(), BrokerError> {
    let workspace = key(workspace);
    let mut lease = broker.lease(&workspace, read()).await?;
    let holders = Arc::clone(&lease.connection().holders);
    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "I3: two holders");
    assert_eq!(lease.connection().target, Target::Workspace(workspace), "I4");
    yield_now().await;
    assert_eq!(holders.fetch_sub(1, Ordering::SeqCst), 1, "I3: two holders");
    match thread_rng().gen_range(0..6) {
        0 => lease.mark_dirty(),
        1 => lease.mark_broken(),
        _ => {}
    }
    Ok(())
}

/// Asks, looks so many times and goes.
async fn look_and_go(broker: &Broker<Server>, workspace: usize, looks: usize) {
    let workspace = key(workspace);
    let mut waiting = pin!(broker.lease(&workspace, read()));
    for _ in 0..looks {
        if waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return;
        }
        yield_now().await;
    }
}

/// I1, I7, I8: what the broker counts is idle and is what the server has.
async fn nothing_is_left(broker: &Broker<Server>, server: &Server) {
    for _ in 0..10_000 {
        {
            let now = broker.shared.now();
            // One lock for all that is compared.
            let shared = broker.shared.lock();
            let stats = shared.core.stats(&StatsPage::default(), now);
            if (stats.total_open, stats.waiters) == (stats.total_idle, 0) {
                assert_eq!(shared.parked.iter().flatten().count(), stats.total_open as usize);
                assert_eq!(shared.replies.iter().flatten().count(), 0);
                assert_eq!(server.sessions().open.len(), stats.total_open as usize);
                assert!(server.sessions().peak <= SLOTS as usize + 2, "I1: {}", server.sessions().peak);
                return;
            }
        }
        yield_now().await;
    }
    panic!("something is left: {:?}", broker.stats(StatsPage::default()));
}

fn try_schedules(name: &'static str, scenario: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(scenario, SCHEDULES);
    println!("C6 {name}: {SCHEDULES} schedules");
}

/// No time passes here, so that a wake-up that is lost is a deadlock.
#[test]
fn everybody_is_served_in_every_schedule() {
    try_schedules("serving", || {
        start_clock(false);
        block_on(async {
            let (broker, server) = broker(1, false);
            let all = [1, 1, 2, 3].map(|workspace| {
                let broker = broker.clone();
                spawn(async move {
                    for _ in 0..2 {
                        one_lease(&broker, workspace).await.unwrap();
                    }
                })
            });
            for task in all {
                task.await.unwrap();
            }
            nothing_is_left(&broker, &server).await;
        });
    });
}

#[test]
fn callers_that_go_cost_nobody_a_wake_up_in_any_schedule() {
    try_schedules("cancelling", || {
        start_clock(false);
        block_on(async {
            let (broker, server) = broker(1, false);
            let going = [(1, 1), (1, 4), (2, 2)].map(|(workspace, looks)| {
                let broker = broker.clone();
                spawn(async move { look_and_go(&broker, workspace, looks).await })
            });
            let staying = [1, 2, 3].map(|workspace| {
                let broker = broker.clone();
                spawn(async move { one_lease(&broker, workspace).await.unwrap() })
            });
            for task in going.into_iter().chain(staying) {
                task.await.unwrap();
            }
            nothing_is_left(&broker, &server).await;
        });
    });
}

#[test]
fn a_retired_workspace_has_no_session_in_any_schedule() {
    try_schedules("retiring", || {
        start_clock(false);
        block_on(async {
            let (broker, server) = broker(2, false);
            let callers = [1, 1, 2].map(|workspace| {
                let broker = broker.clone();
                spawn(async move {
                    for _ in 0..2 {
                        let outcome = one_lease(&broker, workspace).await;
                        assert!(matches!(outcome, Ok(()) | Err(BrokerError::Retired { .. })), "{outcome:?}");
                    }
                })
            });
            yield_now().await;
            broker.retire(&key(1), Duration::from_mins(1)).await.unwrap();
            let target = Target::Workspace(key(1));
            assert!(server.sessions().open.values().all(|open| *open != target), "I15");
            for task in callers {
                task.await.unwrap();
            }
            assert!(server.sessions().open.values().all(|open| *open != target), "I15: one came later");
            nothing_is_left(&broker, &server).await;
        });
    });
}

#[test]
fn a_shutdown_leaves_nothing_in_any_schedule() {
    try_schedules("shutting down", || {
        start_clock(false);
        block_on(async {
            let (broker, server) = broker(1, false);
            let callers = [1, 2, 3].map(|workspace| {
                let broker = broker.clone();
                spawn(async move {
                    for _ in 0..2 {
                        let outcome = one_lease(&broker, workspace).await;
                        assert!(matches!(outcome, Ok(()) | Err(BrokerError::ShuttingDown)), "{outcome:?}");
                    }
                })
            });
            yield_now().await;
            assert!(broker.shutdown(Duration::from_mins(1)).await.is_clean());
            assert_eq!(server.sessions().open.len(), 0);
            for task in callers {
                task.await.unwrap();
            }
        });
    });
}

/// Here time leaps, opens and closes fail, and whoever waits for too long is told so.
#[test]
fn faults_and_time_outs_leave_nothing_behind_in_any_schedule() {
    try_schedules("faults", || {
        start_clock(true);
        block_on(async {
            let (broker, server) = broker(2, true);
            let staying = [1, 1, 2].map(|workspace| {
                let broker = broker.clone();
                spawn(async move {
                    let outcome = one_lease(&broker, workspace).await;
                    let told = matches!(
                        outcome,
                        Ok(()) | Err(BrokerError::ConnectionLimit { .. } | BrokerError::Unavailable { .. })
                    );
                    assert!(told, "{outcome:?}");
                })
            });
            let going = [(1, 2), (3, 3)].map(|(workspace, looks)| {
                let broker = broker.clone();
                spawn(async move { look_and_go(&broker, workspace, looks).await })
            });
            for task in staying.into_iter().chain(going) {
                task.await.unwrap();
            }
            nothing_is_left(&broker, &server).await;
        });
    });
}
