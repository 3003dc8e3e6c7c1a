//! Lists of a workspace and their memberships.

use crate::{
    backends::Store,
    cases,
    samples::{address, at, audience, list, list_id, patch},
};
use application::ports::{StoreError, UnitOfWork};
use domain::{
    email_address::EmailAddress,
    lists::{List, ListStats, Membership, MembershipStatus},
};
use serde_json::json;

cases![
    an_unknown_list_is_none,
    a_list_is_read_as_it_was_stored,
    a_list_identifier_is_taken_once,
    lists_come_newest_first,
    an_update_keeps_the_moment_of_creation,
    an_unknown_list_is_not_updated,
    a_deleted_list_is_invisible,
    the_identifier_of_a_deleted_list_stays_taken,
    a_list_is_deleted_once,
    a_deleted_list_loses_its_members,
    a_new_member_is_active,
    a_pending_member_becomes_active,
    a_status_makes_a_removed_membership_live,
    nobody_comes_back_who_left_bounced_or_complained,
    every_address_is_put_on_every_list,
    many_members_are_added_in_one_call,
    an_unknown_membership_is_none,
    a_status_is_set_and_makes_the_membership_live,
    the_status_of_no_membership_is_not_set,
    memberships_are_of_the_given_addresses,
    memberships_carry_the_present_name_of_the_list,
    removed_memberships_are_not_listed,
    live_memberships_are_counted_by_status,
    only_reachable_members_are_active,
    active_members_come_in_byte_order_after_one,
    a_deleted_list_reaches_nobody,
    who_subscribes_is_put_on_the_list_with_the_status,
    a_standing_is_changed_only_from_where_it_may_be,
    who_was_removed_subscribes_anew_unless_a_refusal_stands,
    only_a_live_pending_membership_is_confirmed,
    who_is_on_a_list_or_waits_leaves_it_once,
    who_was_removed_leaves_and_stays_removed,
    subscriptions_at_once_put_a_contact_on_a_list_once,
];

async fn unit_with_lists(store: &Store) -> Box<dyn UnitOfWork> {
    let mut unit = store.write().await;
    unit.insert_list(&list("news", 0)).await.unwrap();
    unit.insert_list(&list("offers", 1)).await.unwrap();
    unit
}

async fn add(unit: &mut dyn UnitOfWork, name: &str, now: i64) {
    unit.add_members(&[address(name)], &[list_id("news")], at(now)).await.unwrap();
}

async fn status(unit: &mut dyn UnitOfWork, name: &str, status: MembershipStatus, now: i64) -> bool {
    unit.set_membership_status(&address(name), &list_id("news"), status, at(now)).await.unwrap()
}

async fn membership(unit: &mut dyn UnitOfWork, name: &str) -> Membership {
    unit.membership(&address(name), &list_id("news")).await.unwrap().unwrap()
}

async fn an_unknown_list_is_none(store: &Store) {
    assert_eq!(store.read().await.list(&list_id("news")).await.unwrap(), None);
}

async fn a_list_is_read_as_it_was_stored(store: &Store) {
    let plain = List {
        is_double_optin: false,
        is_public: true,
        double_optin_template: None,
        description: String::new(),
        ..list("plain", 5)
    };
    let mut unit = store.write().await;
    for list in [&list("news", 0), &plain] {
        unit.insert_list(list).await.unwrap();
    }
    unit.commit().await.unwrap();
    let mut store = store.read().await;
    assert_eq!(store.list(&list_id("news")).await.unwrap(), Some(list("news", 0)));
    assert_eq!(store.list(&list_id("plain")).await.unwrap(), Some(plain));
}

async fn a_list_identifier_is_taken_once(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    assert!(matches!(unit.insert_list(&list("news", 9)).await, Err(StoreError::Duplicate)));
}

async fn lists_come_newest_first(store: &Store) {
    let mut unit = store.write().await;
    for (id, created) in [("b", 2), ("c", 3), ("a", 1)] {
        unit.insert_list(&list(id, created)).await.unwrap();
    }
    let ids: Vec<_> = unit.lists().await.unwrap().into_iter().map(|l| l.id).collect();
    assert_eq!(ids, ["c", "b", "a"].map(list_id));
}

async fn an_update_keeps_the_moment_of_creation(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    let changed = List {
        name: "Other".to_owned(),
        is_public: true,
        is_double_optin: false,
        double_optin_template: None,
        created_at: at(70),
        updated_at: at(80),
        ..list("news", 0)
    };
    assert!(unit.update_list(&changed).await.unwrap());
    let kept = unit.list(&list_id("news")).await.unwrap();
    assert_eq!(kept, Some(List { created_at: at(0), ..changed }));
}

async fn an_unknown_list_is_not_updated(store: &Store) {
    assert!(!store.write().await.update_list(&list("news", 0)).await.unwrap());
}

async fn a_deleted_list_is_invisible(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    unit.delete_list(&list_id("news"), at(5)).await.unwrap();
    assert_eq!(unit.list(&list_id("news")).await.unwrap(), None);
    assert_eq!(unit.lists().await.unwrap(), [list("offers", 1)]);
    assert!(!unit.update_list(&list("news", 0)).await.unwrap());
}

async fn the_identifier_of_a_deleted_list_stays_taken(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    unit.delete_list(&list_id("news"), at(5)).await.unwrap();
    assert!(matches!(unit.insert_list(&list("news", 9)).await, Err(StoreError::Duplicate)));
}

async fn a_list_is_deleted_once(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    assert!(unit.delete_list(&list_id("news"), at(5)).await.unwrap());
    assert!(!unit.delete_list(&list_id("news"), at(6)).await.unwrap());
    assert!(!unit.delete_list(&list_id("unknown"), at(6)).await.unwrap());
}

async fn a_deleted_list_loses_its_members(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    add(&mut *unit, "ana", 0).await;
    unit.delete_list(&list_id("news"), at(5)).await.unwrap();
    assert_eq!(unit.memberships(&[address("ana")]).await.unwrap(), []);
    assert_eq!(unit.list_stats(&list_id("news")).await.unwrap(), ListStats::default());
    assert!(membership(&mut *unit, "ana").await.deleted_at.is_some());
}

async fn a_new_member_is_active(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    add(&mut *unit, "ana", 3).await;
    unit.commit().await.unwrap();
    let stored = store.read().await.membership(&address("ana"), &list_id("news")).await.unwrap();
    let expected = Membership {
        email: address("ana"),
        list: list_id("news"),
        list_name: "List news".to_owned(),
        status: MembershipStatus::Active,
        created_at: at(3),
        updated_at: at(3),
        deleted_at: None,
    };
    assert_eq!(stored, Some(expected));
}

async fn a_pending_member_becomes_active(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    add(&mut *unit, "ana", 0).await;
    status(&mut *unit, "ana", MembershipStatus::Pending, 1).await;
    add(&mut *unit, "ana", 2).await;
    let ana = membership(&mut *unit, "ana").await;
    assert_eq!((ana.status, ana.updated_at), (MembershipStatus::Active, at(2)));
}

async fn a_status_makes_a_removed_membership_live(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    add(&mut *unit, "ana", 0).await;
    unit.delete_list(&list_id("news"), at(1)).await.unwrap();
    status(&mut *unit, "ana", MembershipStatus::Active, 2).await;
    let ana = membership(&mut *unit, "ana").await;
    assert_eq!((ana.status, ana.deleted_at), (MembershipStatus::Active, None));
}

async fn nobody_comes_back_who_left_bounced_or_complained(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    for kept in [MembershipStatus::Unsubscribed, MembershipStatus::Bounced, MembershipStatus::Complained] {
        add(&mut *unit, kept.name(), 0).await;
        status(&mut *unit, kept.name(), kept, 1).await;
        let before = membership(&mut *unit, kept.name()).await;
        add(&mut *unit, kept.name(), 2).await;
        assert_eq!(membership(&mut *unit, kept.name()).await, before);
    }
}

async fn every_address_is_put_on_every_list(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    let names = ["ana", "ben", "cem"].map(address);
    unit.add_members(&names, &[list_id("news"), list_id("offers")], at(0)).await.unwrap();
    assert_eq!(unit.memberships(&names).await.unwrap().len(), 6);
    unit.add_members(&names, &[], at(0)).await.unwrap();
    unit.add_members(&[], &[list_id("news")], at(0)).await.unwrap();
    assert_eq!(unit.memberships(&names).await.unwrap().len(), 6);
}

async fn many_members_are_added_in_one_call(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    let names: Vec<_> = (0..1_200).map(|n| address(&format!("c{n}"))).collect();
    unit.add_members(&names, &[list_id("news"), list_id("offers")], at(0)).await.unwrap();
    let stats = ListStats { active: 1_200, ..ListStats::default() };
    assert_eq!(unit.list_stats(&list_id("offers")).await.unwrap(), stats);
    assert_eq!(unit.memberships(&names).await.unwrap().len(), 2_400);
}

async fn an_unknown_membership_is_none(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    assert_eq!(unit.membership(&address("ana"), &list_id("news")).await.unwrap(), None);
}

async fn a_status_is_set_and_makes_the_membership_live(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    add(&mut *unit, "ana", 0).await;
    for wanted in MembershipStatus::ALL {
        assert!(status(&mut *unit, "ana", wanted, 7).await);
        let ana = membership(&mut *unit, "ana").await;
        assert_eq!((ana.status, ana.created_at, ana.updated_at), (wanted, at(0), at(7)));
    }
}

async fn the_status_of_no_membership_is_not_set(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    assert!(!status(&mut *unit, "ana", MembershipStatus::Active, 0).await);
    assert_eq!(unit.membership(&address("ana"), &list_id("news")).await.unwrap(), None);
}

async fn memberships_are_of_the_given_addresses(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    add(&mut *unit, "ana", 0).await;
    add(&mut *unit, "ben", 0).await;
    let found = unit.memberships(&[address("ana"), address("nobody")]).await.unwrap();
    assert_eq!(found, [membership(&mut *unit, "ana").await]);
    assert_eq!(unit.memberships(&[]).await.unwrap(), []);
}

async fn memberships_carry_the_present_name_of_the_list(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    add(&mut *unit, "ana", 0).await;
    unit.update_list(&List { name: "Fresh".to_owned(), ..list("news", 0) }).await.unwrap();
    assert_eq!(unit.memberships(&[address("ana")]).await.unwrap()[0].list_name, "Fresh");
    assert_eq!(membership(&mut *unit, "ana").await.list_name, "Fresh");
}

async fn removed_memberships_are_not_listed(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    unit.add_members(&[address("ana")], &[list_id("news"), list_id("offers")], at(0)).await.unwrap();
    unit.delete_list(&list_id("news"), at(1)).await.unwrap();
    let lists: Vec<_> =
        unit.memberships(&[address("ana")]).await.unwrap().into_iter().map(|m| m.list).collect();
    assert_eq!(lists, [list_id("offers")]);
}

async fn live_memberships_are_counted_by_status(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    for (count, wanted) in (1..).zip(MembershipStatus::ALL) {
        for n in 0..count {
            let name = format!("{}{n}", wanted.name());
            add(&mut *unit, &name, 0).await;
            status(&mut *unit, &name, wanted, 0).await;
        }
    }
    let stats = ListStats { active: 1, pending: 2, unsubscribed: 3, bounced: 4, complained: 5 };
    assert_eq!(unit.list_stats(&list_id("news")).await.unwrap(), stats);
    assert_eq!(unit.list_stats(&list_id("offers")).await.unwrap(), ListStats::default());
}

async fn active(unit: &mut dyn UnitOfWork, after: Option<&EmailAddress>, size: usize) -> Vec<EmailAddress> {
    let members = unit.audience_after(&audience(&["news"], &[]), after, size).await.unwrap();
    members.into_iter().map(|member| member.email).collect()
}

async fn only_reachable_members_are_active(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    unit.upsert_contacts(&["ana", "ben", "cem"].map(|n| patch(n, json!({}))), at(0)).await.unwrap();
    for name in ["ana", "ben", "without-contact"] {
        add(&mut *unit, name, 0).await;
    }
    status(&mut *unit, "ben", MembershipStatus::Unsubscribed, 1).await;
    unit.add_members(&[address("cem")], &[list_id("offers")], at(0)).await.unwrap();
    assert_eq!(active(&mut *unit, None, 10).await, [address("ana")]);
}

async fn active_members_come_in_byte_order_after_one(store: &Store) {
    // A locale would ignore the punctuation or sort letters before digits.
    let names = ["a-c", "a.b", "a0", "a_b", "ab", "b"];
    let mut unit = unit_with_lists(store).await;
    let mut shuffled = names;
    shuffled.reverse();
    unit.upsert_contacts(&shuffled.map(|n| patch(n, json!({}))), at(0)).await.unwrap();
    unit.add_members(&shuffled.map(address), &[list_id("news")], at(0)).await.unwrap();
    let mut seen = Vec::new();
    loop {
        let next = active(&mut *unit, seen.last(), 2).await;
        if next.is_empty() {
            break;
        }
        seen.extend(next);
    }
    assert_eq!(seen, names.map(address));
}

async fn a_deleted_list_reaches_nobody(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    unit.upsert_contacts(&[patch("ana", json!({}))], at(0)).await.unwrap();
    add(&mut *unit, "ana", 0).await;
    unit.delete_list(&list_id("news"), at(1)).await.unwrap();
    status(&mut *unit, "ana", MembershipStatus::Active, 2).await;
    assert_eq!(active(&mut *unit, None, 10).await, []);
}

async fn subscribe(
    unit: &mut dyn UnitOfWork,
    name: &str,
    status: MembershipStatus,
    from: &[MembershipStatus],
    now: i64,
) -> bool {
    unit.subscribe_member(&address(name), &list_id("news"), status, from, at(now)).await.unwrap()
}

async fn confirm(unit: &mut dyn UnitOfWork, name: &str, now: i64) -> bool {
    unit.confirm_member(&address(name), &list_id("news"), at(now)).await.unwrap()
}

async fn leave(unit: &mut dyn UnitOfWork, name: &str, now: i64) -> bool {
    unit.unsubscribe_member(&address(name), &list_id("news"), at(now)).await.unwrap()
}

async fn who_subscribes_is_put_on_the_list_with_the_status(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    assert!(subscribe(unit.as_mut(), "ana", MembershipStatus::Pending, &[], 5).await);
    let stored = membership(unit.as_mut(), "ana").await;
    assert_eq!(
        (stored.status, stored.created_at, stored.updated_at),
        (MembershipStatus::Pending, at(5), at(5))
    );
}

async fn a_standing_is_changed_only_from_where_it_may_be(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    add(unit.as_mut(), "ana", 1).await;
    for standing in MembershipStatus::ALL {
        status(unit.as_mut(), "ana", standing, 2).await;
        let others: Vec<_> = MembershipStatus::ALL.into_iter().filter(|other| *other != standing).collect();
        assert!(!subscribe(unit.as_mut(), "ana", MembershipStatus::Active, &others, 3).await);
        assert_eq!(membership(unit.as_mut(), "ana").await.status, standing);
        assert!(subscribe(unit.as_mut(), "ana", MembershipStatus::Active, &[standing], 3).await);
        let stored = membership(unit.as_mut(), "ana").await;
        assert_eq!(
            (stored.status, stored.created_at, stored.updated_at),
            (MembershipStatus::Active, at(1), at(3))
        );
    }
}

async fn who_was_removed_subscribes_anew_unless_a_refusal_stands(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    for standing in MembershipStatus::ALL {
        add(unit.as_mut(), standing.name(), 1).await;
        status(unit.as_mut(), standing.name(), standing, 1).await;
    }
    unit.delete_list(&list_id("news"), at(2)).await.unwrap();
    for standing in MembershipStatus::ALL {
        let free = membership(unit.as_mut(), standing.name()).await.standing().is_none();
        assert_eq!(subscribe(unit.as_mut(), standing.name(), MembershipStatus::Active, &[], 3).await, free);
        assert_eq!(
            membership(unit.as_mut(), standing.name()).await.deleted_at.is_none(),
            free,
            "{standing:?}"
        );
    }
}

async fn only_a_live_pending_membership_is_confirmed(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    assert!(!confirm(unit.as_mut(), "ana", 1).await);
    add(unit.as_mut(), "ana", 1).await;
    for standing in MembershipStatus::ALL {
        status(unit.as_mut(), "ana", standing, 2).await;
        let waiting = standing == MembershipStatus::Pending;
        assert_eq!(confirm(unit.as_mut(), "ana", 3).await, waiting);
        let stored = membership(unit.as_mut(), "ana").await;
        let wanted = if waiting { (MembershipStatus::Active, at(3)) } else { (standing, at(2)) };
        assert_eq!((stored.status, stored.updated_at), wanted);
    }
    status(unit.as_mut(), "ana", MembershipStatus::Pending, 4).await;
    unit.delete_list(&list_id("news"), at(5)).await.unwrap();
    assert!(!confirm(unit.as_mut(), "ana", 6).await);
}

async fn who_is_on_a_list_or_waits_leaves_it_once(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    assert!(!leave(unit.as_mut(), "ana", 1).await);
    add(unit.as_mut(), "ana", 1).await;
    for standing in MembershipStatus::ALL {
        status(unit.as_mut(), "ana", standing, 2).await;
        let leaves = matches!(standing, MembershipStatus::Active | MembershipStatus::Pending);
        assert_eq!(leave(unit.as_mut(), "ana", 3).await, leaves);
        let stored = membership(unit.as_mut(), "ana").await;
        let wanted = if leaves { (MembershipStatus::Unsubscribed, at(3)) } else { (standing, at(2)) };
        assert_eq!((stored.status, stored.updated_at), wanted);
        assert!(!leave(unit.as_mut(), "ana", 4).await);
    }
}

async fn who_was_removed_leaves_and_stays_removed(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    add(unit.as_mut(), "ana", 1).await;
    unit.delete_list(&list_id("news"), at(2)).await.unwrap();
    assert!(leave(unit.as_mut(), "ana", 3).await);
    let stored = membership(unit.as_mut(), "ana").await;
    assert_eq!((stored.status, stored.deleted_at), (MembershipStatus::Unsubscribed, Some(at(2))));
}

async fn subscriptions_at_once_put_a_contact_on_a_list_once(store: &Store) {
    unit_with_lists(store).await.commit().await.unwrap();
    let tasks = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut unit = store.write().await;
            let written = subscribe(unit.as_mut(), "ana", MembershipStatus::Pending, &[], 1).await;
            unit.commit().await.unwrap();
            written
        })
    });
    let written = futures_util::future::join_all(tasks).await;
    assert_eq!(written.into_iter().filter(|written| *written.as_ref().unwrap()).count(), 1);
}
