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
