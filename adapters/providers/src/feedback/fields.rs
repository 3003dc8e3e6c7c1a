//! Reading the members of reports.

use application::ports::{ReadingError, Report};
use chrono::{DateTime, TimeDelta};
use domain::{Timestamp, email_address::EmailAddress, feedback::FeedbackKind};
use serde_json::Value;

/// Most reports that one call may carry.
const MOST: usize = 10_000;

/// A body as JSON.
pub(super) fn json(body: &[u8]) -> Result<Value, ReadingError> {
    serde_json::from_slice(body).map_err(|_| ReadingError::Malformed("it is no JSON"))
}

/// The reports of a body that is a list.
pub(super) fn list(body: &[u8]) -> Result<Vec<Value>, ReadingError> {
    match json(body)? {
        Value::Array(reports) if reports.len() <= MOST => Ok(reports),
        Value::Array(_) => Err(ReadingError::Malformed("it has too many events")),
        _ => Err(ReadingError::Malformed("it is no list")),
    }
}

/// The text of a member; empty when it is none.
pub(super) fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

/// The text of a member that must be there.
pub(super) fn required<'a>(object: &'a Value, name: &str) -> Result<&'a str, ReadingError> {
    object[name]
        .as_str()
        .filter(|text| !text.is_empty())
        .ok_or(ReadingError::Malformed("an event lacks a field"))
}

/// A text, or a number as text.
pub(super) fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// A moment in seconds since 1970 or by RFC 3339; `None` when it is neither.
pub(super) fn moment(value: &Value) -> Option<Timestamp> {
    let text = word(value);
    if let Ok(seconds) = text.parse::<f64>() {
        return since_1970(seconds);
    }
    DateTime::parse_from_rfc3339(&text).ok().map(|at| at.to_utc())
}

#[expect(clippy::cast_possible_truncation, reason = "what is out of bounds is refused")]
fn since_1970(seconds: f64) -> Option<Timestamp> {
    let micros = seconds * 1e6;
    let sound = (0.0..4.0e15).contains(&micros);
    sound.then(|| Timestamp::UNIX_EPOCH + TimeDelta::microseconds(micros as i64))
}

/// A report, unless its recipient is no address that a mail of ours could have gone to.
pub(super) fn report(
    event: &Value,
    key: &[&str],
    kind: FeedbackKind,
    recipient: &str,
    message: &[&str],
    at: Timestamp,
) -> Option<Report> {
    Some(Report {
        key: key.join("\n"),
        kind,
        recipient: EmailAddress::parse(recipient).ok()?,
        message: message.iter().find(|id| !id.is_empty()).map(|id| (*id).to_owned()),
        at,
        payload: event.to_string(),
    })
}

/// An event of a kind that nobody has told of.
pub(super) const UNKNOWN: ReadingError = ReadingError::Malformed("the kind of an event is unknown");
