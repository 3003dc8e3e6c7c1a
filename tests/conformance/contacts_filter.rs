//! Which contacts a filter finds.

use crate::{
    backends::Store,
    cases,
    samples::{address, at, list, list_id, patch},
};
use domain::{
    contacts::{ContactField, ContactFilter, ContactPatch},
    email_address::EmailAddress,
    ids::SegmentId,
    lists::MembershipStatus,
};
use serde_json::json;

cases![
    a_part_of_the_address_is_found_in_any_case,
    a_part_of_a_field_is_found_in_any_case,
    wildcards_are_only_characters,
    a_contact_without_the_field_is_not_found,
    all_conditions_must_hold,
    a_list_finds_its_live_members,
    a_status_is_looked_for_on_the_given_list,
    a_status_is_looked_for_on_any_list,
    a_member_of_several_lists_is_found_once,
    a_deleted_list_has_no_members,
    nobody_is_in_an_unknown_segment,
    a_filter_reaches_over_pages,
];

async fn keep(store: &Store, patches: &[ContactPatch]) {
    let mut unit = store.write().await;
    unit.upsert_contacts(patches, at(0)).await.unwrap();
    unit.commit().await.unwrap();
}

async fn found(store: &Store, filter: &ContactFilter) -> Vec<EmailAddress> {
    let page = store.read().await.contacts_after(filter, None, 100).await.unwrap();
    page.items.into_iter().map(|c| c.email).collect()
}

fn holding(field: ContactField, part: &str) -> ContactFilter {
    ContactFilter { fields: [(field, part.to_owned())].into(), ..ContactFilter::default() }
}

fn of_address(part: &str) -> ContactFilter {
    ContactFilter { email: Some(part.to_owned()), ..ContactFilter::default() }
}

async fn a_part_of_the_address_is_found_in_any_case(store: &Store) {
    keep(store, &[patch("ana", json!({})), patch("ben", json!({}))]).await;
    assert_eq!(found(store, &of_address("NA@Shop")).await, [address("ana")]);
}

async fn a_part_of_a_field_is_found_in_any_case(store: &Store) {
    keep(
        store,
        &[patch("ana", json!({"first_name": "Émilie-Rose"})), patch("ben", json!({"first_name": "Rosa"}))],
    )
    .await;
    for part in ["émilie", "ÉMILIE", "e-rOSE"] {
        assert_eq!(found(store, &holding(ContactField::FirstName, part)).await, [address("ana")], "{part}");
    }
}

async fn wildcards_are_only_characters(store: &Store) {
    keep(
        store,
        &[
            patch("a_b", json!({"phone": "100% sure"})),
            patch("axb", json!({"phone": "1000 sure"})),
            patch("back", json!({"phone": "a\\b"})),
        ],
    )
    .await;
    assert_eq!(found(store, &of_address("a_b")).await, [address("a_b")]);
    assert_eq!(found(store, &holding(ContactField::Phone, "0%")).await, [address("a_b")]);
    assert_eq!(found(store, &holding(ContactField::Phone, "a\\b")).await, [address("back")]);
    assert_eq!(found(store, &holding(ContactField::Phone, "\\%")).await, []);
}

async fn a_contact_without_the_field_is_not_found(store: &Store) {
    keep(store, &[patch("ana", json!({"phone": "1"})), patch("ben", json!({}))]).await;
    assert_eq!(found(store, &holding(ContactField::Phone, "")).await, [address("ana")]);
}

async fn all_conditions_must_hold(store: &Store) {
    keep(
        store,
        &[
            patch("ana", json!({"phone": "1", "country": "PT"})),
            patch("ben", json!({"phone": "1", "country": "FR"})),
            patch("cem", json!({"phone": "2", "country": "PT"})),
        ],
    )
    .await;
    let fields = [(ContactField::Phone, "1".to_owned()), (ContactField::Country, "pt".to_owned())];
    let filter = ContactFilter { fields: fields.into(), ..of_address("shop") };
    assert_eq!(found(store, &filter).await, [address("ana")]);
}

/// Ana is active on both lists, Ben pending on news, Cem bounced on offers, Dan is
/// on none.
async fn furnish_lists(store: &Store) {
    let mut unit = store.write().await;
    unit.upsert_contacts(&["ana", "ben", "cem", "dan"].map(|n| patch(n, json!({}))), at(0)).await.unwrap();
    unit.insert_list(&list("news", 0)).await.unwrap();
    unit.insert_list(&list("offers", 1)).await.unwrap();
    let (news, offers) = (list_id("news"), list_id("offers"));
    unit.add_members(&[address("ana")], &[news.clone(), offers.clone()], at(0)).await.unwrap();
    unit.add_members(&[address("ben")], std::slice::from_ref(&news), at(0)).await.unwrap();
    unit.set_membership_status(&address("ben"), &news, MembershipStatus::Pending, at(1)).await.unwrap();
    unit.add_members(&[address("cem")], std::slice::from_ref(&offers), at(0)).await.unwrap();
    unit.set_membership_status(&address("cem"), &offers, MembershipStatus::Bounced, at(1)).await.unwrap();
    unit.commit().await.unwrap();
}

fn on(list: Option<&str>, list_status: Option<MembershipStatus>) -> ContactFilter {
    ContactFilter { list: list.map(list_id), list_status, ..ContactFilter::default() }
}

async fn a_list_finds_its_live_members(store: &Store) {
    furnish_lists(store).await;
    assert_eq!(found(store, &on(Some("news"), None)).await, [address("ana"), address("ben")]);
}

async fn a_status_is_looked_for_on_the_given_list(store: &Store) {
    furnish_lists(store).await;
    assert_eq!(found(store, &on(Some("news"), Some(MembershipStatus::Pending))).await, [address("ben")]);
    assert_eq!(found(store, &on(Some("news"), Some(MembershipStatus::Bounced))).await, []);
}

async fn a_status_is_looked_for_on_any_list(store: &Store) {
    furnish_lists(store).await;
    assert_eq!(found(store, &on(None, Some(MembershipStatus::Bounced))).await, [address("cem")]);
}

async fn a_member_of_several_lists_is_found_once(store: &Store) {
    furnish_lists(store).await;
    assert_eq!(found(store, &on(None, Some(MembershipStatus::Active))).await, [address("ana")]);
}

async fn a_deleted_list_has_no_members(store: &Store) {
    furnish_lists(store).await;
    let mut unit = store.write().await;
    unit.delete_list(&list_id("offers"), at(2)).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(found(store, &on(Some("offers"), None)).await, []);
    assert_eq!(found(store, &on(None, Some(MembershipStatus::Bounced))).await, []);
}

async fn nobody_is_in_an_unknown_segment(store: &Store) {
    keep(store, &[patch("ana", json!({}))]).await;
    let segments = vec![SegmentId::parse("nobody").unwrap()];
    assert_eq!(found(store, &ContactFilter { segments, ..ContactFilter::default() }).await, []);
}

async fn a_filter_reaches_over_pages(store: &Store) {
    let patches: Vec<_> = (0..10)
        .map(|n| patch(&format!("c{n}"), json!({"phone": if n % 2 == 0 { "even" } else { "odd" }})))
        .collect();
    keep(store, &patches).await;
    let page =
        store.read().await.contacts_after(&holding(ContactField::Phone, "even"), None, 4).await.unwrap();
    assert_eq!((page.items.len(), page.has_more), (4, true));
}
