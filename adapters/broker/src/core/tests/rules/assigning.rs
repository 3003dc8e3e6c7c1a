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
    assert_eq!(world.stats().opens.succeeded, 2, "none for the one that has gone");
}

#[test]
fn growth_takes_only_what_has_been_idle_for_a_quantum() {
    let mut world = World::new(limits(2, 2));
    world.leased(1);
    world.pass(20 * MS);
    world.lease(1);
    world.pass(8 * MS);
    let other = world.idle(2);
    world.pass(99 * MS);
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
    world.apply(Event::Prewarm(&key(1)));
    assert_eq!(world.opens(), 0, "it has one");
}

/// Whom the open under way is for.
fn opening(world: &World) -> Vec<crate::Target> {
    let opens = world.todo.iter().filter_map(|effect| match effect {
        Effect::Open { target, .. } => Some(target.clone()),
        _ => None,
    });
    opens.collect()
}

fn workspace(number: usize) -> crate::Target {
    crate::Target::Workspace(key(number))
}

#[test]
fn who_has_none_comes_before_who_has_too_few() {
    let mut world = World::new(Limits { max_parallel_opens: 1, ..limits(10, 3) });
    world.leased(1);
    world.lease(9);
    world.lease(1);
    world.pass(20 * MS);
    world.lease(2);
    world.finish_one();
    assert_eq!(opening(&world), [workspace(2)], "it came later, but has nothing");
    world.finish_one();
    assert_eq!(opening(&world), [workspace(1)]);
}

#[test]
fn first_come_first_served_also_across_classes() {
    let mut world = World::new(Limits { max_parallel_opens: 1, ..limits(10, 3) });
    world.lease(9);
    world.ask(1, Class::Background, Access::Read, LONG);
    world.ask(2, Class::Interactive, Access::Read, LONG);
    world.finish_one();
    assert_eq!(opening(&world), [workspace(1)]);
}

#[test]
fn growth_takes_also_a_young_one_from_who_has_two_more() {
    let mut world = World::new(limits(4, 3));
    world.leased(1);
    for _ in 0..3 {
        world.lease(2);
        world.pass(20 * MS);
        world.finish();
    }
    world.lease(1);
    world.pass(8 * MS);
    let of_two: Vec<_> = world.leases.iter().filter(|(_, of)| *of == 2).map(|(conn, _)| *conn).collect();
    for conn in &of_two {
        world.release(*conn);
    }
    assert_eq!(world.closes(), []);
    world.pass(2 * MS);
    assert_eq!(world.closes(), [of_two[0]], "two milliseconds idle");
}

#[test]
fn a_reserved_slot_is_kept_for_its_heir_although_others_come_who_have_none() {
    let mut world = World::new(Limits { max_parallel_opens: 1, ..limits(2, 2) });
    world.leased(1);
    let other = world.idle(2);
    world.pass(100 * MS);
    world.lease(1);
    world.pass(10 * MS);
    assert_eq!(world.closes(), [other], "for the growth of the first");
    world.lease(3);
    world.finish_one();
    assert_eq!(opening(&world), [workspace(1)]);
}

#[test]
fn an_opened_connection_goes_to_whoever_is_served_first_by_then() {
    let mut world = World::new(limits(4, 1));
    world.ask(1, Class::Background, Access::Read, LONG);
    world.ask(1, Class::Interactive, Access::Read, LONG);
    world.finish();
    assert_eq!(world.core.conns[world.leases[0].0].tenant.unwrap().class, Class::Interactive);
    assert_eq!((world.waiting.len(), world.stats().leases.opened), (1, 1));
}

#[test]
fn those_that_were_opened_first_give_their_only_connection_first() {
    let mut world = World::new(limits(100, 1));
    let conns: Vec<_> = (0..100).map(|workspace| world.leased(workspace)).collect();
    world.lease(200);
    world.release(conns[50]);
    assert_eq!(world.closes(), []);
    world.release(conns[9]);
    assert_eq!(world.closes(), [conns[9]]);
}

#[test]
fn when_the_first_are_not_given_back_the_next_one_that_is_makes_room() {
    let mut world = World::new(limits(100, 1));
    let conns: Vec<_> = (0..100).map(|workspace| world.leased(workspace)).collect();
    world.pass(20 * MS);
    world.lease(200);
    world.release(conns[50]);
    assert_eq!(world.closes(), [conns[50]]);
}

#[test]
fn an_idle_connection_out_of_turn_makes_room_after_the_growth_delay() {
    let mut world = World::new(limits(100, 1));
    let conns: Vec<_> = (0..100).map(|workspace| world.leased(workspace)).collect();
    world.lease(200);
    world.release(conns[50]);
    world.pass(9 * MS);
    assert_eq!(world.closes(), []);
    world.pass(MS);
    assert_eq!(world.closes(), [conns[50]]);
}
