//! Postmark: `POST /email`.

use crate::{
    answer::{Answer, Blame, Complaint, join, text},
    letter::Letter,
};
use domain::{integrations::PostmarkSettings, secret::Secret};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

pub(crate) fn request(
    client: &Client,
    base: &str,
    settings: &PostmarkSettings<Secret>,
    letter: &Letter<'_>,
) -> RequestBuilder {
    let mut body = json!({
        "From": letter.from.mailbox(),
        "To": letter.to.mailbox(),
        "Subject": letter.subject,
        "MessageStream": settings.message_stream,
        "Metadata": {"notifuse_message_id": letter.id},
    });
    if !letter.html.is_empty() {
        body["HtmlBody"] = json!(letter.html);
    }
    if !letter.text.is_empty() || letter.html.is_empty() {
        body["TextBody"] = json!(letter.text);
    }
    if !letter.cc.is_empty() {
        body["Cc"] = json!(letter.cc.join(","));
    }
    if !letter.bcc.is_empty() {
        body["Bcc"] = json!(letter.bcc.join(","));
    }
    if let Some(reply_to) = &letter.reply_to {
        body["ReplyTo"] = json!(reply_to);
    }
    if !letter.headers.is_empty() {
        let headers = letter.headers.iter().map(|(name, value)| json!({"Name": name, "Value": value}));
        body["Headers"] = headers.collect();
    }
    if !letter.files.is_empty() {
        let files = letter.files.iter().map(|file| {
            let mut part =
                json!({"Name": file.name, "Content": file.base64(), "ContentType": file.media_type});
            if file.inline {
                part["ContentID"] = json!(format!("cid:{}", file.content_id()));
            }
            part
        });
        body["Attachments"] = files.collect();
    }
    client
        .post(format!("{base}/email"))
        .header("X-Postmark-Server-Token", settings.server_token.expose())
        .header("Accept", "application/json")
        .json(&body)
}

/// Codes: <https://postmarkapp.com/developer/api/overview#error-codes>.
pub(crate) fn complaint(answer: &Answer) -> Option<Complaint> {
    let code = answer.body["ErrorCode"].as_u64()?;
    let blame = match code {
        0 => return None,
        // not a sound mail; an inactive recipient; a forbidden kind of file
        300 | 406 | 411 => Blame::Mail,
        // maintenance
        100 => Blame::Moment,
        _ => Blame::Provider,
    };
    let words = join(&[code.to_string(), text(member(&answer.body, "Message"))]);
    Some(Complaint { blame: Some(blame), words })
}

fn member<'a>(body: &'a Value, name: &str) -> &'a Value {
    &body[name]
}
