//! What becomes of links.

use crate::fixtures::{Tracked, code, prepared, with_text};
use application::{
    links::UtmLinks,
    ports::{LinkPolicy, Overrides},
};
use domain::{templates::EmailContent, utm::UtmParameters};
use serde_json::{Value, json};

async fn html(content: &EmailContent, data: &Value, policy: Option<&dyn LinkPolicy>) -> String {
    prepared(content).await.render(data, &Overrides::default(), policy).unwrap().html
}

#[tokio::test]
async fn links_are_led_over_the_policy() {
    let data = json!({"u": "https://x.example/?a=1&b=\"2\"", "id": 7, "html": "<a href='https://h.example/?a&amp;b'>h</a>"});
    for (link, wanted) in [
        ("<a href=\"https://x.example/\">", "<a href=\"https://t.example/r?https://x.example/\">"),
        ("<a href='https://x.example/'>", "<a href='https://t.example/r?https://x.example/'>"),
        ("<A HREF=https://x.example/>", "<A HREF=\"https://t.example/r?https://x.example/\">"),
        (
            "<a title=\"x > y\" href=\"https://x.example/?a=1&amp;b=2\">",
            "href=\"https://t.example/r?https://x.example/?a=1&b=2\">",
        ),
        (
            "<map><area href=\"https://x.example\"></map>",
            "<area href=\"https://t.example/r?https://x.example\">",
        ),
        ("<a href=\"{{ u }}\">", "href=\"https://t.example/r?https://x.example/?a=1&b=&quot;2&quot;\">"),
        (
            "<a href=\"https://x.example/{{ id }}?q={{ missing }}\">",
            "href=\"https://t.example/r?https://x.example/7?q=\">",
        ),
        (
            "<a href=\"{% if id == 7 %}https://a.example{% else %}https://b.example{% endif %}\">",
            "href=\"https://t.example/r?https://a.example\">",
        ),
        (
            "<a href=\"{{ u | default: \"x\" }}\">",
            "href=\"https://t.example/r?https://x.example/?a=1&b=&quot;2&quot;\">",
        ),
        ("<a href={{ u }}>", "<a href=\"https://t.example/r?https://x.example/?a=1&b=&quot;2&quot;\">"),
        (
            "<a {% if id %}href=\"https://a.example\"{% else %}href=\"https://b.example\"{% endif %}>",
            "<a href=\"https://t.example/r?https://a.example\">",
        ),
        (
            "{% for i in (1..2) %}<a href=\"https://x.example/{{ i }}\">{% endfor %}",
            "<a href=\"https://t.example/r?https://x.example/1\"><a href=\"https://t.example/r?https://x.example/2\">",
        ),
        ("{{ html | raw }}", "<a href='https://t.example/r?https://h.example/?a&b'>h</a>"),
        (
            "{% capture c %}<a href=\"https://x.example\">{% endcapture %}{{ c }}{{ c }}",
            "<a href=\"https://t.example/r?https://x.example\"><a href=\"https://t.example/r?https://x.example\">",
        ),
    ] {
        let html = html(&with_text(link), &data, Some(&Tracked)).await;
        assert!(html.contains(wanted), "{link}: {html}");
        assert!(!html.contains('\u{1}') && !html.contains("link_url"), "{link}: {html}");
    }
}

#[tokio::test]
async fn some_links_are_left_alone() {
    let data = json!({"m": "mailto:a@x.example", "none": "", "js": "JavaScript:x"});
    for link in [
        "<a href=\"\">",
        "<a href=\"#top\">",
        "<a href=\"mailto:a@x.example?subject=a&b\">",
        "<a href=\"TEL:+123\">",
        "<a href=\"sms:+123\">",
        "<a href=\"{{ m }}\">",
        "<a href=\"{{ none }}\">",
        "<a href=\"{{ js }}\">",
        "<a href=\"mailto:{{ m }}\">",
        "<a name=\"x\">",
        "<link href=\"https://x.example\">",
        "<!-- <a href=\"https://x.example\"> -->",
        "<img src=\"https://x.example/{{ m }}\">",
    ] {
        let html = html(&with_text(link), &data, Some(&Tracked)).await;
        assert!(!html.contains("t.example/r"), "{link}: {html}");
        assert!(!html.contains('\u{1}'), "{link}: {html}");
    }
}

#[tokio::test]
async fn buttons_and_images_are_links_too() {
    let content = code(
        "<mjml><mj-body><mj-section><mj-column><mj-button href=\"https://x.example/?a=1&amp;b={{ b }}\">go</mj-button>\
         <mj-image src=\"https://x.example/i.png?a=1&amp;b=2\" href=\"https://y.example\" /></mj-column></mj-section></mj-body></mjml>",
    );
    let html = html(&content, &json!({"b": "x y"}), Some(&Tracked)).await;
    assert!(html.contains("href=\"https://t.example/r?https://x.example/?a=1&b=x y\""), "{html}");
    assert!(html.contains("href=\"https://t.example/r?https://y.example\""), "{html}");
    assert!(html.contains("src=\"https://x.example/i.png?a=1&b=2\""), "{html}");
}

#[tokio::test]
async fn the_pixel_stands_once_before_the_end_of_the_body() {
    let html = html(&with_text("<p>&lt;/body></p>"), &json!({}), Some(&Tracked)).await;
    assert_eq!(html.matches("<img src=\"https://t.example/p?a=1&b=2\"").count(), 1, "{html}");
    assert!(html.contains("</td></tr></table></body>"), "{html}");
}

#[tokio::test]
async fn without_a_policy_links_stay_as_they_are() {
    let html =
        html(&with_text("<a href=\"https://x.example/?a=1&amp;b=2\">{{ n }}</a>"), &json!({"n": 1}), None)
            .await;
    assert!(html.contains("<a href=\"https://x.example/?a=1&b=2\">1</a>"), "{html}");
    assert!(!html.contains("<img"));
}

#[tokio::test]
async fn an_ampersand_that_would_read_as_an_entity_is_escaped() {
    let html = html(&with_text("<a href=\"https://x.example/?a&amp;copy;=1\">x</a>"), &json!({}), None).await;
    assert!(html.contains("href=\"https://x.example/?a&amp;copy;=1\""), "{html}");
}

#[tokio::test]
async fn campaign_parameters_are_appended() {
    let utm = UtmLinks::new(UtmParameters { source: "news".into(), ..UtmParameters::default() });
    let content = with_text("<a href=\"https://x.example/?a=1\">x</a><a href=\"{{ u }}\">y</a>");
    let html = html(&content, &json!({"u": "https://y.example/?utm_source=own"}), Some(&utm)).await;
    assert!(html.contains("href=\"https://x.example/?a=1&utm_source=news\""), "{html}");
    assert!(html.contains("href=\"https://y.example/?utm_source=own\""), "{html}");
}

#[tokio::test]
async fn data_cannot_forge_marks() {
    let forged = "\u{1}000000000000000000001 0\u{2}\u{1}10\u{2}";
    let html = html(&with_text("[{{ v }}]"), &json!({"v": forged}), Some(&Tracked)).await;
    assert!(!html.contains("t.example/r"), "{html}");
}
