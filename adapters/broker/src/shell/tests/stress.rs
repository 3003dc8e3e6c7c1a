//! Many tasks on real threads. Bounded in count and time; the seed is printed.

use super::*;
use crate::Access;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use tokio::time::{sleep, timeout};

/// A small generator, so that a run can be repeated as far as threads allow.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

async fn run(limits: Limits, tasks: u64, rounds: u64, workspaces: u64) {
    let seed = 0x5EED;
    println!("seed {seed}");
    let single_writer = limits.single_writer;
    let (slots, cap) = (limits.workspace_slots() as usize, limits.max_connections_per_workspace as usize);
    let (broker, server) = broker_with(limits);
    server.script(|script| {
        script.open_takes = MS;
        script.close_takes = MS;
    });
    let writers: Arc<Vec<AtomicU32>> = Arc::new((0..workspaces).map(|_| AtomicU32::new(0)).collect());
    let all: Vec<_> = (0..tasks)
        .map(|task| {
            let (broker, writers) = (broker.clone(), Arc::clone(&writers));
            tokio::spawn(async move {
                let mut random = Random(seed + task * 7919);
                for _ in 0..rounds {
                    one_lease(&broker, &writers, single_writer, &mut random, workspaces).await;
                }
            })
        })
        .collect();
    for task in all {
        task.await.unwrap();
    }
    for _ in 0..100 {
        let stats = broker.stats(StatsPage::default());
        if stats.total_open == stats.total_idle {
            break;
        }
        sleep(10 * MS).await;
    }
    assert_nothing_left_over(&broker, &server);
    assert!(server.peak() <= slots + 2, "{} sessions", server.peak());
    assert!(server.peak_per_workspace() <= cap, "{} of one workspace", server.peak_per_workspace());
    assert_eq!(server.refused(), 0);
    assert!(broker.shutdown(SECOND).await.is_clean());
    assert_eq!(server.sessions(), 0);
}

async fn one_lease(
    broker: &FakeBroker,
    writers: &[AtomicU32],
    single_writer: bool,
    random: &mut Random,
    workspaces: u64,
) {
    let number = usize::try_from(random.below(workspaces)).unwrap();
    let access = if random.below(3) == 0 { Access::Write } else { Access::Read };
    let class =
        [Class::Interactive, Class::Delivery, Class::Background][usize::try_from(random.below(3)).unwrap()];
    let options = LeaseOptions { class, wait: Some(20 * SECOND), label: "stress", access };
    let workspace = key(number);
    let patience = if random.below(5) == 0 { Duration::from_micros(random.below(3000)) } else { 30 * SECOND };
    let Ok(lease) = timeout(patience, broker.lease(&workspace, options)).await else { return };
    let mut lease = lease.expect("everybody is served in time");
    assert_eq!(lease.connection().target, crate::Target::Workspace(workspace));
    if access == Access::Write && single_writer {
        assert_eq!(writers[number].fetch_add(1, Ordering::SeqCst), 0, "two writers");
    }
    match random.below(10) {
        0 => lease.mark_broken(),
        1 | 2 => lease.mark_dirty(),
        3 => sleep(Duration::from_micros(random.below(1500))).await,
        _ => tokio::task::yield_now().await,
    }
    if access == Access::Write && single_writer {
        writers[number].fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_load_the_server_never_has_a_session_too_many_and_nothing_leaks() {
    run(limits(10, 3), 48, 60, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_load_there_is_one_writer_per_workspace() {
    run(Limits { single_writer: true, ..limits(10, 3) }, 48, 60, 6).await;
}

#[tokio::test(start_paused = true)]
async fn records_are_used_again() {
    let (broker, _server) = broker(2, 1);
    for number in 0..200 {
        drop(broker.lease(&key(number), read()).await.unwrap());
    }
    let state = broker.shared.lock();
    assert!(state.parked.len() <= 4 && state.replies.len() <= 2);
}

#[tokio::test(start_paused = true)]
async fn write_leases_exclude_each_other_but_not_readers() {
    let (broker, server) = broker_with(Limits { single_writer: true, ..limits(4, 3) });
    let writer = broker.lease(&key(1), write()).await.unwrap();
    let second = tokio::spawn({
        let broker = broker.clone();
        async move { broker.lease(&key(1), write()).await.map(drop) }
    });
    sleep(100 * MS).await;
    assert!(!second.is_finished());
    drop(broker.lease(&key(1), read()).await.unwrap());
    assert!(!second.is_finished());
    drop(writer);
    second.await.unwrap().unwrap();
    assert_nothing_left_over(&broker, &server);
}
