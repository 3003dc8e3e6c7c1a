//! Too many callers for the budget.

use super::{EXHAUSTIVE, Place, Sampler};
use crate::testing::BUDGET;
use application::ports::StoreError;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const TIME: Duration = Duration::from_secs(if EXHAUSTIVE { 30 } else { 3 });

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_callers_are_served_or_told_when_to_come_back() {
    let place = Arc::new(
        Place::on_postgres_with(BUDGET, |c| c.limits.acquire_timeout = Duration::from_millis(400)).await,
    );
    let workspaces = Arc::new(place.workspaces("full", 12).await);
    let sampler = Sampler::start(&place);
    let over = Arc::new(AtomicBool::new(false));
    let (served, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for caller in 0..200 {
        let (place, workspaces, over) = (Arc::clone(&place), Arc::clone(&workspaces), Arc::clone(&over));
        let (served, refused) = (Arc::clone(&served), Arc::clone(&refused));
        callers.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                match place.session(&workspaces[caller % workspaces.len()]).await {
                    Ok(mut session) => {
                        session.run("SELECT pg_sleep(0.05)").await.unwrap();
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(StoreError::ConnectionLimit { max, current, retry_after, .. }) => {
                        assert!(current <= max && max == BUDGET);
                        assert!((1..=30).contains(&retry_after.as_secs()), "{retry_after:?}");
                        refused.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
        });
    }
    let (began, mut looks) = (Instant::now(), Vec::new());
    let mut every = tokio::time::interval(Duration::from_millis(20));
    while began.elapsed() < TIME {
        every.tick().await;
        let asked = Instant::now();
        let figures = place.figures();
        looks.push(asked.elapsed());
        assert!(figures.total_open < BUDGET, "{figures:?}");
    }
    over.store(true, Ordering::Relaxed);
    callers.join_all().await;
    let peak = sampler.peak().await;
    looks.sort();
    let (served, refused) = (served.load(Ordering::Relaxed), refused.load(Ordering::Relaxed));
    let p99 = looks[looks.len() * 99 / 100];
    println!("saturation: {served} served, {refused} refused, peak {peak}, figures p99 {p99:?}");
    assert!(served > 0 && refused > 0 && peak <= BUDGET);
    assert!(p99 < Duration::from_millis(50), "{p99:?}");
}
