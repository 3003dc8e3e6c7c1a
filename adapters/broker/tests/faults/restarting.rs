//! F3: the server restarts while all slots are idle.

use super::{SECOND, key, limits, query, recovers, start_with, stats, until};
use broker::Limits;

#[tokio::test]
async fn a_restart_with_ninety_idle_connections_is_not_seen_by_a_caller() {
    let limits = Limits { max_connections: 100, system_reserve: Some(10), ..limits() };
    let (broker, server) = start_with(limits).await;
    for number in 0..90 {
        drop(query(&broker, &key(number)).await.unwrap());
    }
    assert_eq!(stats(&broker).total_idle, 90);
    let before = server.opened();
    server.end_all();
    until("all are noticed", || stats(&broker).total_open == 0).await;
    let all = (0..90).map(|number| {
        let broker = broker.clone();
        tokio::spawn(async move { query(&broker, &key(number)).await.map(drop) })
    });
    for lease in all.collect::<Vec<_>>() {
        lease.await.unwrap().unwrap();
    }
    assert_eq!(server.opened(), before + 90);
    assert!(server.most_starting() <= 4, "{} at once", server.most_starting());
}

#[tokio::test]
async fn a_holder_whose_connection_ends_gets_an_error_and_the_next_a_new_one() {
    let (broker, server) = super::start().await;
    let mut lease = query(&broker, &key(1)).await.unwrap();
    server.end_all();
    lease.mark_dirty();
    assert!(lease.connection().ask("query").await.is_err());
    lease.mark_broken();
    drop(lease);
    let again = tokio::time::timeout(5 * SECOND, query(&broker, &key(1))).await;
    drop(again.unwrap().unwrap());
    recovers(&broker, &server).await;
}
