//! The bytes of attached files.

use crate::{backends::Store, cases, samples::at};
use application::ports::{FileContent, UnitOfWork};

cases![
    contents_are_found_by_checksum,
    a_content_is_stored_once,
    a_content_is_kept_as_long_as_somebody_needs_it,
    unneeded_contents_are_purged_in_order,
    contents_of_units_at_once_are_stored_once,
];

const DAY: i64 = 86_400;

fn content(checksum: &str, bytes: &[u8]) -> FileContent {
    FileContent { checksum: checksum.to_owned(), content: bytes.into() }
}

async fn keep(unit: &mut dyn UnitOfWork, checksum: &str, needed_until: i64) {
    let contents = [content(checksum, checksum.as_bytes())];
    unit.insert_contents_if_absent(&contents, at(needed_until), at(0)).await.unwrap();
}

async fn found(unit: &mut dyn UnitOfWork, checksums: &[&str]) -> Vec<String> {
    let mut found: Vec<_> =
        unit.contents(checksums).await.unwrap().into_iter().map(|content| content.checksum).collect();
    found.sort();
    found
}

async fn contents_are_found_by_checksum(store: &Store) {
    let mut unit = store.write().await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let contents = [content("b", b"two"), content("a", &every_byte)];
    unit.insert_contents_if_absent(&contents, at(DAY), at(0)).await.unwrap();
    unit.commit().await.unwrap();
    let mut read = store.read().await;
    assert_eq!(read.contents(&["a", "unknown"]).await.unwrap(), [content("a", &every_byte)]);
    assert_eq!(read.contents(&[]).await.unwrap(), []);
}

async fn a_content_is_stored_once(store: &Store) {
    let mut unit = store.write().await;
    let twice = [content("a", b"one"), content("a", b"one")];
    unit.insert_contents_if_absent(&twice, at(DAY), at(0)).await.unwrap();
    unit.insert_contents_if_absent(&twice, at(DAY), at(0)).await.unwrap();
    assert_eq!(unit.contents(&["a"]).await.unwrap().len(), 1);
}

async fn a_content_is_kept_as_long_as_somebody_needs_it(store: &Store) {
    let mut unit = store.write().await;
    keep(&mut *unit, "a", 10 * DAY).await;
    keep(&mut *unit, "a", 3 * DAY).await;
    assert_eq!(unit.next_content_purge().await.unwrap(), Some(at(10 * DAY)));
    keep(&mut *unit, "a", 20 * DAY).await;
    assert_eq!(unit.next_content_purge().await.unwrap(), Some(at(20 * DAY)));
}

async fn unneeded_contents_are_purged_in_order(store: &Store) {
    let mut unit = store.write().await;
    assert_eq!(unit.next_content_purge().await.unwrap(), None);
    for (checksum, needed_until) in [("c", 1), ("a", 2), ("b", 3), ("d", 4)] {
        keep(&mut *unit, checksum, needed_until * DAY).await;
    }
    assert_eq!(unit.purge_contents(at(3 * DAY), 2).await.unwrap(), 2);
    assert_eq!(found(&mut *unit, &["a", "b", "c", "d"]).await, ["b", "d"]);
    assert_eq!(unit.purge_contents(at(3 * DAY), 2).await.unwrap(), 1);
    assert_eq!(unit.purge_contents(at(3 * DAY), 2).await.unwrap(), 0);
    assert_eq!(unit.next_content_purge().await.unwrap(), Some(at(4 * DAY)));
}

async fn contents_of_units_at_once_are_stored_once(store: &Store) {
    let mut first = store.write().await;
    keep(&mut *first, "a", DAY).await;
    let second = tokio::spawn({
        let store = store.clone();
        async move {
            let mut unit = store.write().await;
            keep(&mut *unit, "a", DAY).await;
            unit.commit().await.unwrap();
        }
    });
    tokio::task::yield_now().await;
    first.commit().await.unwrap();
    second.await.unwrap();
    assert_eq!(store.read().await.contents(&["a"]).await.unwrap().len(), 1);
}
