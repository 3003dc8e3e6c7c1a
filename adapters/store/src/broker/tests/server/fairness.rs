//! Four busy workspaces cannot keep a quiet one waiting.

use super::{EXHAUSTIVE, Place, Sampler};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const TIME: Duration = Duration::from_secs(if EXHAUSTIVE { 60 } else { 4 });
const CONNECTIONS: u32 = 10;
const COLD: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_workspace_is_served_beside_four_hot_ones() {
    let place = Arc::new(
        Place::on_postgres_with(20, |c| {
            c.limits.share = Some(CONNECTIONS);
            c.limits.system_reserve = Some(2);
        })
        .await,
    );
    let hot = Arc::new(place.workspaces("hot", 4).await);
    let cold = place.workspaces("cold", COLD).await;
    let (over, queries) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let sampler = Sampler::start(&place);
    let mut clients = JoinSet::new();
    for client in 0..32 {
        let (place, hot, over, queries) =
            (Arc::clone(&place), Arc::clone(&hot), Arc::clone(&over), Arc::clone(&queries));
        clients.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let mut session = place.session(&hot[client % hot.len()]).await.unwrap();
                session.run("SELECT pg_sleep(0.001)").await.unwrap();
                queries.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let (began, mut waits) = (Instant::now(), Vec::new());
    let mut every = tokio::time::interval(Duration::from_millis(50));
    while began.elapsed() < TIME {
        every.tick().await;
        let asked = Instant::now();
        let mut session = place.session(&cold[waits.len() % COLD]).await.unwrap();
        waits.push(asked.elapsed());
        session.run("SELECT 1").await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    clients.join_all().await;
    let peak = sampler.peak().await;
    waits.sort();
    let (median, p99) = (waits[waits.len() / 2], waits[waits.len() * 99 / 100]);
    let figures = place.figures();
    let open_and_close = Duration::from_secs_f64((figures.open_ms.p50 + figures.close_ms.p50) / 1000.0);
    // The short form also runs on machines that do much else at the same time.
    let bound = Duration::from_millis(100).max(if EXHAUSTIVE { Duration::ZERO } else { open_and_close * 8 });
    println!(
        "starvation: {} cold requests beside {} hot queries, median {median:?}, p99 {p99:?} of {bound:?}, \
         an open and a close take {open_and_close:?}, peak {peak}",
        waits.len(),
        queries.load(Ordering::Relaxed)
    );
    assert!(peak <= CONNECTIONS, "peak {peak}");
    assert!(p99 <= bound, "{p99:?}");
}
