//! Contacts of a workspace.

use crate::{
    backends::Store,
    cases,
    samples::{
        address, arrived, at, broadcast_delivery, broadcast_id, delivery, list, list_id, message, message_id,
        patch, recipient,
    },
};
use application::ports::UnitOfWork;
use domain::{
    broadcasts::{Ledger, Recipient, Skipped},
    contacts::{Contact, ContactCursor, ContactFilter, ContactPatch, UpsertAction},
    email_address::EmailAddress,
    transactional::EmailOptions,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::json;
use tokio::runtime::Handle;

cases![
    an_unknown_contact_is_none,
    a_contact_is_read_as_it_was_stored,
    a_patch_keeps_clears_and_sets,
    the_answers_are_in_the_order_of_the_patches,
    the_moment_of_creation_is_kept,
    an_import_may_know_the_moment_of_creation,
    upserts_of_one_address_at_once_do_not_fail,
    many_contacts_are_stored_in_one_call,
    patches_of_many_shapes_are_stored_in_one_call,
    no_patches_are_no_work,
    only_known_addresses_are_answered,
    the_oldest_of_several_has_the_external_identifier,
    an_unknown_external_identifier_is_none,
    contacts_come_newest_first_then_by_address,
    the_last_page_says_that_nothing_follows,
    pages_have_no_gaps_and_no_repeats,
    contacts_are_counted,
    a_deleted_contact_is_gone,
    deleting_an_unknown_contact_answers_no,
    a_deleted_contact_leaves_its_lists,
    a_deleted_contact_leaves_the_queue,
    a_claimed_delivery_outlives_its_contact,
    messages_of_a_deleted_contact_are_redacted,
    account_lines_of_a_deleted_contact_stay_and_stay_unique,
    a_line_waits_no_longer_than_its_mail,
    deleting_a_contact_leaves_others_alone,
];

async fn keep(store: &Store, patches: &[ContactPatch]) {
    let mut unit = store.write().await;
    unit.upsert_contacts(patches, at(0)).await.unwrap();
    unit.commit().await.unwrap();
}

async fn an_unknown_contact_is_none(store: &Store) {
    assert_eq!(store.read().await.contact(&address("ana")).await.unwrap(), None);
}

async fn a_contact_is_read_as_it_was_stored(store: &Store) {
    let ana = patch(
        "ana",
        json!({
            "external_id": "42", "timezone": "Europe/Paris", "first_name": "Zoë 🦊", "address_line_1": "a'b\"c\\d",
            "custom_string_5": "", "custom_number_1": -12.75, "custom_number_2": 9_007_199_254_740_991_i64,
            "custom_datetime_1": "2026-02-01T09:00:00.123456+02:00", "custom_datetime_2": "1969-07-20T20:17:40Z",
            "custom_json_1": {"b": [1, null, "x"], "a": {"deep": true}}, "custom_json_2": []
        }),
    );
    keep(store, std::slice::from_ref(&ana)).await;
    let stored = store.read().await.contact(&address("ana")).await.unwrap();
    assert_eq!(stored, Some(Contact::new(&ana, at(0))));
}

async fn a_patch_keeps_clears_and_sets(store: &Store) {
    let first = patch("ana", json!({"first_name": "Ana", "last_name": "Silva", "custom_json_1": {"a": 1}}));
    let second = patch("ana", json!({"first_name": null, "phone": "1", "custom_json_1": null}));
    keep(store, std::slice::from_ref(&first)).await;
    let mut unit = store.write().await;
    unit.upsert_contacts(std::slice::from_ref(&second), at(9)).await.unwrap();
    unit.commit().await.unwrap();
    let mut merged = Contact::new(&first, at(0));
    merged.apply(&second, at(9));
    assert_eq!(store.read().await.contact(&address("ana")).await.unwrap(), Some(merged));
}

async fn the_answers_are_in_the_order_of_the_patches(store: &Store) {
    keep(store, &[patch("b", json!({}))]).await;
    let patches =
        [patch("c", json!({"phone": "1"})), patch("b", json!({})), patch("a", json!({"phone": null}))];
    let actions = store.write().await.upsert_contacts(&patches, at(1)).await.unwrap();
    assert_eq!(actions, [UpsertAction::Create, UpsertAction::Update, UpsertAction::Create]);
}

async fn the_moment_of_creation_is_kept(store: &Store) {
    keep(store, &[patch("ana", json!({}))]).await;
    let mut unit = store.write().await;
    unit.upsert_contacts(&[arrived("ana", -500)], at(9)).await.unwrap();
    let ana = unit.contact(&address("ana")).await.unwrap().unwrap();
    assert_eq!((ana.created_at, ana.updated_at), (at(0), at(9)));
}

async fn an_import_may_know_the_moment_of_creation(store: &Store) {
    keep(store, &[arrived("ana", -500)]).await;
    let ana = store.read().await.contact(&address("ana")).await.unwrap().unwrap();
    assert_eq!((ana.created_at, ana.updated_at), (at(-500), at(0)));
}

async fn upserts_of_one_address_at_once_do_not_fail(store: &Store) {
    let upsert = |store: Store, phone: &'static str| async move {
        let mut unit = store.write().await;
        let patches = [patch("ana", json!({ "phone": phone })), patch("ben", json!({}))];
        let actions = unit.upsert_contacts(&patches, at(0)).await.unwrap();
        unit.commit().await.unwrap();
        actions[0]
    };
    let tasks = ["1", "2", "3"].map(|phone| tokio::spawn(upsert(store.clone(), phone)));
    let mut created = 0;
    for task in tasks {
        created += usize::from(task.await.unwrap() == UpsertAction::Create);
    }
    assert_eq!(created, 1);
}

async fn many_contacts_are_stored_in_one_call(store: &Store) {
    let patches: Vec<_> =
        (0..1_200).map(|n| patch(&format!("c{n}"), json!({"custom_number_1": n, "phone": "1"}))).collect();
    let mut unit = store.write().await;
    let actions = unit.upsert_contacts(&patches, at(0)).await.unwrap();
    assert_eq!(actions, vec![UpsertAction::Create; 1_200]);
    unit.commit().await.unwrap();
    let emails: Vec<_> = patches.iter().map(|p| p.email.clone()).collect();
    assert_eq!(store.read().await.contacts(&emails).await.unwrap().len(), 1_200);
}

async fn patches_of_many_shapes_are_stored_in_one_call(store: &Store) {
    let shapes = [
        json!({}),
        json!({"phone": "1"}),
        json!({"phone": null}),
        json!({"custom_number_1": 1, "phone": "2"}),
    ];
    let patches: Vec<_> = (0..40).map(|n| patch(&format!("c{n}"), shapes[n % 4].clone())).collect();
    keep(store, &patches).await;
    let mut store = store.read().await;
    for patch in &patches {
        let stored = store.contact(&patch.email).await.unwrap();
        assert_eq!(stored, Some(Contact::new(patch, at(0))));
    }
}

async fn no_patches_are_no_work(store: &Store) {
    assert_eq!(store.write().await.upsert_contacts(&[], at(0)).await.unwrap(), []);
    assert_eq!(store.read().await.contacts(&[]).await.unwrap(), []);
}

async fn only_known_addresses_are_answered(store: &Store) {
    keep(store, &[patch("ana", json!({})), patch("ben", json!({})), patch("cem", json!({}))]).await;
    let asked = [address("cem"), address("nobody"), address("ana")];
    let mut found = emails(store.read().await.contacts(&asked).await.unwrap());
    found.sort();
    assert_eq!(found, [address("ana"), address("cem")]);
}

async fn the_oldest_of_several_has_the_external_identifier(store: &Store) {
    let shared = |name: &str, created: i64| ContactPatch {
        created_at: Some(at(created)),
        ..patch(name, json!({"external_id": "42"}))
    };
    keep(store, &[shared("ana", 3), shared("ben", 1), shared("cem", 2)]).await;
    let found = store.read().await.contact_by_external_id("42").await.unwrap();
    assert_eq!(found.map(|c| c.email), Some(address("ben")));
}

async fn an_unknown_external_identifier_is_none(store: &Store) {
    keep(store, &[patch("ana", json!({"external_id": "4_2"}))]).await;
    let mut store = store.read().await;
    for id in ["42", "4%", "4x2", ""] {
        assert_eq!(store.contact_by_external_id(id).await.unwrap(), None, "{id}");
    }
}

async fn contacts_come_newest_first_then_by_address(store: &Store) {
    keep(store, &[arrived("b", 1), arrived("a", 1), arrived("d", 3), arrived("c", 2)]).await;
    let page = store.read().await.contacts_after(&ContactFilter::default(), None, 10).await.unwrap();
    assert_eq!(emails(page.items), ["d", "c", "a", "b"].map(address));
}

async fn the_last_page_says_that_nothing_follows(store: &Store) {
    keep(store, &[arrived("a", 1), arrived("b", 1)]).await;
    let mut store = store.read().await;
    for (size, has_more) in [(1, true), (2, false), (3, false)] {
        let page = store.contacts_after(&ContactFilter::default(), None, size).await.unwrap();
        assert_eq!(page.has_more, has_more, "{size}");
    }
}

async fn pages_have_no_gaps_and_no_repeats(store: &Store) {
    let sets = (prop::collection::btree_map("[a-c]{1,3}", 0_i64..3, 0..25), 1_usize..6);
    let mut runner = TestRunner::new(Config { cases: 16, failure_persistence: None, ..Config::default() });
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&sets, |(set, size)| {
            Handle::current().block_on(async {
                // Never committed, so each set starts from an empty table.
                let mut unit = store.write().await;
                let patches: Vec<_> = set.iter().map(|(name, created)| arrived(name, *created)).collect();
                unit.upsert_contacts(&patches, at(9)).await.unwrap();
                let mut expected: Vec<_> =
                    set.iter().map(|(name, created)| (-created, address(name))).collect();
                expected.sort();
                let expected: Vec<_> = expected.into_iter().map(|(_, email)| email).collect();
                prop_assert_eq!(walk(unit, size).await, expected);
                Ok(())
            })
        })
    });
    outcome.unwrap();
}

/// All contacts, read page by page.
async fn walk(mut unit: Box<dyn UnitOfWork>, size: usize) -> Vec<EmailAddress> {
    let mut seen = Vec::new();
    let mut after: Option<ContactCursor> = None;
    loop {
        let page = unit.contacts_after(&ContactFilter::default(), after.as_ref(), size).await.unwrap();
        after = page.items.last().map(|c| ContactCursor { created_at: c.created_at, email: c.email.clone() });
        seen.extend(emails(page.items));
        if !page.has_more {
            return seen;
        }
    }
}

async fn contacts_are_counted(store: &Store) {
    assert_eq!(store.read().await.count_contacts().await.unwrap(), 0);
    keep(store, &[patch("ana", json!({})), patch("ben", json!({}))]).await;
    assert_eq!(store.read().await.count_contacts().await.unwrap(), 2);
}

async fn a_deleted_contact_is_gone(store: &Store) {
    keep(store, &[patch("ana", json!({}))]).await;
    let mut unit = store.write().await;
    assert!(unit.delete_contact(&address("ana")).await.unwrap());
    unit.commit().await.unwrap();
    assert_eq!(store.read().await.contact(&address("ana")).await.unwrap(), None);
}

async fn deleting_an_unknown_contact_answers_no(store: &Store) {
    assert!(!store.write().await.delete_contact(&address("ana")).await.unwrap());
}

async fn a_deleted_contact_leaves_its_lists(store: &Store) {
    let mut unit = store.write().await;
    unit.upsert_contacts(&[patch("ana", json!({}))], at(0)).await.unwrap();
    unit.insert_list(&list("news", 0)).await.unwrap();
    unit.add_members(&[address("ana")], &[list_id("news")], at(0)).await.unwrap();
    unit.delete_contact(&address("ana")).await.unwrap();
    assert_eq!(unit.membership(&address("ana"), &list_id("news")).await.unwrap(), None);
}

async fn a_deleted_contact_leaves_the_queue(store: &Store) {
    let mut unit = store.write().await;
    unit.upsert_contacts(&[patch("ana", json!({}))], at(0)).await.unwrap();
    unit.insert_deliveries(&[delivery(1, 0), broadcast_delivery(2, 50)]).await.unwrap();
    unit.delete_contact(&address("ana")).await.unwrap();
    assert_eq!(unit.next_delivery_due(&[]).await.unwrap(), None);
}

async fn a_claimed_delivery_outlives_its_contact(store: &Store) {
    let mut unit = store.write().await;
    unit.upsert_contacts(&[patch("ana", json!({}))], at(0)).await.unwrap();
    unit.insert_deliveries(&[delivery(1, 0)]).await.unwrap();
    unit.claim_deliveries(1, &[], at(0), at(60)).await.unwrap();
    unit.delete_contact(&address("ana")).await.unwrap();
    assert_eq!(unit.release_lapsed(at(60)).await.unwrap(), 1);
}

async fn messages_of_a_deleted_contact_are_redacted(store: &Store) {
    let mut unit = store.write().await;
    unit.upsert_contacts(&[patch("ana", json!({}))], at(0)).await.unwrap();
    let before = message(1, "ana", 0);
    unit.insert_messages_if_absent(std::slice::from_ref(&before)).await.unwrap();
    unit.delete_contact(&address("ana")).await.unwrap();
    unit.commit().await.unwrap();
    let mut after = store.read().await.messages(&[message_id(1)]).await.unwrap();
    let after = after.pop().unwrap();
    assert_eq!(after.contact_email.as_str(), Contact::redacted_address(&message_id(1)));
    assert_eq!(
        (after.data, after.options),
        (None, EmailOptions::default()),
        "no names of files or people stay"
    );
    assert_eq!((after.metadata, after.state), (before.metadata, before.state));
}

async fn account_lines_of_a_deleted_contact_stay_and_stay_unique(store: &Store) {
    let mut unit = store.write().await;
    for (name, message) in [("ana", 1), ("ben", 2)] {
        unit.upsert_contacts(&[patch(name, json!({}))], at(0)).await.unwrap();
        unit.insert_recipients_if_absent(&[recipient(name, message)]).await.unwrap();
        unit.delete_contact(&address(name)).await.unwrap();
    }
    let skipped = Skipped { deleted: 2, ..Skipped::default() };
    assert_eq!(unit.ledger(&broadcast_id(1)).await.unwrap(), Ledger { skipped, ..Ledger::default() });
    let anew = unit.insert_recipients_if_absent(&[recipient("ana", 3)]).await.unwrap();
    assert_eq!(anew, [message_id(3)]);
}

async fn a_line_waits_no_longer_than_its_mail(store: &Store) {
    let mut unit = store.write().await;
    unit.upsert_contacts(&[patch("ana", json!({}))], at(0)).await.unwrap();
    unit.insert_recipients_if_absent(&[recipient("ana", 1)]).await.unwrap();
    let elsewhere = Recipient { broadcast: broadcast_id(2), ..recipient("ana", 2) };
    unit.insert_recipients_if_absent(&[elsewhere]).await.unwrap();
    let mails = [1, 2].map(|n| broadcast_delivery(n, i64::from(n)));
    unit.insert_deliveries(&mails).await.unwrap();
    unit.claim_deliveries(1, &[], at(1), at(60)).await.unwrap();
    unit.delete_contact(&address("ana")).await.unwrap();
    assert_eq!(unit.ledger(&broadcast_id(1)).await.unwrap().queued, 1, "it is claimed");
    assert_eq!(unit.ledger(&broadcast_id(2)).await.unwrap().skipped.deleted, 1);
}

async fn deleting_a_contact_leaves_others_alone(store: &Store) {
    let mut unit = store.write().await;
    unit.upsert_contacts(&[patch("ana", json!({})), patch("ben", json!({}))], at(0)).await.unwrap();
    unit.insert_messages_if_absent(&[message(1, "ben", 0)]).await.unwrap();
    unit.insert_deliveries(&[delivery(2, 0)]).await.unwrap();
    unit.delete_contact(&address("ben")).await.unwrap();
    assert!(unit.contact(&address("ana")).await.unwrap().is_some());
    assert_eq!(unit.next_delivery_due(&[]).await.unwrap(), Some(at(0)));
}

fn emails(contacts: Vec<Contact>) -> Vec<EmailAddress> {
    contacts.into_iter().map(|c| c.email).collect()
}
