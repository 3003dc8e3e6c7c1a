use crate::support::{READ, Stage, WRITE, all_but, mail, owner, welcome};
use application::{
    failure::{Failure as _, FailureKind},
    ports::CompileRequest,
};
use domain::{languages::Language, permissions::Resource, utm::UtmParameters};
use serde_json::json;

#[tokio::test]
async fn every_update_is_a_new_version() {
    let stage = Stage::new().await;
    let first = stage.templates.create(&owner(), mail("One", "")).await.unwrap();
    let second = stage.templates.update(&owner(), mail("Two", "")).await.unwrap();
    assert_eq!((first.version, second.version), (1, 2));
    let subject = |t: &domain::templates::Template| t.content.email().unwrap().subject.clone();
    let latest = stage.templates.get(&owner(), &welcome(), None).await.unwrap();
    let old = stage.templates.get(&owner(), &welcome(), Some(1)).await.unwrap();
    assert_eq!((subject(&latest), subject(&old)), ("Two".into(), "One".into()));
    assert_eq!(stage.templates.list(&owner(), None, None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_id_is_taken_once() {
    let stage = Stage::new().await;
    stage.templates.create(&owner(), mail("One", "")).await.unwrap();
    let refused = stage.templates.create(&owner(), mail("Two", "")).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (FailureKind::Conflict, "template-id-taken"));
}

#[tokio::test]
async fn a_translation_needs_a_language_of_the_workspace() {
    let stage = Stage::new().await;
    let with = |code: &str| {
        let mut draft = mail("One", "");
        draft.translations.insert(Language::parse(code).unwrap(), draft.content.clone());
        draft
    };
    let refused = stage.templates.create(&owner(), with("de")).await.unwrap_err();
    assert_eq!(refused.problems()[0].pointer, "/translations/de");
    assert!(stage.templates.create(&owner(), with("fr")).await.is_ok());
}

#[tokio::test]
async fn a_deleted_template_is_not_found() {
    let stage = Stage::new().await;
    stage.templates.create(&owner(), mail("One", "")).await.unwrap();
    stage.templates.delete(&owner(), &welcome()).await.unwrap();
    let code = |e: application::templates::TemplatesError| e.code();
    assert_eq!(
        stage.templates.get(&owner(), &welcome(), None).await.map_err(code),
        Err("template-not-found")
    );
    assert_eq!(
        stage.templates.update(&owner(), mail("Two", "")).await.map_err(code),
        Err("template-not-found")
    );
    assert!(stage.templates.list(&owner(), None, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_use_case_needs_its_permission() {
    let stage = Stage::new().await;
    let (no_read, no_write) = (all_but(Resource::Templates, READ), all_but(Resource::Templates, WRITE));
    let content = mail("One", "").content.email().unwrap().clone();
    let request = CompileRequest { content, data: json!({}), preserve_liquid: false, web: false };
    let utm = UtmParameters::default();
    let kinds = [
        stage.templates.create(&no_write, mail("One", "")).await.unwrap_err().kind(),
        stage.templates.update(&no_write, mail("One", "")).await.unwrap_err().kind(),
        stage.templates.delete(&no_write, &welcome()).await.unwrap_err().kind(),
        stage.templates.get(&no_read, &welcome(), None).await.unwrap_err().kind(),
        stage.templates.list(&no_read, None, None).await.unwrap_err().kind(),
        stage.templates.compile(&no_read, &request, utm).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [FailureKind::Forbidden; 6]);
}
