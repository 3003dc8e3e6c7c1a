//! Making, changing and removing workspaces.

use crate::installation::{House, acme, draft, email};
use application::{
    access::{AccessError, Denied},
    failure::{Failure as _, FailureKind},
    ports::{ConnectionBroker as _, Purpose, StoreError},
    workspaces::WorkspacesError,
};
use domain::{
    ids::{IntegrationId, ListId, WorkspaceId},
    permissions::{Permission, Permissions},
    workspaces::WorkspaceState,
};
use memory::SequentialIds;

const LOOK: Purpose = Purpose::interactive("test");

async fn set_state(house: &House, state: WorkspaceState) {
    let mut store = house.broker.write_system(LOOK).await.unwrap();
    let mut workspace = store.workspace(&acme()).await.unwrap().unwrap();
    workspace.state = state;
    store.update_workspace(&workspace).await.unwrap();
    store.commit().await.unwrap();
}

#[tokio::test]
async fn root_makes_a_workspace_and_owns_it() {
    let house = House::new().await;
    let made = house.with_workspace().await;
    assert_eq!(made.workspace.state, WorkspaceState::Active);
    assert!(made.workspace.settings.email_tracking_enabled);
    let owner = house.owner().await;
    owner.require(Permission::Own).unwrap();
    let listed = house.workspaces.list(&owner.identity).await.unwrap();
    assert_eq!(listed, [house.workspaces.get(&owner).await.unwrap()]);
}

#[tokio::test]
async fn a_new_workspace_has_a_first_list_with_its_creator() {
    let house = House::new().await;
    house.with_workspace().await;
    let mut store = house.broker.read(&acme(), LOOK).await.unwrap();
    let list = ListId::parse("test").unwrap();
    assert_eq!(store.list_stats(&list).await.unwrap().active, 1);
    assert!(store.contact(&email("root@host.example")).await.unwrap().is_some());
}

#[tokio::test]
async fn only_root_makes_workspaces() {
    let house = House::new().await;
    house.with_workspace().await;
    let member = house.member(Permissions::all()).await;
    let second = WorkspaceId::parse("second").unwrap();
    let refused = house.workspaces.create(&member.identity, second, draft("B")).await.unwrap_err();
    assert!(matches!(refused, WorkspacesError::Denied(Denied::NotRoot)));
}

#[tokio::test]
async fn an_identifier_is_taken_once() {
    let house = House::new().await;
    house.with_workspace().await;
    let again = house.workspaces.create(&house.root().await, acme(), draft("B")).await.unwrap_err();
    assert_eq!(again.kind(), FailureKind::Conflict);
}

#[tokio::test]
async fn the_quota_of_workspaces_holds() {
    let house = House::with(|i| i.max_workspaces = 1).await;
    house.with_workspace().await;
    let second = WorkspaceId::parse("second").unwrap();
    let refused = house.workspaces.create(&house.root().await, second, draft("B")).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Forbidden);
    assert!(refused.to_string().contains("workspace limit"));
}

#[tokio::test]
async fn an_interrupted_creation_is_carried_on_by_the_same_call() {
    let house = House::with(|i| i.max_workspaces = 1).await;
    house.with_workspace().await;
    set_state(&house, WorkspaceState::Creating).await;
    assert!(matches!(house.broker.read(&acme(), LOOK).await, Err(StoreError::WorkspaceMissing)));
    let made = house.workspaces.create(&house.root().await, acme(), draft("New name")).await.unwrap();
    assert_eq!(made.workspace.name, "New name");
    assert!(house.broker.read(&acme(), LOOK).await.is_ok());
}

#[tokio::test]
async fn interrupted_steps_are_carried_on_at_the_start() {
    let house = House::new().await;
    house.with_workspace().await;
    set_state(&house, WorkspaceState::Creating).await;
    house.workspaces.carry_on().await.unwrap();
    house.owner().await;
    set_state(&house, WorkspaceState::Deleting).await;
    house.workspaces.carry_on().await.unwrap();
    let mut store = house.broker.read_system(LOOK).await.unwrap();
    assert_eq!(store.workspace(&acme()).await.unwrap(), None);
}

#[tokio::test]
async fn an_update_replaces_name_and_settings() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    let mut change = draft(" Acme & Co ");
    change.settings.website_url = Some("https://acme.example".into());
    house.workspaces.update(&owner, change).await.unwrap();
    let cleared = house.workspaces.update(&owner, draft("Acme & Co")).await.unwrap();
    assert_eq!(cleared.workspace.settings.website_url, None);
    assert_eq!(house.workspaces.get(&owner).await.unwrap().workspace.name, "Acme & Co");
}

#[tokio::test]
async fn an_unknown_provider_is_refused_with_its_place() {
    let house = House::new().await;
    house.with_workspace().await;
    let mut change = draft("Acme");
    change.settings.marketing_email_provider_id = Some(IntegrationId::from_uuid(SequentialIds::nth(900)));
    let refused = house.workspaces.update(&house.owner().await, change).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Invalid);
    assert_eq!(refused.problems()[0].pointer, "/settings/marketing_email_provider_id");
}

#[tokio::test]
async fn a_host_belongs_to_one_workspace() {
    let house = House::new().await;
    house.with_workspace().await;
    let second = WorkspaceId::parse("second").unwrap();
    let root = house.root().await;
    house.workspaces.create(&root, second.clone(), draft("Second")).await.unwrap();
    let mut change = draft("Acme");
    change.settings.custom_endpoint_url = Some("https://news.shop.example".into());
    let owner = house.owner().await;
    house.workspaces.update(&owner, change.clone()).await.unwrap();
    house.workspaces.update(&owner, change.clone()).await.unwrap();
    change.settings.custom_endpoint_url = Some("https://News.shop.example:8443/x".into());
    let caller = house.access.enter(&root, &second).await.unwrap();
    let refused = house.workspaces.update(&caller, change).await.unwrap_err();
    assert!(matches!(refused, WorkspacesError::HostTaken));
}

#[tokio::test]
async fn those_who_keep_copies_of_a_site_are_told() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    let _ = house.sites.take();
    house.workspaces.update(&owner, draft("Acme")).await.unwrap();
    house.workspaces.delete(&owner.identity, &acme()).await.unwrap();
    assert_eq!(house.sites.take(), [acme(), acme()]);
}

#[tokio::test]
async fn only_owners_update_and_delete() {
    let house = House::new().await;
    house.with_workspace().await;
    let member = house.member(Permissions::all()).await;
    let update = house.workspaces.update(&member, draft("X")).await.unwrap_err();
    let delete = house.workspaces.delete(&member.identity, &acme()).await.unwrap_err();
    for refused in [update, delete] {
        assert!(matches!(refused, WorkspacesError::Denied(Denied::Permission(Permission::Own))));
    }
}

#[tokio::test]
async fn looking_at_a_workspace_needs_the_permission() {
    let house = House::new().await;
    house.with_workspace().await;
    let member = house.member(Permissions::default()).await;
    assert_eq!(house.workspaces.get(&member).await.unwrap_err().kind(), FailureKind::Forbidden);
    assert_eq!(house.workspaces.list(&member.identity).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_deleted_workspace_is_gone_with_its_database_and_keys() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    let key = house.api_keys.create(&owner, "crm").await.unwrap();
    house.workspaces.delete(&owner.identity, &acme()).await.unwrap();
    assert!(house.broker.read(&acme(), LOOK).await.is_err());
    assert!(house.access.authenticate(key.token.expose()).await.is_err());
    let gone = house.access.enter(&owner.identity, &acme()).await.unwrap_err();
    assert!(matches!(gone, AccessError::UnknownWorkspace));
}

#[tokio::test]
async fn an_interrupted_deletion_is_carried_on_by_the_same_call() {
    let house = House::new().await;
    house.with_workspace().await;
    let root = house.root().await;
    set_state(&house, WorkspaceState::Deleting).await;
    assert!(house.access.enter(&root, &acme()).await.is_err());
    house.workspaces.delete(&root, &acme()).await.unwrap();
    let again = house.workspaces.delete(&root, &acme()).await.unwrap_err();
    assert_eq!(again.kind(), FailureKind::NotFound);
}
