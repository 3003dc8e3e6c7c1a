//! Limits that change, ages that are reached, and growth that stays modest.

use super::{EXHAUSTIVE, Observer, Place, Sampler, until};
use crate::testing::TEST;
use ::broker::Access;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lowered_budget_holds_once_reached_and_a_raised_one_is_used() {
    const HIGH: u32 = 40;
    const LOW: u32 = 20;
    let place = Arc::new(Place::on_postgres_with(HIGH, |c| c.limits.max_connections = HIGH).await);
    let workspaces = Arc::new(place.workspaces("elastic", 18).await);
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for client in 0..54 {
        let (place, workspaces, over) = (Arc::clone(&place), Arc::clone(&workspaces), Arc::clone(&over));
        clients.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let mut session = place.session(&workspaces[client % workspaces.len()]).await.unwrap();
                session.run("SELECT pg_sleep(0.02)").await.unwrap();
            }
        });
    }
    let observer = Observer::new(&place.instance).await;
    let budget = |connections: u32| {
        let mut limits = place.store.broker.limits();
        (limits.max_connections, limits.share) = (connections, Some(connections - 1));
        place.store.broker.reconfigure(limits).unwrap();
    };
    for _ in 0..if EXHAUSTIVE { 20 } else { 2 } {
        until("the high budget is used", async || observer.sessions().await > LOW + 5).await;
        budget(LOW);
        until("the low budget is reached", async || observer.sessions().await <= LOW).await;
        let sampler = Sampler::start(&place);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let peak = sampler.peak().await;
        assert!(peak <= LOW, "{peak} sessions under a budget of {LOW}");
        budget(HIGH);
    }
    over.store(true, Ordering::Relaxed);
    clients.join_all().await;
    assert_eq!(place.figures().server_refusals, 0);
    observer.close().await;
}

#[tokio::test]
async fn an_unused_connection_is_closed_after_its_time() {
    let place =
        Place::on_postgres_with(20, |c| c.limits.connection_max_idle_time = Duration::from_secs(1)).await;
    let workspaces = place.workspaces("unused", 3).await;
    for workspace in &workspaces {
        drop(place.session(workspace).await.unwrap());
    }
    let observer = Observer::new(&place.instance).await;
    assert!(observer.sessions().await > 1);
    until("the server is rid of them", async || observer.sessions().await <= 1).await;
    observer.close().await;
}

/// The shortest lifetime is ten seconds.
#[cfg(feature = "exhaustive")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lifetimes_end_one_by_one_and_nobody_notices() {
    let place = Arc::new(
        Place::on_postgres_with(40, |c| {
            c.limits.max_connections = 40;
            c.limits.connection_max_lifetime = Duration::from_secs(10);
        })
        .await,
    );
    let workspaces = Arc::new(place.workspaces("aging", 8).await);
    let mut clients = JoinSet::new();
    let end = tokio::time::Instant::now() + Duration::from_secs(25);
    for client in 0..16 {
        let (place, workspaces) = (Arc::clone(&place), Arc::clone(&workspaces));
        clients.spawn(async move {
            while tokio::time::Instant::now() < end {
                let mut session = place.session(&workspaces[client % workspaces.len()]).await.unwrap();
                session.run("SELECT pg_sleep(0.02)").await.unwrap();
            }
        });
    }
    clients.join_all().await;
    let figures = place.figures();
    assert!(figures.closes.lifetime >= 16, "{:?}", figures.closes);
    assert_eq!(figures.server_refusals, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_short_queries_at_once_need_few_connections() {
    const BUDGET: u32 = 80;
    let place = Arc::new(
        Place::on_postgres_with(BUDGET, |c| {
            c.limits.max_connections = BUDGET;
            c.limits.max_connections_per_workspace = 50;
        })
        .await,
    );
    let workspace = place.workspace("grows").await;
    drop(place.store.workspace(&workspace, TEST, Access::Read).await.unwrap());
    assert_eq!(place.figures().workspaces.iter().map(|w| w.open).sum::<u32>(), 1);
    let mut queries = JoinSet::new();
    for _ in 0..50 {
        let (place, workspace) = (Arc::clone(&place), workspace.clone());
        queries.spawn(async move {
            place.session(&workspace).await.unwrap().run("SELECT pg_sleep(0.002)").await.unwrap();
        });
    }
    queries.join_all().await;
    let open: u32 = place.figures().workspaces.iter().map(|w| w.open).sum();
    println!("growth: 50 queries of 2 ms ended with {open} connections");
    assert!(open <= 5, "{open} connections");
}
