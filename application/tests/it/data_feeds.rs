use crate::support::{Stage, WRITE, all_but, email, mail, news, owner, welcome, workspace};
use application::{
    failure::Failure as _,
    ports::{Clock as _, FeedError},
};
use chrono::Duration;
use domain::{
    broadcasts::{Audience, Broadcast, BroadcastDraft, Ledger, Rescheduling, Schedule, Skipped, Variation},
    data_feeds::{FeedDraft, FeedsDraft, OnFailure},
    permissions::Resource,
    publications::Channels,
    secret::Secret,
    utm::UtmParameters,
};
use serde_json::json;

const GLOBAL: &str = "https://api.shop.example/news";
const RECIPIENT: &str = "https://api.shop.example/for";

fn feed(url: &str) -> FeedDraft {
    let headers = vec![("X-Key".to_owned(), Some(Secret::new("s3cret")))];
    FeedDraft { enabled: true, url: url.to_owned(), headers }
}

fn global() -> FeedsDraft {
    FeedsDraft { global: Some(feed(GLOBAL)), recipient: None }
}

fn recipient(on_failure: OnFailure) -> FeedsDraft {
    FeedsDraft { global: None, recipient: Some((feed(RECIPIENT), on_failure)) }
}

fn draft(feeds: FeedsDraft) -> BroadcastDraft {
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
        feeds,
    }
}

async fn stage(members: usize) -> Stage {
    let stage = Stage::with_list(members).await;
    let body = "{{ global_feed.price }}/{{ recipient_feed.points }}/{{ recipient_feed._success }} {{ unsubscribe_url }}";
    let content = mail("News", body).content;
    let mut template = mail("News", body);
    template.content = content;
    stage.templates.update(&owner(), template).await.unwrap();
    stage
}

async fn made(stage: &Stage, feeds: FeedsDraft) -> Broadcast {
    stage.broadcasts.create(&owner(), draft(feeds)).await.unwrap()
}

async fn run(stage: &Stage) {
    while stage.broadcasts.plan(&workspace()).await.unwrap().more {}
    stage.deliver_all().await;
}

async fn started(stage: &Stage, feeds: FeedsDraft) -> Broadcast {
    let broadcast = made(stage, feeds).await;
    stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap();
    run(stage).await;
    broadcast
}

async fn ledger(stage: &Stage, broadcast: &Broadcast) -> Ledger {
    stage.broadcasts.ledger(&owner(), &broadcast.id).await.unwrap()
}

async fn now(stage: &Stage, broadcast: &Broadcast) -> Broadcast {
    stage.broadcasts.get(&owner(), &broadcast.id).await.unwrap()
}

fn passing() -> FeedError {
    FeedError { reason: "it answered with status 503".into(), may_pass: true }
}

fn lasting() -> FeedError {
    FeedError { reason: "its answer is no JSON object".into(), may_pass: false }
}

#[tokio::test]
async fn a_global_feed_is_asked_once_and_is_in_every_mail() {
    let stage = stage(3).await;
    stage.feeds.say(&json!({"price": 42}));
    let broadcast = started(&stage, global()).await;
    let sent = stage.mailer.sent();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|mail| mail.html.contains("42/")), "{}", sent[0].html);
    let asked = stage.feeds.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].url.as_str(), asked[0].headers[0].1.as_str()), (GLOBAL, "s3cret"));
    let about = json!({"broadcast": {"id": broadcast.id, "name": "June"},
        "list": {"id": "news", "name": "News"}, "workspace": {"id": "acme", "name": "Acme"}});
    assert_eq!(asked[0].body, about);
    let broadcast = now(&stage, &broadcast).await;
    assert_eq!(broadcast.feeds.global_fetched_at, Some(stage.clock.now()));
    let kept = stage.broadcasts.global_feed(&owner(), &broadcast).await.unwrap().unwrap();
    assert_eq!((kept["price"].as_u64(), kept["_success"].as_bool()), (Some(42), Some(true)));
    assert!(kept["_fetched_at"].is_string());
}

#[tokio::test]
async fn a_global_feed_that_gives_nothing_keeps_the_broadcast_from_starting() {
    let stage = stage(1).await;
    let broadcast = made(&stage, global()).await;
    stage.feeds.fail_next([lasting(), passing()]);
    let refused = stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap_err();
    assert_eq!(refused.code(), "global-feed-failed");
    assert!(refused.to_string().contains("no JSON object"), "{refused}");
    let later = Schedule::parse("2026-06-02", "09:00", None, false).unwrap();
    stage.broadcasts.schedule(&owner(), &broadcast.id, later, None).await.unwrap_err();
    assert_eq!(now(&stage, &broadcast).await.state.name(), "draft");
}

#[tokio::test]
async fn a_scheduled_broadcast_asks_its_global_feed_again_at_its_moment() {
    let stage = stage(1).await;
    let broadcast = made(&stage, global()).await;
    stage.feeds.say(&json!({"price": 1}));
    let later = Schedule::parse("2026-06-02", "09:00", None, false).unwrap();
    stage.broadcasts.schedule(&owner(), &broadcast.id, later, None).await.unwrap();
    stage.clock.advance(Duration::days(2));
    stage.feeds.say(&json!({"price": 2}));
    run(&stage).await;
    assert!(stage.mailer.sent()[0].html.contains("2/"), "{}", stage.mailer.sent()[0].html);
    assert_eq!(stage.feeds.asked().len(), 2);
}

#[tokio::test]
async fn a_scheduled_broadcast_whose_global_feed_fails_at_its_moment_is_paused_and_says_why() {
    let stage = stage(1).await;
    let broadcast = made(&stage, global()).await;
    let later = Schedule::parse("2026-06-02", "09:00", None, false).unwrap();
    stage.broadcasts.schedule(&owner(), &broadcast.id, later, None).await.unwrap();
    stage.clock.advance(Duration::days(2));
    stage.feeds.fail_next([passing()]);
    run(&stage).await;
    let paused = now(&stage, &broadcast).await;
    assert_eq!(paused.state.name(), "paused");
    assert!(paused.state.pause_reason().unwrap().contains("status 503"));
    stage.broadcasts.resume(&owner(), &broadcast.id).await.unwrap();
    run(&stage).await;
    assert_eq!(ledger(&stage, &broadcast).await, Ledger { planned: 1, sent: 1, ..Ledger::default() });
}

#[tokio::test]
async fn a_recipient_feed_is_asked_for_each_recipient() {
    let stage = stage(3).await;
    stage.feeds.say(&json!({"points": 7}));
    started(&stage, recipient(OnFailure::Pause)).await;
    assert!(stage.mailer.sent().iter().all(|mail| mail.html.contains("/7/true")));
    let mut emails: Vec<_> = stage.feeds.asked().iter().map(|a| a.body["contact"]["email"].clone()).collect();
    emails.sort_by_key(ToString::to_string);
    assert_eq!(json!(emails), json!(["c00000@shop.example", "c00001@shop.example", "c00002@shop.example"]));
}

#[tokio::test]
async fn what_may_pass_is_asked_three_times() {
    let stage = stage(1).await;
    stage.feeds.say(&json!({"points": 7}));
    stage.feeds.fail_next([passing(), passing()]);
    let broadcast = started(&stage, recipient(OnFailure::Pause)).await;
    for _ in 0..2 {
        assert_eq!(ledger(&stage, &broadcast).await.queued, 1);
        stage.clock.advance(Duration::seconds(5));
        stage.deliver_all().await;
    }
    assert_eq!(ledger(&stage, &broadcast).await, Ledger { planned: 1, sent: 1, ..Ledger::default() });
    assert_eq!(stage.feeds.asked().len(), 3);
}

#[tokio::test]
async fn a_feed_that_gives_nothing_pauses_the_broadcast_and_loses_nobody() {
    let stage = stage(3).await;
    stage.feeds.fail_next([lasting()]);
    let broadcast = started(&stage, recipient(OnFailure::Pause)).await;
    let paused = now(&stage, &broadcast).await;
    assert_eq!(paused.state.pause_reason(), Some("Recipient feed failed: its answer is no JSON object"));
    let account = ledger(&stage, &broadcast).await;
    assert_eq!((account.planned, account.failed, account.skipped.total()), (3, 0, 0));
    assert!(account.queued >= 1, "{account:?}");
    assert_eq!(stage.broadcasts.audit(&workspace()).await.unwrap(), (1, vec![]));
    assert_eq!(stage.deliver_all().await, 0, "the mails wait");
    stage.broadcasts.resume(&owner(), &broadcast.id).await.unwrap();
    stage.deliver_all().await;
    assert_eq!(ledger(&stage, &broadcast).await, Ledger { planned: 3, sent: 3, ..Ledger::default() });
    assert_eq!(now(&stage, &broadcast).await.state.pause_reason(), None);
    let mut reached: Vec<_> = stage.mailer.sent().into_iter().map(|m| m.to.address).collect();
    reached.sort();
    reached.dedup();
    assert_eq!((reached.len(), stage.mailer.sent().len()), (3, 3), "nobody twice");
}

#[tokio::test]
async fn a_recipient_without_data_is_skipped_where_that_is_wanted() {
    let stage = stage(2).await;
    stage.feeds.fail_next([lasting()]);
    let broadcast = started(&stage, recipient(OnFailure::Skip)).await;
    let skipped = Skipped { no_feed: 1, ..Skipped::default() };
    assert_eq!(
        ledger(&stage, &broadcast).await,
        Ledger { planned: 2, sent: 1, skipped, ..Ledger::default() }
    );
}

#[tokio::test]
async fn a_mail_without_data_fails_where_that_is_wanted_and_is_sent_on_request() {
    let stage = stage(2).await;
    stage.feeds.fail_next([lasting()]);
    let broadcast = started(&stage, recipient(OnFailure::Fail)).await;
    assert_eq!(
        ledger(&stage, &broadcast).await,
        Ledger { planned: 2, sent: 1, failed: 1, ..Ledger::default() }
    );
    assert_eq!(stage.broadcasts.retry_failed(&owner(), &broadcast.id, false).await.unwrap(), 1);
    stage.deliver_all().await;
    assert_eq!(ledger(&stage, &broadcast).await, Ledger { planned: 2, sent: 2, ..Ledger::default() });
}

#[tokio::test]
async fn a_mail_goes_out_without_data_where_that_is_wanted() {
    let stage = stage(1).await;
    stage.feeds.fail_next([lasting()]);
    let broadcast = started(&stage, recipient(OnFailure::Send)).await;
    assert_eq!(ledger(&stage, &broadcast).await.sent, 1);
    assert!(stage.mailer.sent()[0].html.contains("//false"), "{}", stage.mailer.sent()[0].html);
}

#[tokio::test]
async fn a_plan_and_a_test_mail_ask_the_feeds_before_the_start() {
    let stage = stage(1).await;
    stage.feeds.say(&json!({"price": 9, "points": 3}));
    let both = FeedsDraft { recipient: recipient(OnFailure::Pause).recipient, ..global() };
    let broadcast = made(&stage, both).await;
    let plan = stage.deliveries.forecast(&owner(), &broadcast.id).await.unwrap();
    assert!(plan.samples[0].mail.html.contains("9/3/true"), "{}", plan.samples[0].mail.html);
    stage.deliveries.send_trial(&owner(), &broadcast.id, email("me@acme.example"), None).await.unwrap();
    assert!(stage.mailer.sent()[0].html.contains("9/3/true"));
    stage.feeds.fail_next([lasting(), lasting()]);
    let plan = stage.deliveries.forecast(&owner(), &broadcast.id).await.unwrap();
    assert_eq!(plan.warnings.iter().map(|w| w.kind.name()).collect::<Vec<_>>(), ["feed_failed"; 2]);
}

#[tokio::test]
async fn feeds_are_tried_without_storing_anything() {
    let stage = stage(1).await;
    stage.feeds.say(&json!({"price": 9}));
    let broadcast = made(&stage, global()).await;
    let caller = owner();
    let kept = || vec![("x-key".to_owned(), None)];
    let tried =
        stage.broadcasts.refresh_global_feed(&caller, &broadcast.id, GLOBAL.into(), kept()).await.unwrap();
    assert_eq!(tried.data.unwrap()["price"], 9);
    assert_eq!(stage.feeds.asked()[0].headers[0].1, "s3cret", "a header without a value is the stored one");
    assert_eq!(now(&stage, &broadcast).await.feeds.global_fetched_at, None);
    let elsewhere =
        stage.broadcasts.refresh_global_feed(&caller, &broadcast.id, "https://evil.example/".into(), kept());
    assert_eq!(elsewhere.await.unwrap_err().kind(), application::failure::FailureKind::Invalid);
    stage.feeds.fail_next([lasting()]);
    let test = |contact| {
        let (stage, caller, id) = (&stage, &caller, &broadcast.id);
        async move { stage.broadcasts.test_recipient_feed(caller, id, contact, RECIPIENT.into(), vec![]).await }
    };
    let tried = test(None).await.unwrap();
    assert_eq!((tried.data, tried.contact), (Err(lasting()), Some(email("sample@example.com"))));
    let known = email("c00000@shop.example");
    assert_eq!(test(Some(&known)).await.unwrap().contact, Some(known.clone()));
    assert_eq!(test(Some(&email("no@shop.example"))).await.unwrap_err().code(), "contact-not-found");
}

#[tokio::test]
async fn a_feed_inside_is_refused_and_its_fields_are_named() {
    let stage = stage(0).await;
    let feeds = FeedsDraft {
        global: Some(FeedDraft { headers: vec![("Host".into(), Some(Secret::new("x")))], ..feed(GLOBAL) }),
        recipient: Some((feed("https://10.0.0.1/"), OnFailure::Pause)),
    };
    let refused = stage.broadcasts.create(&owner(), draft(feeds)).await.unwrap_err();
    let mut pointers: Vec<_> = refused.problems().iter().map(|p| p.pointer.as_str()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/data_feed/global_feed/headers/0/name", "/data_feed/recipient_feed/url"]);
}

#[tokio::test]
async fn an_update_keeps_feeds_that_it_does_not_name() {
    let stage = stage(0).await;
    let broadcast = made(&stage, global()).await;
    let caller = owner();
    let update = |feeds| stage.broadcasts.update(&caller, &broadcast.id, draft(feeds), Rescheduling::Keep);
    assert_eq!(update(FeedsDraft::default()).await.unwrap().feeds, broadcast.feeds);
    let masked = FeedDraft { headers: vec![("X-Key".into(), None)], ..feed(GLOBAL) };
    let kept = update(FeedsDraft { global: Some(masked), recipient: None }).await.unwrap();
    assert_eq!(kept.feeds, broadcast.feeds);
}

#[tokio::test]
async fn feeds_are_tried_by_who_may_change_broadcasts() {
    let stage = stage(0).await;
    let broadcast = made(&stage, global()).await;
    let reader = all_but(Resource::Broadcasts, WRITE);
    let refused = stage.broadcasts.refresh_global_feed(&reader, &broadcast.id, GLOBAL.into(), vec![]).await;
    assert_eq!(refused.unwrap_err().code(), "permission-missing");
}
