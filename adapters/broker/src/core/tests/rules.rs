//! One test or more for each rule.

use std::time::Duration;

use super::world::{MS, World, key, limits};
use crate::{
    Access, BrokerError, Class, LimitReason, Limits, OpenFailure,
    core::{Answer, Effect, Event, Release, record::State},
};

const SYSTEM: usize = usize::MAX;
const LONG: Duration = Duration::from_mins(1);

fn reasons(world: &World) -> Vec<LimitReason> {
    let reasons = world.refused.iter().filter_map(|error| match error {
        BrokerError::ConnectionLimit { reason, .. } => Some(*reason),
        _ => None,
    });
    reasons.collect()
}

mod acquiring {
    use super::*;

    #[test]
    fn the_most_recently_used_idle_connection_is_lent_without_an_effect() {
        let mut world = World::new(limits(4, 3));
        let (first, second) = {
            let first = world.leased(1);
            world.lease(1);
            world.pass(10 * MS);
            world.finish();
            (first, world.leases[1].0)
        };
        world.release(second);
        world.release(first);
        assert_eq!(world.lease(1), Answer::Granted(first));
        assert!(world.todo.is_empty());
    }

    #[test]
    fn simultaneous_first_requests_cause_one_open_and_more_only_after_the_growth_delay() {
        let mut world = World::new(limits(10, 5));
        for _ in 0..8 {
            world.lease(1);
        }
        assert_eq!(world.opens(), 1);
        world.pass(9 * MS);
        assert_eq!(world.opens(), 1);
        world.pass(MS);
        assert_eq!(world.opens(), 2);
        world.finish();
        assert_eq!((world.opens(), world.leases.len()), (0, 2));
        world.pass(10 * MS);
        assert_eq!(world.opens(), 1);
    }

    #[test]
    fn fifty_short_queries_on_one_connection_end_with_at_most_five() {
        let mut world = World::new(limits(60, 50));
        world.idle(1);
        for _ in 0..50 {
            world.lease(1);
        }
        // Each query takes 2 ms, each open 5 ms.
        let (mut ends, mut opened) = (vec![], vec![]);
        for _ in 0..200 {
            for effect in std::mem::take(&mut world.todo) {
                opened.push((world.now + 5 * MS, effect));
            }
            for (lease, _) in world.leases.clone() {
                if !ends.iter().any(|(_, leased)| *leased == lease) {
                    ends.push((world.now + 2 * MS, lease));
                }
            }
            world.pass(MS);
            let now = world.now;
            for (_, lease) in ends.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>() {
                world.release(lease);
            }
            for (_, effect) in opened.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>() {
                world.perform(&effect);
            }
        }
        assert!(world.waiting.is_empty());
        assert!(world.live(1) <= 5, "{}", world.live(1));
    }

    #[test]
    fn interactive_comes_before_delivery_before_background() {
        let mut world = World::new(limits(1, 1));
        let mut lease = world.leased(1);
        for class in [Class::Background, Class::Delivery, Class::Interactive] {
            world.ask(1, class, Access::Read, LONG);
        }
        let mut order = vec![];
        for _ in 0..3 {
            world.release(lease);
            lease = world.leases[0].0;
            order.push(world.core.conns[lease].tenant.unwrap().class);
        }
        assert_eq!(order, [Class::Interactive, Class::Delivery, Class::Background]);
    }

    #[test]
    fn a_waiter_moves_up_one_class_per_second() {
        let mut world = World::new(limits(1, 1));
        let lease = world.leased(1);
        world.ask(1, Class::Background, Access::Read, LONG);
        world.pass(Duration::from_millis(2100));
        world.ask(1, Class::Interactive, Access::Read, LONG);
        world.release(lease);
        assert_eq!(world.core.conns[world.leases[0].0].tenant.unwrap().class, Class::Background);
    }

    #[test]
    fn a_deadline_is_kept_exactly() {
        let mut world = World::new(limits(1, 1));
        world.leased(1);
        world.ask(1, Class::Interactive, Access::Read, 500 * MS);
        world.pass(Duration::from_nanos(499_999_999));
        assert_eq!(world.waiting.len(), 1);
        world.pass(Duration::from_nanos(1));
        assert_eq!((world.waiting.len(), reasons(&world)), (0, vec![LimitReason::WaitTimedOut]));
    }

    #[test]
    fn full_queues_refuse_at_once() {
        let mut world = World::new(Limits { max_waiters: 3, max_waiters_per_workspace: 2, ..limits(1, 1) });
        for workspace in [1, 1, 1, 2, 3] {
            world.lease(workspace);
        }
        assert_eq!(reasons(&world), [LimitReason::WorkspaceQueueFull, LimitReason::QueueFull]);
    }

    #[test]
    fn a_hopeless_wait_is_refused_at_arrival() {
        let mut world = World::new(limits(1, 1));
        let lease = world.leased(1);
        world.pass(Duration::from_secs(2));
        world.release(lease);
        let lease = world.leased(1);
        world.lease(1);
        let answer = world.ask(1, Class::Interactive, Access::Read, 100 * MS);
        assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
        assert_eq!(reasons(&world), [LimitReason::PredictedTooLong]);
        // Without a connection the wait is predicted from the quantum.
        world.ask(2, Class::Interactive, Access::Read, 50 * MS);
        assert_eq!(reasons(&world).len(), 2);
        world.ask(2, Class::Interactive, Access::Read, 200 * MS);
        assert_eq!(reasons(&world).len(), 2);
        world.release(lease);
    }

    #[test]
    fn retry_after_is_whole_seconds_from_one_to_thirty() {
        let mut world = World::new(limits(1, 1));
        for (wait, low, high) in [(0, 1, 1), (10, 10, 15), (1000, 30, 30)] {
            for _ in 0..50 {
                let retry = world.core.retry_after(Duration::from_secs(wait));
                assert_eq!(retry.subsec_nanos(), 0);
                assert!((low..=high).contains(&retry.as_secs()), "{wait}: {retry:?}");
            }
        }
    }

    #[test]
    fn a_connection_idle_for_long_is_checked_and_on_failure_the_waiter_keeps_its_place() {
        let mut world = World::new(limits(2, 1));
        let conn = world.idle(1);
        world.pass(Duration::from_secs(31));
        world.lease(1);
        world.lease(1);
        assert_eq!(world.todo, [Effect::Check { conn }]);
        let first = *world.waiting.first_key_value().unwrap().0;
        world.todo.clear();
        world.apply(Event::Cleaned { conn, usable: false });
        assert_eq!(world.todo, [Effect::Close { conn }]);
        world.finish();
        assert_eq!(world.leases.len(), 1);
        assert!(!world.waiting.contains_key(&first));
    }

    #[test]
    fn the_waiter_of_a_check_may_go_and_the_connection_becomes_idle() {
        let mut world = World::new(limits(2, 1));
        let conn = world.idle(1);
        world.pass(Duration::from_secs(31));
        let Answer::Queued(waiter) = world.lease(1) else { panic!() };
        world.apply(Event::Cancel(waiter));
        world.finish();
        assert_eq!(world.state(conn), Some(State::Idle));
    }

    #[test]
    fn try_lease_takes_idle_connections_only() {
        let mut world = World::new(limits(2, 1));
        let workspace = key(1);
        let request = |wait| crate::core::Request {
            lane: crate::core::Lane::Workspace(&workspace),
            class: Class::Interactive,
            access: Access::Read,
            wait,
            label: "test",
            own: false,
        };
        assert_eq!(world.apply(Event::TryAcquire(request(LONG))), Answer::None);
        assert_eq!(world.core.by_key.len(), 0);
        let conn = world.idle(1);
        assert_eq!(world.apply(Event::TryAcquire(request(LONG))), Answer::Granted(conn));
        assert_eq!(world.apply(Event::TryAcquire(request(LONG))), Answer::None);
    }
}

mod assigning {
    use super::*;

    #[test]
    fn the_gate_allows_no_more_opens_than_configured() {
        let mut world = World::new(limits(10, 1));
        for workspace in 0..8 {
            world.lease(workspace);
        }
        assert_eq!(world.opens(), 4);
        let effect = world.todo.remove(0);
        world.perform(&effect);
        assert_eq!(world.opens(), 4);
    }

    #[test]
    fn no_warm_connection_is_thrown_away_while_the_gate_is_closed() {
        let mut world = World::new(Limits { max_parallel_opens: 1, ..limits(3, 1) });
        for workspace in 0..3 {
            world.idle(workspace);
        }
        world.lease(3);
        world.lease(4);
        assert_eq!(world.closes().len(), 1);
    }

    #[test]
    fn the_least_recently_used_idle_connection_makes_room_and_its_slot_is_reserved() {
        let mut world = World::new(limits(2, 1));
        let oldest = world.idle(1);
        world.idle(2);
        world.lease(3);
        assert_eq!(world.closes(), [oldest]);
        assert_eq!(world.live(3), 1);
        // A later one cannot take the slot that is being freed; it takes the next victim.
        world.lease(4);
        assert_eq!(world.closes().len(), 2);
        world.finish();
        assert_eq!(world.leases.iter().map(|(_, of)| *of).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(world.stats().steals.idle, 2);
    }

    #[test]
    fn a_reserved_slot_that_is_no_longer_needed_goes_to_the_next_want() {
        let mut world = World::new(limits(1, 1));
        world.idle(1);
        let Answer::Queued(waiter) = world.lease(2) else { panic!() };
        world.lease(3);
        world.apply(Event::Cancel(waiter));
        world.finish();
        assert_eq!(world.leases.iter().map(|(_, of)| *of).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn growth_takes_only_what_has_been_idle_for_the_growth_delay() {
        let mut world = World::new(limits(2, 2));
        world.leased(1);
        world.pass(20 * MS);
        world.lease(1);
        world.pass(8 * MS);
        let other = world.idle(2);
        world.pass(9 * MS);
        assert_eq!(world.closes(), []);
        world.pass(MS);
        assert_eq!(world.closes(), [other]);
    }

    #[test]
    fn a_workspace_at_its_cap_is_passed_over_without_losing_its_place() {
        let mut world = World::new(limits(2, 1));
        let mine = world.leased(1);
        world.release_as(mine, Release::Broken);
        world.lease(1);
        assert_eq!(world.opens(), 0, "the closing connection counts against the cap");
        world.lease(2);
        assert_eq!(world.opens(), 1);
        world.finish();
        assert_eq!(world.leases.len(), 2);
    }

    #[test]
    fn one_slow_workspace_holds_at_most_half_of_the_opens() {
        let mut world = World::new(limits(10, 8));
        for _ in 0..8 {
            world.lease(1);
        }
        world.pass(Duration::from_millis(200));
        assert_eq!(world.opens(), 2);
        world.lease(2);
        world.lease(3);
        assert_eq!(world.opens(), 4);
    }

    #[test]
    fn a_prewarm_uses_free_slots_up_to_four_fifths_and_counts_as_a_waiter() {
        let mut world = World::new(limits(5, 2));
        for workspace in 0..5 {
            world.apply(Event::Prewarm(&key(workspace)));
            world.finish();
        }
        assert_eq!(world.stats().total_open, 4);
        let mut world = World::new(limits(5, 2));
        world.apply(Event::Prewarm(&key(1)));
        world.lease(1);
        assert_eq!(world.opens(), 1);
        world.finish();
        assert_eq!(world.leases.len(), 1);
    }
}

mod releasing {
    use super::*;

    #[test]
    fn a_waiter_of_the_same_workspace_gets_the_connection_directly() {
        let mut world = World::new(limits(2, 1));
        let conn = world.leased(1);
        world.lease(1);
        world.release(conn);
        assert_eq!(world.leases, [(conn, 1)]);
        assert!(world.todo.is_empty());
    }

    #[test]
    fn a_workspace_with_two_more_shares_out_but_nobody_takes_from_an_equal() {
        let mut world = World::new(limits(3, 3));
        for _ in 0..3 {
            world.lease(1);
            world.pass(20 * MS);
            world.finish();
        }
        assert_eq!(world.live(1), 3);
        world.lease(1);
        world.lease(2);
        let conn = world.leases[0].0;
        world.release(conn);
        assert_eq!(world.closes(), [conn], "three against none");
        world.finish();
        world.lease(2);
        world.pass(20 * MS);
        let conn = world.leases[0].0;
        world.release(conn);
        assert_eq!(world.closes(), [], "two against one");
        assert_eq!(world.stats().steals.share, 1);
    }

    #[test]
    fn an_unneeded_connection_goes_to_a_workspace_without_any() {
        let mut world = World::new(limits(1, 1));
        let conn = world.leased(1);
        world.lease(2);
        world.release(conn);
        assert_eq!(world.closes(), [conn]);
        assert_eq!(world.stats().steals.unneeded, 1);
    }

    #[test]
    fn the_only_connection_is_taken_after_its_quantum_and_its_workspace_joins_the_tail() {
        let mut world = World::new(limits(1, 1));
        let conn = world.leased(1);
        world.lease(1);
        world.lease(2);
        world.pass(50 * MS);
        world.release(conn);
        assert_eq!(world.leases, [(conn, 1)], "within the quantum it is handed over");
        world.pass(50 * MS);
        world.lease(1);
        world.release(conn);
        assert_eq!(world.closes(), [conn]);
        world.finish();
        assert_eq!(world.leases.last().map(|(_, of)| *of), Some(2));
        assert_eq!(world.stats().steals.quantum, 1);
        assert_eq!(world.waiting.len(), 1);
    }

    #[test]
    fn an_overrun_is_owed_and_paid_by_letting_others_pass() {
        let mut world = World::new(limits(1, 1));
        let conn = world.leased(1);
        world.lease(2);
        // 100 ms are its quantum; 350 ms are over it.
        world.pass(450 * MS);
        world.release(conn);
        world.finish();
        let conn = world.leases[0].0;
        for workspace in [1, 3, 4] {
            world.lease(workspace);
        }
        let mut order = vec![];
        let mut conn = conn;
        for _ in 0..3 {
            world.release(conn);
            world.finish();
            order.push(world.leases[0].1);
            conn = world.leases[0].0;
        }
        assert_eq!(order, [3, 4, 1]);
    }

    #[test]
    fn debt_fades_by_half_per_minute_and_is_forgotten() {
        let mut world = World::new(limits(1, 1));
        let conn = world.leased(1);
        world.lease(2);
        world.pass(500 * MS);
        world.release(conn);
        world.finish();
        let debt = |world: &World| {
            let stats = world.stats();
            stats.workspaces.iter().find(|space| space.workspace == key(1)).map(|space| space.debt_ms)
        };
        assert!((debt(&world).unwrap() - 400.0).abs() < 1.0);
        world.pass(Duration::from_mins(1));
        assert!((debt(&world).unwrap() - 200.0).abs() < 1.0);
        world.pass(Duration::from_hours(1));
        assert_eq!(debt(&world), None, "an idle workspace costs nothing");
    }

    #[test]
    fn a_dirty_connection_is_cleaned_before_it_is_lent_again() {
        let mut world = World::new(limits(1, 1));
        let conn = world.leased(1);
        world.lease(1);
        world.release_as(conn, Release::Dirty { discard: true });
        assert_eq!(world.todo, [Effect::Clean { conn, discard: true }]);
        assert!(world.leases.is_empty());
        world.finish();
        assert_eq!(world.leases, [(conn, 1)]);
    }

    #[test]
    fn a_connection_that_cannot_be_cleaned_is_closed() {
        let mut world = World::new(limits(1, 1));
        let conn = world.leased(1);
        world.release_as(conn, Release::Dirty { discard: false });
        world.todo.clear();
        world.apply(Event::Cleaned { conn, usable: false });
        assert_eq!(world.todo, [Effect::Close { conn }]);
        assert_eq!(world.stats().closes.dirty, 1);
    }

    #[test]
    fn broken_expired_and_outdated_connections_are_closed() {
        for (cause, reason) in [(0, "broken"), (1, "lifetime"), (2, "generation")] {
            let mut world = World::new(limits(1, 1));
            let conn = world.leased(1);
            match cause {
                0 => world.release_as(conn, Release::Broken),
                1 => {
                    world.pass(Duration::from_mins(10));
                    world.release(conn);
                }
                _ => {
                    world.apply(Event::Renew);
                    world.release(conn);
                }
            }
            let closes = world.stats().closes;
            assert_eq!(closes.broken + closes.lifetime + closes.generation, 1, "{reason}");
            assert_eq!(world.state(conn), Some(State::Closing), "{reason}");
        }
    }

    #[test]
    fn a_second_release_of_the_same_lease_is_ignored() {
        let mut world = World::new(limits(1, 1));
        let conn = world.leased(1);
        world.release(conn);
        world.apply(Event::Release(conn, Release::Broken));
        assert_eq!(world.state(conn), Some(State::Idle));
    }
}

mod background {
    use super::*;

    #[test]
    fn background_work_leaves_the_last_connection_of_a_workspace_alone() {
        let mut world = World::new(limits(10, 3));
        for _ in 0..5 {
            world.ask(1, Class::Background, Access::Read, LONG);
            world.pass(50 * MS);
            world.finish();
        }
        world.pass(100 * MS);
        world.finish();
        assert_eq!(world.live(1), 2);
        world.lease(1);
        world.pass(50 * MS);
        world.finish();
        assert_eq!(world.live(1), 3);
    }

    #[test]
    fn background_leases_hold_their_share_only_while_somebody_waits() {
        let mut world = World::new(Limits { background_share: 50, ..limits(4, 1) });
        for workspace in 0..4 {
            world.ask(workspace, Class::Background, Access::Read, LONG);
        }
        world.finish();
        assert_eq!(world.leases.len(), 4, "nobody else wants anything");
        world.lease(9);
        world.ask(8, Class::Background, Access::Read, LONG);
        let conn = world.leases[0].0;
        assert!(world.core.should_yield(conn, world.now));
        world.release(conn);
        world.finish();
        assert_eq!(world.leases.iter().filter(|(_, of)| *of == 9).count(), 1);
    }

    #[test]
    fn a_background_waiter_held_back_beside_an_idle_connection_is_served_when_the_limit_lets_go() {
        let mut world = World::new(Limits { background_share: 25, ..limits(4, 1) });
        let idle = world.idle(1);
        world.ask(2, Class::Background, Access::Read, LONG);
        world.finish();
        for workspace in [3, 4] {
            world.leased(workspace);
        }
        world.lease(3);
        world.ask(1, Class::Background, Access::Read, LONG);
        assert_eq!(world.state(idle), Some(State::Idle), "an interactive caller waits");
        let three = world.leases.iter().find(|(_, of)| *of == 3).unwrap().0;
        world.release(three);
        assert_eq!(world.state(idle), Some(State::Leased));
    }
}

mod single_writer {
    use super::*;

    fn world() -> World {
        World::new(Limits { single_writer: true, ..limits(10, 4) })
    }

    #[test]
    fn at_most_one_lease_may_write_and_readers_pass_the_waiting_writer() {
        let mut world = world();
        world.ask(1, Class::Interactive, Access::Write, LONG);
        world.finish();
        let writer = world.leases[0].0;
        world.ask(1, Class::Interactive, Access::Write, LONG);
        world.pass(100 * MS);
        assert_eq!((world.opens(), world.live(1)), (0, 1), "another connection would not help a writer");
        world.lease(1);
        world.pass(20 * MS);
        world.finish();
        assert_eq!((world.leases.len(), world.waiting.len()), (2, 1));
        world.release(writer);
        assert_eq!(world.leases.len(), 2, "the second writer follows the first");
        assert!(world.waiting.is_empty());
    }

    #[test]
    fn the_right_to_write_passes_to_an_idle_connection_when_the_writers_is_closed() {
        let mut world = world();
        world.ask(1, Class::Interactive, Access::Write, LONG);
        world.finish();
        let writer = world.leases[0].0;
        world.lease(1);
        world.pass(20 * MS);
        world.finish();
        let reader = world.leases[1].0;
        world.release(reader);
        world.ask(1, Class::Interactive, Access::Write, LONG);
        assert_eq!(world.state(reader), Some(State::Idle));
        world.release_as(writer, Release::Broken);
        assert_eq!(world.state(reader), Some(State::Leased));
    }

    #[test]
    fn writers_and_readers_are_served_in_the_order_of_their_arrival() {
        let mut world = World::new(Limits { single_writer: true, ..limits(1, 1) });
        let mut conn = world.leased(1);
        for access in [Access::Write, Access::Read, Access::Write, Access::Read] {
            world.ask(1, Class::Interactive, access, LONG);
        }
        let mut writes = vec![];
        for _ in 0..4 {
            world.release(conn);
            conn = world.leases[0].0;
            writes.push(world.core.conns[conn].tenant.unwrap().kind.writes());
        }
        assert_eq!(writes, [true, false, true, false]);
    }
}

mod reaping {
    use super::*;

    #[test]
    fn unused_connections_are_closed_after_the_idle_time_a_few_per_second() {
        let mut world = World::new(limits(10, 1));
        for workspace in 0..6 {
            world.idle(workspace);
        }
        world.pass(Duration::from_mins(5));
        assert_eq!(world.closes().len(), 2);
        world.pass(Duration::from_secs(1));
        assert_eq!(world.closes().len(), 4);
        world.pass(Duration::from_secs(1));
        world.finish();
        assert_eq!((world.stats().total_open, world.stats().closes.idle), (0, 6));
        assert_eq!(world.core.spaces.len(), 1, "nothing is remembered");
    }

    #[test]
    fn old_connections_are_closed_at_a_time_of_their_own_and_not_replaced() {
        let limits = Limits { connection_max_idle_time: Duration::from_hours(1), ..limits(40, 1) };
        let mut world = World::new(limits);
        for workspace in 0..20 {
            world.idle(workspace);
        }
        world.pass(Duration::from_secs(509));
        assert_eq!(world.stats().closes.lifetime, 0, "85 % of ten minutes");
        world.pass(Duration::from_secs(46));
        let half = world.stats().closes.lifetime;
        assert!((4..=16).contains(&half), "{half} of 20 in half of the time");
        world.pass(Duration::from_secs(46));
        world.finish();
        assert_eq!((world.stats().total_open, world.stats().closes.lifetime), (0, 20));
    }

    #[test]
    fn an_idle_connection_whose_peer_is_gone_is_closed_at_once() {
        let mut world = World::new(limits(1, 1));
        let conn = world.idle(1);
        world.apply(Event::PeerGone(conn));
        assert_eq!(world.closes(), [conn]);
        world.finish();
        let conn = world.leased(1);
        world.apply(Event::PeerGone(conn));
        assert_eq!(world.closes(), [], "a leased one is its holder's");
    }

    #[test]
    fn a_lease_is_noted_after_the_warning_time_and_interrupted_after_the_hard_limit() {
        let mut world = World::new(limits(1, 1));
        let conn = world.leased(1);
        world.pass(Duration::from_secs(30));
        assert_eq!((world.stats().leases_over_warn, world.todo.len()), (1, 0));
        world.pass(Duration::from_secs(870));
        assert_eq!(world.todo, [Effect::Interrupt { conn }]);
        assert!(world.core.should_yield(conn, world.now));
        world.todo.clear();
        world.release(conn);
        assert_eq!(world.closes(), [conn]);
    }
}

mod failing {
    use super::*;

    #[test]
    fn a_refusal_by_the_server_lowers_the_slots_and_is_not_shown_to_the_caller() {
        let mut world = World::new(limits(10, 1));
        world.lease(1);
        world.fail_open(OpenFailure::Limit, true);
        assert_eq!(world.core.server.effective_slots(), 9);
        assert_eq!((world.waiting.len(), world.opens()), (1, 0));
        world.pass(Duration::from_secs(1));
        assert_eq!(world.opens(), 1);
        world.finish();
        world.pass(Duration::from_secs(5));
        assert_eq!(world.core.server.effective_slots(), 10);
        assert_eq!(world.stats().server_refusals, 1);
    }

    #[test]
    fn a_server_that_is_down_is_probed_once_at_a_time() {
        let mut world = World::new(limits(10, 1));
        for workspace in 0..4 {
            world.lease(workspace);
        }
        for _ in 0..4 {
            world.fail_open(OpenFailure::Down, true);
        }
        assert_eq!(world.opens(), 0);
        world.pass(150 * MS);
        assert_eq!(world.opens(), 1, "one probe");
        assert_eq!(world.stats().status, crate::BrokerStatus::Unavailable);
        world.finish();
        assert_eq!(world.leases.len(), 4, "all are served when it is back");
        assert!(world.stats().available);
    }

    #[test]
    fn while_the_server_is_down_short_waits_are_refused_with_a_time_to_come_back() {
        let mut world = World::new(limits(10, 1));
        world.ask(1, Class::Interactive, Access::Read, 10 * LONG);
        for _ in 0..8 {
            world.fail_open(OpenFailure::Down, true);
            world.pass(Duration::from_millis(12_600));
        }
        world.fail_open(OpenFailure::Down, true);
        world.refused.clear();
        world.ask(2, Class::Interactive, Access::Read, 100 * MS);
        assert!(matches!(world.refused[..], [BrokerError::Unavailable { .. }]), "{:?}", world.refused);
    }

    #[test]
    fn idle_connections_are_lent_while_the_server_takes_no_new_ones() {
        let mut world = World::new(limits(10, 1));
        let conn = world.idle(1);
        world.lease(2);
        world.fail_open(OpenFailure::Down, true);
        assert_eq!(world.lease(1), Answer::Granted(conn));
    }

    #[test]
    fn a_missing_database_fails_its_waiters_and_is_remembered_for_thirty_seconds() {
        let mut world = World::new(limits(10, 1));
        world.lease(1);
        world.lease(1);
        world.fail_open(OpenFailure::DatabaseMissing, true);
        world.lease(1);
        let missing = BrokerError::DatabaseMissing { workspace: key(1) };
        assert_eq!(world.refused, [missing.clone(), missing.clone(), missing]);
        world.pass(Duration::from_secs(31));
        assert_eq!(world.core.spaces.len(), 1, "forgotten");
        world.lease(1);
        assert_eq!(world.opens(), 1);
    }

    #[test]
    fn a_refused_role_closes_the_breaker_for_all_and_is_counted() {
        let mut world = World::new(limits(10, 1));
        world.lease(1);
        world.fail_open(OpenFailure::Auth, true);
        assert!(matches!(world.refused[..], [BrokerError::Unavailable { .. }]));
        world.lease(2);
        assert_eq!((world.opens(), world.stats().auth_failures), (0, 1));
    }

    #[test]
    fn a_failing_workspace_backs_off_alone() {
        let mut world = World::new(limits(10, 1));
        world.lease(1);
        world.fail_open(OpenFailure::Other, true);
        world.lease(2);
        world.finish();
        assert_eq!(world.leases.len(), 1);
        assert_eq!(world.waiting.len(), 1);
        world.pass(Duration::from_secs(1));
        assert_eq!(world.opens(), 1);
        world.fail_open(OpenFailure::Other, true);
        world.pass(Duration::from_millis(1999));
        assert_eq!(world.opens(), 0, "the pause doubles");
        world.pass(MS);
        assert_eq!(world.opens(), 1);
    }

    #[test]
    fn after_a_failed_open_the_workspace_keeps_its_place() {
        let mut world = World::new(Limits { max_parallel_opens: 1, ..limits(10, 1) });
        world.lease(1);
        world.lease(2);
        world.fail_open(OpenFailure::Down, true);
        world.pass(150 * MS);
        world.finish();
        assert_eq!(world.leases[0].1, 1);
    }

    #[test]
    fn an_attempt_whose_end_is_not_proven_keeps_its_slot() {
        let mut world = World::new(limits(1, 1));
        world.lease(1);
        world.fail_open(OpenFailure::Down, false);
        world.pass(Duration::from_secs(20));
        assert_eq!((world.opens(), world.stats().zombie), (0, 1));
        world.finish();
        assert_eq!(world.leases.len(), 1);
    }

    #[test]
    fn a_close_that_hangs_gives_up_its_reservation_but_not_its_slot() {
        let mut world = World::new(limits(2, 1));
        let conn = world.idle(1);
        let other = world.leased(2);
        world.lease(3);
        world.todo.clear();
        world.apply(Event::CloseTimedOut(conn));
        assert_eq!((world.stats().zombie, world.stats().opens_in_flight), (1, 0));
        world.release(other);
        world.todo.retain(|effect| *effect != Effect::Prove { conn });
        world.finish();
        assert_eq!(world.leases[0].1, 3);
        world.apply(Event::Closed(conn));
        assert_eq!(world.stats().zombie, 0);
    }
}

mod administering {
    use super::*;

    #[test]
    fn a_retired_workspace_refuses_fails_its_waiters_and_leaves_nothing_behind() {
        let mut world = World::new(limits(3, 2));
        let leased = world.leased(1);
        world.lease(1);
        world.apply(Event::Retire(&key(1)));
        let retired = BrokerError::Retired { workspace: key(1) };
        world.lease(1);
        assert_eq!(world.refused, [retired.clone(), retired]);
        assert!(!world.todo.contains(&Effect::Gone(key(1))));
        world.apply(Event::Revoke(Some(&key(1))));
        assert!(world.todo.contains(&Effect::Interrupt { conn: leased }));
        world.release(leased);
        let close = Effect::Close { conn: leased };
        world.perform(&close);
        assert!(world.todo.contains(&Effect::Gone(key(1))));
        world.todo.clear();
        world.apply(Event::Readmit(&key(1)));
        assert_eq!(world.core.spaces.len(), 1);
        world.leased(1);
    }

    #[test]
    fn an_open_that_ends_after_the_retirement_is_closed() {
        let mut world = World::new(limits(3, 2));
        world.lease(1);
        world.apply(Event::Retire(&key(1)));
        let open = world.todo.remove(0);
        world.perform(&open);
        assert_eq!(world.closes().len(), 1);
        let close = world.todo.remove(0);
        world.perform(&close);
        assert_eq!(world.todo, [Effect::Gone(key(1))]);
    }

    #[test]
    fn lower_limits_revoke_nothing_and_idle_connections_go_first() {
        let mut world = World::new(limits(6, 3));
        let leased: Vec<_> = (0..3).map(|workspace| world.leased(workspace)).collect();
        for workspace in 3..6 {
            world.idle(workspace);
        }
        world.apply(Event::Reconfigure(&limits(2, 1)));
        assert_eq!((world.closes().len(), world.leases.len()), (3, 3));
        world.finish();
        world.lease(9);
        assert_eq!(world.opens(), 0);
        world.release(leased[0]);
        world.finish();
        assert_eq!(world.stats().total_open, 2);
        assert_eq!(world.leases.iter().filter(|(_, of)| *of == 9).count(), 0);
        world.apply(Event::Reconfigure(&limits(3, 1)));
        world.finish();
        assert_eq!(world.leases.iter().filter(|(_, of)| *of == 9).count(), 1, "raising works at once");
    }

    #[test]
    fn the_share_is_a_number_that_can_change() {
        let mut world = World::new(Limits { share: Some(3), ..limits(10, 1) });
        for workspace in 0..3 {
            world.lease(workspace);
        }
        world.finish();
        assert_eq!(world.leases.len(), 1);
        world.apply(Event::Reconfigure(&Limits { share: Some(5), ..limits(10, 1) }));
        world.finish();
        assert_eq!(world.leases.len(), 3);
    }

    #[test]
    fn shutting_down_refuses_waits_and_closes_everything() {
        let mut world = World::new(limits(2, 1));
        let leased = world.leased(1);
        world.idle(2);
        world.ask(SYSTEM, Class::Interactive, Access::Read, LONG);
        world.finish();
        world.lease(1);
        world.apply(Event::Shutdown);
        world.lease(3);
        assert_eq!(world.refused, [BrokerError::ShuttingDown, BrokerError::ShuttingDown]);
        world.finish();
        world.release(leased);
        world.finish();
        assert_eq!(world.core.remaining(), (1, 1));
        world.release(world.leases[0].0);
        let close = world.todo.remove(0);
        world.perform(&close);
        assert_eq!(world.todo, [Effect::Drained]);
    }
}

mod system_lane {
    use super::*;

    #[test]
    fn the_system_lane_has_its_own_slots_and_is_never_a_victim() {
        let mut world = World::new(limits(1, 1));
        let conn = world.idle(SYSTEM);
        world.lease(1);
        world.finish();
        world.lease(2);
        assert_eq!(world.closes(), []);
        assert_eq!(world.state(conn), Some(State::Idle));
        assert_eq!(world.stats().system.open, 1);
    }

    #[test]
    fn the_last_system_connection_is_the_brokers_own() {
        let mut world = World::new(limits(1, 1));
        world.leased(SYSTEM);
        world.lease(SYSTEM);
        world.pass(100 * MS);
        assert_eq!((world.opens(), world.waiting.len()), (0, 1));
        let request = crate::core::Request {
            lane: crate::core::Lane::System,
            class: Class::Interactive,
            access: Access::Read,
            wait: LONG,
            label: "own",
            own: true,
        };
        let Answer::Queued(waiter) = world.apply(Event::Acquire(request)) else { panic!() };
        world.waiting.insert(waiter, SYSTEM);
        world.pass(100 * MS);
        world.finish();
        assert_eq!((world.leases.len(), world.waiting.len()), (2, 1));
    }
}
