//! Liquid in every place of MJML, and sources that are refused.

use super::*;
use crate::liquid::{Template, syntax::Mode};
use serde_json::{Value, json};

fn body(inner: &str) -> String {
    format!("<mjml><mj-body>{inner}</mj-body></mjml>")
}

fn text(inner: &str) -> String {
    body(&format!("<mj-section><mj-column><mj-text>{inner}</mj-text></mj-column></mj-section>"))
}

fn restored(source: &str) -> String {
    let skeleton = compile(source, Channel::Email).unwrap_or_else(|e| panic!("{source}: {e:?}"));
    skeleton.tokens.restore(&skeleton.html)
}

fn rendered(source: &str, data: &Value) -> String {
    let html = restored(source);
    let template = Template::parse(&html, Mode::Html).unwrap_or_else(|e| panic!("{e}: {html}"));
    template.render(data, chrono::DateTime::UNIX_EPOCH).unwrap().text
}

#[test]
fn liquid_survives_wherever_it_stands() {
    let liquid = "{% if a < 3 && \"x\" %}{{ u | default: \"<y>\" }}{% endif %}";
    for source in [
        text(liquid),
        text(&format!("<a href=\"{liquid}\">x</a>")),
        text(&format!("<p {liquid}>x</p>")),
        body(&format!("{liquid}<mj-section><mj-column></mj-column></mj-section>")),
        body(&format!("<mj-section>{liquid}<mj-column></mj-column></mj-section>")),
        body(&format!("<mj-section><mj-column>{liquid}<mj-text>x</mj-text></mj-column></mj-section>")),
        body(&format!("<mj-wrapper>{liquid}<mj-section></mj-section></mj-wrapper>")),
        body(&format!("<mj-section><mj-group>{liquid}<mj-column></mj-column></mj-group></mj-section>")),
        body(&format!("<mj-hero>{liquid}</mj-hero>")),
        body(&format!("<mj-raw>{liquid}</mj-raw>")),
        body(&format!("<mj-section><mj-column><mj-image src=\"{liquid}\" /></mj-column></mj-section>")),
        body(&format!(
            "<mj-section><mj-column><mj-button href='{liquid}'>x</mj-button></mj-column></mj-section>"
        )),
        body(&format!("<mj-section background-color=\"{liquid}\"></mj-section>")),
        body(&format!(
            "<mj-section><mj-column><mj-social>{liquid}<mj-social-element name=\"x\">{liquid}</mj-social-element></mj-social></mj-column></mj-section>"
        )),
        body(&format!(
            "<mj-section><mj-column><mj-table><tr><td>a</td></tr>{liquid}</mj-table></mj-column></mj-section>"
        )),
        body(&format!(
            "<mj-section><mj-column><mj-accordion>{liquid}</mj-accordion></mj-column></mj-section>"
        )),
        body(&format!(
            "<mj-section><mj-column><mj-navbar>{liquid}<mj-navbar-link href=\"{liquid}\">x</mj-navbar-link></mj-navbar></mj-column></mj-section>"
        )),
        format!("<mjml><mj-head><mj-title>{liquid}</mj-title></mj-head><mj-body></mj-body></mjml>"),
        format!("<mjml><mj-head><mj-style>{liquid}</mj-style></mj-head><mj-body></mj-body></mjml>"),
    ] {
        let html = restored(&source);
        assert!(html.contains(liquid), "{source}\n{html}");
        assert!(!html.contains(&format!("lq{}", crate::nonce::nonce())), "{html}");
    }
}

#[test]
fn loops_and_conditions_go_around_components() {
    let source = body(
        "{% for s in sections %}<mj-section><mj-column>{% if s.show %}<mj-text>[{{ s.t }}]</mj-text>\
         {% else %}<mj-divider />{% endif %}</mj-column></mj-section>{% endfor %}",
    );
    let data = json!({"sections": [{"t": "one", "show": true}, {"t": "two"}, {"t": "a&b", "show": true}]});
    let html = rendered(&source, &data);
    assert!(html.contains("[one]") && html.contains("[a&amp;b]") && !html.contains("[two]"), "{html}");
    assert_eq!(
        html.matches("border-top:solid 4px #000000").count(),
        2,
        "one divider with its fallback: {html}"
    );
}

#[test]
fn what_is_assigned_outside_of_the_body_is_known_inside() {
    let source = "{% assign a = 1 %}<mjml>{% assign b = 2 %}<mj-head>{% assign c = 3 %}<mj-title>t</mj-title>\
        </mj-head><mj-body><mj-raw>{{ a }}{{ b }}{{ c }}{{ d }}</mj-raw></mj-body>{% assign d = 4 %}</mjml>";
    let html = rendered(source, &json!({}));
    assert!(html.contains("123<"), "{html}");
    assert!(html.starts_with("<!doctype html>"));
}

#[test]
fn html_in_texts_may_be_as_loose_as_in_browsers() {
    for loose in
        ["a < b & c", "<p>one<p>two", "<ul><li>x</ul>", "<br>", "<img src=x>", "&nbsp;&euro;&nope;", "<td"]
    {
        let html = restored(&text(loose));
        let wanted = crate::markup::numeric_entities(loose).into_owned();
        assert!(html.contains(&wanted), "{loose}: {html}");
    }
    let script = "<script>if (a < b && c) {}</script>";
    assert!(restored(&body(&format!("<mj-raw>{script}</mj-raw>"))).contains(script));
}

#[test]
fn styles_are_inlined_with_liquid_in_place() {
    let source = "<mjml><mj-head><mj-style inline=\"inline\">.red { color: red }</mj-style></mj-head><mj-body>\
        {% for s in list %}<mj-section>{% if s %}<mj-column><mj-text><p class=\"red\">{{ s }}</p><br></mj-text>\
        </mj-column>{% endif %}</mj-section>{% endfor %}</mj-body></mjml>";
    let html = rendered(source, &json!({"list": ["x", "y"]}));
    assert_eq!(html.matches("color: red").count() + html.matches("color:red").count(), 2, "{html}");
}

#[test]
fn attributes_are_added_to_the_html() {
    let source = "<mjml><mj-head><mj-html-attributes><mj-selector path=\".mark td\"><mj-html-attribute name=\"data-id\">{{ id }}\
        </mj-html-attribute></mj-selector></mj-html-attributes></mj-head><mj-body><mj-section css-class=\"mark\"><mj-column>\
        <mj-divider /></mj-column></mj-section></mj-body></mjml>";
    assert!(rendered(source, &json!({"id": "a\"b"})).contains("data-id=\"a&quot;b\""));
    let broken = source.replace(".mark td", ".mark >> td");
    assert!(
        compile(&broken, Channel::Email).unwrap_err().message.starts_with("line 1, column 36:"),
        "{:?}",
        compile(&broken, Channel::Email)
    );
}

#[test]
fn the_preview_is_taken_out() {
    let source = "<mjml><mj-head><mj-preview>a &amp; {{ b }}&nbsp;</mj-preview><mj-preview>2</mj-preview></mj-head>\
        <mj-body></mj-body></mjml>";
    let skeleton = compile(source, Channel::Email).unwrap();
    assert_eq!(skeleton.tokens.restore(skeleton.preview.as_deref().unwrap()), "a &amp; {{ b }}&#160;");
    assert!(!skeleton.html.contains("display:none;font-size:1px"));
}

#[test]
fn faults_are_named_where_the_author_made_them() {
    let nested = "<mj-wrapper>".repeat(5000);
    for (source, line, column, tag, part) in [
        (
            "<mjml>\n <mj-body>\n  <mj-include path=\"x\" /></mj-body></mjml>",
            3,
            3,
            "mj-include",
            "not available",
        ),
        ("<mjml>\n<mj-body>{{ long_name }}<mj-foo /></mj-body></mjml>", 2, 25, "mj-foo", "not a known"),
        ("<mjml><mj-body>\n<mj-section>\n</mj-body></mjml>", 3, 1, "mj-body", "</mj-section> is expected"),
        ("<mjml><mj-body>\n<mj-text>a", 2, 1, "mj-text", "never closed"),
        ("<mjml><mj-body>\n", 1, 7, "mj-body", "never closed"),
        ("<mjml><mj-body>\n<mj-section", 2, 1, "mj-section", "no closing >"),
        ("<mjml><mj-body></mj-body></mjml></mj-x>", 1, 33, "mj-x", "not a known"),
        ("<mjml><mj-body>\n{{ a </mj-body></mjml>", 2, 1, "", "never closed"),
        (
            "<mjml><mj-head>\n<mj-text>x</mj-text></mj-head><mj-body></mj-body></mjml>",
            2,
            2,
            "mj-text",
            "not allowed here",
        ),
        (
            "<mjml><mj-body>\n<mj-image {% if a %}src=\"x\"{% endif %} /></mj-body></mjml>",
            2,
            1,
            "mj-image",
            "between the attributes",
        ),
        (
            "<mjml><mj-head><mj-attributes>{{ x }}</mj-attributes></mj-head></mjml>",
            1,
            31,
            "mj-attributes",
            "cannot stand here",
        ),
        (nested.as_str(), 1, 1201, "mj-wrapper", "within one another"),
        ("nothing", 1, 1, "mjml", ""),
    ] {
        let error = compile(source, Channel::Email).expect_err(source);
        let issue = &error.issues[0];
        let start = &source[..source.len().min(80)];
        assert!(issue.message.contains(part), "{start}: {error:?}");
        assert_eq!((issue.line, issue.tag_name.as_str()), (line, tag), "{start}: {error:?}");
        assert!(issue.message.starts_with(&format!("line {line}, column {column}:")), "{start}: {error:?}");
        assert_eq!(error.message, issue.message);
    }
    let large = text(&"x".repeat(MAX_SOURCE));
    assert!(compile(&large, Channel::Email).is_err());
}

#[test]
fn a_declaration_before_the_document_is_ignored() {
    assert!(
        compile(
            "<?xml version=\"1.0\"?>\n<!doctype mjml>\n<mjml><mj-body></mj-body></mjml>\n",
            Channel::Email
        )
        .is_ok()
    );
}

#[test]
fn bare_attributes_and_comments_are_kept() {
    let html = restored(&body("<!-- note --><mj-section full-width></mj-section>"));
    assert!(html.contains("<!-- note -->"), "{html}");
}

#[test]
fn compiling_twice_gives_the_same() {
    let source = text("{{ a }}<b>x</b>");
    assert_eq!(restored(&source), restored(&source));
}

proptest::proptest! {
    #[test]
    fn any_source_is_compiled_or_refused(
        source in "(<mjml>|</mjml>|<mj-body>|</mj-body>|<mj-section|</mj-section>|<mj-text>|</mj-text>|<mj-raw>|<br|>|/>|<p|\\{\\{|\\}\\}|\\{%|%\\}| if|endif| a=|\"|'|x|é|<!--|-->|&nbsp;|<mj-social>|<mj-head>|</mj-head>)*"
    ) {
        if let Ok(skeleton) = compile(&source, Channel::Email) {
            let html = skeleton.tokens.restore(&skeleton.html);
            let marked = crate::links::Marked::new(&skeleton.html, &skeleton.tokens, true);
            let _ = marked.resolve(&html, &[], "", None);
            let _ = crate::plain::from_html(&skeleton.html, &skeleton.tokens);
        }
    }
}

#[test]
fn a_section_is_compiled_only_for_the_channel_that_shows_it() {
    let source = "<mjml><mj-body><mj-wrapper>\
        <mj-section visibility=\"email_only\"><mj-column><mj-text>letter {{ a }}</mj-text></mj-column></mj-section>\
        <mj-section visibility=\"web_only\"><mj-column><mj-text>webpage</mj-text></mj-column></mj-section>\
        <mj-section visibility=\"all\"><mj-column><mj-text>everywhere</mj-text></mj-column></mj-section>\
        </mj-wrapper></mj-body></mjml>";
    let shown = |channel| {
        let html = compile(source, channel).unwrap().html;
        assert!(!html.contains("visibility"), "{html}");
        ["letter", "webpage", "everywhere"].map(|word| html.contains(word))
    };
    assert_eq!(shown(Channel::Email), [true, false, true]);
    assert_eq!(shown(Channel::Web), [false, true, true]);
}
