//! What each provider reports, and how it is read.

use crate::{
    signing::call,
    support::{KEY, Noon, postmark},
};
use application::ports::{FeedbackReader as _, InboundCall, ReadingError, Report};
use domain::{
    feedback::{BounceClass, FeedbackKind},
    integrations::{
        MailgunRegion, MailgunSettings, MailjetSettings, ProviderSettings, SendgridSettings, SmtpSecurity,
        SmtpSettings, SparkpostSettings,
    },
    secret::Secret,
};
use providers::{Config, SignedFeedback};
use serde_json::{Value, json};
use std::sync::Arc;

fn key() -> Secret {
    Secret::new(KEY)
}

fn mailgun() -> ProviderSettings<Secret> {
    ProviderSettings::Mailgun(MailgunSettings {
        domain: "mg.acme.example".into(),
        region: MailgunRegion::Us,
        api_key: key(),
        webhook_signing_key: None,
    })
}

fn sendgrid() -> ProviderSettings<Secret> {
    ProviderSettings::Sendgrid(SendgridSettings { api_key: key(), webhook_public_key: None })
}

fn mailjet() -> ProviderSettings<Secret> {
    ProviderSettings::Mailjet(MailjetSettings { api_key: key(), secret_key: key(), sandbox_mode: false })
}

fn sparkpost() -> ProviderSettings<Secret> {
    let endpoint = "https://api.sparkpost.com".into();
    ProviderSettings::Sparkpost(SparkpostSettings { endpoint, api_key: key(), sandbox_mode: true })
}

fn smtp() -> ProviderSettings<Secret> {
    ProviderSettings::Smtp(SmtpSettings {
        host: "mx.acme.example".into(),
        port: 25,
        security: SmtpSecurity::None,
        ehlo_hostname: None,
        username: None,
        password: None,
    })
}

async fn read(settings: &ProviderSettings<Secret>, body: &Value) -> Result<Vec<Report>, ReadingError> {
    let reader = SignedFeedback::new(&Config::default(), Arc::new(Noon)).unwrap();
    reader.read(settings, &call(body)).await
}

/// Each report in short: kind with class and words, recipient, mail, moment.
async fn short(settings: &ProviderSettings<Secret>, body: &Value) -> Vec<String> {
    let reports = read(settings, body).await.unwrap();
    let short = |report: &Report| {
        let kind = match &report.kind {
            FeedbackKind::Bounced(bounce) => format!(
                "{} bounce [{}|{}|{}]",
                bounce.class.name(),
                bounce.kind,
                bounce.category,
                bounce.diagnostic
            ),
            FeedbackKind::Complained { feedback_type } => format!("complaint [{feedback_type}]"),
            other => other.name().to_owned(),
        };
        let message = report.message.as_deref().unwrap_or("-");
        format!("{kind} {} {message} {}", report.recipient, report.at.format("%H:%M:%S"))
    };
    reports.iter().map(short).collect()
}

#[tokio::test]
async fn postmark_reports_are_read() {
    let settings = postmark();
    let record = |name: &str, more: Value| {
        let mut record =
            json!({"RecordType": name, "MessageID": "pm-1", "Metadata": {"notifuse_message_id": "m-1"}});
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    let delivered = record(
        "Delivery",
        json!({"Recipient": "Ana@Shop.example", "DeliveredAt": "2026-06-01T11:00:00Z", "Details": "250 ok"}),
    );
    assert_eq!(short(&settings, &delivered).await, ["delivered ana@shop.example m-1 11:00:00"]);
    let bounced = record(
        "Bounce",
        json!({"ID": 42, "Type": "HardBounce", "Email": "ana@shop.example",
            "BouncedAt": "2026-06-01T11:00:01.5+00:00", "Details": "smtp;550 5.1.1 unknown"}),
    );
    assert_eq!(
        short(&settings, &bounced).await,
        ["hard bounce [HardBounce|HardBounce|smtp;550 5.1.1 unknown] ana@shop.example m-1 11:00:01"]
    );
    let complained = record(
        "SpamComplaint",
        json!({"ID": 43, "Type": "SpamComplaint", "Email": "ana@shop.example", "BouncedAt": "2026-06-01T11:00:02Z"}),
    );
    assert_eq!(
        short(&settings, &complained).await,
        ["complaint [SpamComplaint] ana@shop.example m-1 11:00:02"]
    );
    assert_eq!(short(&settings, &record("Open", json!({}))).await, [""; 0]);
}

#[tokio::test]
async fn mailgun_reports_are_read() {
    let settings = mailgun();
    let event = |name: &str, more: Value| {
        let mut event = json!({"event": name, "id": "mg-1", "timestamp": 1_780_311_600.25, "recipient": "ana@shop.example",
            "user-variables": {"notifuse_message_id": "m-1"}, "message": {"headers": {"message-id": "theirs@mg"}}});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"event-data": event})
    };
    assert_eq!(
        short(&settings, &event("delivered", json!({}))).await,
        ["delivered ana@shop.example m-1 11:00:00"]
    );
    let failed = |severity: &str, code: &str| {
        event(
            "failed",
            json!({"severity": severity, "reason": "generic", "delivery-status": {"enhanced-code": code, "message": "no"}}),
        )
    };
    assert_eq!(
        short(&settings, &failed("permanent", "5.0.0")).await,
        ["hard bounce [Failed|HardBounce|generic 5.0.0 no] ana@shop.example m-1 11:00:00"]
    );
    assert_eq!(
        short(&settings, &failed("temporary", "4.4.1")).await,
        ["soft bounce [Failed|SoftBounce|generic 4.4.1 no] ana@shop.example m-1 11:00:00"]
    );
    assert_eq!(
        short(&settings, &event("complained", json!({"user-variables": {}}))).await,
        ["complaint [abuse] ana@shop.example theirs@mg 11:00:00"]
    );
    assert_eq!(short(&settings, &event("opened", json!({}))).await, [""; 0]);
}

#[tokio::test]
async fn sparkpost_reports_are_read_in_batches() {
    let settings = sparkpost();
    let event = |name: &str, more: Value| {
        let mut event = json!({"type": name, "event_id": name, "timestamp": "1780311600", "message_id": "sp-1",
            "rcpt_to": "ana@shop.example.sink.sparkpostmail.com", "rcpt_meta": {"notifuse_message_id": "m-1"}});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"msys": {"message_event": event}})
    };
    let batch = json!([
        {"msys": {}},
        event("delivery", json!({"timestamp": "2026-06-01T11:00:01.000Z"})),
        event("bounce", json!({"bounce_class": "10", "reason": "550 no such user"})),
        event("out_of_band", json!({"bounce_class": 22, "reason": "452 full", "rcpt_meta": {}})),
        event("spam_complaint", json!({"fbtype": "abuse"})),
        event("injection", json!({})),
        {"msys": {"track_event": {"type": "open"}}},
    ]);
    assert_eq!(
        short(&settings, &batch).await,
        [
            "delivered ana@shop.example m-1 11:00:01",
            "hard bounce [Bounce|10|550 no such user] ana@shop.example m-1 11:00:00",
            "soft bounce [Bounce|22|452 full] ana@shop.example sp-1 11:00:00",
            "complaint [abuse] ana@shop.example m-1 11:00:00",
        ]
    );
}

#[tokio::test]
async fn mailjet_reports_are_read_alone_and_in_groups() {
    let settings = mailjet();
    let event = |name: &str, more: Value| {
        let mut event = json!({"event": name, "time": 1_780_311_600, "email": "ana@shop.example", "MessageID": 77,
            "CustomID": "m-1"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    assert_eq!(
        short(&settings, &event("sent", json!({"CustomID": ""}))).await,
        ["delivered ana@shop.example 77 11:00:00"]
    );
    let group = json!([
        event("bounce", json!({"hard_bounce": true, "comment": "gone", "error": "user unknown"})),
        event("bounce", json!({"hard_bounce": false})),
        event("blocked", json!({"error": "preblocked"})),
        event("spam", json!({"source": "JMRPP"})),
        event("unsub", json!({})),
        event("open", json!({})),
    ]);
    assert_eq!(
        short(&settings, &group).await,
        [
            "hard bounce [HardBounce|Permanent|gone: user unknown] ana@shop.example m-1 11:00:00",
            "soft bounce [SoftBounce|Temporary|] ana@shop.example m-1 11:00:00",
            "soft bounce [Blocked|Blocked|preblocked] ana@shop.example m-1 11:00:00",
            "complaint [JMRPP] ana@shop.example m-1 11:00:00",
            "unsubscribe ana@shop.example m-1 11:00:00",
        ]
    );
}

#[tokio::test]
async fn sendgrid_reports_are_read_in_batches() {
    let event = |name: &str, more: Value| {
        let mut event = json!({"event": name, "timestamp": 1_780_311_600, "email": "ana@shop.example",
            "sg_event_id": name, "sg_message_id": "sg-1", "notifuse_message_id": "m-1"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let batch = json!([
        event("processed", json!({})),
        event("delivered", json!({})),
        event(
            "bounce",
            json!({"type": "bounce", "bounce_classification": "Invalid Address", "status": "5.1.1", "reason": "550 unknown"})
        ),
        event(
            "bounce",
            json!({"type": "blocked", "bounce_classification": "Reputation", "reason": "421 later"})
        ),
        event("dropped", json!({"reason": "Bounced Address"})),
        event("spamreport", json!({})),
        event("something new", json!({})),
    ]);
    assert_eq!(
        short(&sendgrid(), &batch).await,
        [
            "delivered ana@shop.example m-1 11:00:00",
            "hard bounce [bounce|Invalid Address|5.1.1: 550 unknown] ana@shop.example m-1 11:00:00",
            "soft bounce [blocked|Reputation|421 later] ana@shop.example m-1 11:00:00",
            "soft bounce [dropped|Dropped|Bounced Address] ana@shop.example m-1 11:00:00",
            "complaint [spam] ana@shop.example m-1 11:00:00",
        ]
    );
}

#[tokio::test]
async fn reports_about_other_mail_servers_are_read() {
    let event = |name: &str, more: Value| {
        let mut event = json!({"event": name, "timestamp": "2026-06-01T11:00:00Z", "message_id": "m-1", "recipient": "ana@shop.example"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let settings = smtp();
    assert_eq!(
        short(&settings, &event("delivered", json!({}))).await,
        ["delivered ana@shop.example m-1 11:00:00"]
    );
    let bounced = event("bounce", json!({"bounce_category": "HardBounce", "diagnostic_code": "550 gone"}));
    assert_eq!(
        short(&settings, &bounced).await,
        ["hard bounce [Bounce|HardBounce|550 gone] ana@shop.example m-1 11:00:00"]
    );
    let complained = event("complaint", json!({"complaint_type": "abuse"}));
    assert_eq!(short(&settings, &complained).await, ["complaint [abuse] ana@shop.example m-1 11:00:00"]);
}

#[tokio::test]
async fn what_no_provider_sends_is_malformed() {
    let all = [smtp(), postmark(), mailgun(), mailjet(), sparkpost(), sendgrid(), crate::signing::ses()];
    let reader = SignedFeedback::new(&Config::default(), Arc::new(Noon)).unwrap();
    for settings in &all {
        for body in [&b""[..], b"{", b"null", b"7", b"\"text\"", b"{}", b"[7]", b"[{}]", b"[[]]", b"\xff\xfe"]
        {
            let call = InboundCall { headers: Vec::new(), body: body.to_vec() };
            let read = reader.read(settings, &call).await;
            assert!(
                matches!(read, Err(ReadingError::Malformed(_))),
                "{}: {body:?}: {read:?}",
                settings.kind()
            );
        }
    }
    for (settings, body) in [
        (smtp(), json!({"event": "melted", "recipient": "a@b.example"})),
        (postmark(), json!({"RecordType": "Melted"})),
        (mailgun(), json!({"event-data": {"event": "melted", "recipient": "a@b.example"}})),
        (mailjet(), json!({"event": "melted", "email": "a@b.example"})),
        (postmark(), json!({"RecordType": "Delivery"})),
        (sendgrid(), json!([{"event": "delivered"}])),
    ] {
        let read = read(&settings, &body).await;
        assert!(matches!(read, Err(ReadingError::Malformed(_))), "{body}: {read:?}");
    }
}

#[tokio::test]
async fn a_recipient_that_is_no_address_spoils_no_batch() {
    let event = |email: &str| json!({"event": "delivered", "email": email, "sg_event_id": email});
    let batch = json!([event("not an address"), event("ana@shop.example")]);
    let reports = read(&sendgrid(), &batch).await.unwrap();
    assert_eq!(reports.len(), 1);
}

#[tokio::test]
async fn a_repetition_has_the_same_key_and_another_event_has_not() {
    let event =
        |time: u32| json!({"event": "bounce", "time": time, "email": "ana@shop.example", "MessageID": 77});
    let key = async |time| read(&mailjet(), &event(time)).await.unwrap().remove(0).key;
    assert_eq!(key(5).await, key(5).await);
    assert_ne!(key(5).await, key(6).await);
    assert_eq!(read(&mailjet(), &event(5)).await.unwrap()[0].kind.bounce().unwrap().class, BounceClass::Soft);
}
