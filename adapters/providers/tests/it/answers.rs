//! What the answers of providers mean for a mail.

use crate::support::{Act, KEY, Provider, SOON, mail, mailer, postmark, route};
use application::ports::{Mailer as _, SendError};
use domain::{
    integrations::{
        MailgunRegion, MailgunSettings, MailjetSettings, ProviderSettings, SendgridSettings,
        SparkpostSettings,
    },
    secret::Secret,
};
use providers::Config;
use std::time::Duration;

fn key() -> Secret {
    Secret::new(KEY)
}

fn all(endpoint: &str) -> [ProviderSettings<Secret>; 5] {
    [
        postmark(),
        ProviderSettings::Mailgun(MailgunSettings {
            domain: "mg.acme.example".into(),
            region: MailgunRegion::Us,
            api_key: key(),
            webhook_signing_key: None,
        }),
        ProviderSettings::Sendgrid(SendgridSettings { api_key: key(), webhook_public_key: None }),
        ProviderSettings::Mailjet(MailjetSettings { api_key: key(), secret_key: key(), sandbox_mode: false }),
        ProviderSettings::Sparkpost(SparkpostSettings {
            endpoint: endpoint.into(),
            api_key: key(),
            sandbox_mode: false,
        }),
    ]
}

fn kind(sent: &Result<(), SendError>) -> &'static str {
    match sent {
        Ok(()) => "sent",
        Err(SendError::Refused { .. }) => "refused",
        Err(SendError::Deferred { .. }) => "deferred",
        Err(SendError::Provider { .. }) => "provider",
        Err(SendError::Unconfirmed { .. }) => "unconfirmed",
        Err(SendError::Malformed { .. }) => "malformed",
    }
}

/// How every provider's mail ends when all of them answer alike.
async fn each(act: Act, expected: &str) {
    let provider = Provider::start(act).await;
    for settings in all(&provider.base) {
        let name = settings.kind();
        let sent = provider.send(settings, &mail()).await;
        assert_eq!(kind(&sent), expected, "{name}: {sent:?}");
    }
}

/// How a mail ends with the provider at this place in [`all`].
async fn one(place: usize, status: u16, body: &'static str) -> (&'static str, String) {
    let provider = Provider::start(Act::Answer(status, "", body)).await;
    let settings = all(&provider.base)[place].clone();
    let sent = provider.send(settings, &mail()).await;
    (kind(&sent), sent.err().map(|error| error.to_string()).unwrap_or_default())
}

#[tokio::test]
async fn too_many_requests_defer_the_mail_and_tell_when_to_come_back() {
    each(Act::Answer(429, "Retry-After: 30\r\n", "{}"), "deferred").await;
    let provider = Provider::start(Act::Answer(429, "Retry-After: 30\r\n", "{}")).await;
    let sent = provider.send(postmark(), &mail()).await;
    assert!(sent.unwrap_err().to_string().ends_with("429 (retry after: 30)"));
}

#[tokio::test]
async fn faults_of_the_provider_are_the_providers() {
    each(Act::Answer(500, "", "{\"message\": \"oops\"}"), "provider").await;
    each(Act::Answer(503, "", "<html>"), "provider").await;
}

#[tokio::test]
async fn wrong_credentials_are_the_providers() {
    each(Act::Answer(401, "", "{}"), "provider").await;
    each(Act::Answer(403, "", "{}"), "provider").await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let provider = Provider::start(Act::Answer(307, "Location: /elsewhere\r\n", "")).await;
    assert_eq!(kind(&provider.send(postmark(), &mail()).await), "provider");
    assert_eq!(provider.seen().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_read_by_its_status() {
    each(Act::Answer(200, "", "{\"a\": "), "sent").await;
    each(Act::Answer(400, "", "<html>"), "refused").await;
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let long = Box::leak(format!("{{\"message\": \"{}\"}}", "x".repeat(300_000)).into_boxed_str());
    each(Act::Answer(400, "", long), "refused").await;
}

#[tokio::test]
async fn a_connection_cut_after_the_request_leaves_the_mail_unconfirmed() {
    each(Act::Cut, "unconfirmed").await;
}

#[tokio::test]
async fn a_provider_that_never_answers_leaves_the_mail_unconfirmed() {
    let provider = Provider::start(Act::Hang).await;
    let config = Config { connect: SOON / 2, overall: SOON, ..provider.config() };
    let sent = mailer(config).send(&route(postmark()), &mail()).await;
    assert_eq!(kind(&sent), "unconfirmed", "{sent:?}");
}

#[tokio::test]
async fn a_mail_that_waits_too_long_for_its_turn_was_never_handed_over() {
    let provider = Provider::start(Act::Hang).await;
    let config = Config {
        connect: Duration::from_millis(1),
        overall: SOON,
        requests_per_route: 1,
        ..provider.config()
    };
    let mailer = mailer(config);
    let (route, mail) = (route(postmark()), mail());
    let (first, second) = tokio::join!(mailer.send(&route, &mail), mailer.send(&route, &mail));
    assert_eq!((kind(&first), kind(&second)), ("unconfirmed", "provider"), "{first:?} {second:?}");
    assert_eq!(provider.seen().len(), 1);
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_got_nothing() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut provider = Provider::start(Act::Hang).await;
    provider.base = format!("http://{free}");
    let sent = provider.send(postmark(), &mail()).await;
    assert_eq!(kind(&sent), "provider", "{sent:?}");
}

#[tokio::test]
async fn private_hosts_are_not_called() {
    let provider = Provider::start(Act::Answer(200, "", "{}")).await;
    let port = provider.base.rsplit(':').next().unwrap().to_owned();
    let mut config = provider.config();
    config.allow_private_hosts = false;
    config.bases.postmark = format!("http://localhost:{port}");
    let mailer = mailer(config);
    for settings in [postmark(), all(&format!("https://127.0.0.1:{port}"))[4].clone()] {
        let sent = mailer.send(&route(settings), &mail()).await;
        assert_eq!(kind(&sent), "provider", "{sent:?}");
    }
    assert!(provider.seen().is_empty());
}

#[tokio::test]
async fn postmark_tells_the_recipient_from_the_account_by_its_codes() {
    let inactive = "{\"ErrorCode\": 406, \"Message\": \"Inactive recipient\"}";
    let (ended, words) = one(0, 422, inactive).await;
    assert_eq!(
        (ended, words.as_str()),
        ("refused", "refused by the mail server: 422 406 Inactive recipient")
    );
    assert_eq!(one(0, 422, "{\"ErrorCode\": 412, \"Message\": \"Account pending\"}").await.0, "provider");
}

#[tokio::test]
async fn mailgun_refuses_an_address_in_its_words() {
    let (ended, words) = one(1, 400, "{\"message\": \"'to' parameter is not\\r\\na valid address\"}").await;
    assert_eq!(ended, "refused");
    assert!(words.ends_with("400 'to' parameter is not  a valid address"), "{words}");
    assert_eq!(one(1, 404, "{\"message\": \"Domain not found\"}").await.0, "provider");
}

#[tokio::test]
async fn sendgrid_tells_the_recipient_from_the_sender_by_the_field() {
    let to = "{\"errors\": [{\"field\": \"personalizations.0.to.0.email\", \"message\": \"Invalid\"}]}";
    assert_eq!(one(2, 400, to).await.0, "refused");
    assert_eq!(
        one(2, 400, "{\"errors\": [{\"field\": \"from.email\", \"message\": \"No\"}]}").await.0,
        "provider"
    );
}

#[tokio::test]
async fn mailjet_is_asked_for_each_message() {
    let to = "{\"Messages\": [{\"Status\": \"error\", \"Errors\": [{\"ErrorCode\": \"mj-0013\", \
              \"ErrorMessage\": \"invalid\", \"ErrorRelatedTo\": [\"To[0].Email\"]}]}]}";
    assert_eq!(one(3, 400, to).await.0, "refused");
    assert_eq!(one(3, 200, to).await.0, "refused");
    let from = "{\"Messages\": [{\"Status\": \"error\", \"Errors\": [{\"ErrorCode\": \"send-0008\", \
                \"ErrorMessage\": \"not authorized\", \"ErrorRelatedTo\": [\"From\"]}]}]}";
    assert_eq!(one(3, 403, from).await.0, "provider");
    assert_eq!(one(3, 400, from).await.0, "provider");
}

#[tokio::test]
async fn sparkpost_tells_recipient_limit_and_domain_apart_by_its_codes() {
    assert_eq!(one(4, 400, "{\"errors\": [{\"code\": \"5002\", \"message\": \"none\"}]}").await.0, "refused");
    assert_eq!(
        one(4, 420, "{\"errors\": [{\"code\": \"2101\", \"message\": \"limit\"}]}").await.0,
        "deferred"
    );
    assert_eq!(
        one(4, 400, "{\"errors\": [{\"code\": \"7001\", \"message\": \"domain\"}]}").await.0,
        "provider"
    );
    let none = "{\"results\": {\"total_rejected_recipients\": 1, \"total_accepted_recipients\": 0}}";
    assert_eq!(one(4, 200, none).await.0, "refused");
}

#[tokio::test]
async fn a_secret_that_the_provider_repeats_is_not_passed_on() {
    let (_, words) = one(1, 401, "{\"message\": \"bad key key-of-the-account\"}").await;
    assert!(words.ends_with("401 bad key …"), "{words}");
}
