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
