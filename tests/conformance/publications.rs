//! Pages of a workspace.

use crate::{
    backends::Store,
    cases,
    samples::{at, broadcast, broadcast_id, integration_id},
};
use application::ports::StoreError;
use domain::{
    Timestamp,
    broadcasts::{Broadcast, Launch},
    ids::BroadcastId,
    publications::{Channels, WebSettings},
    slug::Slug,
};

cases![
    a_page_is_read_as_it_was_stored,
    pages_come_the_latest_published_first,
    a_page_that_is_not_public_is_not_listed,
    a_page_is_found_by_its_slug,
    a_slug_belongs_to_one_page,
    a_slug_is_free_when_its_page_is_gone,
];

fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

fn draft(number: u32, name: &str) -> Broadcast {
    let web = WebSettings {
        meta_title: Some("Tïtle".to_owned()),
        keywords: vec!["a".to_owned(), "b".to_owned()],
        ..WebSettings::new(slug(name))
    };
    Broadcast { channels: Channels::new(true, true), web: Some(web), ..broadcast(number, 0) }
}

fn published(number: u32, name: &str, moment: i64) -> Broadcast {
    let mut started = draft(number, name);
    started.start(Launch { template_versions: vec![1], integration: integration_id(1) }, at(moment)).unwrap();
    started
}

async fn keep(store: &Store, broadcasts: &[Broadcast]) {
    let mut unit = store.write().await;
    for broadcast in broadcasts {
        unit.insert_broadcast(broadcast).await.unwrap();
    }
    unit.commit().await.unwrap();
}

async fn listed(store: &Store, now: Timestamp, limit: u64, offset: u64) -> (Vec<BroadcastId>, u64) {
    let found = store.read().await.publications(now, limit, offset).await.unwrap();
    (found.items.into_iter().map(|b| b.id).collect(), found.total)
}

async fn a_page_is_read_as_it_was_stored(store: &Store) {
    let (page, quiet) = (
        published(1, "june", 10),
        Broadcast { channels: Channels { email: false, web: false }, ..draft(2, "june") },
    );
    keep(store, &[page.clone(), quiet.clone()]).await;
    let mut read = store.read().await;
    assert_eq!(read.broadcast(&page.id).await.unwrap(), Some(page));
    assert_eq!(read.broadcast(&quiet.id).await.unwrap(), Some(quiet));
}

async fn pages_come_the_latest_published_first(store: &Store) {
    let pages = [published(1, "a", 10), published(2, "b", 30), published(3, "c", 20), published(4, "d", 20)];
    keep(store, &pages).await;
    let order = |numbers: &[u32]| numbers.iter().map(|n| broadcast_id(*n)).collect::<Vec<_>>();
    assert_eq!(listed(store, at(99), 10, 0).await, (order(&[2, 3, 4, 1]), 4));
    assert_eq!(listed(store, at(99), 2, 1).await, (order(&[3, 4]), 4));
    assert_eq!(listed(store, at(20), 10, 0).await, (order(&[3, 4, 1]), 3));
}

async fn a_page_that_is_not_public_is_not_listed(store: &Store) {
    let mut cancelled = published(1, "a", 10);
    cancelled.cancel(at(11)).unwrap();
    let mut early = draft(2, "b");
    early.web.as_mut().unwrap().published_at = Some(at(5));
    let mail = Broadcast { channels: Channels::default(), ..published(3, "c", 10) };
    let mut later = draft(4, "d");
    later.web.as_mut().unwrap().published_at = Some(at(500));
    later.publish_only(at(10)).unwrap();
    keep(store, &[cancelled, early, mail, later]).await;
    assert_eq!(listed(store, at(499), 10, 0).await, (vec![], 0));
    assert_eq!(listed(store, at(500), 10, 0).await, (vec![broadcast_id(4)], 1));
}

async fn a_page_is_found_by_its_slug(store: &Store) {
    let page = draft(1, "june");
    keep(store, std::slice::from_ref(&page)).await;
    let mut read = store.read().await;
    assert_eq!(read.publication_by_slug(&slug("june")).await.unwrap(), Some(page));
    assert_eq!(read.publication_by_slug(&slug("jun")).await.unwrap(), None);
}

async fn a_slug_belongs_to_one_page(store: &Store) {
    keep(store, &[draft(1, "june"), draft(2, "july")]).await;
    let again = store.write().await.insert_broadcast(&draft(3, "june")).await;
    assert!(matches!(again, Err(StoreError::Duplicate)));
    let renamed = store.write().await.update_broadcast(&draft(2, "june")).await;
    assert!(matches!(renamed, Err(StoreError::Duplicate)));
}

async fn a_slug_is_free_when_its_page_is_gone(store: &Store) {
    keep(store, &[draft(1, "june"), draft(2, "july")]).await;
    let mut unit = store.write().await;
    unit.update_broadcast(&Broadcast { channels: Channels::default(), ..draft(1, "june") }).await.unwrap();
    unit.delete_broadcast(&broadcast_id(2)).await.unwrap();
    unit.insert_broadcast(&draft(3, "june")).await.unwrap();
    unit.insert_broadcast(&draft(4, "july")).await.unwrap();
    unit.commit().await.unwrap();
    let found = store.read().await.publication_by_slug(&slug("june")).await.unwrap();
    assert_eq!(found.map(|b| b.id), Some(broadcast_id(3)));
}
