//! Mailgun: one event in each call, signed by HMAC inside of the body.
//! <https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks>

use super::{
    fields::{UNKNOWN, json, moment, report, required, text, word},
    fresh,
};
use application::ports::{ReadingError, Report};
use domain::{
    Timestamp,
    feedback::{Bounce, FeedbackKind},
    secret::Secret,
};
use ring::hmac;
use serde_json::Value;

pub(super) fn reports(
    key: Option<&Secret>,
    body: &[u8],
    now: Timestamp,
) -> Result<Vec<Report>, ReadingError> {
    let body = json(body)?;
    if let Some(key) = key {
        verify(key, &body["signature"], now)?;
    }
    let event = &body["event-data"];
    let name = required(event, "event")?;
    let kind = match name {
        "delivered" => FeedbackKind::Delivered,
        "failed" => {
            let category = if text(event, "severity") == "permanent" { "HardBounce" } else { "SoftBounce" };
            let status = &event["delivery-status"];
            let words = [word(&event["reason"]), word(&status["enhanced-code"]), word(&status["message"])];
            let words: Vec<_> = words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
            FeedbackKind::Bounced(Bounce::of("mailgun", "Failed", category, &words.join(" ")))
        }
        "complained" => FeedbackKind::complaint("abuse"),
        "accepted" | "rejected" | "opened" | "clicked" | "unsubscribed" | "stored" => return Ok(Vec::new()),
        _ => return Err(UNKNOWN),
    };
    let at = moment(&event["timestamp"]).unwrap_or(now);
    let recipient = required(event, "recipient")?;
    let ours = text(&event["user-variables"], "notifuse_message_id");
    let theirs = text(&event["message"]["headers"], "message-id");
    let id = word(&event["id"]);
    let (at_text, key) = (at.to_rfc3339(), if id.is_empty() { theirs } else { &id });
    let key = [name, key, recipient, if id.is_empty() { &at_text } else { "" }];
    Ok(report(event, &key, kind, recipient, &[ours, theirs], at).into_iter().collect())
}

fn verify(key: &Secret, signature: &Value, now: Timestamp) -> Result<(), ReadingError> {
    let unsigned = ReadingError::NotAuthentic("it has no signature");
    let (timestamp, token) = (word(&signature["timestamp"]), text(signature, "token"));
    let given = hex(text(signature, "signature")).ok_or(unsigned.clone())?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
    hmac::verify(&key, format!("{timestamp}{token}").as_bytes(), &given)
        .map_err(|_| ReadingError::NotAuthentic("its signature is not by the key of the account"))?;
    fresh(moment(&signature["timestamp"]).ok_or(unsigned)?, now)
}

/// The bytes of hexadecimal digits.
fn hex(digits: &str) -> Option<Vec<u8>> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len()).step_by(2).map(|n| u8::from_str_radix(&digits[n..n + 2], 16).ok()).collect()
}
