//! Texts that look like patterns.

use super::{Database, at, email, on_both_engines};
use application::ports::{ContactStore as _, NotificationStore as _};
use domain::{
    contacts::{ContactField, ContactFilter, ContactPatch, FieldValue},
    ids::{NotificationId, TemplateId},
    transactional::{EmailChannel, Notification},
    utm::UtmParameters,
};
use serde_json::Map;
use std::collections::BTreeMap;

on_both_engines!(
    wildcards_are_literal,
    case_is_ignored_also_beyond_ascii,
    a_part_that_no_text_can_hold_finds_nothing,
    a_search_for_notifications_is_literal,
);

async fn found(database: &mut Database, part: &str) -> Vec<String> {
    let filter = ContactFilter {
        fields: BTreeMap::from([(ContactField::FirstName, part.to_owned())]),
        ..ContactFilter::default()
    };
    let page = database.session.contacts_after(&filter, None, 10).await.unwrap();
    page.items.iter().map(|c| c.text(ContactField::FirstName).unwrap_or_default().to_owned()).collect()
}

async fn store(database: &mut Database, names: &[&str]) {
    let patches: Vec<ContactPatch> = names
        .iter()
        .enumerate()
        .map(|(n, name)| {
            let mut patch = ContactPatch::of(email(n));
            patch.changes.insert(ContactField::FirstName, Some(FieldValue::Text((*name).to_owned())));
            patch
        })
        .collect();
    database.session.upsert_contacts(&patches, at(0)).await.unwrap();
}

async fn wildcards_are_literal(mut database: Database) {
    store(&mut database, &["100%", "100 of", "a_b", "aXb", "back\\slash!", "it's"]).await;
    assert_eq!(found(&mut database, "0%").await, ["100%"]);
    assert_eq!(found(&mut database, "A_B").await, ["a_b"]);
    assert_eq!(found(&mut database, "k\\s").await, ["back\\slash!"]);
    assert_eq!(found(&mut database, "\\").await, ["back\\slash!"]);
    assert_eq!(found(&mut database, "!").await, ["back\\slash!"]);
    assert_eq!(found(&mut database, "'").await, ["it's"]);
    assert_eq!(found(&mut database, "").await.len(), 6);
}

async fn case_is_ignored_also_beyond_ascii(mut database: Database) {
    store(&mut database, &["Élodie", "JÜRGEN", "ana"]).await;
    assert_eq!(found(&mut database, "élo").await, ["Élodie"]);
    assert_eq!(found(&mut database, "jürgen").await, ["JÜRGEN"]);
    assert_eq!(found(&mut database, "ANA").await, ["ana"]);
}

async fn a_part_that_no_text_can_hold_finds_nothing(mut database: Database) {
    store(&mut database, &["ana"]).await;
    assert!(found(&mut database, "a\0").await.is_empty());
}

async fn a_search_for_notifications_is_literal(mut database: Database) {
    for id in ["reset_password", "reset-password"] {
        let notification = Notification {
            id: NotificationId::parse(id).unwrap(),
            name: "Reset".into(),
            description: String::new(),
            email: EmailChannel { template_id: TemplateId::parse("t").unwrap(), settings: None },
            utm: UtmParameters::default(),
            tracking: domain::transactional::MailTracking::default(),
            metadata: Map::new(),
            integration: None,
            created_at: at(0),
            updated_at: at(0),
        };
        database.session.insert_notification(&notification).await.unwrap();
    }
    let found = database.session.notifications(Some("T_P"), None, 0).await.unwrap();
    assert_eq!((found.total, found.items[0].id.as_str()), (1, "reset_password"));
    let rest = database.session.notifications(None, None, 1).await.unwrap();
    assert_eq!((rest.total, rest.items.len()), (2, 1));
    let beyond = database.session.notifications(None, Some(u64::MAX), u64::MAX).await.unwrap();
    assert_eq!((beyond.total, beyond.items.len()), (2, 0));
}
