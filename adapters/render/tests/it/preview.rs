//! Compiling to look at.

use crate::fixtures::{Tracked, code, content, renderer, with_text};
use application::ports::{CompileError, CompileRequest, Compiled, Renderer};
use domain::templates::{EmailBody, EmailContent};
use serde_json::{Value, json};
use std::sync::Arc;

async fn compiled(
    content: &EmailContent,
    data: Value,
    preserve: bool,
    web: bool,
) -> Result<Compiled, CompileError> {
    let request = CompileRequest { content: content.clone(), data, preserve_liquid: preserve, web };
    renderer().compile(&request, Some(Arc::new(Tracked))).await
}

fn letter() -> EmailContent {
    let mut content = with_text("Hi {{ n }} <a href=\"https://x.example\">x</a><a href=\"{{ u }}\">y</a>");
    content.subject = "S {{ n }}".into();
    content.subject_preview = Some("P {{ n }}".into());
    content
}

#[tokio::test]
async fn with_data_everything_is_rendered() {
    let compiled =
        compiled(&letter(), json!({"n": "<n>", "u": "https://u.example"}), false, false).await.unwrap();
    assert_eq!((compiled.subject.as_str(), compiled.subject_preview.as_str()), ("S <n>", "P <n>"));
    assert!(compiled.mjml.contains("Hi &lt;n&gt; <a href=\"https://x.example\">"), "{}", compiled.mjml);
    for part in
        ["Hi &lt;n&gt; ", "r?https://x.example\"", "r?https://u.example\"", "/p?a=1", ">P &lt;n&gt;</div>"]
    {
        assert!(compiled.html.contains(part), "{part}: {}", compiled.html);
    }
}

#[tokio::test]
async fn without_data_liquid_stays() {
    for (data, preserve) in [(json!({}), false), (Value::Null, false), (json!({"n": 1}), true)] {
        let compiled = compiled(&letter(), data, preserve, false).await.unwrap();
        assert_eq!(
            (compiled.subject.as_str(), compiled.subject_preview.as_str()),
            ("S {{ n }}", "P {{ n }}")
        );
        for part in ["Hi {{ n }} ", "r?https://x.example\"", "href=\"{{ u }}\"", "/p?a=1", ">P {{ n }}</div>"]
        {
            assert!(compiled.html.contains(part), "{part}: {}", compiled.html);
        }
        assert!(!compiled.html.contains('\u{1}'));
    }
}

#[tokio::test]
async fn the_web_gets_its_sections_and_plain_links() {
    let section = |text: &str, visibility: &str| {
        json!({"type": "mj-section", "attributes": {"visibility": visibility}, "children": [
            {"type": "mj-column", "children": [{"type": "mj-text", "content": text}]}]})
    };
    let tree = json!({"type": "mjml", "children": [{"type": "mj-body", "children": [
        section("mail", "email_only"), section("page", "web_only"), section("<a href=\"https://x.example\">x</a>", "all")]}]});
    let content = content(EmailBody::Visual { visual_editor_tree: tree });
    let compiled = compiled(&content, json!({"contact": {"first_name": "T"}}), false, true).await.unwrap();
    assert!(!compiled.html.contains(">mail<") && compiled.html.contains(">page<"), "{}", compiled.html);
    assert!(compiled.html.contains("href=\"https://x.example\"") && !compiled.html.contains("t.example"));
    assert_eq!(compiled.subject, "Hello {{ contact.first_name }}");
}

#[tokio::test]
async fn source_for_the_web_is_rendered() {
    let compiled = compiled(&with_text("Hi {{ n }}"), json!({"n": "T"}), false, true).await.unwrap();
    assert!(compiled.html.contains("Hi T"), "{}", compiled.html);
}

#[tokio::test]
async fn what_is_wrong_is_listed() {
    let error =
        compiled(&code("<mjml><mj-body>\n<mj-nope /></mj-body></mjml>"), json!({}), false, false).await;
    let issue = error.unwrap_err().issues.remove(0);
    assert_eq!((issue.line, issue.tag_name.as_str()), (2, "mj-nope"));
}

#[tokio::test]
async fn the_mjml_of_blocks_keeps_its_liquid() {
    let tree = json!({"type": "mjml", "children": [{"type": "mj-body", "children": [
        {"type": "mj-liquid", "content": "{% if a < 1 %}"}, {"type": "mj-raw", "content": "{{ x }}"},
        {"type": "mj-liquid", "content": "{% endif %}"}]}]});
    let content = content(EmailBody::Visual { visual_editor_tree: tree });
    let wanted = "<mjml><mj-body>{% if a < 1 %}<mj-raw>{{ x }}</mj-raw>{% endif %}</mj-body></mjml>";
    assert_eq!(renderer().mjml(&content), wanted);
}
