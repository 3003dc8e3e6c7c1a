//! Other mail servers: one event in each call, in a form of our own, not signed.

use super::fields::{UNKNOWN, json, moment, report, required, text, word};
use application::ports::{ReadingError, Report};
use domain::{
    Timestamp,
    feedback::{Bounce, FeedbackKind},
};

pub(super) fn reports(body: &[u8], now: Timestamp) -> Result<Vec<Report>, ReadingError> {
    let event = json(body)?;
    let name = required(&event, "event")?;
    let kind = match name {
        "delivered" => FeedbackKind::Delivered,
        "bounce" => {
            let (category, words) = (text(&event, "bounce_category"), text(&event, "diagnostic_code"));
            FeedbackKind::Bounced(Bounce::of("smtp", "Bounce", category, words))
        }
        "complaint" => FeedbackKind::complaint(text(&event, "complaint_type")),
        _ => return Err(UNKNOWN),
    };
    let recipient = required(&event, "recipient")?;
    let message = text(&event, "message_id");
    let (at, at_text) = (moment(&event["timestamp"]).unwrap_or(now), word(&event["timestamp"]));
    let key = [name, message, recipient, &at_text];
    Ok(report(&event, &key, kind, recipient, &[message], at).into_iter().collect())
}
