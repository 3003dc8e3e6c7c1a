//! `SparkPost`: a list of events in each call, not signed.
//! <https://developers.sparkpost.com/api/webhooks/>

use super::fields::{list, moment, report, required, text, word};
use application::ports::{ReadingError, Report};
use domain::{
    Timestamp,
    feedback::{Bounce, FeedbackKind},
};
use serde_json::Value;

/// Stands at the end of addresses while mails are thrown away.
const SINK: &str = ".sink.sparkpostmail.com";

pub(super) fn reports(body: &[u8], now: Timestamp) -> Result<Vec<Report>, ReadingError> {
    let mut reports = Vec::new();
    for envelope in list(body)? {
        let Value::Object(inside) = &envelope["msys"] else {
            return Err(ReadingError::Malformed("an event has no msys"));
        };
        // an empty one tries the address; other members are no business of ours
        let Some(event) = inside.get("message_event") else { continue };
        let name = required(event, "type")?;
        let Some(kind) = kind(name, event) else { continue };
        let at = moment(&event["timestamp"]).unwrap_or(now);
        let recipient = required(event, "rcpt_to")?;
        let recipient = recipient.strip_suffix(SINK).unwrap_or(recipient);
        let (id, theirs, at_text) = (word(&event["event_id"]), word(&event["message_id"]), at.to_rfc3339());
        let key = if id.is_empty() { [name, &theirs, recipient, &at_text] } else { [name, &id, "", ""] };
        let message = [text(&event["rcpt_meta"], "notifuse_message_id"), &theirs];
        reports.extend(report(event, &key, kind, recipient, &message, at));
    }
    Ok(reports)
}

/// What is reported; `None` for what is no business of ours.
fn kind(name: &str, event: &Value) -> Option<FeedbackKind> {
    match name {
        "delivery" => Some(FeedbackKind::Delivered),
        "bounce" | "out_of_band" => {
            let words = [word(&event["reason"]), word(&event["raw_reason"])];
            let words = words.into_iter().find(|words| !words.is_empty()).unwrap_or_default();
            let class = word(&event["bounce_class"]);
            Some(FeedbackKind::Bounced(Bounce::of("sparkpost", "Bounce", &class, &words)))
        }
        "spam_complaint" => Some(FeedbackKind::complaint(text(event, "fbtype"))),
        _ => None,
    }
}
