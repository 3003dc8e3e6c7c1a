//! Calls of providers with the signatures that these make, and telling providers whom to call.

use crate::{
    feedback::{callback, called},
    support::{Answer, Server, Tenant},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// The key of a certificate that stands for Amazon's.
const SNS_KEY: &[u8] = include_bytes!("../../adapters/providers/tests/it/sns_key.der");

/// A server that answers by script and remembers method, path and body of each request.
struct Provider {
    base: String,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Provider {
    async fn start(answer: fn(&str) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let kept = seen.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = Vec::new();
                let (line, body) = loop {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    if let Some((head, body)) = text.split_once("\r\n\r\n") {
                        let length = head.lines().find_map(|line| {
                            line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
                        });
                        if body.len() >= length.unwrap_or(0) {
                            let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
                            break (line, serde_json::from_str(body).unwrap_or_default());
                        }
                    }
                    if stream.read_buf(&mut bytes).await.unwrap() == 0 {
                        break (String::new(), Value::Null);
                    }
                };
                let body_of_answer = answer(&line);
                kept.lock().unwrap().push((line, body));
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body_of_answer.len()
                );
                let _ = stream.write_all((head + &body_of_answer).as_bytes()).await;
            }
        });
        Self { base, seen }
    }

    fn seen(&self) -> Vec<(String, Value)> {
        self.seen.lock().unwrap().clone()
    }
}

/// A new integration, and the path that its provider calls.
async fn integration(tenant: &Tenant, mut provider: Value) -> (String, String) {
    provider["senders"] = json!([{"email": "hello@acme.example", "name": "Acme", "is_default": true}]);
    provider["rate_limit_per_minute"] = json!(600);
    let body = json!({"name": "Provider", "type": "email", "provider": provider});
    let made = tenant.post("workspaces.createIntegration", body).await.ok();
    let path = made["callback_url"].as_str().unwrap().strip_prefix("https://mail.acme.example").unwrap();
    (made["integration_id"].as_str().unwrap().to_owned(), path.to_owned())
}

/// Kinds and recipients of what was kept.
async fn kept(tenant: &Tenant) -> Vec<(String, String)> {
    let listed = tenant.get("inboundWebhookEvents.list", "").await.ok();
    let events = listed["events"].as_array().unwrap();
    let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    events.iter().map(|event| (text(event, "type"), text(event, "recipient_email"))).collect()
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    now.try_into().unwrap()
}

fn certificate(line: &str) -> String {
    if !line.ends_with("/cert.pem") {
        return String::new();
    }
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&SNS_KEY.into(), &PKCS_RSA_SHA256).unwrap();
    let params = CertificateParams::new(vec!["sns.amazonaws.com".to_owned()]).unwrap();
    let der = params.self_signed(&key).unwrap();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64_STANDARD.encode(der.der()))
}

/// An envelope of Amazon SNS, signed.
fn envelope(amazon: &Provider, message: &Value, at: i64) -> Value {
    let timestamp = chrono::DateTime::from_timestamp(at, 0).unwrap().to_rfc3339();
    let mut envelope = json!({
        "Type": "Notification", "MessageId": "sns-1", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:mails",
        "Message": message.to_string(), "Timestamp": timestamp, "SignatureVersion": "2",
        "SigningCertURL": format!("{}/cert.pem", amazon.base),
    });
    let names = ["Message", "MessageId", "Timestamp", "TopicArn", "Type"];
    let text: Vec<_> = names.iter().flat_map(|name| [name, envelope[*name].as_str().unwrap()]).collect();
    let text = text.join("\n") + "\n";
    let key = RsaKeyPair::from_pkcs8(SNS_KEY).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    envelope["Signature"] = json!(BASE64_STANDARD.encode(signature));
    envelope
}

async fn amazon_reports_with_its_certificate(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let settings =
        json!({"region": "eu-west-1", "access_key": "AKIAIOSFODNN7EXAMPLE", "secret_key": "secret"});
    let (_, path) = integration(&tenant, json!({"kind": "ses", "ses": settings})).await;
    let amazon = Provider::start(certificate).await;
    let bounce = json!({"eventType": "Bounce", "mail": {"messageId": "ses-1"}, "bounce": {
        "bounceType": "Permanent", "bounceSubType": "General", "feedbackId": "f-1",
        "timestamp": "2026-01-02T03:04:05.000Z", "bouncedRecipients": [{"emailAddress": "ana@shop.example"}]}});
    let good = envelope(&amazon, &bounce, now());
    let mut forged = good.clone();
    forged["Message"] = json!(bounce.to_string().replace("ana@", "bob@"));
    let mut unsigned = good.clone();
    unsigned["Signature"] = Value::Null;
    let mut elsewhere = good.clone();
    elsewhere["SigningCertURL"] = json!("https://evil.example/cert.pem");
    let old = envelope(&amazon, &bounce, now() - 26 * 3_600);
    for refused in [forged, unsigned, elsewhere, old, bounce] {
        let answer = called(&tenant, &path, &refused).await;
        assert!(matches!(answer.status.as_u16(), 400 | 401), "{}", answer.body);
    }
    assert_eq!(kept(&tenant).await, []);
    for _ in 0..2 {
        called(&tenant, &path, &good).await.ok();
    }
    assert_eq!(kept(&tenant).await, [("bounce".to_owned(), "ana@shop.example".to_owned())]);
}

async fn mailgun_reports_with_its_key(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let settings =
        json!({"domain": "mg.acme.example", "api_key": "key", "webhook_signing_key": "signing-key"});
    let (id, path) = integration(&tenant, json!({"kind": "mailgun", "mailgun": settings})).await;
    let shown = tenant.owner.get(&format!("/api/workspaces.get?id={}", tenant.id)).await.ok();
    let shown = &shown["workspace"]["integrations"][0]["email_provider"]["mailgun"];
    assert_eq!(shown["webhook_signing_key_set"], true);
    assert!(!shown.to_string().contains("signing-key\""), "{shown}");
    let made = |key: &str, at: i64| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        let tag = hmac::sign(&key, format!("{at}token").as_bytes());
        let hex: Vec<_> = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        json!({"signature": {"timestamp": at.to_string(), "token": "token", "signature": hex.concat()},
            "event-data": {"event": "complained", "id": "mg-1", "timestamp": at, "recipient": "ana@shop.example"}})
    };
    let mut unsigned = made("signing-key", now());
    unsigned["signature"] = Value::Null;
    for refused in [unsigned, made("key", now()), made("signing-key", now() - 26 * 3_600)] {
        let refused = called(&tenant, &path, &refused).await.problem(401);
        assert_eq!(refused["code"], "callback_not_authentic");
    }
    assert_eq!(kept(&tenant).await, []);
    called(&tenant, &path, &made("signing-key", now())).await.ok();
    assert_eq!(kept(&tenant).await, [("complaint".to_owned(), "ana@shop.example".to_owned())]);
    // an update without the key keeps it
    let settings = json!({"domain": "mg.acme.example"});
    let mut provider = json!({"kind": "mailgun", "mailgun": settings, "rate_limit_per_minute": 600});
    provider["senders"] = json!([{"email": "hello@acme.example", "name": "Acme", "is_default": true}]);
    let body = json!({"integration_id": id, "name": "Provider", "provider": provider});
    tenant.post("workspaces.updateIntegration", body).await.ok();
    called(&tenant, &path, &made("other", now())).await.problem(401);
}

async fn sendgrid_reports_with_its_key(server: &'static Server) {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).unwrap();
    // SubjectPublicKeyInfo of a point on P-256 (RFC 5480)
    let head = BASE64_STANDARD.decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgA=").unwrap();
    let public = BASE64_STANDARD.encode([&head, key.public_key().as_ref()].concat());
    let tenant = server.bare_tenant().await;
    let settings = json!({"api_key": "key", "webhook_public_key": public});
    let (_, path) = integration(&tenant, json!({"kind": "sendgrid", "sendgrid": settings})).await;
    let batch = json!([
        {"event": "delivered", "email": "ana@shop.example", "sg_event_id": "1", "timestamp": 1_767_225_601},
        {"event": "open", "email": "ana@shop.example", "sg_event_id": "2", "timestamp": 1_767_225_602},
        {"event": "bounce", "email": "bo@shop.example", "sg_event_id": "3", "timestamp": 1_767_225_600},
    ])
    .to_string();
    let send = async |body: &str, signed: &str, at: i64| -> Answer {
        let signature = key.sign(&random, format!("{at}{signed}").as_bytes()).unwrap();
        let anonymous = tenant.server.anonymous();
        let request = anonymous
            .request("post", &path)
            .header("x-twilio-email-event-webhook-signature", BASE64_STANDARD.encode(signature))
            .header("x-twilio-email-event-webhook-timestamp", at.to_string());
        anonymous.send(request.body(body.to_owned())).await
    };
    called(&tenant, &path, &json!([])).await.problem(401);
    send(&batch, &batch.replace("bo@", "cy@"), now()).await.problem(401);
    send(&batch, &batch, now() - 26 * 3_600).await.problem(401);
    assert_eq!(kept(&tenant).await, []);
    for _ in 0..2 {
        send(&batch, &batch, now()).await.ok();
    }
    let pair = |kind: &str, who: &str| (kind.to_owned(), who.to_owned());
    assert_eq!(
        kept(&tenant).await,
        [pair("delivered", "ana@shop.example"), pair("bounce", "bo@shop.example")]
    );
}

async fn other_providers_report_to_the_secret_address(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let (_, postmark) =
        integration(&tenant, json!({"kind": "postmark", "postmark": {"server_token": "t"}})).await;
    let keys = json!({"api_key": "a", "secret_key": "b"});
    let (_, mailjet) = integration(&tenant, json!({"kind": "mailjet", "mailjet": keys})).await;
    let keys = json!({"endpoint": "https://api.sparkpost.com", "api_key": "a"});
    let (_, sparkpost) = integration(&tenant, json!({"kind": "sparkpost", "sparkpost": keys})).await;
    let record = json!({"RecordType": "Delivery", "Recipient": "a@shop.example", "MessageID": "1", "DeliveredAt": "2026-01-01T00:00:03Z"});
    let event = json!([{"event": "sent", "email": "b@shop.example", "time": 1_767_225_602, "MessageID": 2}]);
    let batch = json!([{"msys": {"message_event": {"type": "delivery", "rcpt_to": "c@shop.example",
        "event_id": "3", "timestamp": "1767225601"}}}]);
    for (path, body) in [(postmark, record), (mailjet, event), (sparkpost, batch)] {
        let (without, _) = path.split_once("&token").unwrap();
        called(&tenant, without, &body).await.problem(401);
        called(&tenant, &path, &body).await.ok();
    }
    let recipients: Vec<_> = kept(&tenant).await.into_iter().map(|(_, recipient)| recipient).collect();
    assert_eq!(recipients, ["a@shop.example", "b@shop.example", "c@shop.example"]);
}

async fn a_provider_is_told_whom_to_call(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let provider = Provider::start(|line| match line {
        "GET /api/v1/webhooks" => json!({"results": []}).to_string(),
        _ => json!({"results": {"id": "w-1"}}).to_string(),
    })
    .await;
    let settings = json!({"endpoint": provider.base, "api_key": "sparkpost-key"});
    let (id, path) = integration(&tenant, json!({"kind": "sparkpost", "sparkpost": settings})).await;
    let body = json!({"integration_id": id, "event_types": ["bounce", "complaint"]});
    let told = tenant.post("webhooks.register", body).await.ok();
    let status = &told["status"];
    assert_eq!(
        (&status["email_provider_kind"], &status["is_registered"]),
        (&json!("sparkpost"), &json!(true))
    );
    let events: Vec<_> =
        status["endpoints"].as_array().unwrap().iter().map(|e| e["event_type"].as_str().unwrap()).collect();
    assert_eq!(events, ["bounce", "complaint"]);
    assert_eq!(callback(&tenant, &id).await, path);
    let made = provider.seen().into_iter().find(|(line, _)| line == "POST /api/v1/webhooks").unwrap().1;
    assert_eq!(made["target"], format!("https://mail.acme.example{path}"));
    assert!(!status["endpoints"].to_string().contains("token="), "the secret is told in one place alone");
    let reader = tenant.member(json!({"workspace": {"read": true, "write": false}})).await;
    let query = format!("/api/webhooks.status?workspace_id={}&integration_id={id}", tenant.id);
    let seen = reader.get(&query).await.ok();
    assert_eq!((&seen["status"]["is_registered"], seen["status"].get("callback_url")), (&json!(false), None));
    let bad = json!({"integration_id": id, "event_types": ["bounce", "melted"]});
    let refused = tenant.post("webhooks.register", bad).await.problem(400);
    assert_eq!(refused["errors"][0]["pointer"], "/event_types/1");
    tenant
        .post("webhooks.register", json!({"integration_id": "00000000-0000-4000-8000-000000000001"}))
        .await
        .problem(404);
}

async fn a_mail_server_cannot_be_told_but_has_an_address(server: &'static Server) {
    let tenant = server.tenant().await;
    let body = json!({"integration_id": tenant.integration});
    let refused = tenant.post("webhooks.register", body).await.problem(422);
    assert_eq!(refused["code"], "callback_unsupported");
    let status = tenant.get("webhooks.status", &format!("integration_id={}", tenant.integration)).await.ok();
    assert_eq!(status["status"]["is_registered"], false);
    assert!(status["status"]["error"].is_string());
    assert!(status["status"]["callback_url"].as_str().unwrap().contains("provider=smtp"));
}

on_both_databases! {
    amazon_reports_with_its_certificate
    mailgun_reports_with_its_key
    sendgrid_reports_with_its_key
    other_providers_report_to_the_secret_address
    a_provider_is_told_whom_to_call
    a_mail_server_cannot_be_told_but_has_an_address
}
