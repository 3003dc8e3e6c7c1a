//! What each provider is sent.

use crate::support::{Act, ID, KEY, Provider, Seen, mail, postmark, with_files};
use application::ports::OutgoingMail;
use domain::{
    integrations::{
        MailgunRegion, MailgunSettings, MailjetSettings, ProviderSettings, SendgridSettings,
        SparkpostSettings,
    },
    secret::Secret,
};
use serde_json::{Value, json};

const UNSUBSCRIBE: &str = "<https://m.acme.example/u?t=1>";

fn key() -> Secret {
    Secret::new(KEY)
}

fn headers() -> Value {
    json!({"List-Unsubscribe": UNSUBSCRIBE, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"})
}

async fn sent(status: u16, settings: ProviderSettings<Secret>, mail: &OutgoingMail) -> Seen {
    let provider = Provider::start(Act::Answer(status, "", "{}")).await;
    provider.send(settings, mail).await.unwrap();
    provider.request()
}

#[tokio::test]
async fn postmark_gets_a_mail() {
    let seen = sent(200, postmark(), &mail()).await;
    assert_eq!(seen.line, "POST /email");
    assert_eq!(seen.headers["x-postmark-server-token"], KEY);
    assert_eq!(
        seen.json(),
        json!({
            "From": "\"Acme, Inc.\" <news@acme.example>", "To": "ana@shop.example",
            "Cc": "cc@shop.example", "Bcc": "bcc@shop.example", "ReplyTo": "answers@acme.example",
            "Subject": "Hello  Bcc: x", "HtmlBody": "<p>Hi</p>", "TextBody": "Hi",
            "MessageStream": "outbound", "Metadata": {"notifuse_message_id": ID},
            "Headers": [
                {"Name": "List-Unsubscribe", "Value": UNSUBSCRIBE},
                {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
            ],
        })
    );
}

#[tokio::test]
async fn postmark_gets_files() {
    let seen = sent(200, postmark(), &with_files()).await;
    assert_eq!(
        seen.json()["Attachments"],
        json!([
            {"Name": "bill \"1\".pdf", "Content": "Ynl0ZXM=", "ContentType": "application/pdf"},
            {"Name": "my logo.png", "Content": "Ynl0ZXM=", "ContentType": "image/png", "ContentID": "cid:my_logo.png"},
        ])
    );
}

fn mailgun(region: MailgunRegion) -> ProviderSettings<Secret> {
    ProviderSettings::Mailgun(MailgunSettings {
        domain: "mg.acme.example".into(),
        region,
        api_key: key(),
        webhook_signing_key: None,
    })
}

#[tokio::test]
async fn mailgun_gets_a_form() {
    let seen = sent(200, mailgun(MailgunRegion::Us), &mail()).await;
    assert_eq!(seen.line, "POST /v3/mg.acme.example/messages");
    // api:key-of-the-account
    assert_eq!(seen.headers["authorization"], "Basic YXBpOmtleS1vZi10aGUtYWNjb3VudA==");
    assert_eq!(seen.headers["content-type"], "application/x-www-form-urlencoded");
    let expected = [
        ("from", "\"Acme, Inc.\" <news@acme.example>"),
        ("to", "ana@shop.example"),
        ("subject", "Hello  Bcc: x"),
        ("v:notifuse_message_id", ID),
        ("html", "<p>Hi</p>"),
        ("text", "Hi"),
        ("cc", "cc@shop.example"),
        ("bcc", "bcc@shop.example"),
        ("h:Reply-To", "answers@acme.example"),
        ("h:List-Unsubscribe", UNSUBSCRIBE),
        ("h:List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ];
    assert_eq!(seen.form(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn mailgun_gets_files_as_parts_in_the_region_of_the_domain() {
    let seen = sent(200, mailgun(MailgunRegion::Eu), &with_files()).await;
    assert_eq!(seen.line, "POST /eu/v3/mg.acme.example/messages");
    assert!(seen.headers["content-type"].starts_with("multipart/form-data; boundary="));
    let text = seen.text();
    assert!(text.contains("name=\"attachment\"; filename=\"bill"), "{text}");
    assert!(text.contains("name=\"inline\"; filename=\"my_logo.png\""), "{text}");
    assert!(text.contains("name=\"v:notifuse_message_id\""), "{text}");
}

#[tokio::test]
async fn sendgrid_gets_a_mail() {
    let settings = ProviderSettings::Sendgrid(SendgridSettings { api_key: key(), webhook_public_key: None });
    let seen = sent(202, settings, &with_files()).await;
    assert_eq!(seen.line, "POST /v3/mail/send");
    assert_eq!(seen.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(
        seen.json(),
        json!({
            "personalizations": [{
                "to": [{"email": "ana@shop.example"}],
                "cc": [{"email": "cc@shop.example"}],
                "bcc": [{"email": "bcc@shop.example"}],
            }],
            "from": {"email": "news@acme.example", "name": "Acme, Inc."},
            "reply_to": {"email": "answers@acme.example"},
            "subject": "Hello  Bcc: x",
            "content": [{"type": "text/plain", "value": "Hi"}, {"type": "text/html", "value": "<p>Hi</p>"}],
            "custom_args": {"notifuse_message_id": ID},
            "headers": headers(),
            "attachments": [
                {"content": "Ynl0ZXM=", "filename": "bill \"1\".pdf", "type": "application/pdf", "disposition": "attachment"},
                {"content": "Ynl0ZXM=", "filename": "my logo.png", "type": "image/png", "disposition": "inline", "content_id": "my_logo.png"},
            ],
        })
    );
}

#[tokio::test]
async fn mailjet_gets_a_mail() {
    let settings = ProviderSettings::Mailjet(MailjetSettings {
        api_key: Secret::new("public"),
        secret_key: Secret::new("private"),
        sandbox_mode: true,
    });
    let seen = sent(200, settings, &with_files()).await;
    assert_eq!(seen.line, "POST /v3.1/send");
    assert_eq!(seen.headers["authorization"], "Basic cHVibGljOnByaXZhdGU=");
    assert_eq!(
        seen.json(),
        json!({"SandboxMode": true, "Messages": [{
            "From": {"Email": "news@acme.example", "Name": "Acme, Inc."},
            "To": [{"Email": "ana@shop.example"}],
            "Cc": [{"Email": "cc@shop.example"}],
            "Bcc": [{"Email": "bcc@shop.example"}],
            "ReplyTo": {"Email": "answers@acme.example"},
            "Subject": "Hello  Bcc: x", "HTMLPart": "<p>Hi</p>", "TextPart": "Hi", "CustomID": ID,
            "Headers": headers(),
            "Attachments": [
                {"ContentType": "application/pdf", "Filename": "bill \"1\".pdf", "Base64Content": "Ynl0ZXM="}],
            "InlinedAttachments": [{"ContentType": "image/png", "Filename": "my logo.png",
                "Base64Content": "Ynl0ZXM=", "ContentID": "my_logo.png"}],
        }]})
    );
}

#[tokio::test]
async fn sparkpost_gets_a_mail_at_the_endpoint_of_the_integration() {
    let provider = Provider::start(Act::Answer(200, "", "{}")).await;
    let settings = |sandbox_mode| {
        let endpoint = provider.base.clone();
        ProviderSettings::Sparkpost(SparkpostSettings { endpoint, api_key: key(), sandbox_mode })
    };
    provider.send(settings(false), &with_files()).await.unwrap();
    provider.send(settings(true), &mail()).await.unwrap();
    let [seen, sandboxed] = <[Seen; 2]>::try_from(provider.seen()).unwrap();
    assert_eq!(seen.line, "POST /api/v1/transmissions");
    assert_eq!(seen.headers["authorization"], KEY);
    let mut all_headers = headers();
    all_headers["CC"] = json!("cc@shop.example");
    assert_eq!(
        seen.json(),
        json!({
            "options": {"open_tracking": false, "click_tracking": false},
            "recipients": [
                {"address": {"email": "ana@shop.example"}},
                {"address": {"email": "cc@shop.example", "header_to": "ana@shop.example"}},
                {"address": {"email": "bcc@shop.example", "header_to": "ana@shop.example"}},
            ],
            "content": {
                "from": {"email": "news@acme.example", "name": "Acme, Inc."},
                "subject": "Hello  Bcc: x", "html": "<p>Hi</p>", "text": "Hi",
                "reply_to": "answers@acme.example",
                "headers": all_headers,
                "attachments": [{"name": "bill \"1\".pdf", "type": "application/pdf", "data": "Ynl0ZXM="}],
                "inline_images": [{"name": "my_logo.png", "type": "image/png", "data": "Ynl0ZXM="}],
            },
            "metadata": {"notifuse_message_id": ID},
        })
    );
    let recipients = sandboxed.json()["recipients"].clone();
    for recipient in recipients.as_array().unwrap() {
        assert!(recipient["address"]["email"].as_str().unwrap().ends_with(".sink.sparkpostmail.com"));
    }
}
