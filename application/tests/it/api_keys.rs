//! Keys for programs.

use crate::installation::{House, acme, email};
use application::{
    access::Denied,
    api_keys::ApiKeysError,
    failure::{Failure as _, FailureKind},
    members::MembersError,
    ports::{ConnectionBroker as _, Purpose},
};
use domain::{
    permissions::{Permission, Permissions, Resource},
    users::UserKind,
};

#[tokio::test]
async fn a_key_enters_its_workspace_with_every_right_of_a_member() {
    let house = House::new().await;
    house.with_workspace().await;
    let key = house.api_keys.create(&house.owner().await, "CRM").await.unwrap();
    assert_eq!(key.email, "crm@mail.host.example:8443");
    let identity = house.access.authenticate(key.token.expose()).await.unwrap();
    assert_eq!((identity.kind, identity.is_root), (UserKind::ApiKey, false));
    let caller = house.access.enter(&identity, &acme()).await.unwrap();
    caller.require(Permission::Write(Resource::Transactional)).unwrap();
    assert!(caller.require(Permission::Own).is_err());
}

#[tokio::test]
async fn a_removed_key_stops_working_at_once() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    let key = house.api_keys.create(&owner, "crm").await.unwrap();
    let identity = house.access.authenticate(key.token.expose()).await.unwrap();
    house.members.remove(&owner, identity.user).await.unwrap();
    let refused = house.access.authenticate(key.token.expose()).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Unauthenticated);
    house.api_keys.create(&owner, "crm").await.unwrap();
    assert!(house.access.authenticate(key.token.expose()).await.is_err());
}

#[tokio::test]
async fn only_a_hash_of_the_token_is_kept() {
    let house = House::new().await;
    house.with_workspace().await;
    let key = house.api_keys.create(&house.owner().await, "crm").await.unwrap();
    let mut store = house.broker.read_system(Purpose::interactive("test")).await.unwrap();
    let account = store.user_by_email(&key.email).await.unwrap().unwrap();
    assert_ne!(account.token_hash.as_deref(), Some(key.token.expose()));
}

#[tokio::test]
async fn a_prefix_is_taken_once() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    house.api_keys.create(&owner, "crm").await.unwrap();
    let again = house.api_keys.create(&owner, "crm").await.unwrap_err();
    assert!(matches!(again, ApiKeysError::Taken));
    house.api_keys.create(&owner, "crm2").await.unwrap();
}

#[tokio::test]
async fn a_bad_prefix_is_refused_with_its_place() {
    let house = House::new().await;
    house.with_workspace().await;
    let refused = house.api_keys.create(&house.owner().await, "a@b").await.unwrap_err();
    assert_eq!(refused.problems()[0].pointer, "/email_prefix");
}

#[tokio::test]
async fn only_owners_make_keys() {
    let house = House::new().await;
    house.with_workspace().await;
    let member = house.member(Permissions::all()).await;
    let refused = house.api_keys.create(&member, "crm").await.unwrap_err();
    assert!(matches!(refused, ApiKeysError::Denied(Denied::Permission(Permission::Own))));
}

#[tokio::test]
async fn a_key_gets_no_code_and_no_invitation() {
    let house = House::with(|i| i.api_endpoint = "https://mail.host.example".into()).await;
    house.with_workspace().await;
    let owner = house.owner().await;
    house.api_keys.create(&owner, "crm").await.unwrap();
    let address = email("crm@mail.host.example");
    house.asks_for_code(address.as_str()).await;
    assert!(house.mailer.sent().is_empty());
    let refused = house.members.invite(&owner, &address, Permissions::all()).await.unwrap_err();
    assert!(matches!(refused, MembersError::ApiKey));
}
