//! The rules of broadcasts.

use super::*;
use crate::ids::ListId;

fn broadcast() -> Broadcast {
    let variation = Variation { variation_name: "A".into(), template_id: TemplateId::parse("t").unwrap() };
    BroadcastDraft {
        name: "June".into(),
        audience: Audience {
            list: ListId::parse("news").unwrap(),
            further_lists: vec![],
            excluded_lists: vec![],
            segments: vec![],
            exclude_unsubscribed: true,
        },
        variations: vec![variation],
        test: None,
        utm: UtmParameters::default(),
        metadata: None,
        channels: Channels::default(),
        web: None,
        feeds: FeedsDraft::default(),
    }
    .into_broadcast(BroadcastId::from_uuid(uuid::Uuid::from_u128(7)), Timestamp::UNIX_EPOCH)
    .unwrap()
}

fn launch() -> Launch {
    Launch { template_versions: vec![1], integration: IntegrationId::from_uuid(uuid::Uuid::from_u128(1)) }
}

#[test]
fn a_broadcast_starts_once() {
    let mut broadcast = broadcast();
    broadcast.start(launch(), Timestamp::UNIX_EPOCH).unwrap();
    let refused = broadcast.start(launch(), Timestamp::UNIX_EPOCH).unwrap_err();
    assert_eq!(refused.to_string(), "a broadcast with status processing cannot be scheduled; allowed: draft");
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + chrono::Duration::seconds(seconds)
}

fn draft_to(list: &str) -> BroadcastDraft {
    let Broadcast { name, audience, variations, test, utm, metadata, channels, web, .. } = broadcast();
    let audience = Audience { list: ListId::parse(list).unwrap(), ..audience };
    let feeds = FeedsDraft::default();
    BroadcastDraft { name, audience, variations, test, utm, metadata, channels, web, feeds }
}

#[test]
fn a_pause_goes_on_where_it_was() {
    let mut running = broadcast();
    running.start(launch(), at(1)).unwrap();
    let mut done = running.clone();
    done.complete(at(2));
    for mut broadcast in [running, done] {
        let before = broadcast.state.clone();
        broadcast.pause(at(3)).unwrap();
        assert_eq!(broadcast.state.paused_at(), Some(at(3)));
        broadcast.resume(at(4)).unwrap();
        assert_eq!(broadcast.state, before);
    }
}

#[test]
fn each_refusal_names_what_is_allowed() {
    let mut draft = broadcast();
    assert_eq!(draft.pause(at(1)).unwrap_err().allowed, RUNNING);
    assert_eq!(draft.resume(at(1)).unwrap_err().allowed, "paused");
    assert_eq!(draft.cancel(at(1)).unwrap_err().allowed, RUNNING_OR_PAUSED);
    draft.start(launch(), at(1)).unwrap();
    let mut running = draft;
    assert_eq!(running.check_deletable().unwrap_err().allowed, DELETABLE);
    let EditError::Transition(refused) =
        running.edit(draft_to("news"), Rescheduling::Keep, at(2)).unwrap_err()
    else {
        panic!("a rule was broken instead");
    };
    assert_eq!(refused.allowed, "draft, scheduled, paused");
    running.cancel(at(2)).unwrap();
    assert_eq!(running.state.cancelled_at(), Some(at(2)));
    running.cancel(at(3)).unwrap_err();
    running.check_deletable().unwrap();
}

#[test]
fn another_audience_is_planned_from_its_beginning() {
    let mut broadcast = broadcast();
    broadcast.start(launch(), at(1)).unwrap();
    broadcast.advance(EmailAddress::parse("zoe@shop.example").unwrap(), 1, at(1));
    broadcast.complete(at(2));
    broadcast.pause(at(3)).unwrap();
    broadcast.edit(draft_to("news"), Rescheduling::Keep, at(4)).unwrap();
    assert!(broadcast.cursor.is_some() && broadcast.state.completed_at().is_some());
    broadcast.edit(draft_to("vip"), Rescheduling::Keep, at(5)).unwrap();
    assert!(broadcast.cursor.is_none() && broadcast.state.completed_at().is_none());
}

fn on_1970_at(time: &str) -> Schedule {
    Schedule::parse("1970-01-01", time, None, false).unwrap()
}

#[test]
fn a_scheduled_broadcast_starts_when_its_moment_has_come() {
    let mut broadcast = broadcast();
    broadcast.schedule(on_1970_at("01:00"), at(0)).unwrap();
    assert_eq!(broadcast.state.name(), "scheduled");
    broadcast.start_due(launch(), at(3599));
    assert_eq!(broadcast.state.name(), "scheduled");
    broadcast.start_due(launch(), at(3600));
    assert_eq!((broadcast.state.name(), broadcast.state.started_at()), ("processing", Some(at(3600))));
}

#[test]
fn a_scheduled_broadcast_is_paused_resumed_and_cancelled() {
    let mut broadcast = broadcast();
    broadcast.schedule(on_1970_at("01:00"), at(0)).unwrap();
    broadcast.pause(at(1)).unwrap();
    assert!(!broadcast.is_due(at(3600)));
    broadcast.resume(at(2)).unwrap();
    assert!(broadcast.is_due(at(3600)));
    broadcast.cancel(at(3)).unwrap();
    assert_eq!((broadcast.state.name(), broadcast.state.started_at()), ("cancelled", None));
}

#[test]
fn an_update_moves_or_clears_the_moment() {
    let mut broadcast = broadcast();
    broadcast.schedule(on_1970_at("01:00"), at(0)).unwrap();
    broadcast.edit(draft_to("news"), Rescheduling::Keep, at(1)).unwrap();
    assert!(broadcast.is_due(at(3600)));
    broadcast.edit(draft_to("news"), Rescheduling::Move(on_1970_at("02:00")), at(1)).unwrap();
    assert!(!broadcast.is_due(at(7199)) && broadcast.is_due(at(7200)));
    let past = Rescheduling::Move(on_1970_at("00:30"));
    broadcast.edit(draft_to("news"), past, at(3600)).unwrap_err();
    broadcast.edit(draft_to("news"), Rescheduling::Clear, at(1)).unwrap();
    assert_eq!((broadcast.state.name(), broadcast.schedule), ("draft", None));
}

#[test]
fn a_list_is_not_both_mailed_and_left_out() {
    let list = |name: &str| ListId::parse(name).unwrap();
    let mut draft = draft_to("news");
    draft.audience.further_lists = vec![list("vip"), list("news")];
    assert_eq!(draft.audience.lists(), [&list("news"), &list("vip")]);
    draft.audience.excluded_lists = vec![list("vip")];
    assert_eq!(draft.checked_name().unwrap_err().0[0].pointer, "/audience/exclude_lists");
}

fn compared(winner: WinnerChoice) -> Broadcast {
    let mut broadcast = broadcast();
    let variation =
        |name: &str| Variation { variation_name: name.into(), template_id: TemplateId::parse(name).unwrap() };
    broadcast.variations = ["a", "b"].map(variation).to_vec();
    broadcast.test = Some(AbTest::new(50, winner).unwrap());
    broadcast.start(Launch { template_versions: vec![1, 2], ..launch() }, at(1)).unwrap();
    broadcast
}

#[test]
fn a_test_ends_with_its_sample_and_goes_on_with_its_winner() {
    let mut broadcast = compared(WinnerChoice::ByHand);
    assert_eq!(broadcast.state.name(), "testing");
    broadcast.advance(EmailAddress::parse("zoe@shop.example").unwrap(), 1, at(1));
    broadcast.complete(at(2));
    assert_eq!((broadcast.state.name(), broadcast.cursor.clone()), ("test_completed", None));
    assert!(!broadcast.is_to_be_decided(at(9_999_999)), "a person decides");
    let other = TemplateId::parse("t").unwrap();
    assert!(matches!(broadcast.select_winner(&other, at(3)), Err(EditError::Invalid(_))));
    broadcast.select_winner(&TemplateId::parse("b").unwrap(), at(3)).unwrap();
    let someone = EmailAddress::parse("ana@shop.example").unwrap();
    assert_eq!(broadcast.variation_for(&someone), Some(1));
    broadcast.complete(at(4));
    assert_eq!(broadcast.state.name(), "processed");
    assert!(matches!(
        broadcast.select_winner(&TemplateId::parse("a").unwrap(), at(5)),
        Err(EditError::Transition(_))
    ));
}

#[test]
fn rates_decide_after_the_duration_unless_it_is_paused() {
    let metric = WinnerMetric::OpenRate;
    let mut broadcast = compared(WinnerChoice::Automatic { metric, hours: 1 });
    broadcast.complete(at(10));
    assert!(!broadcast.is_to_be_decided(at(3_609)) && broadcast.is_to_be_decided(at(3_610)));
    broadcast.pause(at(20)).unwrap();
    assert!(!broadcast.is_to_be_decided(at(3_610)));
    broadcast.resume(at(30)).unwrap();
    assert!(broadcast.is_to_be_decided(at(3_610)));
}

#[test]
fn what_is_compared_does_not_change_once_it_was_started() {
    let mut broadcast = compared(WinnerChoice::ByHand);
    broadcast.pause(at(2)).unwrap();
    let refused = broadcast.edit(draft_to("news"), Rescheduling::Keep, at(3)).unwrap_err();
    assert!(matches!(refused, EditError::Invalid(_)));
}

fn on_the_web(email: bool) -> BroadcastDraft {
    let web = Some(WebSettings::new(crate::slug::Slug::parse("june").unwrap()));
    BroadcastDraft { channels: Channels::new(email, true), web, ..draft_to("news") }
}

fn broadcast_on_the_web() -> Broadcast {
    let id = BroadcastId::from_uuid(uuid::Uuid::from_u128(7));
    on_the_web(true).into_broadcast(id, at(0)).unwrap()
}

#[test]
fn a_page_is_public_from_the_start_of_its_broadcast() {
    let mut broadcast = broadcast_on_the_web();
    assert_eq!(broadcast.public_page(at(9)), None);
    broadcast.start(launch(), at(5)).unwrap();
    assert_eq!(broadcast.public_page(at(5)).unwrap().published_at, Some(at(5)));
    broadcast.cancel(at(6)).unwrap();
    assert_eq!(broadcast.public_page(at(6)), None);
}

#[test]
fn a_page_waits_for_the_moment_that_was_chosen() {
    let mut broadcast = broadcast_on_the_web();
    broadcast.web.as_mut().unwrap().published_at = Some(at(60));
    broadcast.publish_only(at(5)).unwrap();
    assert_eq!(broadcast.state.name(), "processed");
    assert_eq!(broadcast.public_page(at(59)), None);
    assert!(broadcast.public_page(at(60)).is_some());
}

#[test]
fn a_started_broadcast_cannot_be_turned_into_a_page() {
    let mut broadcast = broadcast();
    broadcast.start(launch(), at(1)).unwrap();
    broadcast.pause(at(2)).unwrap();
    let EditError::Invalid(invalid) =
        broadcast.edit(on_the_web(true), Rescheduling::Keep, at(3)).unwrap_err()
    else {
        panic!("the state was refused instead");
    };
    assert_eq!(invalid.0[0].pointer, "/channels/web");
}

#[test]
fn an_edit_keeps_the_moment_of_publication() {
    let mut broadcast = broadcast_on_the_web();
    broadcast.start(launch(), at(5)).unwrap();
    broadcast.pause(at(6)).unwrap();
    broadcast.edit(on_the_web(true), Rescheduling::Keep, at(7)).unwrap();
    assert_eq!(broadcast.web.unwrap().published_at, Some(at(5)));
}

#[test]
fn a_page_needs_its_settings() {
    let draft = BroadcastDraft { web: None, ..on_the_web(true) };
    let id = BroadcastId::from_uuid(uuid::Uuid::from_u128(7));
    assert_eq!(draft.into_broadcast(id, at(0)).unwrap_err().0[0].pointer, "/web_settings");
}

#[test]
fn only_a_running_broadcast_completes() {
    let mut broadcast = broadcast();
    broadcast.complete(Timestamp::UNIX_EPOCH);
    assert_eq!(broadcast.state, BroadcastState::Draft);
    broadcast.start(launch(), Timestamp::UNIX_EPOCH).unwrap();
    broadcast.complete(Timestamp::UNIX_EPOCH);
    assert_eq!(broadcast.state.name(), "processed");
}

fn with_global_feed() -> DataFeeds {
    let url = "https://api.shop.example/".to_owned();
    let feed = crate::data_feeds::Feed { enabled: true, url, headers: Vec::new() };
    DataFeeds { global: Some(feed), ..DataFeeds::default() }
}

#[test]
fn a_global_feed_is_turned_on_before_the_start_alone() {
    let mut broadcast = broadcast();
    broadcast.take_feeds(with_global_feed()).unwrap();
    broadcast.take_feeds(DataFeeds::default()).unwrap();
    broadcast.start(launch(), at(1)).unwrap();
    let refused = broadcast.take_feeds(with_global_feed()).unwrap_err();
    assert_eq!(refused.0[0].pointer, "/data_feed/global_feed/enabled");
    broadcast.feeds = with_global_feed();
    broadcast.take_feeds(with_global_feed()).unwrap();
}
