//! Members and invitations.

use crate::installation::{House, acme, email};
use application::{
    access::Denied,
    failure::{Failure as _, FailureKind},
    members::{Invited, MembersError},
    platform::Environment,
    ports::SendError,
};
use domain::{
    ids::UserId,
    permissions::{Access, Permission, Permissions, Resource, Role},
    users::Invitation,
};
use memory::SequentialIds;

fn lists_only() -> Permissions {
    Permissions::new([(Resource::Lists, Access { read: true, write: false })].into())
}

#[tokio::test]
async fn an_invited_person_joins_with_the_given_rights() {
    let house = House::new().await;
    house.with_workspace().await;
    let signed_in = house.joins("bob@shop.example", lists_only()).await;
    let bob = house.access.enter(&house.identity(&signed_in).await, &acme()).await.unwrap();
    bob.require(Permission::Read(Resource::Lists)).unwrap();
    assert!(bob.require(Permission::Write(Resource::Lists)).is_err());
    let roster = house.members.list(&house.owner().await).await.unwrap();
    assert_eq!(roster.members.len(), 2);
    assert!(roster.invitations.is_empty());
    assert_eq!(roster.members[0].0.role, Role::Owner);
    assert_eq!(roster.members[0].0.permissions, Permissions::all());
}

#[tokio::test]
async fn a_token_is_answered_in_development_only() {
    for environment in [Environment::Development, Environment::Production] {
        let house = House::with(|i| i.environment = environment).await;
        house.with_workspace().await;
        let invited = house
            .members
            .invite(&house.owner().await, &email("bob@shop.example"), lists_only())
            .await
            .unwrap();
        let Invited::Invitation { token, .. } = invited else { panic!("bob has no account") };
        assert_eq!(token.is_some(), environment == Environment::Development);
    }
}

#[tokio::test]
async fn an_invitation_is_looked_at_before_it_is_accepted() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    house.members.invite(&owner, &email("bob@shop.example"), lists_only()).await.unwrap();
    let view = house.members.verify_invitation(&house.mailed_token()).await.unwrap();
    assert_eq!(view.workspace.name, "Acme");
    assert_eq!(view.invitation.email, email("bob@shop.example"));
}

#[tokio::test]
async fn inviting_again_replaces_the_invitation() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    let bob = email("bob@shop.example");
    house.members.invite(&owner, &bob, lists_only()).await.unwrap();
    let first = house.mailed_token();
    house.members.invite(&owner, &bob, Permissions::all()).await.unwrap();
    let second = house.mailed_token();
    let gone = house.members.accept_invitation(&first).await.unwrap_err();
    assert!(matches!(gone, MembersError::InvitationGone));
    house.members.accept_invitation(&second).await.unwrap();
}

#[tokio::test]
async fn an_invitation_is_good_once_and_for_fifteen_days() {
    let house = House::new().await;
    house.with_workspace().await;
    house.joins("bob@shop.example", lists_only()).await;
    let used = house.members.accept_invitation(&house.mailed_token()).await.unwrap_err();
    assert!(matches!(used, MembersError::InvitationGone));
    let owner = house.owner().await;
    house.members.invite(&owner, &email("eve@shop.example"), lists_only()).await.unwrap();
    let token = house.mailed_token();
    house.clock.advance(Invitation::LIFETIME);
    let late = house.members.accept_invitation(&token).await.unwrap_err();
    assert_eq!(late.kind(), FailureKind::Unauthenticated);
}

#[tokio::test]
async fn a_session_token_is_no_invitation() {
    let house = House::new().await;
    house.with_workspace().await;
    let token = house.root_signs_in().await.token;
    let refused = house.members.accept_invitation(token.expose()).await.unwrap_err();
    assert!(matches!(refused, MembersError::BadInvitation));
}

#[tokio::test]
async fn who_has_an_account_is_added_and_told() {
    let house = House::new().await;
    house.with_workspace().await;
    let signed_in = house.joins("bob@shop.example", lists_only()).await;
    let owner = house.owner().await;
    house.members.remove(&owner, signed_in.user.id).await.unwrap();
    let invited = house.members.invite(&owner, &email("bob@shop.example"), lists_only()).await.unwrap();
    assert_eq!(invited, Invited::Added);
    let mail = house.mailer.sent().pop().unwrap();
    assert_eq!((mail.to.address, mail.subject.contains("Acme")), (email("bob@shop.example"), true));
    let again = house.members.invite(&owner, &email("bob@shop.example"), lists_only()).await.unwrap_err();
    assert_eq!(again.kind(), FailureKind::Conflict);
}

#[tokio::test]
async fn an_invitation_stands_although_its_mail_is_not_taken() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    house.mailer.fail_next([SendError::Provider { reason: "no connection".into() }]);
    house.members.invite(&owner, &email("bob@shop.example"), lists_only()).await.unwrap();
    assert_eq!(house.members.list(&owner).await.unwrap().invitations.len(), 1);
}

#[tokio::test]
async fn the_quota_counts_people_and_open_invitations() {
    let house = House::with(|i| i.max_users = 2).await;
    house.with_workspace().await;
    let owner = house.owner().await;
    house.api_keys.create(&owner, "crm").await.unwrap();
    house.members.invite(&owner, &email("bob@shop.example"), lists_only()).await.unwrap();
    let refused = house.members.invite(&owner, &email("eve@shop.example"), lists_only()).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Forbidden);
    assert!(refused.to_string().contains("team member limit"));
    house.members.invite(&owner, &email("bob@shop.example"), lists_only()).await.unwrap();
    house.members.accept_invitation(&house.mailed_token()).await.unwrap();
}

#[tokio::test]
async fn new_rights_replace_the_old_and_end_the_sessions() {
    let house = House::new().await;
    house.with_workspace().await;
    let signed_in = house.joins("bob@shop.example", Permissions::all()).await;
    let owner = house.owner().await;
    house.members.set_permissions(&owner, signed_in.user.id, lists_only()).await.unwrap();
    assert!(house.access.authenticate(signed_in.token.expose()).await.is_err());
    let roster = house.members.list(&owner).await.unwrap();
    assert_eq!(roster.members[1].0.permissions, lists_only());
}

#[tokio::test]
async fn the_rights_of_an_owner_and_of_a_stranger_cannot_be_changed() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    let own = house.members.set_permissions(&owner, owner.identity.user, lists_only()).await.unwrap_err();
    assert!(matches!(own, MembersError::Owner));
    let nobody = UserId::from_uuid(SequentialIds::nth(9_999));
    let stranger = house.members.set_permissions(&owner, nobody, lists_only()).await.unwrap_err();
    assert!(matches!(stranger, MembersError::NotFound));
}

#[tokio::test]
async fn nobody_removes_themselves() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    let refused = house.members.remove(&owner, owner.identity.user).await.unwrap_err();
    assert!(matches!(refused, MembersError::Yourself));
}

#[tokio::test]
async fn an_invitation_is_taken_back_by_an_owner() {
    let house = House::new().await;
    house.with_workspace().await;
    let member = house.member(Permissions::all()).await;
    let owner = house.owner().await;
    let invited = house.members.invite(&owner, &email("bob@shop.example"), lists_only()).await.unwrap();
    let Invited::Invitation { invitation, .. } = invited else { panic!("bob has no account") };
    let refused = house.members.delete_invitation(&member.identity, invitation.id).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Forbidden);
    house.members.delete_invitation(&owner.identity, invitation.id).await.unwrap();
    let gone = house.members.delete_invitation(&owner.identity, invitation.id).await.unwrap_err();
    assert_eq!(gone.kind(), FailureKind::NotFound);
}

#[tokio::test]
async fn a_member_with_every_permission_manages_nobody() {
    let house = House::new().await;
    house.with_workspace().await;
    let member = house.member(Permissions::all()).await;
    let user = member.identity.user;
    let invite = house.members.invite(&member, &email("eve@shop.example"), lists_only()).await.unwrap_err();
    let change = house.members.set_permissions(&member, user, lists_only()).await.unwrap_err();
    let remove = house.members.remove(&member, user).await.unwrap_err();
    for refused in [invite, change, remove] {
        assert!(matches!(refused, MembersError::Denied(Denied::Permission(Permission::Own))));
    }
}

#[tokio::test]
async fn listing_members_needs_the_permission() {
    let house = House::new().await;
    house.with_workspace().await;
    let member = house.member(lists_only()).await;
    assert_eq!(house.members.list(&member).await.unwrap_err().kind(), FailureKind::Forbidden);
}
