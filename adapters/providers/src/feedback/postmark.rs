//! Postmark: one record in each call, not signed.
//! <https://postmarkapp.com/developer/webhooks/webhooks-overview>

use super::fields::{UNKNOWN, json, moment, report, required, text, word};
use application::ports::{ReadingError, Report};
use domain::{
    Timestamp,
    feedback::{Bounce, FeedbackKind},
};

pub(super) fn reports(body: &[u8], now: Timestamp) -> Result<Vec<Report>, ReadingError> {
    let record = json(body)?;
    let name = required(&record, "RecordType")?;
    let kind_of = text(&record, "Type");
    let (kind, recipient, at) = match name {
        "Delivery" => (FeedbackKind::Delivered, "Recipient", "DeliveredAt"),
        "Bounce" => {
            let words = [text(&record, "Details"), text(&record, "Description")];
            let words = words.into_iter().find(|words| !words.is_empty()).unwrap_or_default();
            (FeedbackKind::Bounced(Bounce::of("postmark", kind_of, kind_of, words)), "Email", "BouncedAt")
        }
        "SpamComplaint" => (FeedbackKind::complaint(kind_of), "Email", "BouncedAt"),
        "Open" | "Click" | "SubscriptionChange" | "Inbound" => return Ok(Vec::new()),
        _ => return Err(UNKNOWN),
    };
    let recipient = required(&record, recipient)?;
    let at = moment(&record[at]).unwrap_or(now);
    let theirs = text(&record, "MessageID");
    let (id, at_text) = (word(&record["ID"]), at.to_rfc3339());
    let key =
        if id.is_empty() { [name, theirs, recipient, &at_text] } else { [name, &id, theirs, recipient] };
    let message = [text(&record["Metadata"], "notifuse_message_id"), theirs];
    Ok(report(&record, &key, kind, recipient, &message, at).into_iter().collect())
}
