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
fn a_workspace_whose_clients_always_wait_a_little_grows() {
    let mut world = World::new(limits(10, 5));
    let mut lent = world.leased(1);
    world.lease(1);
    for _ in 0..9 {
        world.pass(MS);
        world.release(lent);
        world.lease(1);
        lent = world.leases[0].0;
    }
    assert_eq!(world.opens(), 0, "no longer than an open costs");
    world.pass(MS);
    assert_eq!(world.opens(), 1);
}

#[test]
fn a_moment_with_an_idle_connection_postpones_growth() {
    let mut world = World::new(limits(10, 5));
    let lent = world.leased(1);
    world.lease(1);
    world.pass(9 * MS);
    world.release(lent);
    world.release(lent);
    world.leased(1);
    world.lease(1);
    world.pass(9 * MS);
    assert_eq!(world.opens(), 0);
    world.pass(MS);
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

/// What a new request of a workspace would have to wait.
fn predicted(world: &World, workspace: usize) -> Duration {
    let core = &world.core;
    let space = core.by_key.get(&key(workspace)).map(|id| &core.spaces[*id]);
    core.predicted_wait(space, Class::Interactive, world.now)
}

#[test]
fn the_wait_is_predicted_from_who_is_ahead_and_what_there_is() {
    // With connections: those ahead take turns on them.
    let mut world = World::new(limits(4, 2));
    let first = world.leased(1);
    world.lease(1);
    world.pass(Duration::from_secs(1));
    world.finish();
    world.release(first);
    world.lease(1);
    for _ in 0..4 {
        world.lease(1);
    }
    assert_eq!((world.live(1), world.waiting.len()), (2, 4));
    let hold = world.core.spaces[world.core.by_key[&key(1)]].hold.get().unwrap();
    assert_eq!(predicted(&world, 1), hold * 4 / 2);
    // Without, while there is a slot: rounds of opens, each as long as a close and an open are thought
    // to take, 10 ms.
    let mut world = World::new(Limits { max_parallel_opens: 2, ..limits(10, 1) });
    for workspace in 0..7 {
        world.lease(workspace);
    }
    assert_eq!(predicted(&world, 9), 10 * MS * 3, "five are ahead, two at a time");
    // Without, while all slots are busy: a turn of each ahead, then a quantum.
    let mut world = World::new(limits(1, 1));
    world.leased(1);
    for workspace in 2..5 {
        world.lease(workspace);
    }
    assert_eq!(predicted(&world, 9), 100 * MS * 3 + 100 * MS);
}

#[test]
fn retry_after_is_whole_seconds_from_one_to_thirty() {
    let mut world = World::new(limits(1, 1));
    for (wait, low, high) in [(0, 1, 1), (10, 10, 15), (1000, 30, 30)] {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..50 {
            let retry = world.core.retry_after(Duration::from_secs(wait));
            assert_eq!(retry.subsec_nanos(), 0);
            assert!((low..=high).contains(&retry.as_secs()), "{wait}: {retry:?}");
            seen.insert(retry);
        }
        assert_eq!(
            seen.len() > 3,
            wait == 10,
            "spread, so that callers do not come back all at once: {seen:?}"
        );
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
