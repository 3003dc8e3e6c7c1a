//! The history of messages in a workspace.

use crate::{
    backends::Store,
    cases,
    samples::{address, at, broadcast_id, delivery, list_id, message, message_id, object, template_id},
};
use application::ports::{MessageEvent, UnitOfWork};
use domain::{
    ids::MessageId,
    messages::{Message, MessageCursor, MessageFilter, MessageState, MessageStats},
    transactional::EmailOptions,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::json;
use tokio::runtime::Handle;

cases![
    a_message_is_read_as_it_was_stored,
    a_message_that_exists_is_passed_over,
    many_messages_are_stored_in_one_call,
    only_known_messages_are_answered,
    a_sent_message_has_no_failure,
    a_failed_message_says_why,
    a_message_queued_again_has_no_failure,
    an_unknown_fate_sets_no_moment,
    events_of_unknown_messages_are_passed_over,
    many_events_are_recorded_in_one_call,
    messages_come_newest_first_then_by_identifier_downwards,
    pages_have_no_gaps_and_no_repeats,
    each_plain_filter_finds_its_messages,
    each_event_filter_finds_its_messages,
    times_are_inclusive,
    all_conditions_must_hold,
    events_of_a_broadcast_are_counted,
    what_is_taken_back_is_not_counted,
    a_broadcast_without_messages_counts_nothing,
    messages_are_found_by_state,
    leaving_is_noted_once_and_on_the_own_message,
    old_messages_are_purged_the_oldest_first,
    what_is_purged_stays_counted,
    a_message_that_waits_is_not_purged,
];

async fn unit_with(store: &Store, messages: &[Message]) -> Box<dyn UnitOfWork> {
    let mut unit = store.write().await;
    unit.insert_messages_if_absent(messages).await.unwrap();
    unit
}

async fn one(unit: &mut dyn UnitOfWork) -> Message {
    unit.messages(&[message_id(1)]).await.unwrap().pop().unwrap()
}

async fn record(unit: &mut dyn UnitOfWork, state: MessageState, status_info: Option<&str>, now: i64) {
    let event = MessageEvent {
        message: message_id(1),
        state,
        status_info: status_info.map(str::to_owned),
        at: at(now),
    };
    unit.record_events(&[event]).await.unwrap();
}

async fn messages_are_found_by_state(store: &Store) {
    let states = [MessageState::Unknown, MessageState::Queued, MessageState::Unknown];
    let messages: Vec<_> =
        (1..).zip(states).map(|(n, state)| Message { state, ..message(n, "ana", i64::from(n)) }).collect();
    let mut unit = unit_with(store, &messages).await;
    let of = |state| MessageFilter { state: Some(state), ..MessageFilter::default() };
    assert_eq!(found(&mut *unit, &of(MessageState::Unknown)).await, [message_id(3), message_id(1)]);
    assert_eq!(found(&mut *unit, &of(MessageState::Failed)).await, []);
}

async fn found(unit: &mut dyn UnitOfWork, filter: &MessageFilter) -> Vec<MessageId> {
    let page = unit.messages_after(filter, None, 100).await.unwrap();
    page.items.into_iter().map(|m| m.id).collect()
}

/// A message with every field set.
fn full(number: u32) -> Message {
    Message {
        external_id: Some("order-7".to_owned()),
        broadcast: Some(broadcast_id(1)),
        list: Some(list_id("news")),
        state: MessageState::Sent,
        status_info: Some("250 ok".to_owned()),
        metadata: Some(object(json!({"a": {"b": [1, 2.5, null]}}))),
        sent_at: Some(at(1)),
        delivered_at: Some(at(2)),
        failed_at: Some(at(3)),
        opened_at: Some(at(4)),
        clicked_at: Some(at(5)),
        bounced_at: Some(at(6)),
        complained_at: Some(at(7)),
        unsubscribed_at: Some(at(8)),
        updated_at: at(9),
        ..message(number, "ana", 0)
    }
}

async fn a_message_is_read_as_it_was_stored(store: &Store) {
    let bare = Message {
        notification: None,
        data: None,
        metadata: None,
        options: EmailOptions::default(),
        ..message(2, "ben", 1)
    };
    unit_with(store, &[full(1), bare.clone()]).await.commit().await.unwrap();
    let mut store = store.read().await;
    assert_eq!(store.messages(&[message_id(1)]).await.unwrap(), [full(1)]);
    assert_eq!(store.messages(&[message_id(2)]).await.unwrap(), [bare]);
}

async fn a_message_that_exists_is_passed_over(store: &Store) {
    let mut unit = unit_with(store, &[message(1, "ana", 0)]).await;
    unit.insert_messages_if_absent(&[message(1, "ben", 5), message(2, "ben", 5)]).await.unwrap();
    assert_eq!(one(&mut *unit).await, message(1, "ana", 0));
    assert_eq!(unit.messages(&[message_id(2)]).await.unwrap(), [message(2, "ben", 5)]);
}

async fn many_messages_are_stored_in_one_call(store: &Store) {
    let many: Vec<_> = (0..1_200).map(|n| message(n, "ana", i64::from(n))).collect();
    let mut unit = unit_with(store, &many).await;
    unit.insert_messages_if_absent(&[]).await.unwrap();
    let ids: Vec<_> = many.into_iter().map(|m| m.id).collect();
    assert_eq!(unit.messages(&ids).await.unwrap().len(), 1_200);
}

async fn only_known_messages_are_answered(store: &Store) {
    let mut unit = unit_with(store, &[message(1, "ana", 0), message(2, "ana", 0)]).await;
    assert_eq!(unit.messages(&[message_id(9), message_id(2)]).await.unwrap(), [message(2, "ana", 0)]);
    assert_eq!(unit.messages(&[]).await.unwrap(), []);
}

async fn a_sent_message_has_no_failure(store: &Store) {
    let mut unit = unit_with(store, &[message(1, "ana", 0)]).await;
    record(&mut *unit, MessageState::Failed, Some("550 no"), 5).await;
    record(&mut *unit, MessageState::Sent, None, 7).await;
    let expected = Message {
        state: MessageState::Sent,
        sent_at: Some(at(7)),
        updated_at: at(7),
        ..message(1, "ana", 0)
    };
    assert_eq!(one(&mut *unit).await, expected);
}

async fn a_failed_message_says_why(store: &Store) {
    let mut unit = unit_with(store, &[message(1, "ana", 0)]).await;
    record(&mut *unit, MessageState::Failed, Some("550 no such user"), 5).await;
    let expected = Message {
        state: MessageState::Failed,
        status_info: Some("550 no such user".to_owned()),
        failed_at: Some(at(5)),
        updated_at: at(5),
        ..message(1, "ana", 0)
    };
    assert_eq!(one(&mut *unit).await, expected);
}

async fn a_message_queued_again_has_no_failure(store: &Store) {
    let mut unit = unit_with(store, &[message(1, "ana", 0)]).await;
    record(&mut *unit, MessageState::Failed, Some("550 no"), 5).await;
    record(&mut *unit, MessageState::Queued, Some("451 later"), 6).await;
    let expected =
        Message { status_info: Some("451 later".to_owned()), updated_at: at(6), ..message(1, "ana", 0) };
    assert_eq!(one(&mut *unit).await, expected);
}

async fn an_unknown_fate_sets_no_moment(store: &Store) {
    let mut unit = unit_with(store, &[message(1, "ana", 0)]).await;
    record(&mut *unit, MessageState::Unknown, Some("no answer"), 5).await;
    let expected = Message {
        state: MessageState::Unknown,
        status_info: Some("no answer".to_owned()),
        updated_at: at(5),
        ..message(1, "ana", 0)
    };
    assert_eq!(one(&mut *unit).await, expected);
}

async fn events_of_unknown_messages_are_passed_over(store: &Store) {
    let mut unit = store.write().await;
    record(&mut *unit, MessageState::Sent, None, 5).await;
    unit.record_events(&[]).await.unwrap();
    assert_eq!(unit.messages(&[message_id(1)]).await.unwrap(), []);
}

async fn many_events_are_recorded_in_one_call(store: &Store) {
    let many: Vec<_> =
        (0..1_200).map(|n| Message { broadcast: Some(broadcast_id(1)), ..message(n, "ana", 0) }).collect();
    let mut unit = unit_with(store, &many).await;
    let fates = [MessageState::Sent, MessageState::Failed, MessageState::Unknown];
    let events: Vec<_> = (0..1_200)
        .map(|n| MessageEvent {
            message: message_id(n),
            state: fates[n as usize % 3],
            status_info: None,
            at: at(5),
        })
        .collect();
    unit.record_events(&events).await.unwrap();
    let stats = unit.message_stats(&broadcast_id(1)).await.unwrap();
    assert_eq!(stats, MessageStats { sent: 400, failed: 400, ..MessageStats::default() });
}

async fn messages_come_newest_first_then_by_identifier_downwards(store: &Store) {
    let messages = [message(1, "a", 1), message(2, "a", 1), message(3, "a", 3), message(4, "a", 2)];
    let mut unit = unit_with(store, &messages).await;
    let page = unit.messages_after(&MessageFilter::default(), None, 3).await.unwrap();
    let ids: Vec<_> = page.items.into_iter().map(|m| m.id).collect();
    assert_eq!((ids, page.has_more), ([3, 4, 2].map(message_id).to_vec(), true));
}

async fn pages_have_no_gaps_and_no_repeats(store: &Store) {
    let sets = (prop::collection::btree_map(0_u32..200, 0_i64..3, 0..25), 1_usize..6);
    let mut runner = TestRunner::new(Config { cases: 16, failure_persistence: None, ..Config::default() });
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&sets, |(set, size)| {
            Handle::current().block_on(async {
                // Never committed, so each set starts from an empty table.
                let messages: Vec<_> = set.iter().map(|(n, created)| message(*n, "ana", *created)).collect();
                let unit = unit_with(store, &messages).await;
                let mut expected: Vec<_> = messages.into_iter().map(|m| (m.created_at, m.id)).collect();
                expected.sort();
                let expected: Vec<_> = expected.into_iter().rev().map(|(_, id)| id).collect();
                prop_assert_eq!(walk(unit, size).await, expected);
                Ok(())
            })
        })
    });
    outcome.unwrap();
}

/// All messages, read page by page.
async fn walk(mut unit: Box<dyn UnitOfWork>, size: usize) -> Vec<MessageId> {
    let mut seen = Vec::new();
    let mut after: Option<MessageCursor> = None;
    loop {
        let page = unit.messages_after(&MessageFilter::default(), after.as_ref(), size).await.unwrap();
        after = page.items.last().map(|m| MessageCursor { created_at: m.created_at, id: m.id.clone() });
        seen.extend(page.items.into_iter().map(|m| m.id));
        if !page.has_more {
            return seen;
        }
    }
}

async fn each_plain_filter_finds_its_messages(store: &Store) {
    let other =
        Message { template: template_id("other"), contact_email: address("ben"), ..message(2, "ben", 0) };
    let mut unit = unit_with(store, &[full(1), other]).await;
    let filters = [
        MessageFilter { id: Some(message_id(1)), ..MessageFilter::default() },
        MessageFilter { external_id: Some("order-7".to_owned()), ..MessageFilter::default() },
        MessageFilter { list: Some(list_id("news")), ..MessageFilter::default() },
        MessageFilter { contact_email: Some(address("ana")), ..MessageFilter::default() },
        MessageFilter { broadcast: Some(broadcast_id(1)), ..MessageFilter::default() },
        MessageFilter { template: Some(template_id("order")), ..MessageFilter::default() },
    ];
    for filter in filters {
        assert_eq!(found(&mut *unit, &filter).await, [message_id(1)], "{filter:?}");
    }
}

async fn each_event_filter_finds_its_messages(store: &Store) {
    let mut unit = unit_with(store, &[full(1), message(2, "ana", 0)]).await;
    let filters: [fn(&mut MessageFilter) -> &mut Option<bool>; 8] = [
        |f| &mut f.is_sent,
        |f| &mut f.is_delivered,
        |f| &mut f.is_failed,
        |f| &mut f.is_opened,
        |f| &mut f.is_clicked,
        |f| &mut f.is_bounced,
        |f| &mut f.is_complained,
        |f| &mut f.is_unsubscribed,
    ];
    for (wanted, number) in [(true, 1), (false, 2)] {
        for field in filters {
            let mut filter = MessageFilter::default();
            *field(&mut filter) = Some(wanted);
            assert_eq!(found(&mut *unit, &filter).await, [message_id(number)], "{filter:?}");
        }
    }
}

async fn times_are_inclusive(store: &Store) {
    let messages = [
        Message { sent_at: Some(at(10)), updated_at: at(20), ..message(1, "ana", 0) },
        Message { sent_at: None, updated_at: at(30), ..message(2, "ana", 1) },
    ];
    let mut unit = unit_with(store, &messages).await;
    let filter = MessageFilter::default;
    for (filter, numbers) in [
        (MessageFilter { sent_after: Some(at(10)), ..filter() }, vec![1]),
        (MessageFilter { sent_after: Some(at(11)), ..filter() }, vec![]),
        (MessageFilter { sent_before: Some(at(10)), ..filter() }, vec![1]),
        (MessageFilter { sent_before: Some(at(9)), ..filter() }, vec![]),
        (MessageFilter { updated_after: Some(at(20)), ..filter() }, vec![2, 1]),
        (MessageFilter { updated_after: Some(at(21)), ..filter() }, vec![2]),
        (MessageFilter { updated_before: Some(at(30)), ..filter() }, vec![2, 1]),
        (MessageFilter { updated_before: Some(at(29)), ..filter() }, vec![1]),
    ] {
        let expected: Vec<_> = numbers.into_iter().map(message_id).collect();
        assert_eq!(found(&mut *unit, &filter).await, expected, "{filter:?}");
    }
}

async fn all_conditions_must_hold(store: &Store) {
    let mut unit = unit_with(store, &[full(1), Message { sent_at: None, ..full(2) }]).await;
    let filter = MessageFilter {
        contact_email: Some(address("ana")),
        is_sent: Some(true),
        is_opened: Some(true),
        ..MessageFilter::default()
    };
    assert_eq!(found(&mut *unit, &filter).await, [message_id(1)]);
}

async fn events_of_a_broadcast_are_counted(store: &Store) {
    let of = |number| Message { broadcast: Some(broadcast_id(1)), ..message(number, "ana", 0) };
    let opened = Message { sent_at: Some(at(1)), delivered_at: Some(at(2)), opened_at: Some(at(3)), ..of(2) };
    let failed = Message { failed_at: Some(at(1)), ..of(3) };
    let elsewhere =
        Message { broadcast: Some(broadcast_id(2)), sent_at: Some(at(1)), ..message(5, "ana", 0) };
    let mut unit = unit_with(store, &[full(1), opened, failed, of(4), elsewhere]).await;
    let stats = MessageStats {
        sent: 2,
        delivered: 2,
        bounced: 1,
        complained: 1,
        failed: 2,
        opened: 2,
        clicked: 1,
        unsubscribed: 1,
        ..MessageStats::default()
    };
    assert_eq!(unit.message_stats(&broadcast_id(1)).await.unwrap(), stats);
}

async fn what_is_taken_back_is_not_counted(store: &Store) {
    let of = |number| Message { broadcast: Some(broadcast_id(1)), ..message(number, "ana", 0) };
    let mut unit = unit_with(store, &[of(1), of(2)]).await;
    record(&mut *unit, MessageState::Failed, Some("550 no"), 1).await;
    assert_eq!(unit.message_stats(&broadcast_id(1)).await.unwrap().failed, 1);
    record(&mut *unit, MessageState::Queued, None, 2).await;
    assert_eq!(unit.message_stats(&broadcast_id(1)).await.unwrap(), MessageStats::default());
    record(&mut *unit, MessageState::Sent, None, 3).await;
    record(&mut *unit, MessageState::Sent, None, 4).await;
    let stats = MessageStats { sent: 1, ..MessageStats::default() };
    assert_eq!(unit.message_stats(&broadcast_id(1)).await.unwrap(), stats);
}

async fn a_broadcast_without_messages_counts_nothing(store: &Store) {
    let mut unit = unit_with(store, &[message(1, "ana", 0)]).await;
    assert_eq!(unit.message_stats(&broadcast_id(1)).await.unwrap(), MessageStats::default());
}

async fn leaving_is_noted_once_and_on_the_own_message(store: &Store) {
    let sent = Message { broadcast: Some(broadcast_id(1)), ..message(1, "ana", 0) };
    let mut unit = unit_with(store, &[sent]).await;
    for (name, now) in [("ben", 1), ("ana", 2), ("ana", 3)] {
        unit.note_unsubscribed(&message_id(1), &address(name), at(now)).await.unwrap();
    }
    unit.note_unsubscribed(&message_id(9), &address("ana"), at(4)).await.unwrap();
    let noted = one(unit.as_mut()).await;
    assert_eq!((noted.unsubscribed_at, noted.updated_at), (Some(at(2)), at(2)));
    assert_eq!(unit.message_stats(&broadcast_id(1)).await.unwrap().unsubscribed, 1);
}

async fn old_messages_are_purged_the_oldest_first(store: &Store) {
    let mut unit = store.write().await;
    assert_eq!(unit.oldest_message().await.unwrap(), None);
    let all: Vec<_> = (1..=5).map(|n| message(n, "ana", i64::from(n))).collect();
    unit.insert_messages_if_absent(&all).await.unwrap();
    assert_eq!(unit.oldest_message().await.unwrap(), Some(at(1)));
    assert_eq!(unit.purge_messages(at(3), 2).await.unwrap(), 2);
    assert_eq!(unit.oldest_message().await.unwrap(), Some(at(3)));
    assert_eq!(unit.purge_messages(at(3), 2).await.unwrap(), 1);
    assert_eq!(unit.purge_messages(at(3), 2).await.unwrap(), 0);
    let left = unit.messages_after(&MessageFilter::default(), None, 10).await.unwrap();
    assert_eq!(left.items.iter().map(|m| m.id.clone()).collect::<Vec<_>>(), [5, 4].map(message_id));
}

async fn what_is_purged_stays_counted(store: &Store) {
    let sent = |n: u32| Message {
        created_at: at(0),
        broadcast: Some(broadcast_id(1)),
        sent_at: Some(at(1)),
        opened_at: Some(at(2)),
        ..message(n, "ana", 0)
    };
    let mut unit = unit_with(store, &[sent(1), sent(2)]).await;
    let before = unit.message_stats(&broadcast_id(1)).await.unwrap();
    assert_eq!((before.sent, before.opened), (2, 2));
    assert_eq!(unit.purge_messages(at(0), 10).await.unwrap(), 2);
    assert_eq!(unit.message_stats(&broadcast_id(1)).await.unwrap(), before);
}

async fn a_message_that_waits_is_not_purged(store: &Store) {
    let old = |n: u32| message(n, "ana", 0);
    let mut unit = unit_with(store, &[old(1), old(2)]).await;
    unit.insert_deliveries(&[delivery(1, 0)]).await.unwrap();
    assert_eq!(unit.purge_messages(at(0), 10).await.unwrap(), 1);
    assert_eq!(unit.messages(&[message_id(1), message_id(2)]).await.unwrap().len(), 1);
    assert_eq!(unit.oldest_message().await.unwrap(), None, "nobody looks again and again for it");
}
