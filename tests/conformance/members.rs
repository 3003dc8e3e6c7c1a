//! Who belongs to which workspace.

use crate::{
    backends::Store,
    cases,
    samples::{acme, address, at, invitation, invitation_id, member, user, user_id, workspace},
};
use application::ports::{StoreError, SystemUnitOfWork};
use domain::{
    permissions::{Access, Permissions, Resource, Role},
    users::{Invitation, Member},
};

cases![
    an_unknown_member_is_none,
    a_member_is_read_as_it_was_stored,
    a_user_is_a_member_once,
    members_come_oldest_first_with_their_accounts,
    role_and_permissions_are_replaced,
    who_is_no_member_is_not_updated,
    a_membership_ends_once,
    an_unknown_invitation_is_none,
    an_invitation_is_read_as_it_was_stored,
    a_second_invitation_of_an_address_replaces_the_first,
    the_same_address_can_be_invited_elsewhere,
    invitations_come_oldest_first,
    an_invitation_is_deleted_once,
];

async fn system_with_people(store: &Store) -> Box<dyn SystemUnitOfWork> {
    let mut system = store.write_system().await;
    system.insert_workspace(&workspace("other", 0)).await.unwrap();
    for (number, name) in [(1, "ana"), (2, "ben"), (3, "cem")] {
        system.insert_user(&user(number, address(name).as_str())).await.unwrap();
    }
    system
}

async fn an_unknown_member_is_none(store: &Store) {
    let mut system = store.read_system().await;
    assert_eq!(system.member(&acme(), user_id(1)).await.unwrap(), None);
    assert_eq!(system.members(&acme()).await.unwrap(), []);
}

async fn a_member_is_read_as_it_was_stored(store: &Store) {
    let access = [(Resource::MessageHistory, Access { read: true, write: false })].into();
    let limited = Member { permissions: Permissions::new(access), ..member("acme", 1, 5) };
    let owner = Member { role: Role::Owner, permissions: Permissions::default(), ..member("acme", 2, 6) };
    let mut system = system_with_people(store).await;
    for member in [&limited, &owner] {
        system.insert_member(member).await.unwrap();
    }
    system.commit().await.unwrap();
    let mut system = store.read_system().await;
    assert_eq!(system.member(&acme(), user_id(1)).await.unwrap(), Some(limited));
    assert_eq!(system.member(&acme(), user_id(2)).await.unwrap(), Some(owner));
}

async fn a_user_is_a_member_once(store: &Store) {
    let mut system = system_with_people(store).await;
    system.insert_member(&member("acme", 1, 0)).await.unwrap();
    system.insert_member(&member("other", 1, 0)).await.unwrap();
    let again = system.insert_member(&member("acme", 1, 5)).await;
    assert!(matches!(again, Err(StoreError::Duplicate)));
}

async fn members_come_oldest_first_with_their_accounts(store: &Store) {
    let mut system = system_with_people(store).await;
    for (number, created) in [(1, 2), (2, 3), (3, 1)] {
        system.insert_member(&member("acme", number, created)).await.unwrap();
    }
    system.insert_member(&member("other", 1, 0)).await.unwrap();
    let expected = [(3, "cem", 1), (1, "ana", 2), (2, "ben", 3)].map(|(number, name, created)| {
        (member("acme", number, created), user(number, address(name).as_str()))
    });
    assert_eq!(system.members(&acme()).await.unwrap(), expected);
}

async fn role_and_permissions_are_replaced(store: &Store) {
    let mut system = system_with_people(store).await;
    system.insert_member(&member("acme", 1, 0)).await.unwrap();
    system.insert_member(&member("other", 1, 0)).await.unwrap();
    let raised = Member { role: Role::Owner, permissions: Permissions::default(), ..member("acme", 1, 0) };
    assert!(system.update_member(&raised).await.unwrap());
    let stored = system.member(&acme(), user_id(1)).await.unwrap().unwrap();
    assert_eq!(
        (stored.role, stored.permissions, stored.created_at),
        (Role::Owner, Permissions::default(), at(0))
    );
    let elsewhere = system.member(&workspace("other", 0).id, user_id(1)).await.unwrap();
    assert_eq!(elsewhere, Some(member("other", 1, 0)));
}

async fn who_is_no_member_is_not_updated(store: &Store) {
    let mut system = system_with_people(store).await;
    assert!(!system.update_member(&member("acme", 1, 0)).await.unwrap());
    assert_eq!(system.member(&acme(), user_id(1)).await.unwrap(), None);
}

async fn a_membership_ends_once(store: &Store) {
    let mut system = system_with_people(store).await;
    system.insert_member(&member("acme", 1, 0)).await.unwrap();
    system.insert_member(&member("other", 1, 0)).await.unwrap();
    assert!(system.delete_member(&acme(), user_id(1)).await.unwrap());
    assert!(!system.delete_member(&acme(), user_id(1)).await.unwrap());
    assert_eq!(system.member(&acme(), user_id(1)).await.unwrap(), None);
    assert!(system.member(&workspace("other", 0).id, user_id(1)).await.unwrap().is_some());
}

async fn an_unknown_invitation_is_none(store: &Store) {
    let mut system = store.read_system().await;
    assert_eq!(system.invitation(invitation_id(1)).await.unwrap(), None);
    assert_eq!(system.invitations(&acme()).await.unwrap(), []);
}

async fn an_invitation_is_read_as_it_was_stored(store: &Store) {
    let mut system = system_with_people(store).await;
    system.put_invitation(&invitation(1, "acme", "dan", 5)).await.unwrap();
    system.commit().await.unwrap();
    let stored = store.read_system().await.invitation(invitation_id(1)).await.unwrap();
    assert_eq!(stored, Some(invitation(1, "acme", "dan", 5)));
}

async fn a_second_invitation_of_an_address_replaces_the_first(store: &Store) {
    let mut system = system_with_people(store).await;
    system.put_invitation(&invitation(1, "acme", "dan", 0)).await.unwrap();
    let second = Invitation {
        permissions: Permissions::default(),
        inviter: user_id(2),
        ..invitation(2, "acme", "dan", 9)
    };
    system.put_invitation(&second).await.unwrap();
    assert_eq!(system.invitations(&acme()).await.unwrap(), [second]);
    assert_eq!(system.invitation(invitation_id(1)).await.unwrap(), None);
}

async fn the_same_address_can_be_invited_elsewhere(store: &Store) {
    let mut system = system_with_people(store).await;
    system.put_invitation(&invitation(1, "acme", "dan", 0)).await.unwrap();
    system.put_invitation(&invitation(2, "other", "dan", 0)).await.unwrap();
    system.put_invitation(&invitation(3, "acme", "eva", 1)).await.unwrap();
    assert_eq!(system.invitations(&acme()).await.unwrap().len(), 2);
}

async fn invitations_come_oldest_first(store: &Store) {
    let mut system = system_with_people(store).await;
    for (number, name, created) in [(1, "dan", 2), (2, "eva", 3), (3, "fil", 1)] {
        system.put_invitation(&invitation(number, "acme", name, created)).await.unwrap();
    }
    let ids: Vec<_> = system.invitations(&acme()).await.unwrap().into_iter().map(|i| i.id).collect();
    assert_eq!(ids, [3, 1, 2].map(invitation_id));
}

async fn an_invitation_is_deleted_once(store: &Store) {
    let mut system = system_with_people(store).await;
    system.put_invitation(&invitation(1, "acme", "dan", 0)).await.unwrap();
    assert!(system.delete_invitation(invitation_id(1)).await.unwrap());
    assert!(!system.delete_invitation(invitation_id(1)).await.unwrap());
}
