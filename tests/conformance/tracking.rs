//! Opens and clicks in a workspace.

use crate::{
    backends::Store,
    cases,
    samples::{at, broadcast_id, message, message_id, patch, recipient},
};
use application::ports::UnitOfWork;
use domain::{
    messages::{Message, MessageStats},
    tracking::{Actor, Engagement, EngagementKind, LinkClicks},
};
use serde_json::json;

cases![
    the_first_opening_stands_on_the_message,
    a_click_is_an_opening_too,
    a_machine_leaves_the_message_as_it_is,
    a_proxy_opens_a_message,
    what_happens_again_is_counted_in_one_place,
    engagements_come_in_the_order_of_their_first_time,
    unknown_messages_are_passed_over,
    what_comes_before_the_history_is_kept_and_applied,
    people_and_machines_are_counted_apart,
    a_machine_that_follows_many_links_counts_once,
    the_links_of_a_broadcast_are_counted,
    links_come_in_pages,
    many_engagements_are_recorded_in_one_call,
    a_deleted_contact_leaves_no_engagements,
];

const HOME: &str = "https://shop.example/";
const SALE: &str = "https://shop.example/sale?utm_source=news";

fn opened(number: u32, actor: Actor, seconds: i64) -> Engagement {
    Engagement {
        message: message_id(number),
        kind: EngagementKind::Opened,
        actor,
        link: String::new(),
        count: 1,
        first_at: at(seconds),
        last_at: at(seconds),
    }
}

fn clicked(number: u32, actor: Actor, link: &str, seconds: i64) -> Engagement {
    Engagement { kind: EngagementKind::Clicked, link: link.to_owned(), ..opened(number, actor, seconds) }
}

/// Messages of broadcast 1.
async fn unit_with(store: &Store, numbers: &[u32]) -> Box<dyn UnitOfWork> {
    let of = |number: &u32| Message { broadcast: Some(broadcast_id(1)), ..message(*number, "ana", 0) };
    let messages: Vec<_> = numbers.iter().map(of).collect();
    let mut unit = store.write().await;
    unit.insert_messages_if_absent(&messages).await.unwrap();
    unit
}

async fn one(unit: &mut dyn UnitOfWork) -> Message {
    unit.messages(&[message_id(1)]).await.unwrap().pop().unwrap()
}

async fn stats(unit: &mut dyn UnitOfWork) -> MessageStats {
    unit.message_stats(&broadcast_id(1)).await.unwrap()
}

async fn the_first_opening_stands_on_the_message(store: &Store) {
    let mut unit = unit_with(store, &[1]).await;
    let first = [opened(1, Actor::Proxy, 6), opened(1, Actor::Human, 5), opened(1, Actor::Human, 7)];
    unit.record_engagements(&first).await.unwrap();
    unit.record_engagements(&[opened(1, Actor::Human, 9)]).await.unwrap();
    let message = one(&mut *unit).await;
    assert_eq!((message.opened_at, message.clicked_at, message.updated_at), (Some(at(5)), None, at(5)));
}

async fn a_click_is_an_opening_too(store: &Store) {
    let mut unit = unit_with(store, &[1]).await;
    unit.record_engagements(&[clicked(1, Actor::Human, HOME, 5)]).await.unwrap();
    let message = one(&mut *unit).await;
    assert_eq!((message.opened_at, message.clicked_at), (Some(at(5)), Some(at(5))));
}

async fn a_machine_leaves_the_message_as_it_is(store: &Store) {
    let mut unit = unit_with(store, &[1]).await;
    let before = one(&mut *unit).await;
    let by_machine = [opened(1, Actor::Machine, 5), clicked(1, Actor::Machine, HOME, 5)];
    unit.record_engagements(&by_machine).await.unwrap();
    assert_eq!(one(&mut *unit).await, before);
}

async fn a_proxy_opens_a_message(store: &Store) {
    let mut unit = unit_with(store, &[1]).await;
    unit.record_engagements(&[opened(1, Actor::Proxy, 5)]).await.unwrap();
    assert_eq!(one(&mut *unit).await.opened_at, Some(at(5)));
}

async fn what_happens_again_is_counted_in_one_place(store: &Store) {
    let mut unit = unit_with(store, &[1]).await;
    unit.record_engagements(&[opened(1, Actor::Human, 5), opened(1, Actor::Human, 6)]).await.unwrap();
    let earlier = Engagement { count: 3, last_at: at(4), ..opened(1, Actor::Human, 2) };
    unit.record_engagements(&[earlier]).await.unwrap();
    let all = unit.engagements(&message_id(1), 10).await.unwrap();
    assert_eq!(all, [Engagement { count: 5, last_at: at(6), ..opened(1, Actor::Human, 2) }]);
}

async fn engagements_come_in_the_order_of_their_first_time(store: &Store) {
    let mut unit = unit_with(store, &[1, 2]).await;
    let recorded = [
        clicked(1, Actor::Human, SALE, 9),
        clicked(1, Actor::Human, HOME, 8),
        opened(1, Actor::Machine, 1),
        opened(2, Actor::Human, 3),
    ];
    unit.record_engagements(&recorded).await.unwrap();
    let [sale, home, machine, _] = recorded;
    assert_eq!(unit.engagements(&message_id(1), 10).await.unwrap(), [machine.clone(), home.clone(), sale]);
    assert_eq!(unit.engagements(&message_id(1), 2).await.unwrap(), [machine, home]);
}

async fn unknown_messages_are_passed_over(store: &Store) {
    let mut unit = unit_with(store, &[1]).await;
    unit.record_engagements(&[opened(2, Actor::Human, 5)]).await.unwrap();
    assert_eq!(unit.engagements(&message_id(2), 10).await.unwrap(), []);
    unit.record_engagements(&[]).await.unwrap();
    assert_eq!(stats(&mut *unit).await, MessageStats::default());
}

async fn what_comes_before_the_history_is_kept_and_applied(store: &Store) {
    let mut unit = store.write().await;
    unit.insert_recipients_if_absent(&[recipient("ana", 1)]).await.unwrap();
    unit.record_engagements(&[clicked(1, Actor::Human, HOME, 5)]).await.unwrap();
    let of_broadcast = Message { broadcast: Some(broadcast_id(1)), ..message(1, "ana", 0) };
    unit.insert_messages_if_absent(&[of_broadcast]).await.unwrap();
    assert_eq!(one(&mut *unit).await.clicked_at, None);
    unit.apply_early_engagements(&[message_id(1), message_id(2)]).await.unwrap();
    unit.apply_early_engagements(&[]).await.unwrap();
    let message = one(&mut *unit).await;
    assert_eq!((message.opened_at, message.clicked_at), (Some(at(5)), Some(at(5))));
    let counted = stats(&mut *unit).await;
    assert_eq!((counted.opened, counted.clicked), (1, 1));
}

async fn people_and_machines_are_counted_apart(store: &Store) {
    let mut unit = unit_with(store, &[1, 2, 3]).await;
    let recorded = [
        opened(1, Actor::Machine, 1),
        opened(1, Actor::Human, 5),
        opened(2, Actor::Machine, 1),
        opened(3, Actor::Proxy, 2),
        clicked(3, Actor::Human, HOME, 9),
    ];
    for _ in 0..2 {
        unit.record_engagements(&recorded).await.unwrap();
    }
    let expected =
        MessageStats { opened: 2, clicked: 1, proxy_opened: 1, machine_opened: 2, ..MessageStats::default() };
    assert_eq!(stats(&mut *unit).await, expected);
}

async fn a_machine_that_follows_many_links_counts_once(store: &Store) {
    let mut unit = unit_with(store, &[1, 2]).await;
    let both = [clicked(1, Actor::Machine, HOME, 1), clicked(1, Actor::Machine, SALE, 1)];
    unit.record_engagements(&both).await.unwrap();
    let later = [clicked(1, Actor::Machine, "https://x.example/", 2), clicked(2, Actor::Machine, HOME, 2)];
    unit.record_engagements(&later).await.unwrap();
    assert_eq!(stats(&mut *unit).await, MessageStats { machine_clicked: 2, ..MessageStats::default() });
}

async fn the_links_of_a_broadcast_are_counted(store: &Store) {
    let mut unit = unit_with(store, &[1, 2]).await;
    let recorded = [
        clicked(1, Actor::Human, HOME, 5),
        clicked(1, Actor::Human, HOME, 6),
        clicked(2, Actor::Human, HOME, 7),
        clicked(2, Actor::Machine, HOME, 1),
        clicked(2, Actor::Machine, SALE, 1),
    ];
    unit.record_engagements(&recorded).await.unwrap();
    unit.record_engagements(&recorded[..1]).await.unwrap();
    let clicks = |link: &str, messages, clicks, machine_clicks| LinkClicks {
        link: link.to_owned(),
        messages,
        clicks,
        machine_clicks,
    };
    let all = unit.link_clicks_after(&broadcast_id(1), None, 10).await.unwrap();
    assert_eq!(all, [clicks(HOME, 2, 4, 1), clicks(SALE, 0, 0, 1)]);
    assert_eq!(unit.link_clicks_after(&broadcast_id(2), None, 10).await.unwrap(), []);
}

async fn links_come_in_pages(store: &Store) {
    let mut unit = unit_with(store, &[1]).await;
    let links: Vec<_> = (0..5).map(|n| format!("https://x.example/{n}")).collect();
    let recorded: Vec<_> = links.iter().map(|link| clicked(1, Actor::Human, link, 5)).collect();
    unit.record_engagements(&recorded).await.unwrap();
    let mut read = Vec::new();
    while let Some(page) =
        Some(unit.link_clicks_after(&broadcast_id(1), read.last().map(String::as_str), 2).await.unwrap())
            .filter(|page| !page.is_empty())
    {
        read.extend(page.into_iter().map(|clicks| clicks.link));
    }
    assert_eq!(read, links);
}

async fn many_engagements_are_recorded_in_one_call(store: &Store) {
    let numbers: Vec<u32> = (0..1_200).collect();
    let mut unit = unit_with(store, &numbers).await;
    let mut recorded: Vec<_> = numbers.iter().map(|n| opened(*n, Actor::Human, 5)).collect();
    recorded.extend(numbers.iter().map(|n| clicked(*n, Actor::Human, SALE, 6)));
    unit.record_engagements(&recorded).await.unwrap();
    let counted = stats(&mut *unit).await;
    assert_eq!((counted.opened, counted.clicked), (1_200, 1_200));
    let links = unit.link_clicks_after(&broadcast_id(1), None, 10).await.unwrap();
    assert_eq!((links[0].messages, links[0].clicks), (1_200, 1_200));
}

async fn a_deleted_contact_leaves_no_engagements(store: &Store) {
    let mut unit = unit_with(store, &[1]).await;
    unit.upsert_contacts(&[patch("ana", json!({}))], at(0)).await.unwrap();
    unit.record_engagements(&[clicked(1, Actor::Human, SALE, 5)]).await.unwrap();
    let email = one(&mut *unit).await.contact_email;
    assert!(unit.delete_contact(&email).await.unwrap());
    assert_eq!(unit.engagements(&message_id(1), 10).await.unwrap(), []);
    assert_eq!(stats(&mut *unit).await.clicked, 1, "what was counted stays counted");
}
