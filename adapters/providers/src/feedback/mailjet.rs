//! Mailjet: one event or a list of them in each call, not signed.
//! <https://dev.mailjet.com/email/guides/webhooks/>

use super::fields::{UNKNOWN, json, list, moment, report, required, text, word};
use application::ports::{ReadingError, Report};
use domain::{
    Timestamp,
    feedback::{Bounce, FeedbackKind},
};
use serde_json::Value;

pub(super) fn reports(body: &[u8], now: Timestamp) -> Result<Vec<Report>, ReadingError> {
    let events = match json(body)? {
        event @ Value::Object(_) => vec![event],
        _ => list(body)?,
    };
    let mut reports = Vec::new();
    for event in events {
        let name = required(&event, "event")?;
        let Some(kind) = kind(name, &event)? else { continue };
        let at = moment(&event["time"]).unwrap_or(now);
        let recipient = required(&event, "email")?;
        let (theirs, at_text) = (word(&event["MessageID"]), at.to_rfc3339());
        let message = [text(&event, "CustomID"), &theirs];
        let key = [name, &theirs, message[0], recipient, &at_text];
        reports.extend(report(&event, &key, kind, recipient, &message, at));
    }
    Ok(reports)
}

/// What is reported; `None` for what is no business of ours.
fn kind(name: &str, event: &Value) -> Result<Option<FeedbackKind>, ReadingError> {
    let words = [text(event, "comment"), text(event, "error")];
    let words: Vec<_> = words.into_iter().filter(|words| !words.is_empty()).collect();
    let bounce = |kind: &str, category: &str| {
        Some(FeedbackKind::Bounced(Bounce::of("mailjet", kind, category, &words.join(": "))))
    };
    Ok(match name {
        "sent" => Some(FeedbackKind::Delivered),
        "bounce" if event["hard_bounce"] == true => bounce("HardBounce", "Permanent"),
        "bounce" => bounce("SoftBounce", "Temporary"),
        "blocked" => bounce("Blocked", "Blocked"),
        "spam" => {
            let source = text(event, "source");
            Some(FeedbackKind::complaint(if source.is_empty() { "spam" } else { source }))
        }
        "unsub" => Some(FeedbackKind::Unsubscribed),
        "open" | "click" => None,
        _ => return Err(UNKNOWN),
    })
}
