//! Signatures as the providers make them, and how calls without a good one fare.

use crate::support::{Act, KEY, Noon, Provider};
use application::ports::{FeedbackReader as _, InboundCall, ReadingError, Report};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::{
    integrations::{MailgunRegion, MailgunSettings, ProviderSettings, SendgridSettings, SesSettings},
    secret::Secret,
};
use providers::{Config, SignedFeedback};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// The key of a certificate that stands for Amazon's.
const SNS_KEY: &[u8] = include_bytes!("sns_key.der");

pub fn call(body: &Value) -> InboundCall {
    InboundCall { headers: Vec::new(), body: body.to_string().into_bytes() }
}

async fn read(
    config: &Config,
    settings: &ProviderSettings<Secret>,
    call: &InboundCall,
) -> Result<Vec<Report>, ReadingError> {
    SignedFeedback::new(config, Arc::new(Noon)).unwrap().read(settings, call).await
}

pub fn ses() -> ProviderSettings<Secret> {
    ProviderSettings::Ses(SesSettings {
        region: "eu-west-1".into(),
        access_key: "AKIAIOSFODNN7EXAMPLE".into(),
        secret_key: Secret::new(KEY),
        configuration_set: None,
    })
}

/// A certificate over [`SNS_KEY`], in PEM.
fn certificate(until: i32) -> String {
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&SNS_KEY.into(), &PKCS_RSA_SHA256).unwrap();
    let mut params = CertificateParams::new(vec!["sns.amazonaws.com".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let der = params.self_signed(&key).unwrap();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64_STANDARD.encode(der.der()))
}

/// A server that stands for Amazon: the certificate is at `/cert.pem`, an old one at `/old.pem`.
async fn amazon() -> Provider {
    Provider::start(Act::Play(|seen| match seen.line.as_str() {
        "GET /cert.pem" => (200, certificate(2050)),
        "GET /old.pem" => (200, certificate(2025)),
        line if line.starts_with("GET /?Action=ConfirmSubscription") => (200, "<Confirmed/>".to_owned()),
        _ => (404, String::new()),
    }))
    .await
}

/// Signs an envelope by version 2.
fn signed(mut envelope: Value) -> Value {
    let names: &[&str] = if envelope["Type"] == "Notification" {
        &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    } else {
        &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    };
    let present = names.iter().filter_map(|name| Some([*name, envelope[*name].as_str()?])).flatten();
    let text = present.collect::<Vec<_>>().join("\n") + "\n";
    let key = RsaKeyPair::from_pkcs8(SNS_KEY).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    envelope["SignatureVersion"] = json!("2");
    envelope["Signature"] = json!(BASE64_STANDARD.encode(signature));
    envelope
}

fn notification(provider: &Provider, message: &Value) -> Value {
    json!({
        "Type": "Notification", "MessageId": "sns-1", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:mails",
        "Subject": "Amazon SES", "Message": message.to_string(), "Timestamp": "2026-06-01T11:59:00.000Z",
        "SigningCertURL": format!("{}/cert.pem", provider.base),
    })
}

fn delivery() -> Value {
    json!({"eventType": "Delivery", "mail": {"messageId": "ses-1"},
        "delivery": {"timestamp": "2026-06-01T11:00:00.000Z", "recipients": ["ana@shop.example"]}})
}

#[tokio::test]
async fn amazons_signature_is_checked_by_its_certificate() {
    let provider = amazon().await;
    let good = signed(notification(&provider, &delivery()));
    let reader = SignedFeedback::new(&provider.config(), Arc::new(Noon)).unwrap();
    for _ in 0..2 {
        assert_eq!(reader.read(&ses(), &call(&good)).await.unwrap().len(), 1);
    }
    assert_eq!(provider.seen().len(), 1, "the certificate is kept");
    for member in ["Message", "MessageId", "Timestamp", "TopicArn", "Subject"] {
        let mut changed = good.clone();
        changed[member] = json!(good[member].as_str().unwrap().replace('1', "2"));
        if changed[member] == good[member] {
            changed[member] = json!("other");
        }
        let refused = reader.read(&ses(), &call(&changed)).await;
        assert!(matches!(refused, Err(ReadingError::NotAuthentic(_))), "{member}: {refused:?}");
    }
    for (member, value) in [("Signature", ""), ("Signature", "AAAA"), ("SignatureVersion", "3")] {
        let mut changed = good.clone();
        changed[member] = json!(value);
        let refused = reader.read(&ses(), &call(&changed)).await;
        assert!(matches!(refused, Err(ReadingError::NotAuthentic(_))), "{member}: {refused:?}");
    }
}

#[tokio::test]
async fn amazons_older_signature_is_good_as_well() {
    let provider = amazon().await;
    // made by `openssl dgst -sha1 -sign sns_key.der -keyform DER`
    let signature = "mYiOT43dDNfOX2+I5/HmhHIXdTkMnAy5mYhNs24zWqvbcWc8HAcYU9MixIqT1LmieM5PpYrCQxWA6reM6gF2pX19B8tehzk5eR8SfL5qIItlF8jpwJKg/dkaoMk6etvHhdeDWRRvP/vNFnEGeG6z8J3M+dPiWFQ0lfEDq0KOqJJmW934yLtBz2iUoReYxzx2M/luF3ltd17NEl13EwpDL6r/auyh1Dk7p3m+ohkaBdSQ8g4hOBPd4PnIXcwo/zrwRzK5cbh78LFmmG2h52sr4aVuu6VOSK68k0oBHu2ixhJnuzVWw0ecFmFyM/kh/H48NaYsVwpJ5gqkncOxvtuzzw==";
    let envelope = json!({
        "Type": "Notification", "MessageId": "sns-1", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:mails",
        "Message": "{\"eventType\":\"Delivery\",\"mail\":{\"messageId\":\"ses-1\",\"tags\":{\"notifuse_message_id\":[\"m-1\"]}},\"delivery\":{\"timestamp\":\"2026-06-01T11:00:00.000Z\",\"recipients\":[\"ana@shop.example\"]}}",
        "Timestamp": "2026-06-01T11:00:01.000Z", "SignatureVersion": "1", "Signature": signature,
        "SigningCertURL": format!("{}/cert.pem", provider.base),
    });
    let reports = read(&provider.config(), &ses(), &call(&envelope)).await.unwrap();
    assert_eq!(reports[0].message.as_deref(), Some("m-1"));
}

#[tokio::test]
async fn a_recording_of_an_old_call_is_refused() {
    let provider = amazon().await;
    let mut old = notification(&provider, &delivery());
    old["Timestamp"] = json!("2026-05-31T10:59:59.000Z");
    let refused = read(&provider.config(), &ses(), &call(&signed(old.clone()))).await;
    assert!(matches!(refused, Err(ReadingError::NotAuthentic(_))), "{refused:?}");
    old["Timestamp"] = json!("2026-05-31T11:00:01.000Z");
    assert!(read(&provider.config(), &ses(), &call(&signed(old))).await.is_ok());
}

#[tokio::test]
async fn a_certificate_that_has_run_out_is_refused() {
    let provider = amazon().await;
    let mut envelope = notification(&provider, &delivery());
    envelope["SigningCertURL"] = json!(format!("{}/old.pem", provider.base));
    let refused = read(&provider.config(), &ses(), &call(&signed(envelope))).await;
    assert!(matches!(refused, Err(ReadingError::NotAuthentic(_))), "{refused:?}");
}

#[tokio::test]
async fn certificates_come_from_amazon_alone() {
    let provider = amazon().await;
    let strict = Config { allow_private_hosts: false, ..provider.config() };
    for url in [
        format!("{}/cert.pem", provider.base),
        "https://sns.eu-west-1.amazonaws.com.evil.example/cert.pem".to_owned(),
        "http://sns.eu-west-1.amazonaws.com/cert.pem".to_owned(),
        "https://sns.eu-west-1.amazonaws.com:8443/cert.pem".to_owned(),
        "https://user@sns.eu-west-1.amazonaws.com/cert.pem".to_owned(),
        "https://sns.eu-west-1.amazonaws.com/cert.exe".to_owned(),
        "https://evil.s3.amazonaws.com/cert.pem".to_owned(),
        String::new(),
    ] {
        let mut envelope = notification(&provider, &delivery());
        envelope["SigningCertURL"] = json!(url);
        let refused = read(&strict, &ses(), &call(&signed(envelope))).await;
        assert!(matches!(refused, Err(ReadingError::NotAuthentic(_))), "{url}: {refused:?}");
    }
    assert!(provider.seen().is_empty(), "nothing is fetched from others");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_had_is_nobodys_fault() {
    let provider = amazon().await;
    let mut envelope = notification(&provider, &delivery());
    envelope["SigningCertURL"] = json!(format!("{}/gone.pem", provider.base));
    let refused = read(&provider.config(), &ses(), &call(&signed(envelope))).await;
    assert_eq!(refused, Err(ReadingError::Unavailable));
}

#[tokio::test]
async fn a_subscription_is_confirmed_once_it_is_known_to_be_amazons() {
    let provider = amazon().await;
    let envelope = |base: &str| {
        json!({
            "Type": "SubscriptionConfirmation", "MessageId": "sns-2", "Token": "t-1",
            "TopicArn": "arn:aws:sns:eu-west-1:123456789012:mails", "Message": "Confirm, please.",
            "SubscribeURL": format!("{base}/?Action=ConfirmSubscription&Token=t-1"),
            "Timestamp": "2026-06-01T11:59:00.000Z", "SigningCertURL": format!("{}/cert.pem", provider.base),
        })
    };
    let mut forged = signed(envelope(&provider.base));
    forged["Token"] = json!("t-2");
    assert!(read(&provider.config(), &ses(), &call(&forged)).await.is_err());
    let elsewhere = signed(envelope("http://169.254.169.254"));
    let refused = read(&provider.config(), &ses(), &call(&elsewhere)).await;
    assert!(matches!(refused, Err(ReadingError::NotAuthentic(_))), "{refused:?}");
    let confirmations =
        |p: &Provider| p.seen().iter().filter(|s| s.line.contains("ConfirmSubscription")).count();
    assert_eq!(confirmations(&provider), 0);
    let good = signed(envelope(&provider.base));
    assert_eq!(read(&provider.config(), &ses(), &call(&good)).await, Ok(Vec::new()));
    assert_eq!(confirmations(&provider), 1);
}

fn mailgun(key: Option<&str>) -> ProviderSettings<Secret> {
    ProviderSettings::Mailgun(MailgunSettings {
        domain: "mg.acme.example".into(),
        region: MailgunRegion::Us,
        api_key: Secret::new(KEY),
        webhook_signing_key: key.map(Secret::new),
    })
}

fn mailgun_call(key: &str, timestamp: i64) -> Value {
    let token = "a".repeat(50);
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let tag = hmac::sign(&key, format!("{timestamp}{token}").as_bytes());
    let hex: Vec<_> = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "signature": {"timestamp": timestamp.to_string(), "token": token, "signature": hex.concat()},
        "event-data": {"event": "delivered", "id": "mg-1", "timestamp": 1_780_311_600.5,
            "recipient": "ana@shop.example"},
    })
}

/// Noon.
const NOW: i64 = 1_780_315_200;

#[tokio::test]
async fn mailguns_signature_is_checked_once_its_key_is_known() {
    let config = Config::default();
    let good = mailgun_call("signing-key", NOW);
    assert_eq!(read(&config, &mailgun(Some("signing-key")), &call(&good)).await.unwrap().len(), 1);
    assert_eq!(read(&config, &mailgun(None), &call(&good)).await.unwrap().len(), 1);
    let mut unsigned = good.clone();
    unsigned["signature"] = Value::Null;
    let mut changed = good.clone();
    changed["signature"]["token"] = json!("b".repeat(50));
    let mut garbled = good;
    garbled["signature"]["signature"] = json!("zz");
    let (foreign, old) = (mailgun_call("other-key", NOW), mailgun_call("signing-key", NOW - 25 * 3_600 - 1));
    for refused in [unsigned, changed, garbled, foreign, old] {
        let read = read(&config, &mailgun(Some("signing-key")), &call(&refused)).await;
        assert!(matches!(read, Err(ReadingError::NotAuthentic(_))), "{read:?}");
    }
}

#[tokio::test]
async fn sendgrids_signature_is_checked_once_its_key_is_known() {
    let config = Config::default();
    let random = SystemRandom::new();
    let pair = || {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).unwrap()
    };
    let (key, other) = (pair(), pair());
    // SubjectPublicKeyInfo of a point on P-256 (RFC 5480)
    let head = BASE64_STANDARD.decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgA=").unwrap();
    let public = BASE64_STANDARD.encode([&head, key.public_key().as_ref()].concat());
    let settings = |public: Option<&str>| {
        ProviderSettings::Sendgrid(SendgridSettings {
            api_key: Secret::new(KEY),
            webhook_public_key: public.map(str::to_owned),
        })
    };
    let body =
        json!([{"event": "delivered", "email": "ana@shop.example", "sg_event_id": "sg-1"}]).to_string();
    let made = |key: &EcdsaKeyPair, timestamp: i64| {
        let signature = key.sign(&random, format!("{timestamp}{body}").as_bytes()).unwrap();
        let headers = [
            ("x-twilio-email-event-webhook-signature", BASE64_STANDARD.encode(signature)),
            ("x-twilio-email-event-webhook-timestamp", timestamp.to_string()),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
        InboundCall { headers, body: body.clone().into_bytes() }
    };
    let good = made(&key, NOW);
    assert_eq!(read(&config, &settings(Some(&public)), &good).await.unwrap().len(), 1);
    let unsigned = InboundCall { headers: Vec::new(), ..good.clone() };
    assert_eq!(read(&config, &settings(None), &unsigned).await.unwrap().len(), 1);
    let changed = InboundCall { body: body.replace("ana", "bob").into_bytes(), ..good };
    for refused in [unsigned, changed, made(&other, NOW), made(&key, NOW - 25 * 3_600 - 1)] {
        let read = read(&config, &settings(Some(&public)), &refused).await;
        assert!(matches!(read, Err(ReadingError::NotAuthentic(_))), "{read:?}");
    }
}

#[tokio::test]
async fn amazons_reports_are_read_for_each_recipient() {
    let provider = amazon().await;
    let reports = async |message: Value| {
        let call = call(&signed(notification(&provider, &message)));
        let reports = read(&provider.config(), &ses(), &call).await.unwrap();
        let short = |r: Report| {
            let class = r.kind.bounce().map_or("", |bounce| bounce.class.name());
            format!("{}{class} {} {}", r.kind.name(), r.recipient, r.message.unwrap_or_default())
        };
        reports.into_iter().map(short).collect::<Vec<_>>()
    };
    let tagged = json!({"messageId": "ses-1", "tags": {"notifuse_message_id": ["m-1"]}});
    let bounce = json!({"eventType": "Bounce", "mail": tagged, "bounce": {
        "bounceType": "Permanent", "bounceSubType": "General", "timestamp": "2026-06-01T11:00:00.000Z",
        "feedbackId": "f-1", "bouncedRecipients": [
            {"emailAddress": "Ana <ana@shop.example>", "diagnosticCode": "smtp; 550 5.1.1 unknown"},
            {"emailAddress": "bo@shop.example", "status": "5.2.2"}]}});
    assert_eq!(reports(bounce).await, ["bouncehard ana@shop.example m-1", "bouncesoft bo@shop.example m-1"]);
    let headers = json!({"messageId": "ses-2", "headers": [{"name": "X-Message-ID", "value": "m-2"}]});
    let complaint = json!({"notificationType": "Complaint", "mail": headers, "complaint": {
        "complaintFeedbackType": "abuse", "timestamp": "2026-06-01T11:00:00.000Z",
        "complainedRecipients": [{"emailAddress": "ana@shop.example"}]}});
    assert_eq!(reports(complaint).await, ["complaint ana@shop.example m-2"]);
    assert_eq!(reports(delivery()).await, ["delivered ana@shop.example ses-1"]);
    assert_eq!(reports(json!({"eventType": "Send", "mail": {}})).await, [""; 0]);
    let mut trial = notification(&provider, &json!({}));
    trial["Message"] = json!("Successfully validated SNS topic for Amazon SES event publishing.");
    assert_eq!(read(&provider.config(), &ses(), &call(&signed(trial))).await, Ok(Vec::new()));
}
