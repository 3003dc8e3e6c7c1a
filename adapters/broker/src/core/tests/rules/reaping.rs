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
