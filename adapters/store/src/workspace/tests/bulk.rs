//! More rows than one statement takes.

use super::{
    Database, at, broadcast_delivery, broadcast_id, email, message, message_id, on_both_engines, recipient,
};
use application::ports::{
    BroadcastStore as _, Claim, ContactStore as _, DeliveryStore as _, ListStore as _, MessageEvent,
    MessageStore as _, Settled,
};
use domain::{
    broadcasts::{Audience, Ledger, RecipientState},
    contacts::{ContactField, ContactPatch, FieldKind, FieldValue, UpsertAction},
    deliveries::Outcome,
    email_address::EmailAddress,
    ids::{ListId, MessageId},
    lists::List,
    messages::MessageState,
};
use serde_json::json;

on_both_engines!(
    contacts_with_every_field_are_stored,
    many_addresses_are_looked_up_at_once,
    many_members_are_added,
    many_deliveries_go_through_the_queue,
    many_retries_wait_each_until_its_moment,
    many_messages_are_stored_and_changed,
    many_recipients_are_accounted_for,
);

fn full_patch(number: usize) -> ContactPatch {
    let mut patch = ContactPatch::of(email(number));
    for field in ContactField::ALL {
        let value = match field.kind() {
            FieldKind::Text(_) => FieldValue::Text(format!("é'\"{number}")),
            FieldKind::Number => FieldValue::Number(0.5),
            FieldKind::Time => FieldValue::Time(at(1)),
            FieldKind::Json => FieldValue::Json(json!({"a": [1, null, "é"], "b": 1.5})),
        };
        patch.changes.insert(*field, Some(value));
    }
    patch
}

async fn contacts_with_every_field_are_stored(mut database: Database) {
    let store = &mut database.session;
    let patches: Vec<ContactPatch> = (0..2_000).rev().map(full_patch).collect();
    let actions = store.upsert_contacts(&patches[..1_000], at(0)).await.unwrap();
    assert!(actions.iter().all(|action| *action == UpsertAction::Create));
    let actions = store.upsert_contacts(&patches, at(1)).await.unwrap();
    let (known, new) = actions.split_at(1_000);
    assert!(known.iter().all(|action| *action == UpsertAction::Update));
    assert!(new.iter().all(|action| *action == UpsertAction::Create));
    assert_eq!(store.count_contacts().await.unwrap(), 2_000);
    let contact = store.contact(&email(1_500)).await.unwrap().unwrap();
    let expected = full_patch(1_500).changes.into_iter().map(|(field, value)| (field, value.unwrap()));
    assert_eq!(contact.fields, expected.collect());
    assert_eq!((contact.created_at, contact.updated_at), (at(0), at(1)));
}

async fn many_addresses_are_looked_up_at_once(mut database: Database) {
    let store = &mut database.session;
    let patches: Vec<ContactPatch> = (0..10).map(|n| ContactPatch::of(email(n))).collect();
    store.upsert_contacts(&patches, at(0)).await.unwrap();
    let asked: Vec<EmailAddress> = (5..40_000).map(email).collect();
    assert_eq!(store.contacts(&asked).await.unwrap().len(), 5);
}

async fn many_members_are_added(mut database: Database) {
    let store = &mut database.session;
    let patches: Vec<ContactPatch> = (0..6_000).map(|n| ContactPatch::of(email(n))).collect();
    store.upsert_contacts(&patches, at(0)).await.unwrap();
    let list = ListId::parse("news").unwrap();
    let news = List {
        id: list.clone(),
        name: "News".into(),
        is_double_optin: false,
        is_public: true,
        description: String::new(),
        double_optin_template: None,
        created_at: at(0),
        updated_at: at(0),
    };
    store.insert_list(&news).await.unwrap();
    let emails: Vec<EmailAddress> = (0..6_000).chain(0..10).map(email).collect();
    store.add_members(&emails, std::slice::from_ref(&list), at(0)).await.unwrap();
    assert_eq!(store.list_stats(&list).await.unwrap().active, 6_000);
    let audience = Audience {
        list: list.clone(),
        further_lists: Vec::new(),
        excluded_lists: Vec::new(),
        segments: Vec::new(),
        exclude_unsubscribed: true,
    };
    let members = store.audience_after(&audience, Some(&email(4_999)), 500).await.unwrap();
    let after: Vec<_> = members.into_iter().map(|member| member.email).collect();
    assert_eq!(after, (5_000..5_500).map(email).collect::<Vec<_>>());
}

fn claim_of(message: &MessageId, attempts: u32) -> Claim {
    Claim { message: message.clone(), attempts }
}

async fn many_deliveries_go_through_the_queue(mut database: Database) {
    let store = &mut database.session;
    let deliveries: Vec<_> = (0..3_000).map(broadcast_delivery).collect();
    store.insert_deliveries(&deliveries).await.unwrap();
    let claimed = store.claim_deliveries(5_000, &[], at(0), at(60)).await.unwrap();
    let order: Vec<MessageId> = claimed.into_iter().map(|delivery| delivery.message).collect();
    let messages: Vec<MessageId> = (0..3_000).map(message_id).collect();
    assert_eq!(order, messages);
    store.release_deliveries(&messages[..1_000]).await.unwrap();
    let claims: Vec<Claim> = messages.iter().map(|message| claim_of(message, 1)).collect();
    assert_eq!(store.begin_deliveries(&claims).await.unwrap(), messages[1_000..]);
    let settled: Vec<Settled> =
        messages.iter().map(|message| Settled { message: message.clone(), outcome: Outcome::Sent }).collect();
    assert_eq!(store.settle_deliveries(&settled).await.unwrap(), messages[1_000..]);
    assert_eq!(store.next_delivery_due(&[]).await.unwrap(), Some(at(0)));
}

async fn many_retries_wait_each_until_its_moment(mut database: Database) {
    let store = &mut database.session;
    let deliveries: Vec<_> = (0..17_000).map(broadcast_delivery).collect();
    store.insert_deliveries(&deliveries).await.unwrap();
    let claimed = store.claim_deliveries(17_000, &[], at(0), at(60)).await.unwrap();
    let claims: Vec<Claim> = claimed.iter().map(|delivery| claim_of(&delivery.message, 1)).collect();
    store.begin_deliveries(&claims).await.unwrap();
    let retries: Vec<Settled> = (0_u16..17_000)
        .map(|n| Settled {
            message: message_id(n.into()),
            outcome: Outcome::Retry { at: at(i64::from(n) + 100), reason: "later".into() },
        })
        .collect();
    assert_eq!(store.settle_deliveries(&retries).await.unwrap().len(), 17_000);
    let due = store.claim_deliveries(20_000, &[], at(100 + 9), at(200)).await.unwrap();
    assert_eq!(due.len(), 10);
    assert_eq!((due[9].due_at, due[9].attempts), (at(109), 2));
}

async fn many_messages_are_stored_and_changed(mut database: Database) {
    let store = &mut database.session;
    let messages: Vec<_> = (0..2_000).map(message).collect();
    store.insert_messages_if_absent(&messages).await.unwrap();
    store.insert_messages_if_absent(&messages).await.unwrap();
    let event = |n, state, info: Option<&str>, at| MessageEvent {
        message: message_id(n),
        state,
        status_info: info.map(str::to_owned),
        at,
    };
    let mut events: Vec<_> =
        (0..2_000).map(|n| event(n, MessageState::Failed, Some("550 no"), at(5))).collect();
    events.extend((0..2_000).map(|n| event(n, MessageState::Sent, None, at(6))));
    events.extend((0..500).map(|n| event(n, MessageState::Sent, None, at(7))));
    store.record_events(&events).await.unwrap();
    let read = store.messages(&[message_id(0), message_id(1_999)]).await.unwrap();
    for message in read {
        assert_eq!((message.state, message.sent_at), (MessageState::Sent, Some(at(6))));
        assert_eq!((message.failed_at, message.status_info), (None, None));
    }
    assert_eq!(store.message_stats(&broadcast_id()).await.unwrap().sent, 2_000);
}

async fn many_recipients_are_accounted_for(mut database: Database) {
    let store = &mut database.session;
    let recipients: Vec<_> = (0..7_000).map(recipient).collect();
    assert_eq!(store.insert_recipients_if_absent(&recipients[..10]).await.unwrap().len(), 10);
    let added = store.insert_recipients_if_absent(&recipients).await.unwrap();
    assert_eq!(added, (10..7_000).map(message_id).collect::<Vec<_>>());
    let states: Vec<_> = (0..6_000)
        .map(|n| {
            let state = if n < 5_000 { RecipientState::Sent } else { RecipientState::Failed };
            (broadcast_id(), message_id(n), state)
        })
        .collect();
    store.set_recipient_states(&states).await.unwrap();
    let expected = Ledger { queued: 1_000, sent: 5_000, failed: 1_000, ..Ledger::default() };
    assert_eq!(store.ledger(&broadcast_id()).await.unwrap(), expected);
}
