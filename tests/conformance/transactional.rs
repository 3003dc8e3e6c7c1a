//! Transactional notifications of a workspace.

use crate::{
    backends::Store,
    cases,
    samples::{at, integration_id, notification, notification_id, object, template_id},
};
use application::{page::Counted, ports::StoreError};
use domain::{
    transactional::{EmailChannel, Notification},
    utm::UtmParameters,
};
use serde_json::json;

cases![
    an_unknown_notification_is_none,
    a_notification_is_read_as_it_was_stored,
    a_notification_identifier_is_taken_once,
    an_update_keeps_the_moment_of_creation,
    an_unknown_notification_is_not_updated,
    a_deleted_notification_is_invisible,
    the_identifier_of_a_deleted_notification_stays_taken,
    a_notification_is_deleted_once,
    notifications_come_newest_first,
    without_a_limit_all_are_listed,
    a_page_counts_the_whole_list,
    a_search_looks_at_name_and_identifier_in_any_case,
    wildcards_are_only_characters,
];

async fn keep(store: &Store, notifications: &[Notification]) {
    let mut unit = store.write().await;
    for notification in notifications {
        unit.insert_notification(notification).await.unwrap();
    }
    unit.commit().await.unwrap();
}

async fn listed(store: &Store, search: Option<&str>, limit: Option<u64>, offset: u64) -> (Vec<String>, u64) {
    let Counted { items, total } = store.read().await.notifications(search, limit, offset).await.unwrap();
    (items.into_iter().map(|n| n.id.to_string()).collect(), total)
}

async fn three(store: &Store) {
    let names = [("order-b", "Order placed", 2), ("c", "Welcome", 3), ("a", "Parcel ORDERED", 1)];
    keep(store, &names.map(|(id, name, created)| notification(id, name, created))).await;
}

async fn an_unknown_notification_is_none(store: &Store) {
    assert_eq!(store.read().await.notification(&notification_id("order")).await.unwrap(), None);
}

async fn a_notification_is_read_as_it_was_stored(store: &Store) {
    let bare = Notification {
        description: String::new(),
        email: EmailChannel { template_id: template_id("t"), settings: None },
        utm: UtmParameters::default(),
        metadata: object(json!({})),
        integration: Some(integration_id(1)),
        ..notification("bare", "Bare", 1)
    };
    keep(store, &[notification("order", "Order", 0), bare.clone()]).await;
    let mut store = store.read().await;
    let order = store.notification(&notification_id("order")).await.unwrap();
    assert_eq!(order, Some(notification("order", "Order", 0)));
    assert_eq!(store.notification(&notification_id("bare")).await.unwrap(), Some(bare));
}

async fn a_notification_identifier_is_taken_once(store: &Store) {
    keep(store, &[notification("order", "Order", 0)]).await;
    let again = store.write().await.insert_notification(&notification("order", "Other", 1)).await;
    assert!(matches!(again, Err(StoreError::Duplicate)));
}

async fn an_update_keeps_the_moment_of_creation(store: &Store) {
    keep(store, &[notification("order", "Order", 0)]).await;
    let changed = Notification {
        description: "New".to_owned(),
        metadata: object(json!({"b": 2})),
        utm: UtmParameters { medium: "mail".to_owned(), ..UtmParameters::default() },
        created_at: at(70),
        updated_at: at(80),
        ..notification("order", "Changed", 0)
    };
    let mut unit = store.write().await;
    assert!(unit.update_notification(&changed).await.unwrap());
    let kept = unit.notification(&notification_id("order")).await.unwrap();
    assert_eq!(kept, Some(Notification { created_at: at(0), ..changed }));
}

async fn an_unknown_notification_is_not_updated(store: &Store) {
    assert!(!store.write().await.update_notification(&notification("order", "Order", 0)).await.unwrap());
}

async fn a_deleted_notification_is_invisible(store: &Store) {
    three(store).await;
    let mut unit = store.write().await;
    unit.delete_notification(&notification_id("c"), at(5)).await.unwrap();
    assert_eq!(unit.notification(&notification_id("c")).await.unwrap(), None);
    assert!(!unit.update_notification(&notification("c", "Again", 0)).await.unwrap());
    unit.commit().await.unwrap();
    assert_eq!(listed(store, None, None, 0).await, (vec!["order-b".to_owned(), "a".to_owned()], 2));
}

async fn the_identifier_of_a_deleted_notification_stays_taken(store: &Store) {
    keep(store, &[notification("order", "Order", 0)]).await;
    let mut unit = store.write().await;
    unit.delete_notification(&notification_id("order"), at(5)).await.unwrap();
    let again = unit.insert_notification(&notification("order", "Order", 9)).await;
    assert!(matches!(again, Err(StoreError::Duplicate)));
}

async fn a_notification_is_deleted_once(store: &Store) {
    keep(store, &[notification("order", "Order", 0)]).await;
    let mut unit = store.write().await;
    assert!(unit.delete_notification(&notification_id("order"), at(5)).await.unwrap());
    assert!(!unit.delete_notification(&notification_id("order"), at(6)).await.unwrap());
    assert!(!unit.delete_notification(&notification_id("unknown"), at(6)).await.unwrap());
}

async fn notifications_come_newest_first(store: &Store) {
    three(store).await;
    assert_eq!(listed(store, None, Some(10), 0).await.0, ["c", "order-b", "a"]);
}

async fn without_a_limit_all_are_listed(store: &Store) {
    three(store).await;
    assert_eq!(listed(store, None, None, 0).await.0.len(), 3);
    assert_eq!(listed(store, None, None, 2).await, (vec!["a".to_owned()], 3));
}

async fn a_page_counts_the_whole_list(store: &Store) {
    three(store).await;
    assert_eq!(listed(store, None, Some(1), 1).await, (vec!["order-b".to_owned()], 3));
    assert_eq!(listed(store, None, Some(5), 9).await, (vec![], 3));
    assert_eq!(listed(store, Some("order"), Some(1), 0).await, (vec!["order-b".to_owned()], 2));
}

async fn a_search_looks_at_name_and_identifier_in_any_case(store: &Store) {
    three(store).await;
    for search in ["order", "ORDER", "oRd"] {
        assert_eq!(listed(store, Some(search), None, 0).await.0, ["order-b", "a"], "{search}");
    }
    assert_eq!(listed(store, Some("ER-B"), None, 0).await.0, ["order-b"]);
    assert_eq!(listed(store, Some("nothing"), None, 0).await, (vec![], 0));
}

async fn wildcards_are_only_characters(store: &Store) {
    keep(store, &[notification("a_b", "5% off", 2), notification("axb", "50 off", 1)]).await;
    assert_eq!(listed(store, Some("a_b"), None, 0).await.0, ["a_b"]);
    assert_eq!(listed(store, Some("5%"), None, 0).await.0, ["a_b"]);
    assert_eq!(listed(store, Some("\\"), None, 0).await.0, [""; 0]);
}
