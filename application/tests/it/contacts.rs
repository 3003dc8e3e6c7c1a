use crate::support::{READ, Stage, WRITE, all_but, email, list_draft, news, owner, patch};
use application::{contacts::ContactsError, failure::Failure as _, failure::FailureKind};
use domain::{
    contacts::{ContactField, ContactFilter, UpsertAction},
    ids::ListId,
    lists::MembershipStatus,
    permissions::Resource,
};
use serde_json::json;

#[tokio::test]
async fn an_upsert_creates_then_merges() {
    let stage = Stage::new().await;
    let first = patch(json!({"email": "ana@shop.example", "first_name": "Ana", "phone": "1"}));
    assert_eq!(stage.contacts.upsert(&owner(), first).await.unwrap(), UpsertAction::Create);
    let second = patch(json!({"email": "ana@shop.example", "phone": null, "job_title": "CEO"}));
    assert_eq!(stage.contacts.upsert(&owner(), second).await.unwrap(), UpsertAction::Update);
    let contact = stage.contacts.by_email(&owner(), &email("ana@shop.example")).await.unwrap().contact;
    assert_eq!(contact.text(ContactField::FirstName), Some("Ana"));
    assert_eq!(contact.text(ContactField::Phone), None);
    assert_eq!(contact.text(ContactField::JobTitle), Some("CEO"));
}

#[tokio::test]
async fn an_import_answers_every_row_in_order() {
    let stage = Stage::new().await;
    let rows = [
        json!({"email": "bo@shop.example", "first_name": "old"}),
        json!({"email": "nobody"}),
        json!({"email": " BO@shop.example", "first_name": "new"}),
        json!({"first_name": "x"}),
    ];
    let operations = stage.contacts.import(&owner(), &rows, &[]).await.unwrap();
    assert_eq!(operations.len(), 4);
    assert!(operations[0].result.as_ref().unwrap_err().contains("index 2"));
    assert!(operations[1].result.as_ref().unwrap_err().starts_with("invalid contact at index 1: email"));
    assert_eq!(operations[2].result, Ok(UpsertAction::Create));
    assert_eq!(operations[2].email, "bo@shop.example");
    assert!(operations[3].result.as_ref().unwrap_err().contains("email: is required"));
    let contact = stage.contacts.by_email(&owner(), &email("bo@shop.example")).await.unwrap().contact;
    assert_eq!(contact.text(ContactField::FirstName), Some("new"));
}

#[tokio::test]
async fn an_import_never_brings_back_who_left() {
    let stage = Stage::with_list(1).await;
    let who = email("c00000@shop.example");
    stage.lists.update_status(&owner(), &who, &news(), MembershipStatus::Unsubscribed).await.unwrap();
    stage.contacts.import(&owner(), &[json!({"email": who.as_str()})], &[news()]).await.unwrap();
    let memberships = stage.contacts.by_email(&owner(), &who).await.unwrap().memberships.unwrap();
    assert_eq!(memberships[0].status, MembershipStatus::Unsubscribed);
}

#[tokio::test]
async fn an_import_to_an_unknown_list_stores_nothing() {
    let stage = Stage::new().await;
    let unknown = ListId::parse("nowhere").unwrap();
    let row = [json!({"email": "ana@shop.example"})];
    let refused = stage.contacts.import(&owner(), &row, &[unknown]).await.unwrap_err();
    assert_eq!(refused.code(), "list-unknown");
    assert_eq!(stage.contacts.count(&owner()).await.unwrap(), 0);
}

#[tokio::test]
async fn an_import_larger_than_a_chunk_is_stored_whole() {
    let stage = Stage::with_list(1_203).await;
    assert_eq!(stage.contacts.count(&owner()).await.unwrap(), 1_203);
    assert_eq!(stage.lists.stats(&owner(), &news()).await.unwrap().active, 1_203);
}

#[tokio::test]
async fn the_list_shows_memberships_only_when_asked() {
    let stage = Stage::with_list(3).await;
    let all = ContactFilter::default();
    let plain = stage.contacts.list(&owner(), &all, None, 2, false).await.unwrap();
    assert!(plain.has_more && plain.items.iter().all(|c| c.memberships.is_none()));
    let full = stage.contacts.list(&owner(), &all, None, 3, true).await.unwrap();
    assert!(!full.has_more && full.items.iter().all(|c| c.memberships.as_ref().unwrap().len() == 1));
}

#[tokio::test]
async fn a_deleted_contact_is_gone() {
    let stage = Stage::with_list(1).await;
    let who = email("c00000@shop.example");
    stage.contacts.delete(&owner(), &who).await.unwrap();
    assert!(matches!(stage.contacts.by_email(&owner(), &who).await, Err(ContactsError::NotFound)));
    assert!(matches!(stage.contacts.delete(&owner(), &who).await, Err(ContactsError::NotFound)));
    assert_eq!(stage.lists.stats(&owner(), &news()).await.unwrap().active, 0);
}

#[tokio::test]
async fn every_use_case_needs_its_permission() {
    let stage = Stage::new().await;
    let (no_read, no_write) = (all_but(Resource::Contacts, READ), all_but(Resource::Contacts, WRITE));
    let who = email("ana@shop.example");
    let body = patch(json!({"email": "ana@shop.example"}));
    let kinds = [
        stage.contacts.upsert(&no_write, body).await.unwrap_err().kind(),
        stage.contacts.import(&no_write, &[], &[]).await.unwrap_err().kind(),
        stage.contacts.delete(&no_write, &who).await.unwrap_err().kind(),
        stage.contacts.by_email(&no_read, &who).await.unwrap_err().kind(),
        stage.contacts.by_external_id(&no_read, "x").await.unwrap_err().kind(),
        stage.contacts.count(&no_read).await.unwrap_err().kind(),
        stage.contacts.list(&no_read, &ContactFilter::default(), None, 1, false).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [FailureKind::Forbidden; 7]);
}

#[tokio::test]
async fn importing_to_a_list_also_needs_to_write_lists() {
    let stage = Stage::new().await;
    stage.lists.create(&owner(), list_draft(&news())).await.unwrap();
    let caller = all_but(Resource::Lists, WRITE);
    let refused = stage.contacts.import(&caller, &[], &[news()]).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Forbidden);
    assert!(stage.contacts.import(&caller, &[], &[]).await.is_ok());
}
