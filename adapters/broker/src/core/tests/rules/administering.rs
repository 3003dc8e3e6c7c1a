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
