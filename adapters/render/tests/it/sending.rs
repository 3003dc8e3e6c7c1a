//! Preparing once and rendering for many.

use crate::fixtures::{Tracked, code, content, key, mail, prepared, renderer, with_text};
use application::ports::{Overrides, Renderer};
use domain::templates::EmailBody;
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn many_recipients_cost_one_compilation() {
    let renderer = renderer();
    let content = with_text("Hi {{ contact.first_name }}");
    for recipient in 0..500 {
        let prepared = renderer.prepare(&key(1), &content).await.unwrap();
        let data = json!({"contact": {"first_name": format!("N{recipient}")}});
        let mail = prepared.render(&data, &Overrides::default(), Some(&Tracked)).unwrap();
        assert!(mail.html.contains(&format!("Hi N{recipient}<")));
    }
    assert_eq!(renderer.compilations(), 1);
    renderer.prepare(&key(2), &content).await.unwrap();
    assert_eq!(renderer.compilations(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_the_same_time_share_one_compilation() {
    let renderer = Arc::new(renderer());
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let renderer = Arc::clone(&renderer);
            tokio::spawn(async move { renderer.prepare(&key(1), &with_text("x")).await.is_ok() })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap());
    }
    assert_eq!(renderer.compilations(), 1);
}

#[tokio::test]
async fn a_failed_compilation_is_not_kept() {
    let renderer = renderer();
    assert!(renderer.prepare(&key(1), &with_text("{{ a")).await.is_err());
    assert!(renderer.prepare(&key(1), &with_text("a")).await.is_ok());
}

#[tokio::test]
async fn the_subject_is_one_unescaped_line() {
    let mut content = with_text("x");
    content.subject = "Hi {{ contact.first_name | default: 'you' }} &amp;\n {{ missing }}".into();
    let data = json!({"contact": {"first_name": "Tom & \r\n<Jerry>"}});
    assert_eq!(mail(&content, &data).await.subject, "Hi Tom & <Jerry> &amp;");
    assert_eq!(mail(&content, &json!({})).await.subject, "Hi you &amp;");
}

#[tokio::test]
async fn overrides_replace_subject_and_preview() {
    let content =
        code("<mjml><mj-head><mj-preview>own {{ n }}</mj-preview></mj-head><mj-body></mj-body></mjml>");
    let prepared = prepared(&content).await;
    let data = json!({"n": "<1>"});
    let own = prepared.render(&data, &Overrides::default(), None).unwrap();
    assert!(own.html.contains("overflow:hidden;\">own &lt;1&gt;</div>"), "{}", own.html);
    let overrides =
        Overrides { subject: Some("S {{ n }}".into()), subject_preview: Some("P & {{ n }}".into()) };
    let other = prepared.render(&data, &overrides, None).unwrap();
    assert_eq!(other.subject, "S <1>");
    assert!(other.html.contains("overflow:hidden;\">P &amp; &lt;1&gt;</div>"), "{}", other.html);
    assert!(!other.html.contains("own "));
    let broken = Overrides { subject: Some("{{ a".into()), subject_preview: None };
    assert!(prepared.render(&data, &broken, None).unwrap_err().message.starts_with("the subject"));
}

#[tokio::test]
async fn a_preview_is_added_where_there_is_none() {
    let prepared = prepared(&with_text("x")).await;
    let none = prepared.render(&json!({}), &Overrides::default(), None).unwrap();
    assert!(!none.html.contains("display:none"), "{}", none.html);
    let overrides = Overrides { subject_preview: Some("P".into()), subject: None };
    let some = prepared.render(&json!({}), &overrides, None).unwrap();
    assert_eq!(some.html.matches(">P</div>").count(), 1, "{}", some.html);
}

#[tokio::test]
async fn the_own_text_is_sent_as_written() {
    let mut content = with_text("<b>html</b>");
    content.text = Some("Hi {{ n }}\n\n\n  indented".into());
    assert_eq!(mail(&content, &json!({"n": "<x>"})).await.text, "Hi <x>\n\n\n  indented");
}

#[tokio::test]
async fn a_text_is_made_from_the_html() {
    let content = with_text(
        "<h1>Title &amp; more</h1><p>Dear {{ n }},<br>see <a href=\"https://x.example/?a=1&amp;b={{ b }}\">our\n page</a>.</p>\
         <ul>{% for i in items %}<li>{{ i | raw }}</li>{% endfor %}</ul><style>.x{}</style>\
         <a href=\"https://y.example\"><img src=\"i.png\" alt=\"Logo\"></a> <a href=\"https://z.example\">https://z.example</a>\
         {% if &quot;a&quot; == 'a' %}<p>yes</p>{% endif %}{{ lines | escape | newline_to_br }}",
    );
    let data = json!({"n": "Tom & <Jerry>", "b": "2", "items": ["<b>one</b>", "two"], "lines": "a&b\nc"});
    let wanted = "Title & more\n\nDear Tom & <Jerry>,\nsee our page (https://x.example/?a=1&b=2).\n\n- one\n- two\n\n\
        Logo (https://y.example) https://z.example\n\nyes\n\na&b\nc\n";
    assert_eq!(mail(&content, &data).await.text, wanted);
}

#[tokio::test]
async fn a_text_is_made_even_where_liquid_crosses_tags() {
    let content = with_text("<p {% if n %}class=\"a\">one{% else %}>two{% endif %} {{ n }}</p>");
    assert_eq!(mail(&content, &json!({"n": "x&y"})).await.text, "one x&y\n");
}

#[tokio::test]
async fn blocks_are_compiled_with_their_liquid() {
    let tree = json!({"type": "mjml", "children": [{"type": "mj-body", "children": [
        {"type": "mj-liquid", "content": "{% for p in products %}"},
        {"type": "mj-section", "attributes": {"visibility": "all"}, "children": [{"type": "mj-column", "children": [
            {"type": "mj-text", "content": "<p>{{ p.name }}</p>"},
            {"type": "mj-button", "attributes": {"href": "{{ p.url | default: \"https://d.example\" }}"}, "content": "{{ p.name }}"}
        ]}]},
        {"type": "mj-liquid", "content": "{% endfor %}"},
        {"type": "mj-section", "attributes": {"visibility": "web_only"}, "children": [{"type": "mj-column", "children": [
            {"type": "mj-text", "content": "web"}]}]}
    ]}]});
    let content = content(EmailBody::Visual { visual_editor_tree: tree });
    let data = json!({"products": [{"name": "A & B"}, {"name": "C", "url": "https://c.example"}]});
    let html = mail(&content, &data).await.html;
    assert_eq!(html.matches("<p>A &amp; B</p>").count(), 1, "{html}");
    assert!(
        html.contains("href=\"https://d.example\"") && html.contains("href=\"https://c.example\""),
        "{html}"
    );
    assert!(!html.contains(">web<"));
}

#[tokio::test]
async fn a_broken_template_is_refused_with_its_lines() {
    let source = "<mjml>\n<mj-body>\n<mj-raw>{{ a b }}</mj-raw>\n</mj-body></mjml>";
    let error = renderer().prepare(&key(1), &code(source)).await.map(|_| ()).unwrap_err();
    assert_eq!(error.issues[0].line, 3, "{error:?}");
    assert!(error.message.contains("{{ a b }}"), "{error:?}");
    let error = renderer().prepare(&key(1), &code("<mjml><mj-body>")).await.map(|_| ()).unwrap_err();
    assert_eq!(error.issues[0].tag_name, "mj-body");
    let mut content = with_text("x");
    content.subject = "{% if %}".into();
    let error = renderer().prepare(&key(1), &content).await.map(|_| ()).unwrap_err();
    assert!(error.message.starts_with("the subject"), "{error:?}");
}

#[tokio::test]
async fn too_much_work_is_an_error_of_that_mail() {
    let prepared = prepared(&with_text("{% for i in (1..n) %}x{% endfor %}")).await;
    let error = prepared.render(&json!({"n": 1_000_000_000}), &Overrides::default(), None).unwrap_err();
    assert!(error.message.contains("more work"), "{error}");
    assert!(prepared.render(&json!({"n": 3}), &Overrides::default(), None).is_ok());
}
