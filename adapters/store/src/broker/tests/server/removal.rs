//! A workspace that goes leaves no session behind.

use super::{EXHAUSTIVE, Observer, Place, key};
use crate::testing::postgres_connection;
use sea_orm::ConnectionTrait as _;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

const ROUNDS: usize = if EXHAUSTIVE { 25 } else { 3 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_of_a_retired_workspace_can_be_dropped_under_load() {
    let place = Arc::new(Place::on_limited_postgres().await);
    let observer = Observer::new(&place.instance).await;
    for round in 0..ROUNDS {
        let workspace = place.workspace(&format!("retired{round}")).await;
        let over = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for _ in 0..8 {
            let (place, workspace, over) = (Arc::clone(&place), workspace.clone(), Arc::clone(&over));
            clients.spawn(async move {
                let mut served = 0;
                while !over.load(Ordering::Relaxed) {
                    match place.store.broker.lease(&key(&workspace), super::patient()).await {
                        Ok(mut lease) => {
                            let slow = lease.connection().execute_unprepared("SELECT pg_sleep(0.002)").await;
                            served += usize::from(slow.is_ok());
                        }
                        Err(_) => tokio::task::yield_now().await,
                    }
                }
                served
            });
        }
        super::until("clients are at work", async || {
            place.figures().workspaces.iter().any(|w| w.workspace == key(&workspace) && w.in_use > 0)
        })
        .await;
        place.store.broker.retire(&key(&workspace), Duration::from_secs(5)).await.unwrap();
        let database = place.database(&workspace);
        assert_eq!(observer.sessions_in(&database).await, 0, "a session after the retirement");
        let server = postgres_connection("postgres").await;
        server.execute_unprepared(&format!("DROP DATABASE \"{database}\"")).await.unwrap();
        server.close().await.unwrap();
        over.store(true, Ordering::Relaxed);
        assert!(clients.join_all().await.into_iter().sum::<usize>() > 0);
    }
    observer.close().await;
}
