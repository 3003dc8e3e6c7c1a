//! Amazon SES: event publishing and feedback notifications.
//! <https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html>

use super::fields::{UNKNOWN, json, moment, report, required, text};
use application::ports::{ReadingError, Report};
use domain::{
    Timestamp,
    feedback::{Bounce, FeedbackKind},
};
use serde_json::Value;

/// How the message begins that tries a topic.
const TRIAL: &str = "Successfully validated SNS topic";

/// Reads the message of a notification. Each recipient has a report of its own.
pub(super) fn reports(message: &str, now: Timestamp) -> Result<Vec<Report>, ReadingError> {
    if message.starts_with(TRIAL) {
        return Ok(Vec::new());
    }
    let event = json(message.as_bytes())?;
    let name = required(&event, "eventType").or_else(|_| required(&event, "notificationType"))?;
    let (part, recipients) = match name {
        "Delivery" => (&event["delivery"], "recipients"),
        "Bounce" => (&event["bounce"], "bouncedRecipients"),
        "Complaint" => (&event["complaint"], "complainedRecipients"),
        "Send"
        | "Reject"
        | "Open"
        | "Click"
        | "Rendering Failure"
        | "DeliveryDelay"
        | "Subscription"
        | "AmazonSnsSubscriptionSucceeded" => return Ok(Vec::new()),
        _ => return Err(UNKNOWN),
    };
    let at = moment(&part["timestamp"]).unwrap_or(now);
    let mail = &event["mail"];
    let theirs = text(mail, "messageId");
    let message = [ours(mail), theirs];
    let lacking = ReadingError::Malformed("an event lacks its recipients");
    let mut reports = Vec::new();
    for recipient in part[recipients].as_array().ok_or(lacking.clone())? {
        let address = recipient.as_str().or_else(|| recipient["emailAddress"].as_str());
        let address = address.ok_or(lacking.clone())?;
        let kind = match name {
            "Bounce" => FeedbackKind::Bounced(bounce(part, recipient)),
            "Complaint" => FeedbackKind::complaint(text(part, "complaintFeedbackType")),
            _ => FeedbackKind::Delivered,
        };
        let at_text = at.to_rfc3339();
        let key = [name, theirs, text(part, "feedbackId"), &at_text, address];
        reports.extend(report(&event, &key, kind, bare(address), &message, at));
    }
    Ok(reports)
}

fn bounce(part: &Value, recipient: &Value) -> Bounce {
    let words = [text(recipient, "diagnosticCode"), text(recipient, "status")];
    let words = words.into_iter().find(|words| !words.is_empty()).unwrap_or_default();
    Bounce::of("ses", text(part, "bounceType"), text(part, "bounceSubType"), words)
}

/// Our identifier: in a tag, or in a header.
fn ours(mail: &Value) -> &str {
    let tag = mail["tags"]["notifuse_message_id"][0].as_str();
    let header = || {
        let headers = mail["headers"].as_array()?;
        let ours = headers.iter().find(|h| text(h, "name").eq_ignore_ascii_case("x-message-id"))?;
        ours["value"].as_str()
    };
    tag.or_else(header).unwrap_or_default()
}

/// The address of a mailbox, which may have a name.
fn bare(mailbox: &str) -> &str {
    match mailbox.rsplit_once('<') {
        Some((_, address)) => address.trim_end().trim_end_matches('>'),
        None => mailbox,
    }
}
