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
