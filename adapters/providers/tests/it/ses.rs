//! Amazon SES: what it is sent, how the request is signed, what its answers mean.

use crate::support::{Act, Provider, Seen, mail, with_files};
use application::ports::{Mailbox, OutgoingMail, SendError};
use domain::{
    integrations::{ProviderSettings, SesSettings},
    mail_name::MailName,
    secret::Secret,
};
use hmac::{Hmac, Mac as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

const ACCESS_KEY: &str = "AKIDEXAMPLE0000000";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn ses() -> ProviderSettings<Secret> {
    ProviderSettings::Ses(SesSettings {
        region: "eu-west-1".into(),
        access_key: ACCESS_KEY.into(),
        secret_key: Secret::new(SECRET_KEY),
        configuration_set: Some("events".into()),
    })
}

async fn sent(mail: &OutgoingMail) -> Seen {
    let provider = Provider::start(Act::Answer(200, "", "{\"MessageId\": \"m\"}")).await;
    provider.send(ses(), mail).await.unwrap();
    provider.request()
}

async fn answered(status: u16, headers: &'static str, body: &'static str) -> SendError {
    let provider = Provider::start(Act::Answer(status, headers, body)).await;
    provider.send(ses(), &mail()).await.unwrap_err()
}

#[tokio::test]
async fn it_gets_a_mail() {
    let seen = sent(&mail()).await;
    assert_eq!(seen.line, "POST /v2/email/outbound-emails");
    let utf8 = |data: &str| json!({"Data": data, "Charset": "UTF-8"});
    assert_eq!(
        seen.json(),
        json!({
            "FromEmailAddress": "\"Acme, Inc.\" <news@acme.example>",
            "Destination": {"ToAddresses": ["ana@shop.example"], "CcAddresses": ["cc@shop.example"],
                "BccAddresses": ["bcc@shop.example"]},
            "ReplyToAddresses": ["answers@acme.example"],
            "ConfigurationSetName": "events",
            "EmailTags": [{"Name": "notifuse_message_id", "Value": crate::support::ID}],
            "Content": {"Simple": {
                "Subject": utf8("Hello  Bcc: x"),
                "Body": {"Html": utf8("<p>Hi</p>"), "Text": utf8("Hi")},
                "Headers": [
                    {"Name": "List-Unsubscribe", "Value": "<https://m.acme.example/u?t=1>"},
                    {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
                ],
            }},
        })
    );
}

#[tokio::test]
async fn it_gets_files() {
    let seen = sent(&with_files()).await;
    assert_eq!(
        seen.json()["Content"]["Simple"]["Attachments"],
        json!([
            {"FileName": "bill \"1\".pdf", "ContentType": "application/pdf", "ContentDisposition": "ATTACHMENT",
             "ContentTransferEncoding": "BASE64", "RawContent": "Ynl0ZXM="},
            {"FileName": "my logo.png", "ContentType": "image/png", "ContentDisposition": "INLINE",
             "ContentTransferEncoding": "BASE64", "RawContent": "Ynl0ZXM=", "ContentId": "my_logo.png"},
        ])
    );
}

#[tokio::test]
async fn a_name_of_other_letters_is_encoded() {
    let mut mail = mail();
    mail.from = Mailbox { name: Some(MailName::parse("Zoë & Co.").unwrap()), ..mail.from };
    let seen = sent(&mail).await;
    assert_eq!(seen.json()["FromEmailAddress"], "=?utf-8?B?Wm/DqyAmIENvLg==?= <news@acme.example>");
}

#[tokio::test]
async fn the_signature_is_that_of_the_key_over_the_request() {
    let seen = sent(&mail()).await;
    assert_eq!(seen.headers["x-amz-date"], "20260601T120000Z");
    let authorization = &seen.headers["authorization"];
    let field = |name: &str| {
        let start = authorization.find(name).unwrap() + name.len();
        authorization[start..].split(',').next().unwrap().trim().to_owned()
    };
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 "));
    let scope = "20260601/eu-west-1/ses/aws4_request";
    assert_eq!(field("Credential="), format!("{ACCESS_KEY}/{scope}"));
    let signed = field("SignedHeaders=");
    assert!(signed.split(';').any(|name| name == "host"), "{signed}");
    assert_eq!(field("Signature="), signature(&seen, &signed, scope, SECRET_KEY));
    assert_ne!(field("Signature="), signature(&seen, &signed, scope, "another key"));
}

/// Signature Version 4 as its specification tells it.
fn signature(seen: &Seen, signed: &str, scope: &str, secret: &str) -> String {
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    };
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let (method, path) = seen.line.split_once(' ').unwrap();
    let headers = signed.split(';').fold(String::new(), |mut text, name| {
        writeln!(text, "{name}:{}", seen.headers[name].trim()).unwrap();
        text
    });
    let body = hex(&Sha256::digest(&seen.body));
    let canonical = format!("{method}\n{path}\n\n{headers}\n{signed}\n{body}");
    let date = &seen.headers["x-amz-date"];
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    hex(&mac(&key, &text))
}

#[tokio::test]
async fn a_rejected_message_is_refused() {
    let error = answered(
        400,
        "x-amzn-ErrorType: MessageRejected:http://internal.amazon.com/\r\n",
        "{\"message\": \"Email address is not verified.\"}",
    )
    .await;
    let reply = "400 MessageRejected Email address is not verified.".to_owned();
    assert_eq!(error, SendError::Refused { reply });
}

#[tokio::test]
async fn a_quota_defers_the_mail() {
    for (status, headers) in [
        (429, "x-amzn-ErrorType: TooManyRequestsException\r\n"),
        (400, "x-amzn-ErrorType: LimitExceededException\r\n"),
    ] {
        let error = answered(status, headers, "{}").await;
        assert!(matches!(error, SendError::Deferred { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_account_is_the_providers() {
    for (status, headers) in [
        (400, "x-amzn-ErrorType: AccountSuspendedException\r\n"),
        (400, "x-amzn-ErrorType: SendingPausedException\r\n"),
        (400, "x-amzn-ErrorType: MailFromDomainNotVerifiedException\r\n"),
        (403, "x-amzn-ErrorType: InvalidSignatureException\r\n"),
        (404, "x-amzn-ErrorType: NotFoundException\r\n"),
        (500, ""),
    ] {
        let error = answered(status, headers, "{\"message\": \"no\"}").await;
        assert!(matches!(error, SendError::Provider { .. }), "{headers} {error:?}");
    }
}

#[tokio::test]
async fn the_key_is_in_no_reason() {
    let body = Box::leak(format!("{{\"message\": \"bad {SECRET_KEY}\"}}").into_boxed_str());
    assert!(!answered(403, "", body).await.to_string().contains(SECRET_KEY));
}
