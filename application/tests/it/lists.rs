use crate::support::{READ, Stage, WRITE, all_but, email, list_draft, news, owner};
use application::failure::{Failure as _, FailureKind};
use domain::{ids::ListId, lists::MembershipStatus, permissions::Resource};

#[tokio::test]
async fn a_list_id_is_taken_for_ever() {
    let stage = Stage::new().await;
    stage.lists.create(&owner(), list_draft(&news())).await.unwrap();
    assert_eq!(stage.lists.create(&owner(), list_draft(&news())).await.unwrap_err().code(), "list-id-taken");
    stage.lists.delete(&owner(), &news()).await.unwrap();
    assert_eq!(stage.lists.get(&owner(), &news()).await.unwrap_err().code(), "list-not-found");
    assert_eq!(stage.lists.create(&owner(), list_draft(&news())).await.unwrap_err().code(), "list-id-taken");
}

#[tokio::test]
async fn double_opt_in_needs_no_template() {
    let stage = Stage::new().await;
    let mut draft = list_draft(&news());
    draft.is_double_optin = true;
    assert!(stage.lists.create(&owner(), draft).await.unwrap().is_double_optin);
}

#[tokio::test]
async fn an_update_keeps_the_moment_of_creation() {
    let stage = Stage::new().await;
    let made = stage.lists.create(&owner(), list_draft(&news())).await.unwrap();
    stage.clock.advance(chrono::Duration::hours(1));
    let mut draft = list_draft(&news());
    draft.name = "Monthly".into();
    let updated = stage.lists.update(&owner(), draft).await.unwrap();
    assert_eq!(updated.created_at, made.created_at);
    assert!(updated.updated_at > made.updated_at);
    assert_eq!(stage.lists.list(&owner()).await.unwrap(), [updated]);
}

#[tokio::test]
async fn a_status_is_set_only_for_members() {
    let stage = Stage::with_list(1).await;
    let bounced = MembershipStatus::Bounced;
    let set = |who: &'static str| {
        let stage = &stage;
        async move { stage.lists.update_status(&owner(), &email(who), &news(), bounced).await.unwrap() }
    };
    assert!(set("c00000@shop.example").await);
    assert!(!set("nobody@shop.example").await);
    assert_eq!(stage.lists.stats(&owner(), &news()).await.unwrap().bounced, 1);
}

#[tokio::test]
async fn every_use_case_needs_its_permission() {
    let stage = Stage::new().await;
    let (no_read, no_write) = (all_but(Resource::Lists, READ), all_but(Resource::Lists, WRITE));
    let who = email("ana@shop.example");
    let active = MembershipStatus::Active;
    let id = ListId::parse("x").unwrap();
    let kinds = [
        stage.lists.create(&no_write, list_draft(&id)).await.unwrap_err().kind(),
        stage.lists.update(&no_write, list_draft(&id)).await.unwrap_err().kind(),
        stage.lists.delete(&no_write, &id).await.unwrap_err().kind(),
        stage.lists.update_status(&no_write, &who, &id, active).await.unwrap_err().kind(),
        stage.lists.list(&no_read).await.unwrap_err().kind(),
        stage.lists.get(&no_read, &id).await.unwrap_err().kind(),
        stage.lists.stats(&no_read, &id).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [FailureKind::Forbidden; 7]);
}
