//! F2: refusals by code, a start that is cut off, one workspace that starts slowly.

use super::{MS, SECOND, key, query, read, recovers, start, stats, until};
use broker::BrokerError;
use std::time::{Duration, Instant};

#[tokio::test]
async fn too_many_connections_is_never_shown_to_a_caller() {
    let (broker, server) = start().await;
    server.script(|script| script.refuse = Some(("53300", None)));
    let lease = tokio::spawn({
        let broker = broker.clone();
        async move { query(&broker, &key(1)).await.map(drop) }
    });
    until("the server refuses", || stats(&broker).server_refusals >= 2).await;
    server.script(|script| script.refuse = None);
    lease.await.unwrap().unwrap();
    recovers(&broker, &server).await;
}

#[tokio::test]
async fn a_server_that_is_starting_up_is_waited_for() {
    let (broker, server) = start().await;
    server.script(|script| script.refuse = Some(("57P03", None)));
    let lease = tokio::spawn({
        let broker = broker.clone();
        async move { query(&broker, &key(1)).await.map(drop) }
    });
    until("the breaker opens", || !stats(&broker).available).await;
    server.script(|script| script.refuse = None);
    lease.await.unwrap().unwrap();
    assert!(stats(&broker).available);
    recovers(&broker, &server).await;
}

#[tokio::test]
async fn a_refused_role_is_told_at_once_and_without_a_hint_at_it() {
    let (broker, server) = start().await;
    server.script(|script| script.refuse = Some(("28P01", None)));
    let error = broker.lease(&key(1), read()).await.unwrap_err();
    assert!(matches!(error, BrokerError::Unavailable { .. }), "{error:?}");
    assert_eq!(error.to_string(), "the database is unavailable");
    assert_eq!(stats(&broker).auth_failures, 1);
    server.script(|script| script.refuse = None);
    broker.lease(&key(2), read().within(10 * SECOND)).await.unwrap();
    recovers(&broker, &server).await;
}

#[tokio::test]
async fn a_missing_database_is_told_and_costs_the_others_nothing() {
    let (broker, server) = start().await;
    server.script(|script| script.refuse = Some(("3D000", Some("ws1".into()))));
    let missing = BrokerError::DatabaseMissing { workspace: key(1) };
    assert_eq!(broker.lease(&key(1), read()).await.unwrap_err(), missing);
    drop(query(&broker, &key(2)).await.unwrap());
    assert!(stats(&broker).available);
    assert_eq!(broker.lease(&key(1), read()).await.unwrap_err(), missing, "remembered");
    assert_eq!(server.opened(), 1);
}

#[tokio::test]
async fn a_start_that_is_cut_off_is_tried_again() {
    let (broker, server) = start().await;
    server.script(|script| script.reset = true);
    let lease = tokio::spawn({
        let broker = broker.clone();
        async move { query(&broker, &key(1)).await.map(drop) }
    });
    until("it is cut off", || stats(&broker).opens.failed > 0).await;
    server.script(|script| script.reset = false);
    lease.await.unwrap().unwrap();
    recovers(&broker, &server).await;
}

#[tokio::test]
async fn one_workspace_that_starts_slowly_does_not_delay_the_others() {
    let (broker, server) = start().await;
    server.script(|script| script.slow = Some(("ws1".into(), Duration::from_secs(10))));
    for _ in 0..3 {
        let broker = broker.clone();
        tokio::spawn(async move { broker.lease(&key(1), read()).await.map(drop) });
    }
    until("it starts", || stats(&broker).opening > 0).await;
    let mut waits = Vec::new();
    for number in 0..200 {
        let start = Instant::now();
        drop(query(&broker, &key(100 + number % 12)).await.unwrap());
        waits.push(start.elapsed());
    }
    waits.sort_unstable();
    // A connection of the slow one may be in the way of a few, never for as long as it takes.
    assert!(waits[197] < SECOND, "p99 {:?}", waits[197]);
    assert!(waits[100] < 100 * MS, "p50 {:?}", waits[100]);
}
