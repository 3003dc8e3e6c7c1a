use super::*;
use crate::{BrokerError, LimitReason, Target};
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn a_connection_is_opened_once_and_lent_again() {
    let (broker, server) = broker(4, 2);
    let first = broker.lease(&key(1), read()).await.unwrap().connection().id;
    let second = broker.lease(&key(1), read()).await.unwrap().connection().id;
    assert_eq!((first, server.opened()), (second, 1));
    assert_nothing_left_over(&broker, &server);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_connected_to_the_database_asked_for() {
    let (broker, server) = broker(2, 2);
    for number in [1, 2, 3, 1, 2, 3] {
        let mut lease = broker.lease(&key(number), read()).await.unwrap();
        assert_eq!(lease.connection().target, Target::Workspace(key(number)));
    }
    let mut lease = broker.system(read()).await.unwrap();
    assert_eq!(lease.connection().target, Target::System);
    assert!(server.peak() <= 4);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_gets_the_connection_that_is_given_back() {
    let (broker, server) = broker(1, 1);
    let lease = broker.lease(&key(1), read()).await.unwrap();
    let waiter = tokio::spawn({
        let broker = broker.clone();
        async move { broker.lease(&key(1), read()).await.map(|mut lease| lease.connection().id) }
    });
    sleep(MS).await;
    drop(lease);
    assert_eq!((waiter.await.unwrap(), server.opened()), (Ok(1), 1));
    assert_nothing_left_over(&broker, &server);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_deadline_with_a_typed_refusal() {
    let (broker, _server) = broker(1, 1);
    let _lease = broker.lease(&key(1), read()).await.unwrap();
    let start = Instant::now();
    let error = broker.lease(&key(1), read().within(300 * MS)).await.unwrap_err();
    let BrokerError::ConnectionLimit { max, current, workspace, retry_after, reason } = error else {
        panic!()
    };
    assert_eq!((max, current, workspace), (3, 1, Some(key(1))));
    assert_eq!(reason, LimitReason::WaitTimedOut);
    assert!((1..=30).contains(&retry_after.as_secs()));
    let waited = start.elapsed();
    assert!((300..=302).contains(&waited.as_millis()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn the_default_wait_is_the_one_of_the_class() {
    let (broker, _server) = broker(1, 1);
    let _lease = broker.lease(&key(1), read()).await.unwrap();
    for (class, seconds) in [(Class::Interactive, 5), (Class::Delivery, 5), (Class::Background, 60)] {
        let start = Instant::now();
        broker.lease(&key(1), LeaseOptions::read(class, "test")).await.unwrap_err();
        assert_eq!(start.elapsed().as_secs(), seconds, "{class:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_is_idle_can_be_tried() {
    let (broker, server) = broker(1, 1);
    assert!(broker.try_lease(&key(1), read()).is_none());
    drop(broker.lease(&key(1), read()).await.unwrap());
    let lease = broker.try_lease(&key(1), read());
    assert!(lease.is_some());
    assert!(broker.try_lease(&key(1), read()).is_none());
    drop(lease);
    assert_nothing_left_over(&broker, &server);
}

#[tokio::test(start_paused = true)]
async fn a_dirty_lease_is_cleaned_by_the_broker_and_session_state_is_discarded() {
    let (broker, server) = broker(1, 1);
    let mut lease = broker.lease(&key(1), read()).await.unwrap();
    lease.mark_dirty();
    drop(lease);
    let mut lease = broker.lease(&key(1), read()).await.unwrap();
    assert_eq!(server.log(), ["rollback"]);
    lease.declare_session_state();
    drop(lease);
    let mut lease = broker.lease(&key(1), read()).await.unwrap();
    assert_eq!(server.log(), ["rollback", "discard"]);
    lease.mark_dirty();
    lease.mark_clean();
    drop(lease);
    let mut lease = broker.lease(&key(1), read()).await.unwrap();
    assert_eq!((server.log().len(), server.opened()), (0, 1));
    lease.mark_broken();
    lease.mark_clean();
    drop(lease);
    broker.lease(&key(1), read()).await.unwrap();
    assert_eq!(server.opened(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_holder_that_panics_is_cleaned() {
    let (broker, server) = broker(1, 1);
    let holder = tokio::spawn({
        let broker = broker.clone();
        async move {
            let _lease = broker.lease(&key(1), read()).await.unwrap();
            panic!("on purpose");
        }
    });
    assert!(holder.await.is_err());
    sleep(MS).await;
    assert_eq!(server.log(), ["rollback"]);
    assert_nothing_left_over(&broker, &server);
}

#[tokio::test(start_paused = true)]
async fn a_connection_idle_for_long_is_checked_and_a_dead_one_is_replaced_unseen() {
    let (broker, server) = broker(1, 1);
    let id = broker.lease(&key(1), read()).await.unwrap().connection().id;
    sleep(40 * SECOND).await;
    assert_eq!(broker.lease(&key(1), read()).await.unwrap().connection().id, id);
    assert_eq!(server.log(), ["check"]);
    sleep(40 * SECOND).await;
    server.script(|script| script.hang_check = true);
    let start = Instant::now();
    assert_ne!(broker.lease(&key(1), read()).await.unwrap().connection().id, id);
    assert!(start.elapsed() < 510 * MS, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_closed_by_its_peer_is_noticed_at_once() {
    let (broker, server) = broker(1, 1);
    let id = broker.lease(&key(1), read()).await.unwrap().connection().id;
    server.kill(id);
    sleep(MS).await;
    assert_eq!(broker.stats(StatsPage::default()).total_open, 0);
    broker.lease(&key(1), read()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_holder_is_asked_to_yield_when_somebody_waits() {
    let (broker, _server) = broker(1, 1);
    let lease = broker.lease(&key(1), read()).await.unwrap();
    assert!(!lease.should_yield());
    let waiter = tokio::spawn({
        let broker = broker.clone();
        async move { broker.lease(&key(2), read()).await.map(drop) }
    });
    sleep(MS).await;
    assert!(lease.should_yield());
    drop(lease);
    waiter.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn nested_leases_are_counted() {
    let (broker, server) = broker(4, 2);
    let task = tokio::spawn({
        let broker = broker.clone();
        async move {
            let _outer = broker.lease(&key(1), read()).await.unwrap();
            let _inner = broker.system(read()).await.unwrap();
        }
    });
    task.await.unwrap();
    broker.lease(&key(1), read()).await.unwrap();
    assert_eq!(broker.stats(StatsPage::default()).nested_leases, 1);
    assert_nothing_left_over(&broker, &server);
}

#[tokio::test(start_paused = true)]
async fn nested_leases_panic_with_both_labels_if_so_configured() {
    let (broker, server) = broker_with(Limits { panic_on_nested: true, ..limits(4, 2) });
    let task = tokio::spawn({
        let broker = broker.clone();
        async move {
            let _outer =
                broker.lease(&key(1), LeaseOptions::read(Class::Interactive, "outer")).await.unwrap();
            let _inner = broker.lease(&key(2), LeaseOptions::read(Class::Interactive, "inner")).await;
        }
    });
    let panic = task.await.unwrap_err().into_panic();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("outer") && text.contains("inner"), "{text}");
    sleep(SECOND).await;
    assert_nothing_left_over(&broker, &server);
}

#[tokio::test(start_paused = true)]
async fn a_busy_workspace_cannot_keep_a_quiet_one_waiting() {
    let (broker, server) = broker(8, 3);
    server.script(|script| {
        script.open_takes = 4 * MS;
        script.close_takes = 3 * MS;
    });
    for number in 0..4 {
        for _ in 0..8 {
            let broker = broker.clone();
            tokio::spawn(async move {
                loop {
                    let lease = broker.lease(&key(number), read()).await;
                    sleep(5 * MS).await;
                    drop(lease);
                }
            });
        }
    }
    sleep(SECOND).await;
    let mut waits = vec![];
    for number in 100..200 {
        let start = Instant::now();
        broker.lease(&key(number), read()).await.unwrap();
        waits.push(start.elapsed());
        sleep(100 * MS).await;
    }
    waits.sort();
    assert!(waits[98] <= 100 * MS, "p99 {:?}", waits[98]);
    assert!(server.peak() <= 10 && server.refused() == 0);
}
