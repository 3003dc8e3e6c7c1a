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
