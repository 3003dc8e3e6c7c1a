use super::*;
use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};
use tokio::time::sleep;

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls a lease so many times, a little apart, and drops it wherever it is by then.
async fn drop_after(polls: usize, lease: impl Future<Output = Result<FakeLease, crate::BrokerError>>) {
    let mut lease = pin!(lease);
    for _ in 0..polls {
        if poll_once(lease.as_mut()).is_ready() {
            return;
        }
        sleep(MS).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_dropped_after_any_number_of_polls_leaves_nothing_behind() {
    for polls in 0..=64 {
        let (broker, server) = broker(2, 1);
        server.script(|script| {
            script.open_takes = 20 * MS;
            script.close_takes = 15 * MS;
        });
        drop(broker.lease(&key(1), read()).await.unwrap());
        drop(broker.lease(&key(2), read()).await.unwrap());
        // This one needs a victim's slot, then an open.
        drop_after(polls, broker.lease(&key(3), read())).await;
        sleep(SECOND).await;
        assert_nothing_left_over(&broker, &server);
        // And this one a cleaned connection.
        let mut lease = broker.lease(&key(2), read()).await.unwrap();
        lease.mark_dirty();
        server.script(|script| script.hang_clean = true);
        drop(lease);
        drop_after(polls.min(30), broker.lease(&key(2), read())).await;
        server.script(|script| script.hang_clean = false);
        sleep(SECOND).await;
        assert_nothing_left_over(&broker, &server);
        assert_eq!(server.refused(), 0);
        assert!(server.peak() <= 4);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_dropped_during_its_health_check_leaves_nothing_behind() {
    for polls in 0..=10 {
        let (broker, server) = broker(2, 1);
        drop(broker.lease(&key(1), read()).await.unwrap());
        sleep(40 * SECOND).await;
        server.script(|script| script.hang_check = true);
        drop_after(polls, broker.lease(&key(1), read())).await;
        server.script(|script| script.hang_check = false);
        sleep(SECOND).await;
        assert_nothing_left_over(&broker, &server);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_granted_to_a_caller_that_has_just_gone_is_given_back() {
    let (broker, server) = broker(1, 1);
    let workspace = key(1);
    let first = broker.lease(&key(1), read()).await.unwrap();
    {
        let mut waiting = pin!(broker.lease(&workspace, read()));
        assert!(poll_once(waiting.as_mut()).is_pending());
        drop(first);
        // The lease is in the channel now, and the caller goes without looking.
        assert_eq!(broker.stats(StatsPage::default()).total_in_use, 1);
    }
    assert_nothing_left_over(&broker, &server);
    assert!(broker.try_lease(&key(1), read()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_connection_opened_for_a_caller_that_has_gone_serves_the_next() {
    let (broker, server) = broker(1, 1);
    server.script(|script| script.open_takes = 20 * MS);
    drop_after(2, broker.lease(&key(1), read())).await;
    let start = tokio::time::Instant::now();
    broker.lease(&key(1), read()).await.unwrap();
    assert!(start.elapsed() < 20 * MS);
    assert_eq!(server.opened(), 1);
}

#[tokio::test(start_paused = true)]
async fn cancelled_waiters_do_not_cost_the_others_their_wake_up() {
    let (broker, server) = broker(1, 1);
    let workspace = key(1);
    let lease = broker.lease(&key(1), read()).await.unwrap();
    let mut first = Box::pin(broker.lease(&workspace, read()));
    let mut second = Box::pin(broker.lease(&workspace, read()));
    assert!(poll_once(first.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_pending());
    drop(lease);
    drop(first);
    assert!(matches!(poll_once(second.as_mut()), Poll::Ready(Ok(_))));
    drop(second);
    assert_nothing_left_over(&broker, &server);
}

/// C4: the caller goes after the grant, before it has looked; whatever the way the connection came.
#[tokio::test(start_paused = true)]
async fn a_connection_that_has_just_been_opened_checked_or_cleaned_for_a_caller_that_goes_is_kept() {
    for way in ["opened", "checked", "cleaned"] {
        let (broker, server) = broker(1, 1);
        let workspace = key(1);
        server.script(|script| script.open_takes = 5 * MS);
        match way {
            "opened" => {}
            "checked" => {
                drop(broker.lease(&workspace, read()).await.unwrap());
                sleep(40 * SECOND).await;
                server.script(|script| script.hang_check = true);
            }
            _ => {
                let mut lease = broker.lease(&workspace, read()).await.unwrap();
                lease.mark_dirty();
                server.script(|script| script.hang_clean = true);
                drop(lease);
            }
        }
        {
            let mut waiting = pin!(broker.lease(&workspace, read()));
            assert!(poll_once(waiting.as_mut()).is_pending(), "{way}");
            server.script(|script| (script.hang_check, script.hang_clean) = (false, false));
            sleep(20 * MS).await;
            // It is in the channel now.
            assert_eq!(broker.stats(StatsPage::default()).total_in_use, 1, "{way}");
        }
        assert_nothing_left_over(&broker, &server);
        assert!(broker.try_lease(&workspace, read()).is_some(), "{way}");
        assert_eq!(server.opened(), 1, "{way}");
    }
}

/// C5, for the other futures of the broker.
#[tokio::test(start_paused = true)]
async fn a_system_lease_dropped_after_any_number_of_polls_leaves_nothing_behind() {
    for polls in 0..=64 {
        let (broker, server) = broker(2, 1);
        server.script(|script| script.open_takes = 20 * MS);
        drop_after(polls, broker.system(read())).await;
        sleep(SECOND).await;
        assert_nothing_left_over(&broker, &server);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retirement_dropped_after_any_number_of_polls_goes_on_and_can_be_undone() {
    for polls in 0..=64 {
        let (broker, server) = broker(2, 1);
        server.script(|script| script.close_takes = 15 * MS);
        let lease = broker.lease(&key(1), read()).await.unwrap();
        {
            let workspace = key(1);
            let mut retiring = pin!(broker.retire(&workspace, 20 * MS));
            for _ in 0..polls {
                if poll_once(retiring.as_mut()).is_ready() {
                    break;
                }
                sleep(MS).await;
            }
        }
        drop(lease);
        sleep(SECOND).await;
        assert_eq!(server.sessions_of(&key(1)) > 0, polls == 0, "only an unpolled one does nothing");
        broker.readmit(&key(1));
        drop(broker.lease(&key(1), read()).await.unwrap());
        assert_nothing_left_over(&broker, &server);
        assert!(broker.shared.lock().retiring.is_empty(), "nobody is told any more");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_dropped_after_any_number_of_polls_goes_on() {
    for polls in 1..=64 {
        let (broker, server) = broker(2, 1);
        server.script(|script| script.close_takes = 15 * MS);
        let lease = broker.lease(&key(1), read()).await.unwrap();
        drop(broker.lease(&key(2), read()).await.unwrap());
        {
            let mut ending = pin!(broker.shutdown(20 * MS));
            for _ in 0..polls {
                if poll_once(ending.as_mut()).is_ready() {
                    break;
                }
                sleep(MS).await;
            }
        }
        drop(lease);
        sleep(SECOND).await;
        assert_eq!(server.sessions(), 0, "after {polls} polls");
        assert!(broker.shutdown(SECOND).await.is_clean());
    }
}
