//! `SparkPost`: `POST /api/v1/transmissions`, at an endpoint that the integration names.

use crate::{
    answer::{Answer, Blame, Complaint, join, text},
    letter::Letter,
};
use domain::{integrations::SparkpostSettings, secret::Secret};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

/// Mails to addresses below it are taken and thrown away.
const SINK: &str = ".sink.sparkpostmail.com";

pub(crate) fn request(
    client: &Client,
    settings: &SparkpostSettings<Secret>,
    letter: &Letter<'_>,
) -> RequestBuilder {
    let address =
        |email: &str| if settings.sandbox_mode { format!("{email}{SINK}") } else { email.to_owned() };
    let to = address(&letter.to.address);
    let others = letter.cc.iter().chain(&letter.bcc);
    // each copy shows the recipient in its To header
    let others = others.map(|email| json!({"address": {"email": address(email), "header_to": to}}));
    let recipients: Vec<Value> = std::iter::once(json!({"address": {"email": to}})).chain(others).collect();
    let mut content = json!({"from": letter.from.object("email", "name"), "subject": letter.subject});
    if !letter.html.is_empty() {
        content["html"] = json!(letter.html);
    }
    if !letter.text.is_empty() || letter.html.is_empty() {
        content["text"] = json!(letter.text);
    }
    if let Some(reply_to) = &letter.reply_to {
        content["reply_to"] = json!(reply_to);
    }
    let mut headers = letter.header_object();
    if !letter.cc.is_empty() {
        let visible: Vec<_> = letter.cc.iter().map(|email| address(email)).collect();
        headers["CC"] = json!(visible.join(", "));
    }
    if headers.as_object().is_some_and(|headers| !headers.is_empty()) {
        content["headers"] = headers;
    }
    for (member, inline) in [("attachments", false), ("inline_images", true)] {
        let files = letter.files.iter().filter(|file| file.inline == inline).map(|file| {
            let name = if inline { file.content_id() } else { file.name.clone() };
            json!({"name": name, "type": file.media_type, "data": file.base64()})
        });
        let files: Vec<Value> = files.collect();
        if !files.is_empty() {
            content[member] = json!(files);
        }
    }
    let body = json!({
        "options": {"open_tracking": false, "click_tracking": false},
        "recipients": recipients,
        "content": content,
        "metadata": {"notifuse_message_id": letter.id},
    });
    let url = format!("{}/api/v1/transmissions", settings.endpoint.trim_end_matches('/'));
    client.post(url).header("Authorization", settings.api_key.expose()).json(&body)
}

/// Codes: <https://developers.sparkpost.com/api/#header-extended-error-codes>.
pub(crate) fn complaint(answer: &Answer) -> Option<Complaint> {
    let results = &answer.body["results"];
    if answer.is_success() {
        let none = results["total_accepted_recipients"] == 0
            && results["total_rejected_recipients"].as_u64().is_some_and(|rejected| rejected > 0);
        let words = "no recipient was accepted".to_owned();
        return none.then_some(Complaint { blame: Some(Blame::Mail), words });
    }
    let error = &answer.body["errors"][0];
    let code = text(&error["code"]);
    let blame = match code.as_str() {
        // no valid recipients; a recipient that cannot be
        "5002" | "2008" => Some(Blame::Mail),
        // limits of sending
        "2101" | "2102" | "2103" | "2104" => Some(Blame::Moment),
        // a sending domain that is not set up
        "7001" => Some(Blame::Provider),
        _ => None,
    };
    Some(Complaint { blame, words: join(&[code, text(&error["message"]), text(&error["description"])]) })
}
