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
