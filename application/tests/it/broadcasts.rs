use crate::support::{READ, Stage, WRITE, all_but, email, news, owner, welcome, workspace};
use application::{
    failure::{Failure as _, FailureKind},
    ports::WorkKind,
};
use domain::{
    broadcasts::{Audience, Broadcast, BroadcastDraft, Ledger, Variation},
    ids::{BroadcastId, ListId},
    lists::MembershipStatus,
    permissions::Resource,
    utm::UtmParameters,
};
use memory::SequentialIds;

fn draft() -> BroadcastDraft {
    BroadcastDraft {
        name: "June".into(),
        audience: Audience { list: news(), segments: vec![], exclude_unsubscribed: true },
        variations: vec![Variation { variation_name: "A".into(), template_id: welcome() }],
        utm: UtmParameters::default(),
        metadata: None,
    }
}

async fn started(stage: &Stage) -> Broadcast {
    let broadcast = stage.broadcasts.create(&owner(), draft()).await.unwrap();
    stage.broadcasts.send_now(&owner(), &broadcast.id).await.unwrap();
    broadcast
}

async fn plan_all(stage: &Stage) {
    while stage.broadcasts.plan(&workspace()).await.unwrap() {}
}

#[tokio::test]
async fn everybody_on_the_list_is_mailed_once() {
    let stage = Stage::with_list(1_203).await;
    let broadcast = started(&stage).await;
    assert!(stage.signal.signals().contains(&(workspace(), WorkKind::Planning)));
    plan_all(&stage).await;
    let planned = stage.broadcasts.ledger(&owner(), &broadcast.id).await.unwrap();
    assert_eq!(planned, Ledger { queued: 1_203, ..Ledger::default() });
    let current = stage.broadcasts.get(&owner(), &broadcast.id).await.unwrap();
    assert_eq!((current.state.name(), current.enqueued_count), ("processed", 1_203));
    stage.clock.advance(chrono::Duration::seconds(1));
    let mut sent = 0;
    while sent < 1_203 {
        sent += stage.deliver_all().await;
        stage.clock.advance(chrono::Duration::seconds(1));
    }
    let mut recipients: Vec<_> = stage.mailer.sent().into_iter().map(|m| m.to.address).collect();
    recipients.sort();
    recipients.dedup();
    assert_eq!(recipients.len(), 1_203);
    let ledger = stage.broadcasts.ledger(&owner(), &broadcast.id).await.unwrap();
    assert_eq!(ledger, Ledger { sent: 1_203, ..Ledger::default() });
    let stats = stage.messages.broadcast_stats(&owner(), &broadcast.id).await.unwrap();
    assert_eq!((stats.sent, stats.failed), (1_203, 0));
    assert_eq!(stage.renderer.compilations(), 1, "the template is compiled once for all");
}

#[tokio::test]
async fn only_active_members_are_planned() {
    let stage = Stage::with_list(5).await;
    let others = [
        MembershipStatus::Pending,
        MembershipStatus::Unsubscribed,
        MembershipStatus::Bounced,
        MembershipStatus::Complained,
    ];
    for (n, status) in others.into_iter().enumerate() {
        let who = email(&format!("c{n:05}@shop.example"));
        stage.lists.update_status(&owner(), &who, &news(), status).await.unwrap();
    }
    let broadcast = started(&stage).await;
    plan_all(&stage).await;
    assert_eq!(stage.broadcasts.ledger(&owner(), &broadcast.id).await.unwrap().planned(), 1);
}

#[tokio::test]
async fn who_leaves_after_planning_is_not_mailed() {
    let stage = Stage::with_list(2).await;
    let broadcast = started(&stage).await;
    plan_all(&stage).await;
    let who = email("c00000@shop.example");
    stage.lists.update_status(&owner(), &who, &news(), MembershipStatus::Unsubscribed).await.unwrap();
    stage.deliver_all().await;
    assert_eq!(stage.mailer.sent().len(), 1);
    let ledger = stage.broadcasts.ledger(&owner(), &broadcast.id).await.unwrap();
    assert_eq!((ledger.sent, ledger.failed), (1, 1));
}

#[tokio::test]
async fn broadcast_mails_can_be_unsubscribed_with_one_click() {
    let stage = Stage::with_list(1).await;
    started(&stage).await;
    plan_all(&stage).await;
    stage.deliver_all().await;
    let mail = &stage.mailer.sent()[0];
    let url = mail.list_unsubscribe.as_ref().unwrap();
    assert!(url.starts_with(
        "https://mail.acme.example/unsubscribe-oneclick?email=c00000%40shop.example&email_hmac="
    ));
    assert!(url.contains("&lids=news&mid="));
    assert!(mail.html.contains("/notification-center?action=unsubscribe"));
}

#[tokio::test]
async fn a_broadcast_starts_once() {
    let stage = Stage::with_list(1).await;
    let broadcast = started(&stage).await;
    let again = stage.broadcasts.send_now(&owner(), &broadcast.id).await.unwrap_err();
    assert_eq!((again.kind(), again.code()), (FailureKind::Conflict, "broadcast-status"));
}

#[tokio::test]
async fn an_empty_list_completes_at_once() {
    let stage = Stage::with_list(0).await;
    let broadcast = started(&stage).await;
    plan_all(&stage).await;
    let current = stage.broadcasts.get(&owner(), &broadcast.id).await.unwrap();
    assert_eq!((current.state.name(), current.enqueued_count), ("processed", 0));
}

#[tokio::test]
async fn a_draft_names_an_existing_list_and_one_template() {
    let stage = Stage::with_list(0).await;
    let mut unknown = draft();
    unknown.audience.list = ListId::parse("nowhere").unwrap();
    assert_eq!(stage.broadcasts.create(&owner(), unknown).await.unwrap_err().code(), "list-unknown");
    let mut none = draft();
    none.variations.clear();
    assert_eq!(stage.broadcasts.create(&owner(), none).await.unwrap_err().kind(), FailureKind::Invalid);
}

#[tokio::test]
async fn every_use_case_needs_its_permission() {
    let stage = Stage::with_list(0).await;
    let no_read = all_but(Resource::Broadcasts, READ);
    let no_write = all_but(Resource::Broadcasts, WRITE);
    let id = BroadcastId::from_uuid(SequentialIds::nth(5));
    let kinds = [
        stage.broadcasts.create(&no_write, draft()).await.unwrap_err().kind(),
        stage.broadcasts.send_now(&no_write, &id).await.unwrap_err().kind(),
        stage.broadcasts.get(&no_read, &id).await.unwrap_err().kind(),
        stage.broadcasts.list(&no_read, None, 1, 0).await.unwrap_err().kind(),
        stage.broadcasts.ledger(&no_read, &id).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [FailureKind::Forbidden; 5]);
}
