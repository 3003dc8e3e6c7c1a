use crate::support::{READ, Stage, WRITE, all_but, email, list_draft, mail, news, owner, welcome, workspace};
use application::{
    broadcasts::Planned,
    failure::{Failure as _, FailureKind},
    ports::{Settled, WorkKind},
};
use domain::{
    broadcasts::{Audience, Broadcast, BroadcastDraft, Ledger, Rescheduling, Schedule, Skipped, Variation},
    data_feeds::FeedsDraft,
    deliveries::Outcome,
    ids::{BroadcastId, ListId},
    lists::MembershipStatus,
    messages::{MessageFilter, MessageState},
    permissions::Resource,
    publications::Channels,
    utm::UtmParameters,
};
use memory::SequentialIds;
use serde_json::json;

pub fn draft() -> BroadcastDraft {
    BroadcastDraft {
        name: "June".into(),
        audience: Audience {
            list: news(),
            further_lists: vec![],
            excluded_lists: vec![],
            segments: vec![],
            exclude_unsubscribed: true,
        },
        variations: vec![Variation { variation_name: "A".into(), template_id: welcome() }],
        test: None,
        utm: UtmParameters::default(),
        metadata: None,
        channels: Channels::default(),
        web: None,
        feeds: FeedsDraft::default(),
    }
}

async fn started(stage: &Stage) -> Broadcast {
    let broadcast = stage.broadcasts.create(&owner(), draft()).await.unwrap();
    stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap();
    broadcast
}

async fn plan_all(stage: &Stage) {
    while stage.broadcasts.plan(&workspace()).await.unwrap().more {}
}

#[tokio::test]
async fn everybody_on_the_list_is_mailed_once() {
    let stage = Stage::with_list(1_203).await;
    let broadcast = started(&stage).await;
    assert!(stage.signal.signals().contains(&(workspace(), WorkKind::Planning)));
    plan_all(&stage).await;
    let planned = stage.broadcasts.ledger(&owner(), &broadcast.id).await.unwrap();
    assert_eq!(planned, Ledger { planned: 1_203, queued: 1_203, ..Ledger::default() });
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
    assert_eq!(ledger, Ledger { planned: 1_203, sent: 1_203, ..Ledger::default() });
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
    assert_eq!(stage.broadcasts.ledger(&owner(), &broadcast.id).await.unwrap().planned, 1);
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
    assert_eq!((ledger.sent, ledger.skipped.unsubscribed), (1, 1));
    assert_eq!(ledger.accounted(), 2);
    let stats = stage.messages.broadcast_stats(&owner(), &broadcast.id).await.unwrap();
    assert_eq!((stats.sent, stats.failed), (1, 0), "a mail that was never made is not in the history");
}

#[tokio::test]
async fn nobody_is_mailed_who_is_found_unfit_at_the_last_moment() {
    let stage = Stage::with_list(4).await;
    let other = ListId::parse("other").unwrap();
    stage.lists.create(&owner(), list_draft(&other)).await.unwrap();
    let broadcast = started(&stage).await;
    plan_all(&stage).await;
    let who = |n: usize| email(&format!("c{n:05}@shop.example"));
    stage.contacts.delete(&owner(), &who(0)).await.unwrap();
    stage.lists.update_status(&owner(), &who(1), &news(), MembershipStatus::Pending).await.unwrap();
    for (n, status) in [(2, MembershipStatus::Bounced), (3, MembershipStatus::Complained)] {
        let row = json!({"email": who(n).as_str()});
        stage.contacts.import(&owner(), &[row], std::slice::from_ref(&other)).await.unwrap();
        stage.lists.update_status(&owner(), &who(n), &other, status).await.unwrap();
    }
    stage.deliver_all().await;
    assert!(stage.mailer.sent().is_empty());
    let skipped = Skipped { deleted: 1, not_member: 1, bounced: 1, complained: 1, ..Skipped::default() };
    assert_eq!(ledger(&stage, &broadcast).await, Ledger { planned: 4, skipped, ..Ledger::default() });
    assert_eq!(stage.broadcasts.audit(&workspace()).await.unwrap(), (1, vec![]));
}

#[tokio::test]
async fn only_failed_mails_are_sent_again_and_unknown_ones_when_asked() {
    let stage = Stage::with_list(3).await;
    let broadcast = started(&stage).await;
    plan_all(&stage).await;
    let batch = stage.deliveries.claim(&workspace()).await.unwrap();
    let items: Vec<_> = batch.items().iter().collect();
    stage.deliveries.begin(&batch, &items).await.unwrap();
    let outcomes = [
        Outcome::Sent,
        Outcome::Failed { reason: "550 full".into() },
        Outcome::Unknown { reason: "cut off".into() },
    ];
    let ended = items.iter().zip(outcomes);
    let settled: Vec<_> =
        ended.map(|(item, outcome)| Settled { message: item.message().clone(), outcome }).collect();
    stage.deliveries.record(&batch, &settled).await.unwrap();
    let caller = owner();
    let retry = |unknown| stage.broadcasts.retry_failed(&caller, &broadcast.id, unknown);
    assert_eq!(retry(false).await.unwrap(), 1);
    assert_eq!(retry(false).await.unwrap(), 0, "one that waits is not failed");
    assert_eq!(stage.deliver_all().await, 1);
    let now = ledger(&stage, &broadcast).await;
    assert_eq!(now, Ledger { planned: 3, sent: 2, unknown: 1, ..Ledger::default() });
    assert_eq!(retry(true).await.unwrap(), 1);
    stage.deliver_all().await;
    assert_eq!(ledger(&stage, &broadcast).await, Ledger { planned: 3, sent: 3, ..Ledger::default() });
    assert_eq!(retry(true).await.unwrap(), 0);
}

#[tokio::test]
async fn nothing_is_sent_again_of_a_broadcast_that_does_not_run() {
    let stage = Stage::with_list(1).await;
    let broadcast = started(&stage).await;
    stage.broadcasts.pause(&owner(), &broadcast.id).await.unwrap();
    let refused = stage.broadcasts.retry_failed(&owner(), &broadcast.id, false).await.unwrap_err();
    assert_eq!(refused.code(), "broadcast-status");
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
    let again = stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap_err();
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

async fn ledger(stage: &Stage, broadcast: &Broadcast) -> Ledger {
    stage.broadcasts.ledger(&owner(), &broadcast.id).await.unwrap()
}

#[tokio::test]
async fn a_paused_broadcast_is_neither_planned_nor_sent() {
    let stage = Stage::with_list(700).await;
    let broadcast = started(&stage).await;
    stage.broadcasts.plan(&workspace()).await.unwrap();
    stage.broadcasts.pause(&owner(), &broadcast.id).await.unwrap();
    assert!(!stage.broadcasts.plan(&workspace()).await.unwrap().more);
    assert_eq!(stage.deliver_all().await, 0);
    assert_eq!(ledger(&stage, &broadcast).await, Ledger { planned: 500, queued: 500, ..Ledger::default() });
}

#[tokio::test]
async fn a_resumed_broadcast_reaches_everybody() {
    let stage = Stage::with_list(700).await;
    let broadcast = started(&stage).await;
    stage.broadcasts.plan(&workspace()).await.unwrap();
    stage.broadcasts.pause(&owner(), &broadcast.id).await.unwrap();
    let before = stage.signal.signals().len();
    stage.broadcasts.resume(&owner(), &broadcast.id).await.unwrap();
    let woken = stage.signal.signals()[before..].to_vec();
    assert_eq!(woken, [WorkKind::Planning, WorkKind::Deliveries].map(|kind| (workspace(), kind)));
    plan_all(&stage).await;
    while ledger(&stage, &broadcast).await.queued > 0 {
        stage.deliver_all().await;
        stage.clock.advance(chrono::Duration::seconds(1));
    }
    assert_eq!(ledger(&stage, &broadcast).await, Ledger { planned: 700, sent: 700, ..Ledger::default() });
}

#[tokio::test]
async fn a_mail_already_begun_is_finished_after_a_pause_and_a_cancellation() {
    let stage = Stage::with_list(1).await;
    let broadcast = started(&stage).await;
    plan_all(&stage).await;
    let batch = stage.deliveries.claim(&workspace()).await.unwrap();
    let items: Vec<_> = batch.items().iter().collect();
    stage.deliveries.begin(&batch, &items).await.unwrap();
    stage.broadcasts.pause(&owner(), &broadcast.id).await.unwrap();
    stage.broadcasts.cancel(&owner(), &broadcast.id).await.unwrap();
    assert_eq!(ledger(&stage, &broadcast).await, Ledger { planned: 1, sending: 1, ..Ledger::default() });
    let settled = stage.deliveries.deliver(&batch, items[0]).await;
    stage.deliveries.record(&batch, &[settled]).await.unwrap();
    assert_eq!(ledger(&stage, &broadcast).await, Ledger { planned: 1, sent: 1, ..Ledger::default() });
}

/// Begins the only mail of a broadcast, lets something happen, and has the provider defer the mail.
async fn deferred_after(stage: &Stage, what: impl AsyncFnOnce()) {
    let batch = stage.deliveries.claim(&workspace()).await.unwrap();
    let items: Vec<_> = batch.items().iter().collect();
    stage.deliveries.begin(&batch, &items).await.unwrap();
    what().await;
    let at = application::ports::Clock::now(&stage.clock) + chrono::Duration::minutes(1);
    let outcome = Outcome::Retry { at, reason: "451 later".into() };
    let settled = Settled { message: items[0].message().clone(), outcome };
    stage.deliveries.record(&batch, &[settled]).await.unwrap();
    stage.clock.advance(chrono::Duration::minutes(2));
}

#[tokio::test]
async fn a_retry_waits_for_the_end_of_a_pause() {
    let stage = Stage::with_list(1).await;
    let broadcast = started(&stage).await;
    plan_all(&stage).await;
    deferred_after(&stage, async || stage.broadcasts.pause(&owner(), &broadcast.id).await.unwrap()).await;
    assert_eq!(stage.deliver_all().await, 0);
    stage.broadcasts.resume(&owner(), &broadcast.id).await.unwrap();
    stage.deliver_all().await;
    assert_eq!(ledger(&stage, &broadcast).await, Ledger { planned: 1, sent: 1, ..Ledger::default() });
}

#[tokio::test]
async fn nothing_of_a_cancelled_broadcast_is_tried_again() {
    let stage = Stage::with_list(1).await;
    let broadcast = started(&stage).await;
    plan_all(&stage).await;
    deferred_after(&stage, async || stage.broadcasts.cancel(&owner(), &broadcast.id).await.unwrap()).await;
    assert_eq!(stage.deliver_all().await, 0);
    assert_eq!(ledger(&stage, &broadcast).await, Ledger { planned: 1, cancelled: 1, ..Ledger::default() });
    let stats = stage.messages.broadcast_stats(&owner(), &broadcast.id).await.unwrap();
    assert_eq!((stats.sent, stats.failed), (0, 1));
}

#[tokio::test]
async fn nothing_of_a_deleted_broadcast_is_tried_again() {
    let stage = Stage::with_list(1).await;
    let broadcast = started(&stage).await;
    plan_all(&stage).await;
    deferred_after(&stage, async || stage.broadcasts.delete(&owner(), &broadcast.id).await.unwrap()).await;
    assert_eq!(stage.deliver_all().await, 0);
    assert!(stage.mailer.sent().is_empty());
}

#[tokio::test]
async fn a_cancelled_broadcast_accounts_for_who_was_planned() {
    let stage = Stage::with_list(700).await;
    let broadcast = started(&stage).await;
    stage.broadcasts.plan(&workspace()).await.unwrap();
    stage.broadcasts.cancel(&owner(), &broadcast.id).await.unwrap();
    plan_all(&stage).await;
    assert_eq!(stage.deliver_all().await, 0);
    assert_eq!(
        ledger(&stage, &broadcast).await,
        Ledger { planned: 500, cancelled: 500, ..Ledger::default() }
    );
}

#[tokio::test]
async fn a_paused_broadcast_goes_on_with_its_new_content() {
    let stage = Stage::with_list(700).await;
    let broadcast = started(&stage).await;
    stage.broadcasts.plan(&workspace()).await.unwrap();
    stage.broadcasts.pause(&owner(), &broadcast.id).await.unwrap();
    let renamed = BroadcastDraft { name: "July".into(), ..draft() };
    let changed =
        stage.broadcasts.update(&owner(), &broadcast.id, renamed, Rescheduling::Keep).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.state.name()), ("July", "paused"));
    stage.broadcasts.resume(&owner(), &broadcast.id).await.unwrap();
    plan_all(&stage).await;
    assert_eq!(ledger(&stage, &broadcast).await.planned, 700);
}

#[tokio::test]
async fn a_running_broadcast_is_neither_updated_nor_deleted() {
    let stage = Stage::with_list(1).await;
    let broadcast = started(&stage).await;
    let codes = [
        stage
            .broadcasts
            .update(&owner(), &broadcast.id, draft(), Rescheduling::Keep)
            .await
            .unwrap_err()
            .code(),
        stage.broadcasts.delete(&owner(), &broadcast.id).await.unwrap_err().code(),
        stage.broadcasts.resume(&owner(), &broadcast.id).await.unwrap_err().code(),
    ];
    assert_eq!(codes, ["broadcast-status"; 3]);
}

#[tokio::test]
async fn a_deleted_broadcast_is_gone() {
    let stage = Stage::with_list(1).await;
    let broadcast = stage.broadcasts.create(&owner(), draft()).await.unwrap();
    stage.broadcasts.delete(&owner(), &broadcast.id).await.unwrap();
    assert_eq!(
        stage.broadcasts.get(&owner(), &broadcast.id).await.unwrap_err().code(),
        "broadcast-not-found"
    );
}

/// At nine on the day after the stage's first.
fn at_nine(zone: &str, recipients: bool) -> Schedule {
    Schedule::parse("2026-06-02", "09:00", Some(zone), recipients).unwrap()
}

async fn scheduled(stage: &Stage, schedule: Schedule) -> Broadcast {
    let broadcast = stage.broadcasts.create(&owner(), draft()).await.unwrap();
    stage.broadcasts.schedule(&owner(), &broadcast.id, schedule, None).await.unwrap();
    broadcast
}

async fn status(stage: &Stage, broadcast: &Broadcast) -> &'static str {
    stage.broadcasts.get(&owner(), &broadcast.id).await.unwrap().state.name()
}

fn go_to(stage: &Stage, moment: &str) {
    let moment: domain::Timestamp = moment.parse().unwrap();
    stage.clock.advance(moment - application::ports::Clock::now(&stage.clock));
}

#[tokio::test]
async fn a_scheduled_broadcast_goes_out_at_its_moment() {
    let stage = Stage::with_list(2).await;
    let broadcast = scheduled(&stage, at_nine("Europe/Paris", false)).await;
    assert!(stage.signal.signals().contains(&(workspace(), WorkKind::Planning)));
    let look = stage.broadcasts.plan(&workspace()).await.unwrap();
    let moment = "2026-06-02T07:00:00Z";
    assert_eq!(look, Planned { more: false, next: Some(moment.parse().unwrap()) });
    assert_eq!(status(&stage, &broadcast).await, "scheduled");
    go_to(&stage, moment);
    assert!(stage.broadcasts.plan(&workspace()).await.unwrap().more);
    assert_eq!(status(&stage, &broadcast).await, "processing");
    plan_all(&stage).await;
    stage.deliver_all().await;
    assert_eq!(ledger(&stage, &broadcast).await, Ledger { planned: 2, sent: 2, ..Ledger::default() });
}

#[tokio::test]
async fn each_mail_waits_for_the_recipients_own_clock() {
    let stage = Stage::with_list(0).await;
    let zones = [
        ("kiri", "Pacific/Kiritimati"),
        ("paris", "Europe/Paris"),
        ("none", "Mars/Base"),
        ("la", "America/Los_Angeles"),
    ];
    let rows: Vec<_> = zones
        .iter()
        .map(|(name, zone)| json!({"email": format!("{name}@shop.example"), "timezone": zone}))
        .collect();
    stage.contacts.import(&owner(), &rows, &[news()]).await.unwrap();
    let broadcast = scheduled(&stage, at_nine("Europe/Paris", true)).await;
    let mut sent = Vec::new();
    for (moment, names) in [
        ("2026-06-01T18:59:59Z", vec![]),
        ("2026-06-01T19:00:00Z", vec!["kiri"]),
        ("2026-06-02T07:00:00Z", vec!["none", "paris"]),
        ("2026-06-02T15:59:59Z", vec![]),
        ("2026-06-02T16:00:00Z", vec!["la"]),
    ] {
        go_to(&stage, moment);
        plan_all(&stage).await;
        stage.deliver_all().await;
        sent.extend(names.into_iter().map(|name| email(&format!("{name}@shop.example"))));
        let mut reached: Vec<_> = stage.mailer.sent().into_iter().map(|m| m.to.address).collect();
        reached.sort();
        let mut wanted = sent.clone();
        wanted.sort();
        assert_eq!(reached, wanted, "at {moment}");
    }
    assert_eq!(ledger(&stage, &broadcast).await, Ledger { planned: 4, sent: 4, ..Ledger::default() });
}

#[tokio::test]
async fn whose_time_has_passed_when_planning_begins_is_mailed_at_once() {
    let stage = Stage::with_list(0).await;
    let row = json!({"email": "tokyo@shop.example", "timezone": "Asia/Tokyo"});
    stage.contacts.import(&owner(), &[row], &[news()]).await.unwrap();
    go_to(&stage, "2026-06-02T06:00:00Z");
    scheduled(&stage, at_nine("Europe/Paris", true)).await;
    plan_all(&stage).await;
    stage.deliver_all().await;
    assert_eq!(stage.mailer.sent().len(), 1, "it is three in the afternoon in Tokyo");
}

#[tokio::test]
async fn an_update_moves_the_moment() {
    let stage = Stage::with_list(1).await;
    let broadcast = scheduled(&stage, at_nine("UTC", false)).await;
    let later = Rescheduling::Move(Schedule::parse("2026-06-03", "09:00", None, false).unwrap());
    stage.broadcasts.update(&owner(), &broadcast.id, draft(), later).await.unwrap();
    go_to(&stage, "2026-06-02T12:00:00Z");
    plan_all(&stage).await;
    assert_eq!(status(&stage, &broadcast).await, "scheduled");
    go_to(&stage, "2026-06-03T09:00:00Z");
    plan_all(&stage).await;
    assert_eq!(status(&stage, &broadcast).await, "processed");
}

#[tokio::test]
async fn a_scheduled_broadcast_that_is_cancelled_or_deleted_never_starts() {
    let stage = Stage::with_list(1).await;
    let cancelled = scheduled(&stage, at_nine("UTC", false)).await;
    let deleted = scheduled(&stage, at_nine("UTC", false)).await;
    stage.broadcasts.cancel(&owner(), &cancelled.id).await.unwrap();
    stage.broadcasts.delete(&owner(), &deleted.id).await.unwrap();
    go_to(&stage, "2026-06-02T12:00:00Z");
    assert_eq!(stage.broadcasts.plan(&workspace()).await.unwrap(), Planned { more: false, next: None });
}

#[tokio::test]
async fn a_scheduled_broadcast_without_its_template_is_paused_and_says_why() {
    let stage = Stage::with_list(1).await;
    let broadcast = scheduled(&stage, at_nine("UTC", false)).await;
    stage.templates.delete(&owner(), &welcome()).await.unwrap();
    go_to(&stage, "2026-06-02T09:00:00Z");
    plan_all(&stage).await;
    let paused = stage.broadcasts.get(&owner(), &broadcast.id).await.unwrap();
    assert_eq!(paused.state.name(), "paused");
    assert_eq!(paused.state.pause_reason(), Some("no e-mail template has the id welcome"));
}

#[tokio::test]
async fn a_moment_that_has_passed_is_refused() {
    let stage = Stage::with_list(1).await;
    let broadcast = stage.broadcasts.create(&owner(), draft()).await.unwrap();
    let past = Schedule::parse("2026-05-31", "09:00", None, false).unwrap();
    let refused = stage.broadcasts.schedule(&owner(), &broadcast.id, past, None).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Invalid);
}

#[tokio::test]
async fn who_is_on_several_lists_is_mailed_once_and_who_is_excluded_never() {
    let stage = Stage::with_list(3).await;
    let who = |n: usize| json!({"email": format!("c{n:05}@shop.example")});
    let (vip, churned) = (ListId::parse("vip").unwrap(), ListId::parse("churned").unwrap());
    for (list, members) in [(&vip, vec![who(0), who(7)]), (&churned, vec![who(1)])] {
        stage.lists.create(&owner(), list_draft(list)).await.unwrap();
        stage.contacts.import(&owner(), &members, std::slice::from_ref(list)).await.unwrap();
    }
    let mut several = draft();
    several.audience.further_lists = vec![vip];
    several.audience.excluded_lists = vec![churned.clone()];
    let broadcast = stage.broadcasts.create(&owner(), several).await.unwrap();
    stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap();
    plan_all(&stage).await;
    assert_eq!(ledger(&stage, &broadcast).await.planned, 3);
    stage.contacts.import(&owner(), &[who(2)], &[churned]).await.unwrap();
    stage.deliver_all().await;
    let now = ledger(&stage, &broadcast).await;
    assert_eq!((now.sent, now.skipped.excluded), (2, 1), "also who was put on the list after planning");
}

#[tokio::test]
async fn every_use_case_needs_its_permission() {
    let stage = Stage::with_list(0).await;
    let no_read = all_but(Resource::Broadcasts, READ);
    let no_write = all_but(Resource::Broadcasts, WRITE);
    let id = BroadcastId::from_uuid(SequentialIds::nth(5));
    let kinds = [
        stage.broadcasts.create(&no_write, draft()).await.unwrap_err().kind(),
        stage.broadcasts.send_now(&no_write, &id, None).await.unwrap_err().kind(),
        stage.broadcasts.schedule(&no_write, &id, at_nine("UTC", false), None).await.unwrap_err().kind(),
        stage.broadcasts.update(&no_write, &id, draft(), Rescheduling::Keep).await.unwrap_err().kind(),
        stage.broadcasts.pause(&no_write, &id).await.unwrap_err().kind(),
        stage.broadcasts.resume(&no_write, &id).await.unwrap_err().kind(),
        stage.broadcasts.cancel(&no_write, &id).await.unwrap_err().kind(),
        stage.broadcasts.delete(&no_write, &id).await.unwrap_err().kind(),
        stage.broadcasts.retry_failed(&no_write, &id, false).await.unwrap_err().kind(),
        stage.broadcasts.get(&no_read, &id).await.unwrap_err().kind(),
        stage.broadcasts.select_winner(&no_write, &id, &welcome()).await.unwrap_err().kind(),
        stage.broadcasts.test_results(&no_read, &id).await.unwrap_err().kind(),
        stage.broadcasts.recipients(&no_read, &id, None, None, 1).await.unwrap_err().kind(),
        stage.broadcasts.list(&no_read, None, 1, 0).await.unwrap_err().kind(),
        stage.broadcasts.ledger(&no_read, &id).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [FailureKind::Forbidden; 15]);
}

#[tokio::test]
async fn a_test_mail_without_an_answer_is_kept_as_unknown() {
    for stage in [Stage::with_list(1).await, Stage::that_retries_unknown_with_list(1).await] {
        let broadcast = stage.broadcasts.create(&owner(), draft()).await.unwrap();
        let unanswered = application::ports::SendError::Unconfirmed { reason: "timed out".into() };
        stage.mailer.fail_next([unanswered]);
        let to = email("boss@acme.example");
        let error = stage.deliveries.send_trial(&owner(), &broadcast.id, to, None).await.unwrap_err();
        assert_eq!(error.code(), "mail-unanswered");
        assert!(error.to_string().contains("may have been sent"), "{error}");
        let page = stage.messages.list(&owner(), &MessageFilter::default(), None, 9).await.unwrap();
        let states: Vec<_> = page.items.iter().map(|view| view.message.state).collect();
        assert_eq!(states, [MessageState::Unknown]);
    }
}

#[tokio::test]
async fn a_plan_warns_of_senders_that_nobody_believes() {
    let stage = Stage::with_list(2).await;
    let broadcast = stage.broadcasts.create(&owner(), draft()).await.unwrap();
    let plan = stage.deliveries.forecast(&owner(), &broadcast.id).await.unwrap();
    assert_eq!((plan.checked, plan.warnings), (2, vec![]));
    let mut template = mail("News", "{{ contact.email }} {{ unsubscribe_url }}");
    let domain::templates::TemplateContent::Email(content) = &mut template.content else { unreachable!() };
    content.sender_id = Some(SequentialIds::nth(77).to_string());
    stage.templates.update(&owner(), template).await.unwrap();
    let plan = stage.deliveries.forecast(&owner(), &broadcast.id).await.unwrap();
    let kinds: Vec<_> = plan.warnings.iter().map(|w| (w.kind.name(), w.affected)).collect();
    assert_eq!(kinds, [("unverified_sender", 2)]);
}
