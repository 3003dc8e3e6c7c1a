//! F1, F5: a peer that says no more costs its deadlines and nothing else (I13).

use std::time::Instant;

use super::{MS, SECOND, key, query, read, recovers, start, start_with, stats, until, wire::Stage};
use broker::{BrokerError, Limits};

/// Somebody else is served meanwhile, and afterwards everything is as before.
async fn an_open_that_is_silent(stage: Stage) {
    let (broker, server) = start().await;
    drop(query(&broker, &key(2)).await.unwrap());
    server.script(|script| script.silent = Some(stage));
    let error = broker.lease(&key(1), read().within(SECOND)).await.unwrap_err();
    assert!(
        matches!(error, BrokerError::Unavailable { .. } | BrokerError::ConnectionLimit { .. }),
        "{error:?}"
    );
    drop(query(&broker, &key(2)).await.unwrap());
    server.script(|script| script.silent = None);
    broker.lease(&key(1), read().within(5 * SECOND)).await.unwrap();
    until("the lost session is gone", || stats(&broker).zombie == 0).await;
    recovers(&broker, &server).await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_a_connection_costs_one_deadline() {
    an_open_that_is_silent(Stage::Connect).await;
}

#[tokio::test]
async fn a_server_that_is_silent_during_the_start_costs_one_deadline() {
    an_open_that_is_silent(Stage::Auth).await;
}

#[tokio::test]
async fn a_server_that_is_silent_in_a_query_costs_a_rollback_and_a_close() {
    let (broker, server) = start().await;
    let mut lease = query(&broker, &key(1)).await.unwrap();
    server.script(|script| script.silent = Some(Stage::Query));
    lease.mark_dirty();
    let waiting = tokio::time::timeout(50 * MS, lease.connection().ask("query")).await;
    assert!(waiting.is_err(), "the holder gives up");
    server.script(|script| script.silent = None);
    drop(lease);
    // What it says is never read again: rollback and close run into their deadlines.
    let start = Instant::now();
    until("the session is gone", || stats(&broker).total_open == stats(&broker).total_idle).await;
    assert!(start.elapsed() < 3 * SECOND, "{:?}", start.elapsed());
    recovers(&broker, &server).await;
}

#[tokio::test]
async fn a_server_that_is_silent_in_a_rollback_costs_it_and_a_close() {
    let (broker, server) = start().await;
    server.script(|script| script.silent = Some(Stage::Rollback));
    let mut lease = query(&broker, &key(1)).await.unwrap();
    lease.mark_dirty();
    drop(lease);
    until("it is given up", || stats(&broker).closes.dirty == 1).await;
    server.script(|script| script.silent = None);
    until("the session is gone", || stats(&broker).zombie + stats(&broker).closing == 0).await;
    recovers(&broker, &server).await;
}

#[tokio::test]
async fn a_server_that_is_silent_in_a_close_keeps_its_slot_until_it_is_known_to_be_gone() {
    let (broker, server) = start_with(Limits { max_connections_per_workspace: 1, ..super::limits() }).await;
    server.script(|script| script.silent = Some(Stage::Close));
    let mut lease = query(&broker, &key(1)).await.unwrap();
    lease.mark_broken();
    drop(lease);
    until("it is a zombie", || stats(&broker).zombie == 1).await;
    assert!(server.sessions() >= 1, "the server has it");
    // The server is asked to terminate it.
    until("it is gone", || stats(&broker).zombie == 0).await;
    server.script(|script| script.silent = None);
    recovers(&broker, &server).await;
}

#[tokio::test]
async fn an_idle_connection_that_does_not_answer_is_replaced_unseen() {
    let limits = Limits { health_check_after: std::time::Duration::ZERO, ..super::limits() };
    let (broker, server) = start_with(limits).await;
    drop(query(&broker, &key(1)).await.unwrap());
    server.script(|script| script.silent = Some(Stage::Ping));
    let lease = tokio::spawn({
        let broker = broker.clone();
        async move { query(&broker, &key(1)).await }
    });
    until("the check fails", || stats(&broker).health_checks_failed > 0).await;
    server.script(|script| script.silent = None);
    drop(lease.await.unwrap().unwrap());
    recovers(&broker, &server).await;
}

/// F5. All slots are taken, so that a new workspace needs one that is being closed.
#[tokio::test]
async fn nothing_is_opened_before_the_end_of_the_connection_that_makes_room() {
    let (broker, server) = start_with(Limits { close_timeout: 2 * SECOND, ..super::limits() }).await;
    for number in 0..15 {
        drop(query(&broker, &key(number)).await.unwrap());
    }
    server.script(|script| script.lingers = 100 * MS);
    let start = Instant::now();
    for number in 100..103 {
        drop(query(&broker, &key(number)).await.unwrap());
    }
    assert!(start.elapsed() >= 300 * MS, "{:?}", start.elapsed());
    assert_eq!((server.over_limit(), server.peak()), (0, 15));
}
