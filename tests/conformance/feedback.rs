//! What providers report about mails, and the addresses that get no newsletters any longer.

use crate::{
    backends::Store,
    cases,
    samples::{address, at, broadcast_id, integration_id, list, list_id, message, message_id, patch},
};
use application::ports::UnitOfWork;
use domain::{
    email_address::EmailAddress,
    feedback::{
        Bounce, Feedback, FeedbackCursor, FeedbackFilter, FeedbackKind, MessageMark, SuppressionReason,
    },
    ids::{FeedbackId, MessageId},
    lists::MembershipStatus,
    messages::{Message, MessageStats},
};
use serde_json::json;

cases![
    a_report_is_kept_once,
    reports_come_newest_first_in_pages,
    reports_are_found_by_every_filter,
    the_reports_of_messages_are_found,
    first_moments_stand_on_the_message,
    a_moment_that_stands_is_kept,
    only_mails_of_the_recipient_are_marked,
    marks_are_counted_for_the_broadcast,
    many_reports_and_marks_are_written_in_one_call,
    soft_bounces_are_counted_since_the_last_delivery,
    a_standing_is_set_on_every_live_list,
    an_address_is_suppressed_until_that_is_lifted,
    a_complaint_outweighs_a_bounce,
    a_suppression_outlives_its_contact,
    reports_about_a_deleted_contact_are_redacted,
];

const SOFT: &str = "452 4.2.2 full";
const HARD: &str = "550 5.1.1 unknown";

fn bounce(words: &str) -> FeedbackKind {
    FeedbackKind::Bounced(Bounce::of("ses", "Transient", "General", words))
}

fn id(number: u32) -> FeedbackId {
    FeedbackId::from_uuid(uuid::Uuid::from_u128(u128::from(number)))
}

/// A report about message 1 to Ana.
fn report(number: u32, kind: FeedbackKind, seconds: i64) -> Feedback {
    Feedback {
        id: id(number),
        kind,
        source: "ses".to_owned(),
        integration: Some(integration_id(1)),
        recipient: address("ana"),
        message: Some(message_id(1).to_string()),
        at: at(seconds),
        payload: format!("{{\"n\": {number}}}"),
        created_at: at(100),
    }
}

fn mark(number: u32, name: &str) -> MessageMark {
    MessageMark {
        message: message_id(number),
        recipient: address(name),
        delivered_at: None,
        bounced_at: None,
        complained_at: None,
        unsubscribed_at: None,
        status_info: None,
    }
}

async fn one(unit: &mut dyn UnitOfWork) -> Message {
    unit.messages(&[message_id(1)]).await.unwrap().pop().unwrap()
}

/// Message 1 of broadcast 1, to Ana.
async fn unit_with_message(store: &Store) -> Box<dyn UnitOfWork> {
    let mut unit = store.write().await;
    let message = Message { broadcast: Some(broadcast_id(1)), ..message(1, "ana", 0) };
    unit.insert_messages_if_absent(&[message]).await.unwrap();
    unit
}

async fn all(unit: &mut dyn UnitOfWork, filter: FeedbackFilter) -> Vec<FeedbackId> {
    let page = unit.feedback_after(&filter, None, 100).await.unwrap();
    page.items.into_iter().map(|report| report.id).collect()
}

async fn a_report_is_kept_once(store: &Store) {
    let mut unit = store.write().await;
    let kinds =
        [FeedbackKind::Delivered, bounce(HARD), FeedbackKind::complaint("abuse"), FeedbackKind::Unsubscribed];
    let reports: Vec<_> = (1..).zip(kinds).map(|(n, kind)| report(n, kind, i64::from(n))).collect();
    assert_eq!(unit.insert_feedback_if_absent(&reports[..2]).await.unwrap().len(), 2);
    let again = Feedback { payload: "changed".to_owned(), ..reports[0].clone() };
    let added =
        unit.insert_feedback_if_absent(&[again, reports[2].clone(), reports[3].clone()]).await.unwrap();
    assert_eq!(added.len(), 2);
    assert!(!added.contains(&id(1)));
    let page = unit.feedback_after(&FeedbackFilter::default(), None, 10).await.unwrap();
    let expected: Vec<_> = reports.into_iter().rev().collect();
    assert_eq!(page.items, expected);
    assert_eq!(unit.insert_feedback_if_absent(&[]).await.unwrap(), []);
}

async fn reports_come_newest_first_in_pages(store: &Store) {
    let mut unit = store.write().await;
    let reports: Vec<_> = (0..7).map(|n| report(n, FeedbackKind::Delivered, i64::from(n / 3))).collect();
    unit.insert_feedback_if_absent(&reports).await.unwrap();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = unit.feedback_after(&FeedbackFilter::default(), after.as_ref(), 2).await.unwrap();
        after = page.items.last().map(|last| FeedbackCursor { at: last.at, id: last.id });
        seen.extend(page.items.into_iter().map(|report| report.id));
        if !page.has_more {
            break;
        }
    }
    assert_eq!(seen, [6, 5, 4, 3, 2, 1, 0].map(id));
}

async fn reports_are_found_by_every_filter(store: &Store) {
    let mut unit = store.write().await;
    let mut reports = [
        report(1, FeedbackKind::Delivered, 1),
        report(2, bounce(HARD), 2),
        report(3, FeedbackKind::complaint(""), 3),
    ];
    reports[1].recipient = address("bo");
    reports[2].message = Some("<theirs@mx.example>".to_owned());
    unit.insert_feedback_if_absent(&reports).await.unwrap();
    let of = FeedbackFilter::default;
    assert_eq!(all(&mut *unit, FeedbackFilter { kind: Some("bounce"), ..of() }).await, [id(2)]);
    assert_eq!(all(&mut *unit, FeedbackFilter { recipient: Some(address("bo")), ..of() }).await, [id(2)]);
    let theirs = Some("<theirs@mx.example>".to_owned());
    assert_eq!(all(&mut *unit, FeedbackFilter { message: theirs, ..of() }).await, [id(3)]);
    let within = FeedbackFilter { after: Some(at(1)), before: Some(at(2)), ..of() };
    assert_eq!(all(&mut *unit, within).await, [id(2), id(1)]);
    let nul = Some("a\0".to_owned());
    assert_eq!(all(&mut *unit, FeedbackFilter { message: nul, ..of() }).await, []);
}

async fn the_reports_of_messages_are_found(store: &Store) {
    let mut unit = store.write().await;
    let other = Feedback { message: Some(message_id(2).to_string()), ..report(3, bounce(HARD), 1) };
    let without = Feedback { message: None, ..report(4, bounce(HARD), 1) };
    let reports = [report(1, bounce(SOFT), 2), report(2, FeedbackKind::Delivered, 1), other, without];
    unit.insert_feedback_if_absent(&reports).await.unwrap();
    let found = unit.feedback_of(&[message_id(1), message_id(9)]).await.unwrap();
    assert_eq!(found, [reports[1].clone(), reports[0].clone()]);
    assert_eq!(unit.feedback_of(&[]).await.unwrap(), []);
}

async fn first_moments_stand_on_the_message(store: &Store) {
    let mut unit = unit_with_message(store).await;
    let first = MessageMark { delivered_at: Some(at(5)), ..mark(1, "ana") };
    unit.mark_messages(&[first]).await.unwrap();
    let told = Some("Permanent General".to_owned());
    let then = MessageMark {
        bounced_at: Some(at(7)),
        complained_at: Some(at(8)),
        unsubscribed_at: Some(at(9)),
        status_info: told.clone(),
        ..mark(1, "ana")
    };
    unit.mark_messages(&[then]).await.unwrap();
    let message = one(&mut *unit).await;
    assert_eq!((message.delivered_at, message.bounced_at), (Some(at(5)), Some(at(7))));
    assert_eq!((message.complained_at, message.unsubscribed_at), (Some(at(8)), Some(at(9))));
    assert_eq!((message.status_info, message.updated_at), (told, at(9)));
}

async fn a_moment_that_stands_is_kept(store: &Store) {
    let mut unit = unit_with_message(store).await;
    let of = |seconds, told: &str| MessageMark {
        bounced_at: Some(at(seconds)),
        status_info: Some(told.to_owned()),
        ..mark(1, "ana")
    };
    unit.mark_messages(&[of(5, "first")]).await.unwrap();
    let before = one(&mut *unit).await;
    unit.mark_messages(&[of(9, "second")]).await.unwrap();
    unit.mark_messages(&[]).await.unwrap();
    assert_eq!(one(&mut *unit).await, before);
    assert_eq!(before.status_info.as_deref(), Some("first"));
}

async fn only_mails_of_the_recipient_are_marked(store: &Store) {
    let mut unit = unit_with_message(store).await;
    let before = one(&mut *unit).await;
    let of = |number, name| MessageMark { bounced_at: Some(at(5)), ..mark(number, name) };
    unit.mark_messages(&[of(1, "copy"), of(2, "ana")]).await.unwrap();
    assert_eq!(one(&mut *unit).await, before);
}

async fn marks_are_counted_for_the_broadcast(store: &Store) {
    let mut unit = unit_with_message(store).await;
    let marked = MessageMark {
        delivered_at: Some(at(1)),
        bounced_at: Some(at(2)),
        complained_at: Some(at(3)),
        unsubscribed_at: Some(at(4)),
        ..mark(1, "ana")
    };
    for _ in 0..2 {
        unit.mark_messages(std::slice::from_ref(&marked)).await.unwrap();
    }
    let expected =
        MessageStats { delivered: 1, bounced: 1, complained: 1, unsubscribed: 1, ..MessageStats::default() };
    assert_eq!(unit.message_stats(&broadcast_id(1)).await.unwrap(), expected);
}

async fn many_reports_and_marks_are_written_in_one_call(store: &Store) {
    let mut unit = store.write().await;
    let numbers = 0..3_000;
    let messages: Vec<_> = numbers
        .clone()
        .map(|n| Message { broadcast: Some(broadcast_id(1)), ..message(n, "ana", 0) })
        .collect();
    unit.insert_messages_if_absent(&messages).await.unwrap();
    let reports: Vec<_> = numbers.clone().map(|n| report(n, FeedbackKind::Delivered, 1)).collect();
    assert_eq!(unit.insert_feedback_if_absent(&reports).await.unwrap().len(), 3_000);
    let marks: Vec<_> =
        numbers.map(|n| MessageMark { delivered_at: Some(at(1)), ..mark(n, "ana") }).collect();
    unit.mark_messages(&marks).await.unwrap();
    assert_eq!(unit.message_stats(&broadcast_id(1)).await.unwrap().delivered, 3_000);
}

async fn soft_bounces_are_counted_since_the_last_delivery(store: &Store) {
    let mut unit = store.write().await;
    assert_eq!(unit.soft_bounces(&address("ana")).await.unwrap(), 0);
    let other = Feedback { recipient: address("bo"), ..report(8, bounce(SOFT), 9) };
    let reports = [
        report(1, bounce(SOFT), 1),
        report(2, bounce(SOFT), 2),
        report(3, FeedbackKind::Delivered, 3),
        report(4, bounce(SOFT), 4),
        report(5, bounce(HARD), 5),
        report(6, bounce("552 5.3.4 too large"), 6),
        other,
    ];
    unit.insert_feedback_if_absent(&reports[..2]).await.unwrap();
    assert_eq!(unit.soft_bounces(&address("ana")).await.unwrap(), 2);
    unit.insert_feedback_if_absent(&reports[2..]).await.unwrap();
    assert_eq!(unit.soft_bounces(&address("ana")).await.unwrap(), 1);
}

async fn a_standing_is_set_on_every_live_list(store: &Store) {
    use MembershipStatus::{Active, Bounced, Complained, Unsubscribed};
    let mut unit = store.write().await;
    let lists = ["a", "b", "c", "d"].map(list_id);
    for id in ["a", "b", "c", "d"] {
        unit.insert_list(&list(id, 0)).await.unwrap();
    }
    let people = [address("ana"), address("bo")];
    unit.add_members(&people, &lists, at(0)).await.unwrap();
    unit.set_membership_status(&people[0], &lists[1], Unsubscribed, at(1)).await.unwrap();
    unit.set_membership_status(&people[0], &lists[2], Complained, at(1)).await.unwrap();
    unit.delete_list(&lists[3], at(1)).await.unwrap();
    unit.set_standing(&people[0], Bounced, &[Bounced, Complained], at(5)).await.unwrap();
    let mut standings = Vec::new();
    for list in &lists {
        let membership = unit.membership(&people[0], list).await.unwrap().unwrap();
        standings.push((membership.status, membership.updated_at));
    }
    assert_eq!(standings, [(Bounced, at(5)), (Bounced, at(5)), (Complained, at(1)), (Active, at(0))]);
    let other = unit.membership(&people[1], &lists[0]).await.unwrap().unwrap();
    assert_eq!(other.status, Active);
}

async fn suppressed(unit: &mut dyn UnitOfWork, names: &[&str]) -> Vec<(EmailAddress, SuppressionReason)> {
    let emails: Vec<_> = names.iter().map(|name| address(name)).collect();
    let mut found = unit.suppressions(&emails).await.unwrap();
    found.sort();
    found
}

async fn an_address_is_suppressed_until_that_is_lifted(store: &Store) {
    use SuppressionReason::{Bounced, Complained};
    let mut unit = store.write().await;
    assert_eq!(suppressed(&mut *unit, &[]).await, []);
    unit.suppress(&address("ana"), Bounced, at(1)).await.unwrap();
    unit.suppress(&address("bo"), Complained, at(1)).await.unwrap();
    let found = suppressed(&mut *unit, &["ana", "bo", "cy"]).await;
    assert_eq!(found, [(address("ana"), Bounced), (address("bo"), Complained)]);
    assert!(unit.lift_suppression(&address("ana")).await.unwrap());
    assert!(!unit.lift_suppression(&address("ana")).await.unwrap());
    assert_eq!(suppressed(&mut *unit, &["ana"]).await, []);
}

async fn a_complaint_outweighs_a_bounce(store: &Store) {
    use SuppressionReason::{Bounced, Complained};
    let mut unit = store.write().await;
    for reason in [Bounced, Complained, Bounced] {
        unit.suppress(&address("ana"), reason, at(1)).await.unwrap();
    }
    assert_eq!(suppressed(&mut *unit, &["ana"]).await, [(address("ana"), Complained)]);
}

async fn a_suppression_outlives_its_contact(store: &Store) {
    let mut unit = store.write().await;
    unit.upsert_contacts(&[patch("ana", json!({}))], at(0)).await.unwrap();
    unit.suppress(&address("ana"), SuppressionReason::Bounced, at(1)).await.unwrap();
    assert!(unit.delete_contact(&address("ana")).await.unwrap());
    assert_eq!(suppressed(&mut *unit, &["ana"]).await.len(), 1);
}

async fn reports_about_a_deleted_contact_are_redacted(store: &Store) {
    let mut unit = unit_with_message(store).await;
    unit.upsert_contacts(&[patch("ana", json!({}))], at(0)).await.unwrap();
    let told = MessageMark {
        bounced_at: Some(at(1)),
        status_info: Some("550 5.1.1 ana@shop.example".to_owned()),
        ..mark(1, "ana")
    };
    unit.mark_messages(&[told]).await.unwrap();
    let other = Feedback { recipient: address("bo"), ..report(2, bounce(HARD), 2) };
    unit.insert_feedback_if_absent(&[report(1, bounce(HARD), 1), other.clone()]).await.unwrap();
    assert!(unit.delete_contact(&address("ana")).await.unwrap());
    let page = unit.feedback_after(&FeedbackFilter::default(), None, 10).await.unwrap();
    assert_eq!(page.items[0], other);
    let redacted = &page.items[1];
    let own = MessageId::parse(&id(1).to_string()).unwrap();
    assert_eq!(redacted.recipient.as_str(), domain::contacts::Contact::redacted_address(&own));
    assert_eq!((redacted.payload.as_str(), redacted.kind.bounce().unwrap().diagnostic.as_str()), ("", ""));
    assert_eq!(one(&mut *unit).await.status_info, None);
}
