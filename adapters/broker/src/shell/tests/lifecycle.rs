use super::*;
use crate::{BrokerError, Retired, ShutdownReport};
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_leases_and_closes_everything() {
    let (broker, server) = broker(4, 2);
    drop(broker.lease(&key(1), read()).await.unwrap());
    drop(broker.system(read()).await.unwrap());
    let lease = broker.lease(&key(2), read()).await.unwrap();
    tokio::spawn(async move {
        sleep(SECOND).await;
        drop(lease);
    });
    let report = broker.shutdown(5 * SECOND).await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(server.sessions(), 0);
    assert_eq!(broker.lease(&key(1), read()).await.unwrap_err(), BrokerError::ShuttingDown);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_interrupts_leases_and_reports_what_is_left() {
    let (broker, server) = broker(4, 2);
    let lease = broker.lease(&key(1), read()).await.unwrap();
    let waiter = tokio::spawn({
        let broker = broker.clone();
        async move { broker.system(read()).await.map(drop) }
    });
    let report = broker.shutdown(SECOND).await;
    let left = ShutdownReport { interrupted: 1, leases_left: 1, connections_left: 1 };
    assert_eq!((report, server.log()), (left, vec!["interrupt"]));
    assert_eq!(waiter.await.unwrap(), Err(BrokerError::ShuttingDown));
    drop(lease);
    sleep(MS).await;
    assert_eq!(server.sessions(), 0, "the late lease is closed as well");
    let start = Instant::now();
    assert!(broker.shutdown(SECOND).await.is_clean());
    assert_eq!(start.elapsed(), Duration::ZERO, "a second time there is nothing to wait for");
}

#[tokio::test(start_paused = true)]
async fn retiring_waits_for_leases_and_leaves_no_session_behind() {
    let (broker, server) = broker(4, 2);
    server.script(|script| script.close_takes = 10 * MS);
    let lease = broker.lease(&key(1), read()).await.unwrap();
    tokio::spawn(async move {
        sleep(SECOND).await;
        drop(lease);
    });
    let start = Instant::now();
    let retired = broker.retire(&key(1), 5 * SECOND).await;
    assert_eq!((retired, server.sessions_of(&key(1))), (Ok(Retired { forced: false }), 0));
    assert!(start.elapsed() >= SECOND);
    let refused = broker.lease(&key(1), read()).await.unwrap_err();
    assert_eq!(refused, BrokerError::Retired { workspace: key(1) });
    broker.readmit(&key(1));
    broker.lease(&key(1), read()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn retiring_interrupts_leases_that_are_not_given_back() {
    let (broker, server) = broker(4, 2);
    let lease = broker.lease(&key(1), read()).await.unwrap();
    tokio::spawn(async move {
        sleep(3 * SECOND).await;
        assert!(lease.should_yield());
        drop(lease);
    });
    let retired = broker.retire(&key(1), SECOND).await;
    assert_eq!((retired, server.sessions_of(&key(1))), (Ok(Retired { forced: true }), 0));
    assert!(server.log().contains(&"interrupt"));
}

#[tokio::test(start_paused = true)]
async fn retiring_a_workspace_under_load_leaves_none_of_its_sessions() {
    let (broker, server) = broker(4, 3);
    server.script(|script| script.open_takes = 5 * MS);
    for number in 0..12 {
        let broker = broker.clone();
        tokio::spawn(async move {
            loop {
                let lease = broker.lease(&key(number % 3), read()).await;
                sleep(3 * MS).await;
                drop(lease);
            }
        });
    }
    for _ in 0..20 {
        sleep(50 * MS).await;
        broker.retire(&key(1), SECOND).await.unwrap();
        assert_eq!(server.sessions_of(&key(1)), 0);
        sleep(20 * MS).await;
        assert_eq!(server.sessions_of(&key(1)), 0, "none appears later");
        broker.readmit(&key(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_retirement_ends_when_the_workspace_is_readmitted() {
    let (broker, _server) = broker(4, 2);
    let _lease = broker.lease(&key(1), read()).await.unwrap();
    let retiring = tokio::spawn({
        let broker = broker.clone();
        async move { broker.retire(&key(1), 60 * SECOND).await }
    });
    sleep(MS).await;
    broker.readmit(&key(1));
    assert!(retiring.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn unused_connections_are_closed_in_time() {
    let (broker, server) = broker(4, 2);
    drop(broker.lease(&key(1), read()).await.unwrap());
    sleep(301 * SECOND).await;
    assert_eq!((server.sessions(), broker.stats(StatsPage::default()).closes.idle), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_prewarmed_workspace_has_a_connection_at_the_time() {
    let (broker, server) = broker(10, 2);
    broker.prewarm(&key(1), Instant::now() + SECOND);
    sleep(999 * MS).await;
    assert_eq!(server.sessions(), 0);
    sleep(2 * MS).await;
    assert!(broker.try_lease(&key(1), read()).is_some());
}

#[tokio::test(start_paused = true)]
async fn limits_can_be_changed_but_not_to_invalid_ones() {
    let (broker, _server) = broker(20, 2);
    let problems = broker.reconfigure(Limits { max_connections: 1, ..Limits::default() }).unwrap_err();
    assert!(problems.to_string().contains("DB_MAX_CONNECTIONS is 1"), "{problems}");
    broker.reconfigure(Limits { max_connections: 30, ..Limits::default() }).unwrap();
    assert_eq!(broker.limits().max_connections, 30);
}

#[tokio::test(start_paused = true)]
async fn renewing_replaces_every_connection() {
    let (broker, _server) = broker(4, 2);
    let first = broker.lease(&key(1), read()).await.unwrap().connection().id;
    broker.renew();
    assert_ne!(broker.lease(&key(1), read()).await.unwrap().connection().id, first);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_dropped_leaves_no_task() {
    let (broker, _server) = broker(4, 2);
    drop(broker.lease(&key(1), read()).await.unwrap());
    let shared = std::sync::Arc::downgrade(&broker.shared);
    drop(broker);
    sleep(MS).await;
    assert!(shared.upgrade().is_none());
    assert_eq!(
        tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        1,
        "only the watcher of a peer"
    );
}

#[tokio::test]
async fn invalid_limits_make_no_broker() {
    let limits = Limits { max_connections: 3, ..Limits::default() };
    assert!(Broker::new(limits, Server::new(3).connector()).is_err());
}

#[tokio::test(start_paused = true)]
async fn debug_output_and_errors_tell_no_details() {
    let (broker, _server) = broker(1, 1);
    let lease = broker.lease(&key(1), read()).await.unwrap();
    assert_eq!(format!("{broker:?}"), "Broker { .. }");
    assert!(format!("{lease:?}").starts_with("Lease { conn: "));
    let error = broker.lease(&key(1), read().within(MS)).await.unwrap_err();
    assert_eq!(error.to_string(), "the connection limit is reached");
}
