//! Amazon SES: `POST /v2/email/outbound-emails`, signed with Signature Version 4.

use crate::{
    answer::{Answer, Blame, Complaint, join, text},
    letter::{Letter, Party, clean},
    sigv4::{Asked, signed},
};
use application::ports::SendError;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::{Timestamp, integrations::SesSettings, secret::Secret};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

pub(crate) fn request(
    client: &Client,
    base: &str,
    settings: &SesSettings<Secret>,
    letter: &Letter<'_>,
    now: Timestamp,
) -> Result<RequestBuilder, SendError> {
    let base = base.replace("{region}", &settings.region);
    let url = format!("{base}/v2/email/outbound-emails");
    let body = body(settings, letter).to_string();
    let asked = Asked { service: "ses", method: Method::POST, url, content_type: "application/json", body };
    signed(client, settings, asked, now)
        .map_err(|_| SendError::Provider { reason: "the request cannot be signed".to_owned() })
}

fn body(settings: &SesSettings<Secret>, letter: &Letter<'_>) -> Value {
    let utf8 = |data: &str| json!({"Data": data, "Charset": "UTF-8"});
    let mut parts = json!({});
    if !letter.html.is_empty() {
        parts["Html"] = utf8(letter.html);
    }
    if !letter.text.is_empty() || letter.html.is_empty() {
        parts["Text"] = utf8(letter.text);
    }
    let mut simple = json!({"Subject": utf8(&letter.subject), "Body": parts});
    if !letter.headers.is_empty() {
        let headers = letter.headers.iter().map(|(name, value)| json!({"Name": name, "Value": value}));
        simple["Headers"] = headers.collect();
    }
    if !letter.files.is_empty() {
        let files = letter.files.iter().map(|file| {
            let mut part = json!({
                "FileName": file.name,
                "ContentType": file.media_type,
                "ContentDisposition": if file.inline { "INLINE" } else { "ATTACHMENT" },
                "ContentTransferEncoding": "BASE64",
                "RawContent": file.base64(),
            });
            if file.inline {
                part["ContentId"] = json!(file.content_id());
            }
            part
        });
        simple["Attachments"] = files.collect();
    }
    let mut destination = json!({"ToAddresses": [ascii_mailbox(&letter.to)]});
    for (name, addresses) in [("CcAddresses", &letter.cc), ("BccAddresses", &letter.bcc)] {
        if !addresses.is_empty() {
            destination[name] = json!(addresses);
        }
    }
    let mut body = json!({
        "FromEmailAddress": ascii_mailbox(&letter.from),
        "Destination": destination,
        "Content": {"Simple": simple},
        "EmailTags": [{"Name": "notifuse_message_id", "Value": letter.id}],
    });
    if let Some(reply_to) = &letter.reply_to {
        body["ReplyToAddresses"] = json!([reply_to]);
    }
    if let Some(set) = &settings.configuration_set {
        body["ConfigurationSetName"] = json!(set);
    }
    body
}

/// The mailbox in ASCII, which is all that is taken: other names become encoded words (RFC 2047).
fn ascii_mailbox(party: &Party<'_>) -> String {
    match party.name.map(clean).filter(|name| !name.is_ascii()) {
        Some(name) => format!("{} <{}>", encoded_words(&name), party.address),
        None => party.mailbox(),
    }
}

/// Words of at most 75 characters, cut between letters.
fn encoded_words(text: &str) -> String {
    const BYTES: usize = 45;
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if word.len() + c.len_utf8() > BYTES {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let encoded = words.iter().map(|word| format!("=?utf-8?B?{}?=", BASE64_STANDARD.encode(word)));
    encoded.collect::<Vec<_>>().join(" ")
}

/// Faults: <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html#API_SendEmail_Errors>.
pub(crate) fn complaint(answer: &Answer) -> Option<Complaint> {
    if answer.is_success() {
        return None;
    }
    let fault = answer.fault.clone().unwrap_or_default();
    let blame = match fault.as_str() {
        "MessageRejected" | "BadRequestException" => Some(Blame::Mail),
        "TooManyRequestsException" | "LimitExceededException" | "ThrottlingException" => Some(Blame::Moment),
        "" => None,
        _ => Some(Blame::Provider),
    };
    // one service writes the name large, another small
    let words = [&answer.body["message"], &answer.body["Message"]].map(text);
    Some(Complaint { blame, words: join(&[fault, join(&words)]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_between_letters() {
        let words = encoded_words(&"ž€".repeat(40));
        assert!(words.split(' ').count() > 3);
        for word in words.split(' ') {
            assert!(word.len() <= 75, "{word}");
            let inside = word.strip_prefix("=?utf-8?B?").unwrap().strip_suffix("?=").unwrap();
            assert!(String::from_utf8(BASE64_STANDARD.decode(inside).unwrap()).is_ok());
        }
    }
}
