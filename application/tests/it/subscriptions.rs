use crate::support::{Stage, email, news, owner, workspace};
use application::{
    failure::{Failure as _, FailureKind},
    ports::Vault as _,
    subscriptions::ContactLink,
};
use domain::{ids::WorkspaceId, lists::MembershipStatus, secret::Secret};

fn link(stage: &Stage) -> ContactLink {
    let who = email("c00000@shop.example");
    let email_hmac = stage.vault.hash_with(&Secret::new("workspace key"), who.as_str());
    ContactLink { workspace: workspace(), email: who, email_hmac }
}

async fn standing(stage: &Stage) -> MembershipStatus {
    let who = email("c00000@shop.example");
    let memberships = stage.contacts.by_email(&owner(), &who).await.unwrap().memberships.unwrap();
    memberships[0].status
}

#[tokio::test]
async fn a_good_link_unsubscribes_as_often_as_it_is_used() {
    let stage = Stage::with_list(1).await;
    for _ in 0..2 {
        stage.subscriptions.unsubscribe(&link(&stage), &[news()]).await.unwrap();
        assert_eq!(standing(&stage).await, MembershipStatus::Unsubscribed);
    }
}

#[tokio::test]
async fn a_forged_link_changes_nothing() {
    let stage = Stage::with_list(1).await;
    let mut forged = link(&stage);
    forged.email_hmac = "0".repeat(64);
    let refused = stage.subscriptions.unsubscribe(&forged, &[news()]).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Unauthenticated);
    let mut elsewhere = link(&stage);
    elsewhere.workspace = WorkspaceId::parse("other").unwrap();
    assert_eq!(stage.subscriptions.check(&elsewhere).await.unwrap_err().code(), "link-invalid");
    assert_eq!(standing(&stage).await, MembershipStatus::Active);
}

#[tokio::test]
async fn who_complained_stays_so() {
    let stage = Stage::with_list(1).await;
    let who = email("c00000@shop.example");
    stage.lists.update_status(&owner(), &who, &news(), MembershipStatus::Complained).await.unwrap();
    stage.subscriptions.unsubscribe(&link(&stage), &[news()]).await.unwrap();
    assert_eq!(standing(&stage).await, MembershipStatus::Complained);
}

#[tokio::test]
async fn only_a_waiting_subscription_is_confirmed() {
    let stage = Stage::with_list(1).await;
    let who = email("c00000@shop.example");
    for (before, after) in [
        (MembershipStatus::Pending, MembershipStatus::Active),
        (MembershipStatus::Unsubscribed, MembershipStatus::Unsubscribed),
        (MembershipStatus::Complained, MembershipStatus::Complained),
    ] {
        stage.lists.update_status(&owner(), &who, &news(), before).await.unwrap();
        stage.subscriptions.confirm(&link(&stage), &news()).await.unwrap();
        assert_eq!(standing(&stage).await, after);
    }
}

#[tokio::test]
async fn a_good_link_shows_the_lists() {
    let stage = Stage::with_list(1).await;
    let memberships = stage.subscriptions.memberships(&link(&stage)).await.unwrap();
    assert_eq!(memberships.len(), 1);
    assert_eq!(memberships[0].list_name, "News");
}
