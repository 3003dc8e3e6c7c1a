//! Broadcasts of a workspace and their accounts.

use crate::{
    backends::Store,
    cases,
    samples::{
        address, at, audience, broadcast, broadcast_delivery, broadcast_id, integration_id, list, list_id,
        message, message_id, patch, recipient, template_id,
    },
};
use application::{
    page::Counted,
    ports::{AccountLine, Claim, StoreError, UnitOfWork},
};
use chrono::Duration;
use domain::{
    broadcasts::{
        AbTest, Audience, AudienceCounts, AudienceMember, Audit, Broadcast, Launch, Ledger, Recipient,
        RecipientState, Schedule, SkipReason, Skipped, Variation, VariationResult, WinnerChoice,
        WinnerMetric,
    },
    data_feeds::{DataFeeds, Feed, FeedHeader, OnFailure},
    ids::SegmentId,
    lists::MembershipStatus,
    messages::Message,
    secret::Sealed,
    timezones::Timezone,
    utm::UtmParameters,
};
use serde_json::json;

cases![
    an_unknown_broadcast_is_none,
    a_broadcast_is_read_as_it_was_stored,
    every_state_is_kept,
    a_broadcast_identifier_is_taken_once,
    an_update_keeps_the_moment_of_creation,
    an_unknown_broadcast_is_not_updated,
    changes_to_a_kept_broadcast_follow_each_other,
    broadcasts_come_newest_first,
    a_page_counts_the_broadcasts_of_its_status,
    broadcasts_being_processed_are_planned,
    scheduled_broadcasts_are_planned_when_their_moment_has_come,
    no_moment_is_due_when_nothing_is_scheduled,
    tests_are_planned_until_their_sample_is_and_again_when_it_is_decided,
    results_of_a_test_count_its_sample_alone,
    who_is_on_several_lists_is_reached_once_through_the_first,
    who_left_the_first_list_is_reached_through_the_next,
    who_is_on_an_excluded_list_in_whatever_standing_is_left_out,
    a_bounce_or_a_complaint_on_any_list_leaves_out,
    everybody_on_the_lists_is_counted_once,
    an_audience_knows_the_time_zones_that_are_ones,
    a_recipient_has_one_line_for_each_broadcast,
    a_recipient_given_twice_has_one_line,
    many_recipients_are_added_in_one_call,
    recipient_states_are_found_by_broadcast_and_message,
    states_of_unknown_recipients_are_passed_over,
    queued_recipients_without_a_mail_in_the_queue_are_cancelled,
    a_deleted_broadcast_takes_its_account_along,
    an_account_without_lines_counts_nothing,
    skipped_recipients_are_counted_by_reason,
    an_account_knows_how_many_were_planned_and_which_mails_have_begun,
    failed_recipients_come_by_address,
    an_account_is_read_by_state_and_address,
    only_failed_and_unknown_recipients_are_queued_again,
    broadcast_identifiers_come_in_order,
    the_data_of_a_global_feed_is_kept_beside_its_broadcast,
];

async fn keep(store: &Store, broadcasts: &[Broadcast]) {
    let mut unit = store.write().await;
    for broadcast in broadcasts {
        unit.insert_broadcast(broadcast).await.unwrap();
    }
    unit.commit().await.unwrap();
}

fn launch() -> Launch {
    Launch { template_versions: vec![4], integration: integration_id(1) }
}

fn processing(number: u32, created: i64) -> Broadcast {
    let mut started = broadcast(number, created);
    started.start(launch(), at(created + 10)).unwrap();
    started
}

fn schedule(time: &str) -> Schedule {
    let date = at(0).format("%Y-%m-%d").to_string();
    Schedule::parse(&date, time, Some("UTC"), false).unwrap()
}

fn scheduled(number: u32, time: &str) -> Broadcast {
    let mut waiting = broadcast(number, 0);
    waiting.schedule(schedule(time), at(0)).unwrap();
    waiting
}

fn processed(number: u32, created: i64) -> Broadcast {
    let mut done = processing(number, created);
    done.advance(address("zoe"), 3, at(created + 20));
    done.complete(at(created + 30));
    done
}

async fn ledger(unit: &mut dyn UnitOfWork) -> Ledger {
    unit.ledger(&broadcast_id(1)).await.unwrap()
}

async fn an_unknown_broadcast_is_none(store: &Store) {
    let mut unit = store.write().await;
    assert_eq!(unit.broadcast(&broadcast_id(1)).await.unwrap(), None);
    assert_eq!(unit.broadcast_for_update(&broadcast_id(1)).await.unwrap(), None);
}

async fn a_broadcast_is_read_as_it_was_stored(store: &Store) {
    let audience = Audience {
        segments: vec![SegmentId::parse("paris").unwrap()],
        exclude_unsubscribed: false,
        ..audience(&["vip", "news"], &["churned"])
    };
    let schedule = Some(schedule("10:00"));
    let feed = |url: &str| Feed {
        enabled: true,
        url: url.to_owned(),
        headers: vec![FeedHeader { name: "X-Key".to_owned(), value: Sealed::new("00ff") }],
    };
    let feeds = DataFeeds {
        global: Some(feed("https://api.shop.example/news")),
        global_fetched_at: Some(at(3)),
        recipient: Some(feed("https://api.shop.example/for")),
        on_failure: OnFailure::Skip,
    };
    let (utm, metadata) = (UtmParameters::default(), None);
    let other = Broadcast { audience, schedule, utm, metadata, feeds, ..broadcast(2, 5) };
    keep(store, &[broadcast(1, 0), other.clone()]).await;
    let mut unit = store.write().await;
    assert_eq!(unit.broadcast(&broadcast_id(1)).await.unwrap(), Some(broadcast(1, 0)));
    assert_eq!(unit.broadcast_for_update(&broadcast_id(2)).await.unwrap(), Some(other));
}

async fn every_state_is_kept(store: &Store) {
    let stopped = |mut broadcast: Broadcast, cancelled: bool| {
        broadcast.pause(at(40)).unwrap();
        if cancelled {
            broadcast.cancel(at(50)).unwrap();
        }
        broadcast
    };
    let unable = {
        let mut broadcast = scheduled(10, "01:00");
        broadcast.pause_because("no provider", at(20)).unwrap();
        broadcast
    };
    let mut decided = compared(12);
    decided.complete(at(30));
    let completed = Broadcast { id: broadcast_id(13), ..decided.clone() };
    decided.select_winner(&decided.variations[1].template_id.clone(), at(40)).unwrap();
    let all = [
        compared(11),
        decided,
        completed,
        unable,
        scheduled(8, "01:00"),
        stopped(scheduled(9, "01:00"), true),
        broadcast(1, 0),
        processing(2, 0),
        processed(3, 0),
        stopped(processing(4, 0), false),
        stopped(processed(5, 0), false),
        stopped(processing(6, 0), true),
        stopped(processed(7, 0), true),
    ];
    keep(store, &all).await;
    let mut store = store.read().await;
    for kept in all {
        assert_eq!(store.broadcast(&kept.id).await.unwrap(), Some(kept));
    }
}

async fn a_broadcast_identifier_is_taken_once(store: &Store) {
    keep(store, &[broadcast(1, 0)]).await;
    let again = store.write().await.insert_broadcast(&broadcast(1, 5)).await;
    assert!(matches!(again, Err(StoreError::Duplicate)));
}

async fn an_update_keeps_the_moment_of_creation(store: &Store) {
    keep(store, &[broadcast(1, 0)]).await;
    let changed = Broadcast { name: "Changed".to_owned(), created_at: at(70), ..processed(1, 0) };
    let mut unit = store.write().await;
    assert!(unit.update_broadcast(&changed).await.unwrap());
    let kept = unit.broadcast(&broadcast_id(1)).await.unwrap();
    assert_eq!(kept, Some(Broadcast { created_at: at(0), ..changed }));
}

async fn an_unknown_broadcast_is_not_updated(store: &Store) {
    assert!(!store.write().await.update_broadcast(&broadcast(1, 0)).await.unwrap());
}

async fn changes_to_a_kept_broadcast_follow_each_other(store: &Store) {
    keep(store, &[processing(1, 0)]).await;
    let advance = |store: Store| async move {
        let mut unit = store.write().await;
        let mut broadcast = unit.broadcast_for_update(&broadcast_id(1)).await.unwrap().unwrap();
        broadcast.advance(address("zoe"), 1, at(50));
        tokio::task::yield_now().await;
        unit.update_broadcast(&broadcast).await.unwrap();
        unit.commit().await.unwrap();
    };
    let tasks = [0; 4].map(|_| tokio::spawn(advance(store.clone())));
    for task in tasks {
        task.await.unwrap();
    }
    let broadcast = store.read().await.broadcast(&broadcast_id(1)).await.unwrap().unwrap();
    assert_eq!(broadcast.enqueued_count, 4);
}

async fn broadcasts_come_newest_first(store: &Store) {
    keep(store, &[broadcast(1, 2), broadcast(2, 3), broadcast(3, 1)]).await;
    let listed = store.read().await.broadcasts(None, 10, 0).await.unwrap();
    let ids: Vec<_> = listed.items.into_iter().map(|b| b.id).collect();
    assert_eq!((ids, listed.total), ([2, 1, 3].map(broadcast_id).to_vec(), 3));
}

async fn a_page_counts_the_broadcasts_of_its_status(store: &Store) {
    keep(store, &[broadcast(1, 1), broadcast(2, 2), broadcast(3, 3), processing(4, 4), processed(5, 5)])
        .await;
    let mut store = store.read().await;
    let drafts = store.broadcasts(Some("draft"), 1, 1).await.unwrap();
    assert_eq!(drafts, Counted { items: vec![broadcast(2, 2)], total: 3 });
    assert_eq!(store.broadcasts(Some("processed"), 9, 0).await.unwrap().total, 1);
    assert_eq!(
        store.broadcasts(Some("unheard of"), 9, 0).await.unwrap(),
        Counted { items: vec![], total: 0 }
    );
}

async fn broadcasts_being_processed_are_planned(store: &Store) {
    keep(store, &[broadcast(1, 1), processing(2, 2), processed(3, 3), processing(4, 4)]).await;
    let mut ids = store.read().await.broadcasts_in_planning(at(99)).await.unwrap();
    ids.sort();
    assert_eq!(ids, [2, 4].map(broadcast_id));
}

async fn scheduled_broadcasts_are_planned_when_their_moment_has_come(store: &Store) {
    let mut paused = scheduled(4, "00:30");
    paused.pause(at(1)).unwrap();
    keep(store, &[broadcast(1, 0), scheduled(2, "02:00"), scheduled(3, "01:00"), paused]).await;
    let mut store = store.read().await;
    let (one, two) = (at(0) + Duration::hours(1), at(0) + Duration::hours(2));
    assert_eq!(store.next_broadcast_due().await.unwrap(), Some(one));
    let before = one - Duration::seconds(1);
    assert_eq!(store.broadcasts_in_planning(before).await.unwrap(), []);
    assert_eq!(store.broadcasts_in_planning(one).await.unwrap(), [broadcast_id(3)]);
    assert_eq!(store.broadcasts_in_planning(two).await.unwrap(), [3, 2].map(broadcast_id));
}

/// A started test of two contents, of which the rates choose one an hour after its end.
fn compared(number: u32) -> Broadcast {
    let auto = WinnerChoice::Automatic { metric: WinnerMetric::ClickRate, hours: 1 };
    let second = Variation { variation_name: "B".to_owned(), template_id: template_id("other") };
    let mut broadcast = broadcast(number, 0);
    broadcast.variations.push(second);
    broadcast.test = Some(AbTest::new(20, auto).unwrap());
    let launch = Launch { template_versions: vec![4, 2], ..launch() };
    broadcast.start(launch, at(10)).unwrap();
    broadcast
}

async fn tests_are_planned_until_their_sample_is_and_again_when_it_is_decided(store: &Store) {
    let mut completed = compared(2);
    completed.complete(at(20));
    let mut decided = compared(3);
    decided.select_winner(&template_id("other"), at(30)).unwrap();
    keep(store, &[compared(1), completed, decided]).await;
    let mut store = store.read().await;
    let due = at(20) + Duration::hours(1);
    assert_eq!(store.next_broadcast_due().await.unwrap(), Some(due));
    let mut before = store.broadcasts_in_planning(due - Duration::seconds(1)).await.unwrap();
    before.sort();
    assert_eq!(before, [1, 3].map(broadcast_id));
    assert_eq!(store.broadcasts_in_planning(due).await.unwrap().len(), 3);
}

async fn results_of_a_test_count_its_sample_alone(store: &Store) {
    let mut unit = store.write().await;
    let line = |n: u32, variation: u8, in_test: bool| Recipient {
        variation,
        in_test,
        ..recipient(&format!("c{n}"), n)
    };
    let lines = [line(1, 0, true), line(2, 1, true), line(3, 1, true), line(4, 1, false)];
    unit.insert_recipients_if_absent(&lines).await.unwrap();
    let opened = |number: u32, name: &str| Message {
        broadcast: Some(broadcast_id(1)),
        delivered_at: Some(at(1)),
        opened_at: Some(at(2)),
        ..message(number, name, 0)
    };
    let clicked = Message { clicked_at: Some(at(3)), ..opened(2, "c2") };
    unit.insert_messages_if_absent(&[clicked, message(3, "c3", 0), opened(4, "c4")]).await.unwrap();
    let states = [2, 3, 4].map(|n| (broadcast_id(1), message_id(n), RecipientState::Sent));
    unit.set_recipient_states(&states).await.unwrap();
    let results = unit.variation_results(&broadcast_id(1)).await.unwrap();
    let none = VariationResult { recipients: 1, ..VariationResult::default() };
    let some = VariationResult { variation: 1, recipients: 2, sent: 2, delivered: 1, opened: 1, clicked: 1 };
    assert_eq!(results, [none, some]);
    assert_eq!(unit.variation_results(&broadcast_id(2)).await.unwrap(), []);
}

async fn no_moment_is_due_when_nothing_is_scheduled(store: &Store) {
    keep(store, &[broadcast(1, 0), processing(2, 0)]).await;
    assert_eq!(store.read().await.next_broadcast_due().await.unwrap(), None);
}

/// Four lists and nobody.
async fn unit_with_lists(store: &Store) -> Box<dyn UnitOfWork> {
    let mut unit = store.write().await;
    for name in ["news", "offers", "vip", "churned"] {
        unit.insert_list(&list(name, 0)).await.unwrap();
    }
    unit
}

async fn join(unit: &mut dyn UnitOfWork, name: &str, lists: &[&str]) {
    unit.upsert_contacts(&[patch(name, json!({}))], at(0)).await.unwrap();
    let lists: Vec<_> = lists.iter().map(|list| list_id(list)).collect();
    unit.add_members(&[address(name)], &lists, at(0)).await.unwrap();
}

async fn reached(unit: &mut dyn UnitOfWork, lists: &[&str], excluded: &[&str]) -> Vec<(String, String)> {
    let members = unit.audience_after(&audience(lists, excluded), None, 99).await.unwrap();
    let name = |m: &AudienceMember| m.email.as_str().split('@').next().unwrap().to_owned();
    members.iter().map(|m| (name(m), m.list.to_string())).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

async fn who_is_on_several_lists_is_reached_once_through_the_first(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    join(&mut *unit, "ana", &["news", "offers"]).await;
    join(&mut *unit, "ben", &["offers"]).await;
    join(&mut *unit, "cem", &["vip"]).await;
    join(&mut *unit, "dan", &["news"]).await;
    let found = reached(&mut *unit, &["offers", "news"], &[]).await;
    assert_eq!(found, pairs(&[("ana", "offers"), ("ben", "offers"), ("dan", "news")]));
    let found = reached(&mut *unit, &["news", "offers"], &[]).await;
    assert_eq!(found, pairs(&[("ana", "news"), ("ben", "offers"), ("dan", "news")]));
    let audience = audience(&["news", "offers"], &[]);
    let behind = unit.audience_after(&audience, Some(&address("ana")), 1).await.unwrap();
    assert_eq!(behind.into_iter().map(|m| m.email).collect::<Vec<_>>(), [address("ben")]);
}

async fn who_left_the_first_list_is_reached_through_the_next(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    join(&mut *unit, "ana", &["news", "offers"]).await;
    let left = MembershipStatus::Unsubscribed;
    unit.set_membership_status(&address("ana"), &list_id("news"), left, at(1)).await.unwrap();
    assert_eq!(reached(&mut *unit, &["news", "offers"], &[]).await, pairs(&[("ana", "offers")]));
    unit.delete_list(&list_id("offers"), at(2)).await.unwrap();
    assert_eq!(reached(&mut *unit, &["news", "offers"], &[]).await, []);
}

async fn who_is_on_an_excluded_list_in_whatever_standing_is_left_out(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    for name in ["ana", "ben", "cem"] {
        join(&mut *unit, name, &["news"]).await;
    }
    join(&mut *unit, "ana", &["churned"]).await;
    join(&mut *unit, "ben", &["vip"]).await;
    let left = MembershipStatus::Unsubscribed;
    unit.set_membership_status(&address("ben"), &list_id("vip"), left, at(1)).await.unwrap();
    assert_eq!(reached(&mut *unit, &["news"], &["churned", "vip"]).await, pairs(&[("cem", "news")]));
}

async fn a_bounce_or_a_complaint_on_any_list_leaves_out(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    for (name, status) in [
        ("ana", MembershipStatus::Bounced),
        ("ben", MembershipStatus::Complained),
        ("cem", MembershipStatus::Unsubscribed),
        ("dan", MembershipStatus::Pending),
    ] {
        join(&mut *unit, name, &["news", "vip"]).await;
        unit.set_membership_status(&address(name), &list_id("vip"), status, at(1)).await.unwrap();
    }
    assert_eq!(reached(&mut *unit, &["news"], &[]).await, pairs(&[("cem", "news"), ("dan", "news")]));
}

async fn everybody_on_the_lists_is_counted_once(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    let both = ["news", "offers"];
    for (name, lists) in [
        ("ana", &both[..]),
        ("ben", &both[..1]),
        ("cem", &both[..]),
        ("dan", &both[..]),
        ("eve", &both[..1]),
        ("fay", &both[..1]),
        ("gus", &both[..1]),
        ("hal", &["vip"][..]),
    ] {
        join(&mut *unit, name, lists).await;
    }
    join(&mut *unit, "gus", &["churned"]).await;
    join(&mut *unit, "fay", &["vip"]).await;
    for (name, list, status) in [
        ("cem", "news", MembershipStatus::Unsubscribed),
        ("dan", "news", MembershipStatus::Unsubscribed),
        ("dan", "offers", MembershipStatus::Pending),
        ("eve", "news", MembershipStatus::Pending),
        ("fay", "vip", MembershipStatus::Bounced),
        ("ben", "news", MembershipStatus::Complained),
    ] {
        unit.set_membership_status(&address(name), &list_id(list), status, at(1)).await.unwrap();
    }
    let counts = unit.audience_counts(&audience(&both, &["churned"])).await.unwrap();
    let wanted = AudienceCounts {
        recipients: 2,
        duplicates: 1,
        complained: 1,
        bounced: 1,
        unsubscribed: 1,
        pending: 1,
        excluded: 1,
    };
    assert_eq!(counts, wanted, "ana twice, cem through offers");
    assert_eq!(reached(&mut *unit, &both, &["churned"]).await.len(), 2);
    let nobody = unit.audience_counts(&audience(&["churned"], &["vip", "news"])).await.unwrap();
    assert_eq!(nobody, AudienceCounts { excluded: 1, ..AudienceCounts::default() });
}

async fn an_audience_knows_the_time_zones_that_are_ones(store: &Store) {
    let mut unit = unit_with_lists(store).await;
    for (name, zone) in [("ana", json!("Asia/Tokyo")), ("ben", json!("Mars/Base")), ("cem", json!(null))] {
        join(&mut *unit, name, &["news", "vip"]).await;
        unit.upsert_contacts(&[patch(name, json!({"timezone": zone}))], at(0)).await.unwrap();
    }
    for lists in [&["news"][..], &["news", "vip"]] {
        let members = unit.audience_after(&audience(lists, &[]), None, 9).await.unwrap();
        let zones: Vec<_> = members.into_iter().map(|m| m.timezone.map(Timezone::name)).collect();
        assert_eq!(zones, [Some("Asia/Tokyo"), None, None]);
    }
}

async fn a_recipient_has_one_line_for_each_broadcast(store: &Store) {
    let mut unit = store.write().await;
    let first = unit.insert_recipients_if_absent(&[recipient("ana", 1), recipient("ben", 2)]).await.unwrap();
    assert_eq!(first.len(), 2);
    let mixed = unit.insert_recipients_if_absent(&[recipient("ben", 3), recipient("cem", 4)]).await.unwrap();
    assert_eq!(mixed, [message_id(4)]);
    let elsewhere = Recipient { broadcast: broadcast_id(2), ..recipient("ana", 5) };
    assert_eq!(unit.insert_recipients_if_absent(&[elsewhere]).await.unwrap(), [message_id(5)]);
    assert_eq!(ledger(&mut *unit).await.queued, 3);
}

async fn a_recipient_given_twice_has_one_line(store: &Store) {
    let mut unit = store.write().await;
    let twice = [recipient("ana", 1), recipient("ana", 2)];
    assert_eq!(unit.insert_recipients_if_absent(&twice).await.unwrap().len(), 1);
    assert_eq!(ledger(&mut *unit).await.queued, 1);
}

async fn many_recipients_are_added_in_one_call(store: &Store) {
    let lines: Vec<_> = (0..1_200).map(|n| recipient(&format!("c{n}"), n)).collect();
    let mut unit = store.write().await;
    assert_eq!(unit.insert_recipients_if_absent(&lines).await.unwrap().len(), 1_200);
    assert_eq!(unit.insert_recipients_if_absent(&lines).await.unwrap(), []);
    let sent: Vec<_> =
        lines.iter().map(|l| (l.broadcast.clone(), l.message.clone(), RecipientState::Sent)).collect();
    unit.set_recipient_states(&sent).await.unwrap();
    assert_eq!(ledger(&mut *unit).await, Ledger { sent: 1_200, ..Ledger::default() });
}

async fn recipient_states_are_found_by_broadcast_and_message(store: &Store) {
    let mut unit = store.write().await;
    let lines: Vec<_> = (1..=5).map(|n| recipient(&format!("c{n}"), n)).collect();
    unit.insert_recipients_if_absent(&lines).await.unwrap();
    let elsewhere = Recipient { broadcast: broadcast_id(2), ..recipient("ana", 9) };
    unit.insert_recipients_if_absent(&[elsewhere]).await.unwrap();
    let states = [
        (broadcast_id(1), message_id(1), RecipientState::Sent),
        (broadcast_id(1), message_id(2), RecipientState::Failed),
        (broadcast_id(1), message_id(3), RecipientState::Unknown),
        (broadcast_id(1), message_id(4), RecipientState::Queued),
        (broadcast_id(2), message_id(5), RecipientState::Sent),
    ];
    unit.set_recipient_states(&states).await.unwrap();
    unit.commit().await.unwrap();
    let mut store = store.read().await;
    let counted = store.ledger(&broadcast_id(1)).await.unwrap();
    assert_eq!(counted, Ledger { queued: 2, sent: 1, failed: 1, unknown: 1, ..Ledger::default() });
    assert_eq!(store.ledger(&broadcast_id(2)).await.unwrap().queued, 1);
}

async fn states_of_unknown_recipients_are_passed_over(store: &Store) {
    let mut unit = store.write().await;
    unit.insert_recipients_if_absent(&[recipient("ana", 1)]).await.unwrap();
    unit.set_recipient_states(&[(broadcast_id(1), message_id(9), RecipientState::Sent)]).await.unwrap();
    unit.set_recipient_states(&[]).await.unwrap();
    assert_eq!(ledger(&mut *unit).await, Ledger { queued: 1, ..Ledger::default() });
}

async fn queued_recipients_without_a_mail_in_the_queue_are_cancelled(store: &Store) {
    let mut unit = store.write().await;
    let lines: Vec<_> = (1..=3).map(|n| recipient(&format!("c{n}"), n)).collect();
    unit.insert_recipients_if_absent(&lines).await.unwrap();
    let elsewhere = Recipient { broadcast: broadcast_id(2), ..recipient("ana", 9) };
    unit.insert_recipients_if_absent(&[elsewhere]).await.unwrap();
    unit.set_recipient_states(&[(broadcast_id(1), message_id(1), RecipientState::Sent)]).await.unwrap();
    unit.insert_deliveries(&[broadcast_delivery(2, 0)]).await.unwrap();
    unit.cancel_recipients(&broadcast_id(1)).await.unwrap();
    assert_eq!(ledger(&mut *unit).await, Ledger { queued: 1, sent: 1, cancelled: 1, ..Ledger::default() });
    assert_eq!(unit.ledger(&broadcast_id(2)).await.unwrap().queued, 1);
}

async fn a_deleted_broadcast_takes_its_account_along(store: &Store) {
    keep(store, &[broadcast(1, 0), broadcast(2, 0)]).await;
    let mut unit = store.write().await;
    let elsewhere = Recipient { broadcast: broadcast_id(2), ..recipient("ana", 9) };
    unit.insert_recipients_if_absent(&[recipient("ana", 1), elsewhere]).await.unwrap();
    assert!(unit.delete_broadcast(&broadcast_id(1)).await.unwrap());
    assert!(!unit.delete_broadcast(&broadcast_id(1)).await.unwrap());
    assert_eq!(unit.broadcast(&broadcast_id(1)).await.unwrap(), None);
    assert_eq!(ledger(&mut *unit).await, Ledger::default());
    assert_eq!(unit.ledger(&broadcast_id(2)).await.unwrap().queued, 1);
}

async fn an_account_without_lines_counts_nothing(store: &Store) {
    assert_eq!(store.read().await.ledger(&broadcast_id(1)).await.unwrap(), Ledger::default());
}

async fn skipped_recipients_are_counted_by_reason(store: &Store) {
    let mut unit = store.write().await;
    let lines: Vec<_> = (1..=8).map(|n| recipient(&format!("c{n}"), n)).collect();
    unit.insert_recipients_if_absent(&lines).await.unwrap();
    let reasons = SkipReason::ALL.into_iter().zip(1..);
    let states: Vec<_> =
        reasons.map(|(why, n)| (broadcast_id(1), message_id(n), RecipientState::Skipped(why))).collect();
    unit.set_recipient_states(&states).await.unwrap();
    let skipped = Skipped {
        unsubscribed: 1,
        bounced: 1,
        complained: 1,
        not_member: 1,
        excluded: 1,
        deleted: 1,
        no_feed: 1,
    };
    assert_eq!(ledger(&mut *unit).await, Ledger { queued: 1, skipped, ..Ledger::default() });
}

async fn an_account_knows_how_many_were_planned_and_which_mails_have_begun(store: &Store) {
    let mut planned = processing(1, 0);
    planned.advance(address("zoe"), 3, at(20));
    keep(store, &[planned]).await;
    let mut unit = store.write().await;
    let lines: Vec<_> = (1..=3).map(|n| recipient(&format!("c{n}"), n)).collect();
    unit.insert_recipients_if_absent(&lines).await.unwrap();
    unit.insert_deliveries(&[1, 2, 3].map(|n| broadcast_delivery(n, 0))).await.unwrap();
    unit.claim_deliveries(2, &[], at(0), at(60)).await.unwrap();
    unit.begin_deliveries(&[Claim { message: message_id(1), attempts: 1 }]).await.unwrap();
    unit.commit().await.unwrap();
    let audit = store.read().await.audit(&broadcast_id(1)).await.unwrap();
    let ledger = Ledger { planned: 3, queued: 2, sending: 1, ..Ledger::default() };
    assert_eq!(audit, Audit { ledger, in_queue: 3 });
    assert!(audit.adds_up());
}

/// Lines of broadcast 1 in states that differ, and one of broadcast 2.
async fn keep_lines(unit: &mut dyn UnitOfWork) {
    let names = ["eve", "dan", "cem", "ben", "ana"];
    let lines: Vec<_> = names.into_iter().zip(1..).map(|(name, n)| recipient(name, n)).collect();
    unit.insert_recipients_if_absent(&lines).await.unwrap();
    let elsewhere = Recipient { broadcast: broadcast_id(2), ..recipient("ana", 9) };
    unit.insert_recipients_if_absent(&[elsewhere]).await.unwrap();
    let states = [
        (broadcast_id(1), message_id(1), RecipientState::Failed),
        (broadcast_id(1), message_id(2), RecipientState::Sent),
        (broadcast_id(1), message_id(3), RecipientState::Failed),
        (broadcast_id(1), message_id(4), RecipientState::Unknown),
        (broadcast_id(2), message_id(9), RecipientState::Failed),
    ];
    unit.set_recipient_states(&states).await.unwrap();
}

async fn failed_recipients_come_by_address(store: &Store) {
    let mut unit = store.write().await;
    keep_lines(&mut *unit).await;
    let failed = Recipient { state: RecipientState::Failed, ..recipient("cem", 3) };
    let later = Recipient { state: RecipientState::Failed, ..recipient("eve", 1) };
    let unknown = Recipient { state: RecipientState::Unknown, ..recipient("ben", 4) };
    let id = broadcast_id(1);
    let all = unit.failed_recipients_after(&id, false, None, 9).await.unwrap();
    assert_eq!(all, [failed.clone(), later.clone()]);
    let behind = unit.failed_recipients_after(&id, true, Some(&address("cem")), 9).await.unwrap();
    assert_eq!(behind, [later]);
    assert_eq!(unit.failed_recipients_after(&id, true, None, 2).await.unwrap(), [unknown, failed]);
}

async fn an_account_is_read_by_state_and_address(store: &Store) {
    let mut unit = store.write().await;
    keep_lines(&mut *unit).await;
    let why = Some("550 full".to_owned());
    let failed = Message { status_info: why.clone(), ..message(3, "cem", 0) };
    unit.insert_messages_if_absent(&[failed]).await.unwrap();
    let id = broadcast_id(1);
    let page = unit.account_after(&id, Some("failed"), None, 1).await.unwrap();
    let line = Recipient { state: RecipientState::Failed, ..recipient("cem", 3) };
    assert_eq!(page.items, [AccountLine { recipient: line, status_info: why }]);
    assert!(page.has_more);
    let rest = unit.account_after(&id, Some("failed"), Some(&address("cem")), 1).await.unwrap();
    assert_eq!((rest.items[0].recipient.email.clone(), rest.has_more), (address("eve"), false));
    let all = unit.account_after(&id, None, None, 9).await.unwrap();
    let names: Vec<_> = all.items.into_iter().map(|line| line.recipient.email).collect();
    assert_eq!(names, ["ana", "ben", "cem", "dan", "eve"].map(address));
}

async fn only_failed_and_unknown_recipients_are_queued_again(store: &Store) {
    let mut unit = store.write().await;
    keep_lines(&mut *unit).await;
    let anew = [("eve", 11), ("dan", 12), ("cem", 13), ("ben", 14), ("ana", 15), ("nobody", 16)];
    let anew = anew.map(|(name, message)| recipient(name, message));
    let taken = unit.requeue_recipients(&anew).await.unwrap();
    assert_eq!(taken, [11, 13, 14].map(message_id));
    assert_eq!(unit.requeue_recipients(&[]).await.unwrap(), []);
    assert_eq!(ledger(&mut *unit).await, Ledger { queued: 4, sent: 1, ..Ledger::default() });
    unit.set_recipient_states(&[(broadcast_id(1), message_id(11), RecipientState::Sent)]).await.unwrap();
    assert_eq!(ledger(&mut *unit).await.sent, 2, "the line answers to its new message");
    assert_eq!(unit.ledger(&broadcast_id(2)).await.unwrap().failed, 1);
}

async fn broadcast_identifiers_come_in_order(store: &Store) {
    keep(store, &[broadcast(2, 0), broadcast(3, 0), broadcast(1, 0)]).await;
    let mut store = store.read().await;
    assert_eq!(store.broadcast_ids_after(None, 2).await.unwrap(), [1, 2].map(broadcast_id));
    assert_eq!(store.broadcast_ids_after(Some(&broadcast_id(2)), 2).await.unwrap(), [broadcast_id(3)]);
}

async fn the_data_of_a_global_feed_is_kept_beside_its_broadcast(store: &Store) {
    keep(store, &[broadcast(1, 0), broadcast(2, 0)]).await;
    let mut unit = store.write().await;
    assert_eq!(unit.global_feed(&broadcast_id(1)).await.unwrap(), None);
    for price in [json!({"price": 1, "nothing": "\u{0}"}), json!({"price": 2, "offers": [{"name": "Žluť"}]})]
    {
        let data = price.as_object().unwrap().clone();
        unit.keep_global_feed(&broadcast_id(1), &data).await.unwrap();
        assert_eq!(unit.global_feed(&broadcast_id(1)).await.unwrap(), Some(data));
    }
    assert_eq!(unit.global_feed(&broadcast_id(2)).await.unwrap(), None);
    unit.delete_broadcast(&broadcast_id(1)).await.unwrap();
    assert_eq!(unit.global_feed(&broadcast_id(1)).await.unwrap(), None);
}
