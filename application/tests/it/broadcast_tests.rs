//! Comparing contents of a broadcast on a part of its audience.

use crate::support::{Stage, list_draft, mail, news, owner, welcome, workspace};
use application::{
    failure::{Failure as _, FailureKind},
    ports::Clock as _,
};
use chrono::Duration;
use domain::{
    broadcasts::{
        AbTest, Audience, Broadcast, BroadcastDraft, Schedule, Variation, WinnerChoice, WinnerMetric,
    },
    ids::TemplateId,
    publications::Channels,
    templates::TemplateDraft,
    utm::UtmParameters,
};

fn second() -> TemplateId {
    TemplateId::parse("second").unwrap()
}

const HOURS: u8 = 2;

fn by_opens() -> WinnerChoice {
    WinnerChoice::Automatic { metric: WinnerMetric::OpenRate, hours: HOURS }
}

async fn compared(stage: &Stage, winner: WinnerChoice) -> Broadcast {
    let other = TemplateDraft { id: second(), ..mail("Second", "{{ contact.email }}") };
    stage.templates.create(&owner(), other).await.unwrap();
    let variation = |template_id: TemplateId| Variation { variation_name: String::new(), template_id };
    let draft = BroadcastDraft {
        name: "June".into(),
        audience: Audience {
            list: news(),
            further_lists: vec![],
            excluded_lists: vec![],
            segments: vec![],
            exclude_unsubscribed: true,
        },
        variations: vec![variation(welcome()), variation(second())],
        test: Some(AbTest::new(20, winner).unwrap()),
        utm: UtmParameters::default(),
        metadata: None,
        channels: Channels::default(),
        web: None,
        feeds: domain::data_feeds::FeedsDraft::default(),
    };
    stage.broadcasts.create(&owner(), draft).await.unwrap()
}

async fn run(stage: &Stage) {
    while stage.broadcasts.plan(&workspace()).await.unwrap().more {}
    stage.clock.advance(Duration::seconds(1));
    while stage.deliver_all().await > 0 {
        stage.clock.advance(Duration::seconds(1));
    }
}

async fn status(stage: &Stage, broadcast: &Broadcast) -> &'static str {
    stage.broadcasts.get(&owner(), &broadcast.id).await.unwrap().state.name()
}

fn mails_of(stage: &Stage, subject: &str) -> usize {
    stage.mailer.sent().iter().filter(|m| m.subject == subject).count()
}

#[tokio::test]
async fn a_sample_is_mailed_first_and_the_rest_gets_the_chosen_content() {
    let stage = Stage::with_list(700).await;
    let broadcast = compared(&stage, WinnerChoice::ByHand).await;
    stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap();
    assert_eq!(status(&stage, &broadcast).await, "testing");
    run(&stage).await;
    assert_eq!(status(&stage, &broadcast).await, "test_completed");
    let sample = stage.mailer.sent().len();
    assert!((100..180).contains(&sample), "{sample}");
    let results = stage.broadcasts.test_results(&owner(), &broadcast.id).await.unwrap();
    let counts: Vec<_> = results.variations.iter().map(|v| (v.name.as_str(), v.result.sent)).collect();
    let (first, other) = (mails_of(&stage, "News"), mails_of(&stage, "Second"));
    assert_eq!(counts, [("Welcome", first as u64), ("Welcome", other as u64)]);
    assert_eq!(results.recommended, Some(welcome()), "the first of equals");
    stage.broadcasts.select_winner(&owner(), &broadcast.id, &second()).await.unwrap();
    assert_eq!(status(&stage, &broadcast).await, "winner_selected");
    run(&stage).await;
    assert_eq!(status(&stage, &broadcast).await, "processed");
    assert_eq!(mails_of(&stage, "News"), first);
    assert_eq!(mails_of(&stage, "Second"), 700 - first);
    let mut reached: Vec<_> = stage.mailer.sent().into_iter().map(|m| m.to.address).collect();
    reached.sort();
    reached.dedup();
    assert_eq!(reached.len(), 700, "nobody twice, nobody missing");
    let after = stage.broadcasts.test_results(&owner(), &broadcast.id).await.unwrap();
    let sum: u64 = after.variations.iter().map(|v| v.result.recipients).sum();
    assert_eq!((sum, after.recommended), (sample as u64, None), "the rest is no part of the test");
    assert_eq!(stage.broadcasts.audit(&workspace()).await.unwrap(), (1, vec![]));
}

#[tokio::test]
async fn the_rates_choose_after_the_duration() {
    let stage = Stage::with_list(300).await;
    let broadcast = compared(&stage, by_opens()).await;
    stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap();
    run(&stage).await;
    let look = stage.broadcasts.plan(&workspace()).await.unwrap();
    assert!(look.next.is_some_and(|next| next > stage.clock.now()) && !look.more);
    stage.clock.advance(Duration::hours(HOURS.into()));
    run(&stage).await;
    let done = stage.broadcasts.get(&owner(), &broadcast.id).await.unwrap();
    assert_eq!(
        (done.state.name(), done.winning_template),
        ("processed", Some(welcome())),
        "the first of equals"
    );
    assert_eq!(stage.mailer.sent().len(), 300);
}

#[tokio::test]
async fn a_scheduled_broadcast_is_tested_as_well() {
    let stage = Stage::with_list(50).await;
    let broadcast = compared(&stage, WinnerChoice::ByHand).await;
    let schedule = Schedule::parse("2026-06-02", "09:00", None, false).unwrap();
    stage.broadcasts.schedule(&owner(), &broadcast.id, schedule, None).await.unwrap();
    stage.clock.advance(Duration::hours(25));
    run(&stage).await;
    assert_eq!(status(&stage, &broadcast).await, "test_completed");
    assert!(stage.mailer.sent().len() < 50);
}

#[tokio::test]
async fn a_test_is_paused_resumed_and_cancelled() {
    let stage = Stage::with_list(100).await;
    let broadcast = compared(&stage, by_opens()).await;
    stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap();
    run(&stage).await;
    let sample = stage.mailer.sent().len();
    stage.broadcasts.pause(&owner(), &broadcast.id).await.unwrap();
    stage.clock.advance(Duration::hours(HOURS.into()));
    run(&stage).await;
    assert_eq!(status(&stage, &broadcast).await, "paused");
    stage.broadcasts.resume(&owner(), &broadcast.id).await.unwrap();
    stage.broadcasts.cancel(&owner(), &broadcast.id).await.unwrap();
    run(&stage).await;
    assert_eq!((status(&stage, &broadcast).await, stage.mailer.sent().len()), ("cancelled", sample));
}

#[tokio::test]
async fn a_winner_chosen_during_the_test_ends_it() {
    let stage = Stage::with_list(700).await;
    let broadcast = compared(&stage, by_opens()).await;
    stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap();
    stage.broadcasts.plan(&workspace()).await.unwrap();
    stage.broadcasts.select_winner(&owner(), &broadcast.id, &welcome()).await.unwrap();
    run(&stage).await;
    assert_eq!((status(&stage, &broadcast).await, stage.mailer.sent().len()), ("processed", 700));
}

#[tokio::test]
async fn a_winner_is_one_of_the_contents_of_a_test() {
    let stage = Stage::with_list(1).await;
    stage.lists.create(&owner(), list_draft(&domain::ids::ListId::parse("other").unwrap())).await.unwrap();
    let broadcast = compared(&stage, WinnerChoice::ByHand).await;
    let choose = async |template: &str| {
        let template = TemplateId::parse(template).unwrap();
        stage.broadcasts.select_winner(&owner(), &broadcast.id, &template).await.unwrap_err().kind()
    };
    assert_eq!(choose("second").await, FailureKind::Conflict, "it is a draft");
    stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap();
    assert_eq!(choose("third").await, FailureKind::Invalid);
}

#[tokio::test]
async fn those_who_keep_copies_of_pages_are_told_who_won() {
    for winner in [WinnerChoice::ByHand, by_opens()] {
        let stage = Stage::with_list(20).await;
        let broadcast = compared(&stage, winner).await;
        stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap();
        run(&stage).await;
        let _ = stage.sites.take();
        if winner == WinnerChoice::ByHand {
            stage.broadcasts.select_winner(&owner(), &broadcast.id, &second()).await.unwrap();
        } else {
            stage.clock.advance(Duration::hours(i64::from(HOURS)));
            stage.broadcasts.plan(&workspace()).await.unwrap();
        }
        assert_eq!(status(&stage, &broadcast).await, "winner_selected");
        assert_eq!(stage.sites.take(), [workspace()], "{winner:?}");
    }
}
