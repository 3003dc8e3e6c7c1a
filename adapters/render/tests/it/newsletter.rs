//! A newsletter as people write it: loops, conditions, tables, images, loose HTML.

use crate::fixtures::{Tracked, code, prepared};
use application::ports::{Overrides, RenderedEmail};
use serde_json::{Value, json};

fn data() -> Value {
    json!({
        "broadcast": {"id": "b1", "name": "March & April"},
        "contact": {"first_name": "Zoë <3", "external_id": "a b", "custom_number_1": 42.0, "vip": false},
        "workspace": {"name": "Acme", "website_url": "https://acme.example", "footer": "<p>Acme, <a href=\"https://acme.example/map?a=1&amp;b=2\">Street 1</a></p>"},
        "since": "2026-03-04T05:06:07Z",
        "stories": [
            {"title": "\"One\" & more", "url": "https://news.example/1", "text": "a b c d e f g h i j k l m n o p", "image": "https://cdn.example/1.png", "tags": ["new", "<hot>"]},
            {"title": "Two", "url": "https://news.example/2", "text": "short", "tags": []}
        ],
        "products": [{"name": "Tea", "price": 10}, {"name": "Milk", "price": 1.25}],
        "unsubscribe_url": "https://app.example/notification-center?action=unsubscribe&email=zoe%40x.example&lid=l"
    })
}

async fn newsletter(data: &Value) -> RenderedEmail {
    let content = code(include_str!("newsletter.mjml"));
    prepared(&content).await.render(data, &Overrides::default(), Some(&Tracked)).unwrap()
}

#[tokio::test]
async fn it_holds_what_the_data_says() {
    let html = newsletter(&data()).await.html;
    for part in [
        "<title>March &amp; April</title>",
        "MARCH &amp; APRIL",
        "Dear Zoë &lt;3,<br>this is what happened&#160;since March 4, 2026.",
        "You have 42 points &#8212; 58 to go.",
        "2 stories for Zoë &lt;3",
        "a b c d e f g h i j k l...",
        "<li>1. new</li><li>2. &lt;hot&gt;</li>",
        "<td>Tea</td><td>12 €</td>",
        "<td>Total</td><td>11.25</td>",
        "a { color: #0a7d5a }",
        "href=\"https://t.example/r?https://news.example/1?ref=a+b\"",
        "href=\"https://t.example/r?https://app.example/notification-center?action=unsubscribe&email=zoe%40x.example&lid=l\"",
        "href=\"https://t.example/r?https://acme.example/map?a=1&b=2\"",
        "src=\"https://cdn.example/logo.png?v=2&w=240\"",
        "alt=\"&quot;One&quot; &amp; more\"",
        "href=\"mailto:help@acme.example\"",
        "<!-- end of b1 -->",
    ] {
        assert!(html.contains(part), "{part}\n{html}");
    }
    assert!(html.starts_with("<!doctype html>"), "{}", &html[..60]);
    for left in ["{{", "{%", "\u{1}", "link_url"] {
        assert!(!html.contains(left), "{left}");
    }
}

#[tokio::test]
async fn its_text_can_be_read() {
    let text = newsletter(&data()).await.text;
    for part in [
        "Acme (https://acme.example)\n",
        "\"One\" & more (https://news.example/1?ref=a+b)\n",
        "- 1. new\n- 2. <hot>\n",
        "Read more (https://news.example/2)\n",
        "Tea 12 €\n",
        "Help (help@acme.example)",
        "Acme, Street 1",
        "(https://news.example/2)\n\nProduct Price\n",
        "Right\nCode (https://code.example/acme)\n",
    ] {
        assert!(text.contains(part), "{part}\n---\n{text}");
    }
    assert!(!text.contains("stories for") && !text.contains("\n\n\n"), "{text}");
}

#[tokio::test]
async fn it_stands_without_any_data() {
    let mail = newsletter(&json!({})).await;
    for part in ["Nothing new this time.", "Dear reader,", ">stories for you"] {
        assert!(mail.html.contains(part), "{part}\n{}", mail.html);
    }
}
