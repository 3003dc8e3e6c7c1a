//! The oracle: a role whose limit is the budget, and everything that can go wrong.

use super::{Dice, EXHAUSTIVE, Observer, Place, Sampler, until};
use crate::testing::{BUDGET, TEST};
use application::ports::{ConnectionBroker as _, StoreError};
use domain::ids::WorkspaceId;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::timeout};

const DATABASES: usize = if EXHAUSTIVE { 100 } else { 24 };
const LEASES: usize = if EXHAUSTIVE { 100_000 } else { 2_500 };
const CLIENTS: usize = 32;

#[derive(Default)]
struct Counts {
    asked: AtomicUsize,
    served: AtomicUsize,
    given_up: AtomicUsize,
    interrupted: AtomicUsize,
    panicked: AtomicUsize,
    lost: AtomicUsize,
    refused: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_cancels_panics_and_kills_never_exceed_the_limit_of_the_role() {
    let dice = Dice::thrown("oracle");
    let place = Arc::new(Place::on_limited_postgres().await);
    let workspaces = Arc::new(place.workspaces("o", DATABASES).await);
    let sampler = Sampler::start(&place);
    let (counts, over) = (Arc::new(Counts::default()), Arc::new(AtomicBool::new(false)));
    let killing = tokio::spawn(kill(place.instance.clone(), dice.apart(CLIENTS), Arc::clone(&over)));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (place, workspaces, counts) = (Arc::clone(&place), Arc::clone(&workspaces), Arc::clone(&counts));
        let mut dice = dice.apart(client);
        clients.spawn(async move {
            while counts.asked.fetch_add(1, Ordering::Relaxed) < LEASES {
                let workspace = workspaces[dice.below(DATABASES)].clone();
                one_lease(&place, workspace, &mut dice, &counts).await;
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    let killed = killing.await.unwrap();
    until("everything is given back", async || {
        let now = place.figures();
        now.total_in_use + now.opening + now.closing + now.zombie + now.waiters == 0
    })
    .await;
    let observer = Observer::new(&place.instance).await;
    let figures = place.figures();
    // The one beside those that are lent asks for proofs.
    until("the server counts what the broker counts", async || {
        observer.sessions().await == place.figures().total_open + 1
    })
    .await;
    let report = place.store.shutdown(Duration::from_secs(10)).await;
    until("nothing is left", async || observer.sessions().await == 0).await;
    observer.close().await;
    let peak = sampler.peak().await;
    let [served, lost, panicked, interrupted, given_up, refused] = [
        &counts.served,
        &counts.lost,
        &counts.panicked,
        &counts.interrupted,
        &counts.given_up,
        &counts.refused,
    ]
    .map(|count| count.load(Ordering::Relaxed));
    println!(
        "oracle: {LEASES} leases over {DATABASES} databases: {served} served, {given_up} given up, \
         {interrupted} interrupted, {panicked} panicked, {killed} killed ({lost} noticed), {refused} refused; \
         steals {:?}, peak {peak} of {BUDGET}, refused by the server {}",
        figures.steals, figures.server_refusals
    );
    // Of the reserve no more are opened than are used.
    assert!((BUDGET - 6..=BUDGET).contains(&peak), "peak {peak}");
    assert!(report.is_clean(), "{report:?}");
    assert!(served > LEASES / 2 && panicked > 0 && interrupted > 0 && killed > 0);
    assert!(figures.steals.idle + figures.steals.unneeded > 0, "{:?}", figures.steals);
    assert_eq!(refused, 0);
}

/// Ends a session every now and then.
async fn kill(instance: String, mut dice: Dice, over: Arc<AtomicBool>) -> usize {
    let observer = Observer::new(&instance).await;
    let mut every = tokio::time::interval(Duration::from_millis(40));
    let mut killed = 0;
    while !over.load(Ordering::Relaxed) {
        every.tick().await;
        observer.kill(dice.below(20)).await;
        killed += 1;
    }
    observer.close().await;
    killed
}

async fn one_lease(place: &Arc<Place>, workspace: WorkspaceId, dice: &mut Dice, counts: &Counts) {
    let count = |counter: &AtomicUsize| {
        counter.fetch_add(1, Ordering::Relaxed);
    };
    let outcome = match dice.below(100) {
        // The caller goes away while it waits.
        0..8 => {
            let patience = Duration::from_micros(dice.below(4_000) as u64);
            match timeout(patience, place.session(&workspace)).await {
                Err(_) => return count(&counts.given_up),
                Ok(leased) => leased.map(drop),
            }
        }
        // The caller goes away while the server works.
        8..12 => match place.session(&workspace).await {
            Err(error) => Err(error),
            Ok(mut session) => {
                let patience = Duration::from_micros(500 + dice.below(3_000) as u64);
                let _ = timeout(patience, session.run("SELECT pg_sleep(0.2)")).await;
                return count(&counts.interrupted);
            }
        },
        // The caller's task panics, within a transaction.
        12..15 => {
            let place = Arc::clone(place);
            let panics = tokio::spawn(async move {
                let unit = place.store.write(&workspace, TEST).await;
                if unit.is_ok() {
                    std::panic::resume_unwind(Box::new("planned"));
                }
                unit.map(drop)
            });
            match panics.await {
                Err(_) => return count(&counts.panicked),
                Ok(outcome) => outcome,
            }
        }
        // The caller forgets to commit.
        15..20 => place.store.write(&workspace, TEST).await.map(drop),
        _ => {
            async {
                let mut session = place.session(&workspace).await?;
                let database = session.text("SELECT current_database()::text AS text").await?;
                assert_eq!(database, place.database(&workspace), "a lease of another workspace");
                Ok(())
            }
            .await
        }
    };
    match outcome {
        Ok(()) => count(&counts.served),
        Err(StoreError::ConnectionLimit { .. }) => count(&counts.refused),
        // Killed while it was in use.
        Err(error) => {
            let told = format!("{error:?}");
            assert!(!told.contains("53300") && !told.contains("too many"), "{told}");
            count(&counts.lost);
        }
    }
}
