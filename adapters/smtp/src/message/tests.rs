use super::*;
use domain::mail_name::MailName;
use lettre::message::header::ContentType;
use proptest::prelude::*;
use std::sync::Arc;

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

fn mail() -> OutgoingMail {
    OutgoingMail {
        message_id: MessageId::parse("m-1").unwrap(),
        from: Mailbox { address: address("news@shop.example"), name: None },
        to: Mailbox { address: address("ana@home.example"), name: None },
        cc: Vec::new(),
        bcc: Vec::new(),
        reply_to: None,
        subject: "Hello".to_owned(),
        html: "<p>Hello</p>".to_owned(),
        text: "Hello".to_owned(),
        list_unsubscribe: None,
        attachments: Vec::new(),
        dkim: None,
    }
}

fn file(filename: &str, inline: bool) -> Attachment {
    let content = Arc::from(&b"\x00\xff\r.\n"[..]);
    Attachment { filename: filename.to_owned(), content_type: "image/png".to_owned(), inline, content }
}

fn written(mail: &OutgoingMail) -> String {
    let now = Timestamp::from_timestamp(1_790_000_000, 0).unwrap();
    prepare(mail, now).unwrap().content
}

/// The headers of the whole mail, unfolded.
fn headers(text: &str) -> Vec<(String, String)> {
    let head = text.split_once("\r\n\r\n").unwrap().0.replace("\r\n ", " ").replace("\r\n\t", " ");
    let pair = |line: &str| line.split_once(": ").map(|(n, v)| (n.to_owned(), v.trim().to_owned()));
    head.split("\r\n").map(|line| pair(line).unwrap_or_else(|| panic!("{line:?}"))).collect()
}

fn value(text: &str, name: &str) -> String {
    let found: Vec<_> = headers(text).into_iter().filter(|(n, _)| n == name).collect();
    assert_eq!(found.len(), 1, "{name}");
    found[0].1.clone()
}

#[test]
fn a_mail_has_the_headers_of_a_mail() {
    let text = written(&mail());
    assert_eq!(value(&text, "From"), "news@shop.example");
    assert_eq!(value(&text, "To"), "ana@home.example");
    assert_eq!(value(&text, "Subject"), "Hello");
    assert_eq!(value(&text, "Message-ID"), "<m-1@shop.example>");
    assert_eq!(value(&text, "X-Message-ID"), "m-1");
    assert_eq!(value(&text, "Date"), "Mon, 21 Sep 2026 14:13:20 +0000");
    assert_eq!(value(&text, "MIME-Version"), "1.0");
    assert!(value(&text, "Content-Type").starts_with("multipart/alternative"));
}

#[test]
fn hidden_recipients_are_in_the_envelope_only() {
    let mut mail = mail();
    mail.cc = vec![address("bob@home.example"), address("ana@home.example")];
    mail.bcc = vec![address("eve@home.example"), address("bob@home.example")];
    let prepared = prepare(&mail, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(prepared.envelope.others, ["bob@home.example", "eve@home.example"]);
    assert!(!prepared.content.contains("eve@"));
}

#[test]
fn the_plain_text_comes_before_html() {
    let text = written(&mail());
    assert!(text.find("text/plain").unwrap() < text.find("text/html").unwrap());
}

#[test]
fn one_click_unsubscription_has_both_headers() {
    let mut mail = mail();
    mail.list_unsubscribe = Some("https://m.example/u?a=1&b=2".to_owned());
    let text = written(&mail);
    assert_eq!(value(&text, "List-Unsubscribe"), "<https://m.example/u?a=1&b=2>");
    assert_eq!(value(&text, "List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
}

#[test]
fn an_endless_unsubscription_is_refused() {
    let mut mail = mail();
    mail.list_unsubscribe = Some(format!("https://m.example/{}", "x".repeat(1000)));
    assert!(matches!(prepare(&mail, Timestamp::UNIX_EPOCH), Err(SendError::Malformed { .. })));
}

#[test]
fn international_domains_go_out_in_ascii_everywhere() {
    let mut mail = mail();
    mail.from.address = address("news@bücher.example");
    mail.cc = vec![address("bob@tür.example")];
    let now = Timestamp::UNIX_EPOCH;
    let prepared = prepare(&mail, now).unwrap();
    assert_eq!(prepared.envelope.from, "news@xn--bcher-kva.example");
    assert!(prepared.content.is_ascii());
}

#[test]
fn names_are_shown_as_given() {
    let mut mail = mail();
    mail.from.name = Some(MailName::parse("Shop, \"the\" one").unwrap());
    mail.to.name = Some(MailName::parse("Añá").unwrap());
    let text = written(&mail);
    assert_eq!(value(&text, "From"), "\"Shop, \\\"the\\\" one\" <news@shop.example>");
    assert_eq!(value(&text, "To"), "=?utf-8?B?QcOxw6E=?= <ana@home.example>");
}

#[test]
fn files_are_beside_and_pictures_inside() {
    let mut mail = mail();
    mail.attachments = vec![file("price list.pdf", false), file("my logo.png", true)];
    let text = written(&mail);
    let order = [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "Content-ID: <my_logo.png>",
        "filename=\"my logo.png\"",
        "filename=\"price list.pdf\"",
    ];
    let places: Vec<_> =
        order.iter().map(|part| text.find(part).unwrap_or_else(|| panic!("{part}"))).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(text.matches("\r\nAP8NLgo=\r\n").count(), 2);
}

#[test]
fn a_media_type_that_cannot_be_base64_is_replaced() {
    for bad in ["multipart/mixed; boundary=x", "Message/rfc822", "nonsense", "a/b\r\nBcc: x@y.example", "a/é"]
    {
        let octets = ContentType::parse("application/octet-stream").unwrap();
        assert_eq!(media_type(bad), octets, "{bad}");
    }
}

#[test]
fn bare_line_ends_become_whole() {
    assert_eq!(text_lines("a\rb\nc\r\nd\0\r"), "a\r\nb\r\nc\r\nd\r\n");
}

const NASTY: &str =
    "(?s)([a-z \u{e9}\u{1f4ec},;:<>@\"\\\\=?\r\n\0\t\u{85}\u{2028}.-]|\r\nBcc: x@y\\.example|.){0,300}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_can_make_a_header_or_a_long_line(
        subject in NASTY, name in "\\PC{1,255}", url in NASTY, filename in NASTY, media in NASTY,
        word in "[a-z\u{fc}]{0,1500}", inline in any::<bool>(), html in NASTY,
    ) {
        let mut mail = mail();
        mail.subject = subject + &word;
        mail.from.name = MailName::parse(&name).ok();
        mail.to.name = MailName::parse(&name).ok();
        mail.list_unsubscribe = Some(url.chars().take(60).collect());
        // in the body it would be text
        mail.html = html.replace("Bcc", "") + &word;
        mail.text = word;
        mail.attachments = vec![Attachment { filename, content_type: media, ..file("x", inline) }];
        let text = written(&mail);
        let allowed = ["Date", "From", "To", "Subject", "Message-ID", "X-Message-ID", "List-Unsubscribe",
            "List-Unsubscribe-Post", "MIME-Version", "Content-Type"];
        let names: Vec<_> = headers(&text).into_iter().map(|(name, _)| name).collect();
        prop_assert_eq!(names, allowed);
        for line in text.split_inclusive("\r\n") {
            prop_assert!(line.len() <= 1000 && line.ends_with("\r\n"), "{:?}", line);
            prop_assert!(!line.trim_end_matches("\r\n").contains(['\r', '\n', '\0']), "{:?}", line);
            prop_assert!(!line.to_ascii_lowercase().starts_with("bcc"), "{:?}", line);
        }
        prop_assert!(text.is_ascii());
    }

    #[test]
    fn every_address_can_be_written(local in "[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}", host in "[a-z0-9-]{1,20}|\\PC{1,8}") {
        if let Ok(odd) = EmailAddress::parse(&format!("{local}@{host}.example")) {
            let mut mail = mail();
            mail.from.address = odd.clone();
            mail.to.address = odd;
            let prepared = prepare(&mail, Timestamp::UNIX_EPOCH).unwrap();
            prop_assert!(!prepared.envelope.to.contains(['<', '>', ' ', '\r', '\n']));
            prop_assert!(prepared.content.is_ascii());
        }
    }
}
