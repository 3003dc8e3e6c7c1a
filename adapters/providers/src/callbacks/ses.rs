//! Amazon SES: a configuration set whose events go to a topic of Amazon SNS, which calls us.
//! <https://docs.aws.amazon.com/ses/latest/dg/monitor-using-event-publishing.html>

use super::{registered, sns, talk::Talk};
use crate::sigv4::{Asked, signed};
use application::ports::{CallbackEvent, Learned, Registration, RegistrationError};
use domain::{integrations::SesSettings, secret::Secret};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const EVENTS: [(&str, CallbackEvent); 3] = [
    ("DELIVERY", CallbackEvent::Delivered),
    ("BOUNCE", CallbackEvent::Bounce),
    ("COMPLAINT", CallbackEvent::Complaint),
];

pub(super) async fn register(
    talk: &Talk<'_>,
    settings: &SesSettings<Secret>,
    events: &[CallbackEvent],
) -> Result<Registration, RegistrationError> {
    let topic = sns::topic(talk, settings, &topic_name(talk)).await?;
    sns::subscribe(talk, settings, &topic).await?;
    let set = set(talk, settings);
    let made = json!({"ConfigurationSetName": set});
    let made = talk.ask(request(talk, settings, Method::POST, "", Some(&made))?).await?;
    if !made.is_success() && !is_there_already(&made.text) {
        return Err(talk.refusal(&made));
    }
    let names: Vec<_> = EVENTS.iter().filter(|(_, e)| events.contains(e)).map(|(name, _)| *name).collect();
    let destination = json!({
        "Enabled": true,
        "MatchingEventTypes": names,
        "SnsDestination": {"TopicArn": topic},
    });
    let (path, name) = (format!("/{set}/event-destinations"), destination_name(talk));
    let body = json!({"EventDestinationName": name, "EventDestination": destination});
    let told = talk.ask(request(talk, settings, Method::POST, &path, Some(&body))?).await?;
    if is_there_already(&told.text) && !told.is_success() {
        let body = json!({"EventDestination": destination});
        let path = format!("{path}/{name}");
        talk.tell(request(talk, settings, Method::PUT, &path, Some(&body))?).await?;
    } else if !told.is_success() {
        return Err(talk.refusal(&told));
    }
    let learned = Learned { ses_configuration_set: Some(set), ..Learned::default() };
    Ok(Registration { learned, ..told_of(talk, settings, &destination, &name) })
}

pub(super) async fn registration(
    talk: &Talk<'_>,
    settings: &SesSettings<Secret>,
) -> Result<Registration, RegistrationError> {
    let name = destination_name(talk);
    Ok(match destination(talk, settings).await? {
        Some(destination) => told_of(talk, settings, &destination, &name),
        None => Registration::default(),
    })
}

pub(super) async fn unregister(
    talk: &Talk<'_>,
    settings: &SesSettings<Secret>,
) -> Result<(), RegistrationError> {
    let set = set(talk, settings);
    let Some(destination) = destination(talk, settings).await? else { return Ok(()) };
    let path = format!("/{set}/event-destinations/{}", destination_name(talk));
    talk.tell_if_there(request(talk, settings, Method::DELETE, &path, None)?).await?;
    if set == own_set(talk) {
        talk.tell_if_there(request(talk, settings, Method::DELETE, &format!("/{set}"), None)?).await?;
    }
    match destination["SnsDestination"]["TopicArn"].as_str() {
        Some(topic) if topic.ends_with(&format!(":{}", topic_name(talk))) => {
            sns::remove(talk, settings, topic).await
        }
        _ => Ok(()),
    }
}

/// Our destination of events, when there is one.
async fn destination(
    talk: &Talk<'_>,
    settings: &SesSettings<Secret>,
) -> Result<Option<Value>, RegistrationError> {
    let path = format!("/{}/event-destinations", set(talk, settings));
    let told = talk.tell_if_there(request(talk, settings, Method::GET, &path, None)?).await?;
    let told = told.map(|told| told.json()).unwrap_or_default();
    let all = told["EventDestinations"].as_array().cloned().unwrap_or_default();
    Ok(all.into_iter().find(|destination| destination["Name"] == destination_name(talk)))
}

fn told_of(talk: &Talk<'_>, settings: &SesSettings<Secret>, destination: &Value, name: &str) -> Registration {
    let types = destination["MatchingEventTypes"].as_array().cloned().unwrap_or_default();
    let on = EVENTS.iter().filter(|(name, _)| types.iter().any(|kind| kind == name)).map(|(_, event)| *event);
    let active = destination["Enabled"] == true;
    let topic = &destination["SnsDestination"]["TopicArn"];
    let details = json!({
        "configuration_set": set(talk, settings),
        "integration_id": talk.callback.integration.to_string(),
        "workspace_id": talk.callback.workspace.as_str(),
        "aws_region": settings.region,
        "delivery_topic": topic,
        "bounce_topic": topic,
        "complaint_topic": topic,
    });
    let Value::Object(details) = details else { return Registration::default() };
    let callbacks = registered(&name.into(), &format!("sns://{name}"), active, on);
    Registration { callbacks, details, learned: Learned::default() }
}

fn topic_name(talk: &Talk<'_>) -> String {
    format!("notifuse-ses-{}", talk.callback.integration)
}

fn destination_name(talk: &Talk<'_>) -> String {
    format!("notifuse-destination-{}", talk.callback.integration)
}

fn own_set(talk: &Talk<'_>) -> String {
    format!("notifuse-{}", talk.callback.integration)
}

/// The set that mails are sent with: one that the owner has chosen, else our own.
fn set(talk: &Talk<'_>, settings: &SesSettings<Secret>) -> String {
    settings.configuration_set.clone().unwrap_or_else(|| own_set(talk))
}

fn is_there_already(answer: &str) -> bool {
    answer.contains("AlreadyExists") || answer.contains("already exists")
}

fn request(
    talk: &Talk<'_>,
    settings: &SesSettings<Secret>,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<RequestBuilder, RegistrationError> {
    let base = talk.config.bases.ses.replace("{region}", &settings.region);
    let asked = Asked {
        service: "ses",
        method,
        url: format!("{base}/v2/email/configuration-sets{path}"),
        content_type: "application/json",
        body: body.map(Value::to_string).unwrap_or_default(),
    };
    signed(talk.client, settings, asked, talk.now)
        .map_err(|_| RegistrationError::Provider("the request cannot be signed".to_owned()))
}
