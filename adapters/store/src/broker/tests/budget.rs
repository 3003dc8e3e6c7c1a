//! Never more sessions than the budget, as the server counts them.

use crate::testing::{BUDGET, Place, TEST, postgres_connection};
use application::ports::{ConnectionBroker as _, StoreError};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const WORKSPACES: usize = 20;

/// The sessions of an instance, counted until told to stop: the highest number, and the last.
async fn count_sessions(instance: String, stop: Arc<AtomicBool>) -> u32 {
    let server = postgres_connection("postgres").await;
    let sql = format!(
        "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE application_name LIKE 'notifuse/{instance}/%'"
    );
    let mut peak = 0;
    while !stop.load(Ordering::Relaxed) {
        let query = Statement::from_string(DbBackend::Postgres, sql.clone());
        let row = server.query_one_raw(query).await.unwrap().unwrap();
        peak = peak.max(u32::try_from(row.try_get::<i64>("", "n").unwrap()).unwrap());
    }
    server.close().await.unwrap();
    peak
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_busy_workspaces_stay_within_a_budget_of_twenty() {
    let place = Place::on_limited_postgres().await;
    let stop = Arc::new(AtomicBool::new(false));
    let counting = tokio::spawn(count_sessions(place.instance.clone(), Arc::clone(&stop)));
    let mut workspaces = Vec::new();
    for number in 0..WORKSPACES {
        workspaces.push(place.workspace(&format!("w{number}")).await);
    }
    let mut busy = tokio::task::JoinSet::new();
    for task in 0..40 {
        let (store, workspaces) = (place.store.clone(), workspaces.clone());
        busy.spawn(async move {
            let mut refused = 0;
            for round in 0..12 {
                let workspace = &workspaces[(task * 7 + round * 3) % WORKSPACES];
                let outcome: Result<(), StoreError> = async {
                    let mut reader = store.read(workspace, TEST).await?;
                    reader.lists().await?;
                    // Some leases are given up at once, some units are never committed.
                    drop(reader);
                    let mut unit = store.write(workspace, TEST).await?;
                    unit.lists().await?;
                    if round % 2 == 0 { unit.commit().await } else { Ok(()) }
                }
                .await;
                match outcome {
                    Ok(()) => {}
                    Err(StoreError::ConnectionLimit { max, .. }) => {
                        assert_eq!(max, BUDGET);
                        refused += 1;
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
            refused
        });
    }
    let mut refused = 0;
    while let Some(outcome) = busy.join_next().await {
        refused += outcome.unwrap();
    }
    let stats = place.store.stats(::broker::StatsPage::default());
    let report = place.store.shutdown(Duration::from_secs(10)).await;
    stop.store(true, Ordering::Relaxed);
    let peak = counting.await.unwrap();
    assert!((15..=BUDGET).contains(&peak), "peak {peak}");
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((refused, stats.server_refusals), (0, 0));
}

#[tokio::test]
async fn after_a_shutdown_the_server_has_no_session_left() {
    let place = Place::on_postgres().await;
    let workspace = place.workspace("last").await;
    drop(place.store.read(&workspace, TEST).await.unwrap());
    place.store.shutdown(Duration::from_secs(10)).await;
    assert!(matches!(place.store.read(&workspace, TEST).await, Err(StoreError::ShuttingDown)));
    let server = postgres_connection("postgres").await;
    let name = format!("notifuse/{}/", place.instance);
    let sql = "SELECT 1 FROM pg_stat_activity WHERE starts_with(application_name, $1) \
               AND application_name NOT LIKE '%/maintenance/%'";
    let query = Statement::from_sql_and_values(DbBackend::Postgres, sql, [name.into()]);
    assert!(server.query_all_raw(query).await.unwrap().is_empty());
}
