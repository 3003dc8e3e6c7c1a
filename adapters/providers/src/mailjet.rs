//! Mailjet: `POST /v3.1/send`.

use crate::{
    answer::{Answer, Blame, Complaint, join, text},
    letter::Letter,
};
use domain::{integrations::MailjetSettings, secret::Secret};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

pub(crate) fn request(
    client: &Client,
    base: &str,
    settings: &MailjetSettings<Secret>,
    letter: &Letter<'_>,
) -> RequestBuilder {
    let addresses = |all: &[String]| all.iter().map(|email| json!({"Email": email})).collect::<Value>();
    let mut message = json!({
        "From": letter.from.object("Email", "Name"),
        "To": [letter.to.object("Email", "Name")],
        "Subject": letter.subject,
        "CustomID": letter.id,
    });
    if !letter.html.is_empty() {
        message["HTMLPart"] = json!(letter.html);
    }
    if !letter.text.is_empty() || letter.html.is_empty() {
        message["TextPart"] = json!(letter.text);
    }
    if !letter.cc.is_empty() {
        message["Cc"] = addresses(&letter.cc);
    }
    if !letter.bcc.is_empty() {
        message["Bcc"] = addresses(&letter.bcc);
    }
    if let Some(reply_to) = &letter.reply_to {
        message["ReplyTo"] = json!({"Email": reply_to});
    }
    if !letter.headers.is_empty() {
        message["Headers"] = letter.header_object();
    }
    for (member, inline) in [("Attachments", false), ("InlinedAttachments", true)] {
        let files = letter.files.iter().filter(|file| file.inline == inline).map(|file| {
            let mut part = json!({
                "ContentType": file.media_type, "Filename": file.name, "Base64Content": file.base64(),
            });
            if inline {
                part["ContentID"] = json!(file.content_id());
            }
            part
        });
        let files: Vec<Value> = files.collect();
        if !files.is_empty() {
            message[member] = json!(files);
        }
    }
    let mut body = json!({"Messages": [message]});
    if settings.sandbox_mode {
        body["SandboxMode"] = json!(true);
    }
    client
        .post(format!("{base}/v3.1/send"))
        .basic_auth(settings.api_key.expose(), Some(settings.secret_key.expose()))
        .json(&body)
}

/// An error of the message, or of the whole request. Codes: <https://dev.mailjet.com/email/guides/>.
pub(crate) fn complaint(answer: &Answer) -> Option<Complaint> {
    let message = &answer.body["Messages"][0];
    if answer.is_success() && message["Status"] != "error" {
        return None;
    }
    let error = &message["Errors"][0];
    let error = if error.is_object() { error } else { &answer.body };
    let code = text(&error["ErrorCode"]);
    let related = error["ErrorRelatedTo"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_sender = related.iter().any(|path| path.as_str().is_some_and(|path| path.starts_with("From")));
    let blame = match code.as_str() {
        // an address that the account may not send from
        "send-0008" => Some(Blame::Provider),
        _ if of_sender => Some(Blame::Provider),
        _ if answer.is_success() => Some(Blame::Mail),
        _ => None,
    };
    Some(Complaint { blame, words: join(&[code, text(&error["ErrorMessage"])]) })
}
