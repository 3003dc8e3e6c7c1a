//! `SendGrid`: `POST /v3/mail/send`.

use crate::{
    answer::{Answer, Blame, Complaint, join, text},
    letter::Letter,
};
use domain::{integrations::SendgridSettings, secret::Secret};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

pub(crate) fn request(
    client: &Client,
    base: &str,
    settings: &SendgridSettings<Secret>,
    letter: &Letter<'_>,
) -> RequestBuilder {
    let addresses = |all: &[String]| all.iter().map(|email| json!({"email": email})).collect::<Value>();
    let mut people = json!({"to": [letter.to.object("email", "name")]});
    if !letter.cc.is_empty() {
        people["cc"] = addresses(&letter.cc);
    }
    if !letter.bcc.is_empty() {
        people["bcc"] = addresses(&letter.bcc);
    }
    // the plain text must come first
    let bodies = [("text/plain", letter.text), ("text/html", letter.html)];
    let bodies = bodies.iter().filter(|(_, value)| !value.is_empty());
    let mut body = json!({
        "personalizations": [people],
        "from": letter.from.object("email", "name"),
        "subject": letter.subject,
        "content": bodies.map(|(kind, value)| json!({"type": kind, "value": value})).collect::<Value>(),
        "custom_args": {"notifuse_message_id": letter.id},
    });
    if let Some(reply_to) = &letter.reply_to {
        body["reply_to"] = json!({"email": reply_to});
    }
    if !letter.headers.is_empty() {
        body["headers"] = letter.header_object();
    }
    if !letter.files.is_empty() {
        let files = letter.files.iter().map(|file| {
            let mut part = json!({
                "content": file.base64(), "filename": file.name, "type": file.media_type,
                "disposition": if file.inline { "inline" } else { "attachment" },
            });
            if file.inline {
                part["content_id"] = json!(file.content_id());
            }
            part
        });
        body["attachments"] = files.collect();
    }
    client.post(format!("{base}/v3/mail/send")).bearer_auth(settings.api_key.expose()).json(&body)
}

/// The field at fault tells whether the mail or the sender's set-up is wrong.
pub(crate) fn complaint(answer: &Answer) -> Option<Complaint> {
    if answer.is_success() {
        return None;
    }
    let error = &answer.body["errors"][0];
    let field = text(&error["field"]);
    let blame = field.starts_with("from").then_some(Blame::Provider);
    Some(Complaint { blame, words: join(&[field, text(&error["message"])]) })
}
