//! Templates of a workspace.

use crate::{
    backends::Store,
    cases,
    samples::{at, object, template, template_id},
};
use application::ports::StoreError;
use domain::templates::{EmailBody, Template, TemplateContent, WebContent};
use serde_json::json;

cases![
    an_unknown_template_is_none,
    a_template_is_read_as_it_was_stored,
    the_latest_version_is_answered,
    a_version_is_taken_once,
    a_version_stays_taken_after_deletion,
    a_deleted_template_is_invisible,
    versions_of_a_deleted_template_can_still_be_read,
    a_template_is_deleted_once,
    templates_come_last_changed_first,
    each_template_is_listed_in_its_latest_version,
    templates_are_found_by_category_and_channel,
    a_filter_looks_at_the_latest_version,
];

async fn keep(store: &Store, templates: &[Template]) {
    let mut unit = store.write().await;
    for template in templates {
        unit.insert_template(template).await.unwrap();
    }
    unit.commit().await.unwrap();
}

async fn listed(store: &Store, category: Option<&str>, channel: Option<&str>) -> Vec<(String, i64)> {
    let found = store.read().await.templates(category, channel).await.unwrap();
    found.into_iter().map(|t| (t.id.to_string(), t.version)).collect()
}

fn web(id: &str, updated: i64) -> Template {
    let content = WebContent {
        content: object(json!({"type": "doc"})),
        html: "<p>Hi</p>".to_owned(),
        plain_text: "Hi".to_owned(),
    };
    Template {
        content: TemplateContent::Web(content),
        category: "blog".to_owned(),
        ..template(id, 1, updated)
    }
}

async fn an_unknown_template_is_none(store: &Store) {
    let mut store = store.read().await;
    assert_eq!(store.template(&template_id("welcome")).await.unwrap(), None);
    assert_eq!(store.template_version(&template_id("welcome"), 1).await.unwrap(), None);
}

async fn a_template_is_read_as_it_was_stored(store: &Store) {
    let visual = template("visual", 1, 0);
    let mut source = template("source", 1, 0);
    if let TemplateContent::Email(content) = &mut source.content {
        content.body = EmailBody::Code { mjml_source: "<mjml>\n  <mj-body/>\n</mjml>".to_owned() };
    }
    let bare = Template {
        macro_id: None,
        integration: None,
        translations: [].into(),
        test_data: object(json!({})),
        settings: object(json!({})),
        ..web("page", 0)
    };
    keep(store, &[visual.clone(), source.clone(), bare.clone()]).await;
    let mut store = store.read().await;
    for stored in [visual, source, bare] {
        assert_eq!(store.template(&stored.id).await.unwrap().as_ref(), Some(&stored));
        assert_eq!(store.template_version(&stored.id, 1).await.unwrap(), Some(stored));
    }
}

async fn the_latest_version_is_answered(store: &Store) {
    let versions: Vec<_> = (1..=11).map(|version| template("welcome", version, version)).collect();
    keep(store, &versions).await;
    assert_eq!(store.read().await.template(&template_id("welcome")).await.unwrap(), versions.last().cloned());
}

async fn a_version_is_taken_once(store: &Store) {
    keep(store, &[template("welcome", 1, 0), template("welcome", 2, 0), template("other", 1, 0)]).await;
    let again = store.write().await.insert_template(&template("welcome", 2, 9)).await;
    assert!(matches!(again, Err(StoreError::Duplicate)));
}

async fn a_version_stays_taken_after_deletion(store: &Store) {
    keep(store, &[template("welcome", 1, 0)]).await;
    let mut unit = store.write().await;
    unit.delete_template(&template_id("welcome"), at(1)).await.unwrap();
    let again = unit.insert_template(&template("welcome", 1, 9)).await;
    assert!(matches!(again, Err(StoreError::Duplicate)));
}

async fn a_deleted_template_is_invisible(store: &Store) {
    keep(store, &[template("welcome", 1, 0), template("welcome", 2, 0), template("other", 1, 0)]).await;
    let mut unit = store.write().await;
    assert!(unit.delete_template(&template_id("welcome"), at(1)).await.unwrap());
    unit.commit().await.unwrap();
    assert_eq!(store.read().await.template(&template_id("welcome")).await.unwrap(), None);
    assert_eq!(listed(store, None, None).await, [("other".to_owned(), 1)]);
}

async fn versions_of_a_deleted_template_can_still_be_read(store: &Store) {
    keep(store, &[template("welcome", 1, 0), template("welcome", 2, 0)]).await;
    let mut unit = store.write().await;
    unit.delete_template(&template_id("welcome"), at(1)).await.unwrap();
    let version = unit.template_version(&template_id("welcome"), 1).await.unwrap();
    assert_eq!(version, Some(template("welcome", 1, 0)));
}

async fn a_template_is_deleted_once(store: &Store) {
    keep(store, &[template("welcome", 1, 0)]).await;
    let mut unit = store.write().await;
    assert!(unit.delete_template(&template_id("welcome"), at(1)).await.unwrap());
    assert!(!unit.delete_template(&template_id("welcome"), at(2)).await.unwrap());
    assert!(!unit.delete_template(&template_id("unknown"), at(2)).await.unwrap());
}

async fn templates_come_last_changed_first(store: &Store) {
    keep(store, &[template("a", 1, 1), template("b", 1, 3), template("c", 1, 2), template("a", 2, 4)]).await;
    let ids: Vec<_> = listed(store, None, None).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["a", "b", "c"]);
}

async fn each_template_is_listed_in_its_latest_version(store: &Store) {
    keep(store, &[template("a", 1, 1), template("a", 2, 2), template("a", 10, 3)]).await;
    assert_eq!(listed(store, None, None).await, [("a".to_owned(), 10)]);
}

async fn templates_are_found_by_category_and_channel(store: &Store) {
    keep(store, &[template("mail", 1, 1), web("page", 2)]).await;
    assert_eq!(listed(store, Some("blog"), None).await, [("page".to_owned(), 1)]);
    assert_eq!(listed(store, None, Some("email")).await, [("mail".to_owned(), 1)]);
    assert_eq!(listed(store, Some("blog"), Some("email")).await, []);
}

async fn a_filter_looks_at_the_latest_version(store: &Store) {
    let moved = Template { category: "welcome".to_owned(), ..template("a", 2, 2) };
    keep(store, &[template("a", 1, 1), moved]).await;
    assert_eq!(listed(store, Some("marketing"), None).await, []);
    assert_eq!(listed(store, Some("welcome"), None).await, [("a".to_owned(), 2)]);
}
