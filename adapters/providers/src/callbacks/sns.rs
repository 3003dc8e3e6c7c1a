//! Topics of Amazon SNS. <https://docs.aws.amazon.com/sns/latest/api/API_Operations.html>

use super::talk::{Talk, Told};
use crate::sigv4::{Asked, signed};
use application::ports::RegistrationError;
use domain::{integrations::SesSettings, secret::Secret};
use reqwest::Method;
use serde_json::json;

/// The topic of this name, made when there is none, to which Amazon SES may publish.
pub(super) async fn topic(
    talk: &Talk<'_>,
    settings: &SesSettings<Secret>,
    name: &str,
) -> Result<String, RegistrationError> {
    let made = ask(talk, settings, &[("Action", "CreateTopic"), ("Name", name)]).await?;
    let topic = element(&made.text, "TopicArn").filter(|topic| topic.starts_with("arn:"));
    let topic = topic.ok_or_else(|| RegistrationError::Provider("it did not name the topic".to_owned()))?;
    let account = topic.split(':').nth(4).unwrap_or_default();
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "ses.amazonaws.com"},
        "Action": "SNS:Publish",
        "Resource": topic,
        "Condition": {"StringEquals": {"AWS:SourceAccount": account}},
    }]});
    // version 2 signs with SHA-256
    for (attribute, value) in [("Policy", policy.to_string()), ("SignatureVersion", "2".to_owned())] {
        let set = [
            ("Action", "SetTopicAttributes"),
            ("TopicArn", topic),
            ("AttributeName", attribute),
            ("AttributeValue", &value),
        ];
        ask(talk, settings, &set).await?;
    }
    Ok(topic.to_owned())
}

/// Makes the topic call us. It asks us for a confirmation first.
pub(super) async fn subscribe(
    talk: &Talk<'_>,
    settings: &SesSettings<Secret>,
    topic: &str,
) -> Result<(), RegistrationError> {
    let protocol = if talk.url().starts_with("https:") { "https" } else { "http" };
    let form =
        [("Action", "Subscribe"), ("TopicArn", topic), ("Protocol", protocol), ("Endpoint", talk.url())];
    ask(talk, settings, &form).await.map(drop)
}

/// Removes a topic with its subscriptions.
pub(super) async fn remove(
    talk: &Talk<'_>,
    settings: &SesSettings<Secret>,
    topic: &str,
) -> Result<(), RegistrationError> {
    ask(talk, settings, &[("Action", "DeleteTopic"), ("TopicArn", topic)]).await.map(drop)
}

async fn ask(
    talk: &Talk<'_>,
    settings: &SesSettings<Secret>,
    form: &[(&str, &str)],
) -> Result<Told, RegistrationError> {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .append_pair("Version", "2010-03-31")
        .finish();
    let asked = Asked {
        service: "sns",
        method: Method::POST,
        url: format!("{}/", talk.config.bases.sns.replace("{region}", &settings.region)),
        content_type: "application/x-www-form-urlencoded",
        body,
    };
    let request = signed(talk.client, settings, asked, talk.now)
        .map_err(|_| RegistrationError::Provider("the request cannot be signed".to_owned()))?;
    talk.tell(request).await
}

/// The text of the first element of this name, which has no elements inside.
fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once("</").map(|(text, _)| text.trim())
}
