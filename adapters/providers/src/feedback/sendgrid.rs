//! `SendGrid`: a list of events in each call, signed by ECDSA in headers.
//! <https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event>

use super::{
    fields::{list, moment, report, required, text, word},
    fresh,
};
use application::ports::{InboundCall, ReadingError, Report};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::{
    Timestamp,
    feedback::{Bounce, FeedbackKind},
};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde_json::{Value, json};
use x509_parser::{prelude::FromDer as _, x509::SubjectPublicKeyInfo};

const SIGNATURE: &str = "x-twilio-email-event-webhook-signature";
const TIMESTAMP: &str = "x-twilio-email-event-webhook-timestamp";

/// Checks the signature of the bytes of the body, by the public key in base64.
pub(super) fn verify(key: &str, call: &InboundCall, now: Timestamp) -> Result<(), ReadingError> {
    let unsigned = ReadingError::NotAuthentic("it has no signature");
    let timestamp = call.header(TIMESTAMP).ok_or(unsigned.clone())?;
    let signature = call.header(SIGNATURE).and_then(|text| BASE64_STANDARD.decode(text).ok());
    let signature = signature.ok_or(unsigned.clone())?;
    let foreign = ReadingError::NotAuthentic("its signature is not by the key of the account");
    let key = BASE64_STANDARD.decode(key.trim()).map_err(|_| foreign.clone())?;
    let (_, key) = SubjectPublicKeyInfo::from_der(&key).map_err(|_| foreign.clone())?;
    let signed = [timestamp.as_bytes(), &call.body].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key.subject_public_key.data)
        .verify(&signed, &signature)
        .map_err(|_| foreign)?;
    fresh(moment(&json!(timestamp)).ok_or(unsigned)?, now)
}

pub(super) fn reports(body: &[u8], now: Timestamp) -> Result<Vec<Report>, ReadingError> {
    let mut reports = Vec::new();
    for event in list(body)? {
        let name = required(&event, "event")?;
        let Some(kind) = kind(name, &event) else { continue };
        let at = moment(&event["timestamp"]).unwrap_or(now);
        let recipient = required(&event, "email")?;
        let theirs = text(&event, "sg_message_id");
        let (id, at_text) = (text(&event, "sg_event_id"), at.to_rfc3339());
        let key = if id.is_empty() { [name, theirs, recipient, &at_text] } else { [name, id, "", ""] };
        let message = [text(&event, "notifuse_message_id"), theirs];
        reports.extend(report(&event, &key, kind, recipient, &message, at));
    }
    Ok(reports)
}

/// What is reported; `None` for what is no business of ours.
fn kind(name: &str, event: &Value) -> Option<FeedbackKind> {
    let bounce = |kind: &str, category: &str, words: &str| {
        Some(FeedbackKind::Bounced(Bounce::of("sendgrid", kind, category, words)))
    };
    let classification = text(event, "bounce_classification");
    let words = match (word(&event["status"]), word(&event["reason"])) {
        (status, reason) if status.is_empty() => reason,
        (status, reason) => format!("{status}: {reason}"),
    };
    match name {
        "delivered" => Some(FeedbackKind::Delivered),
        "bounce" if text(event, "type") == "blocked" => bounce("blocked", classification, &words),
        "bounce" | "blocked" => bounce(name, classification, &words),
        "dropped" => bounce(name, "Dropped", &word(&event["reason"])),
        "spamreport" => Some(FeedbackKind::complaint("spam")),
        _ => None,
    }
}
