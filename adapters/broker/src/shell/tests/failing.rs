use super::*;
use crate::{BrokerError, OpenFailure};
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn a_short_outage_is_waited_out() {
    let (broker, server) = broker(4, 2);
    server.script(|script| script.failing_opens = [(OpenFailure::Down, false); 3].into());
    let start = Instant::now();
    broker.lease(&key(1), read()).await.unwrap();
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    assert_nothing_left_over(&broker, &server);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_the_server_is_never_shown_to_a_caller() {
    let (broker, server) = broker(4, 2);
    server.script(|script| script.failing_opens = [(OpenFailure::Limit, false); 4].into());
    broker.lease(&key(1), read()).await.unwrap();
    assert_eq!(broker.stats(StatsPage::default()).server_refusals, 4);
}

#[tokio::test(start_paused = true)]
async fn a_missing_database_is_told_at_once() {
    let (broker, server) = broker(4, 2);
    server.script(|script| script.failing_opens = [(OpenFailure::DatabaseMissing, false)].into());
    let missing = BrokerError::DatabaseMissing { workspace: key(1) };
    for _ in 0..2 {
        assert_eq!(broker.lease(&key(1), read()).await.unwrap_err(), missing);
    }
    assert_eq!(server.opened(), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_opened_before_the_victim_is_known_to_be_gone() {
    let (broker, server) = broker(1, 1);
    server.script(|script| script.close_takes = 500 * MS);
    drop(broker.lease(&key(1), read()).await.unwrap());
    let start = Instant::now();
    broker.lease(&key(2), read()).await.unwrap();
    assert!(start.elapsed() >= 500 * MS);
    assert_eq!((server.peak(), server.refused()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_close_that_hangs_costs_its_slot_until_the_server_says_it_is_gone() {
    let (broker, server) = broker(1, 1);
    drop(broker.lease(&key(1), read()).await.unwrap());
    server.script(|script| script.hang_close = true);
    let error = broker.lease(&key(2), read().within(4 * SECOND)).await.unwrap_err();
    assert!(matches!(error, BrokerError::ConnectionLimit { .. }), "{error:?}");
    let stats = broker.stats(StatsPage::default());
    assert_eq!((stats.zombie, stats.zombies), (1, 1));
    assert!(server.log().contains(&"prove"));
    server.kill(1);
    broker.lease(&key(2), read().within(10 * SECOND)).await.unwrap();
    assert_eq!((server.refused(), broker.stats(StatsPage::default()).zombie), (0, 0));
    server.script(|script| script.hang_close = false);
    sleep(SECOND).await;
    assert_nothing_left_over(&broker, &server);
}

#[tokio::test(start_paused = true)]
async fn a_session_left_over_by_a_failed_open_keeps_its_slot_until_it_is_gone() {
    let (broker, server) = broker(1, 1);
    server.script(|script| script.failing_opens = [(OpenFailure::Other, true)].into());
    broker.lease(&key(1), read().within(900 * MS)).await.unwrap_err();
    assert_eq!((server.sessions(), broker.stats(StatsPage::default()).zombie), (2, 1), "and the prover's");
    server.script(|script| script.obey = true);
    broker.lease(&key(2), read()).await.unwrap();
    assert!(server.peak() <= 3);
}

#[tokio::test(start_paused = true)]
async fn an_open_that_hangs_is_given_up_but_its_slot_counts_until_it_ends() {
    let (broker, server) = broker(1, 1);
    server.script(|script| script.hang_open = true);
    let error = broker.lease(&key(1), read().within(6 * SECOND)).await.unwrap_err();
    assert!(matches!(error, BrokerError::ConnectionLimit { .. } | BrokerError::Unavailable { .. }));
    assert_eq!(broker.stats(StatsPage::default()).zombie, 1);
    server.script(|script| script.hang_open = false);
    broker.lease(&key(1), read()).await.unwrap();
    sleep(20 * SECOND).await;
    assert_nothing_left_over(&broker, &server);
    assert_eq!(server.refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_silent_costs_the_time_to_clean_and_to_close() {
    let (broker, server) = broker(1, 1);
    server.script(|script| {
        script.hang_clean = true;
        script.hang_close = true;
        script.obey = true;
    });
    let mut lease = broker.lease(&key(1), read()).await.unwrap();
    lease.mark_dirty();
    drop(lease);
    let start = Instant::now();
    broker.lease(&key(1), read()).await.unwrap();
    let limit = Duration::from_millis(1000 + 2000 + 100);
    assert!(start.elapsed() <= limit, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_cannot_be_cleaned_is_replaced() {
    let (broker, server) = broker(1, 1);
    server.script(|script| script.fail_clean = true);
    let mut lease = broker.lease(&key(1), read()).await.unwrap();
    lease.mark_dirty();
    drop(lease);
    let mut lease = broker.lease(&key(1), read()).await.unwrap();
    assert_eq!((lease.connection().id, server.sessions()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn one_slow_workspace_does_not_delay_the_others() {
    let (broker, server) = broker(10, 8);
    server.script(|script| script.hang_open = true);
    for _ in 0..8 {
        let broker = broker.clone();
        tokio::spawn(async move { broker.lease(&key(1), read()).await.map(drop) });
    }
    sleep(200 * MS).await;
    assert_eq!(server.sessions_of(&key(1)), 2, "half of the opens");
}

#[tokio::test(start_paused = true)]
async fn a_connector_that_panics_costs_its_slot_until_the_server_says_it_is_gone() {
    for in_clean in [true, false] {
        let (broker, server) = broker(1, 1);
        server.script(|script| {
            script.panic_in_clean = in_clean;
            script.panic_in_close = !in_clean;
            script.obey = true;
        });
        let mut lease = broker.lease(&key(1), read()).await.unwrap();
        if in_clean {
            lease.mark_dirty();
        } else {
            lease.mark_broken();
        }
        drop(lease);
        let lease = broker.lease(&key(2), read()).await.unwrap();
        assert!(server.peak() <= 2, "the prover's and one more");
        drop(lease);
        assert_nothing_left_over(&broker, &server);
    }
}
