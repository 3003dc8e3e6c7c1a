use super::*;

#[test]
fn a_waiter_of_the_same_workspace_gets_the_connection_directly() {
    let mut world = World::new(limits(2, 1));
    let conn = world.leased(1);
    world.lease(1);
    world.release(conn);
    assert_eq!(world.leases, [(conn, 1)]);
    assert!(world.todo.is_empty());
    assert_eq!(world.stats().leases.handed_over, 1);
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
fn no_more_than_ten_quanta_are_owed() {
    let mut world = World::new(limits(1, 1));
    let conn = world.leased(1);
    world.lease(2);
    world.pass(Duration::from_secs(5));
    world.release(conn);
    let stats = world.stats();
    let debt = stats.workspaces.iter().find(|space| space.workspace == key(1)).unwrap().debt_ms;
    assert!((debt - 1000.0).abs() < 1.0, "{debt} ms");
}

#[test]
fn nothing_is_taken_on_release_while_the_gate_is_closed() {
    let mut world = World::new(Limits { max_parallel_opens: 1, ..limits(2, 1) });
    let conn = world.leased(1);
    world.lease(2);
    world.lease(3);
    assert_eq!(world.opens(), 1, "the only opener is busy");
    world.release(conn);
    assert_eq!((world.closes(), world.state(conn)), (vec![], Some(State::Idle)));
    world.finish();
    assert_eq!(world.leases.len(), 2, "then it is");
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
