//! `SparkPost`: `/api/v1/webhooks`, one address with a list of events.
//! <https://developers.sparkpost.com/api/webhooks/>

use super::{is_ours, registered, talk::Talk};
use application::ports::{CallbackEvent, RegisteredCallback, Registration, RegistrationError};
use domain::{hosts, integrations::SparkpostSettings, secret::Secret};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use url::Url;

const EVENTS: [(&str, CallbackEvent); 4] = [
    ("delivery", CallbackEvent::Delivered),
    ("bounce", CallbackEvent::Bounce),
    ("out_of_band", CallbackEvent::Bounce),
    ("spam_complaint", CallbackEvent::Complaint),
];

pub(super) async fn register(
    talk: &Talk<'_>,
    settings: &SparkpostSettings<Secret>,
    events: &[CallbackEvent],
) -> Result<Registration, RegistrationError> {
    let names: Vec<_> = EVENTS.iter().filter(|(_, e)| events.contains(e)).map(|(name, _)| *name).collect();
    let ours = ours(talk, settings).await?;
    let (known, superfluous) = match ours.split_first() {
        Some((known, superfluous)) => (Some(known), superfluous),
        None => (None, &[][..]),
    };
    let name = format!("Notifuse-{}", talk.callback.integration);
    let id = if let Some(webhook) = known {
        let body = json!({"target": talk.url(), "events": names, "active": true});
        talk.tell(request(talk, settings, Method::PUT, &path(webhook))?.json(&body)).await?;
        webhook["id"].clone()
    } else {
        let body = json!({"name": name, "target": talk.url(), "events": names, "auth_type": "none"});
        let told = talk.tell(request(talk, settings, Method::POST, "")?.json(&body)).await?.json();
        told["results"]["id"].clone()
    };
    for webhook in superfluous {
        talk.tell_if_there(request(talk, settings, Method::DELETE, &path(webhook))?).await?;
    }
    let mut wanted = events.to_vec();
    wanted.sort();
    wanted.dedup();
    let callbacks = registered(&id, talk.url(), true, wanted);
    Ok(Registration { callbacks, ..Registration::default() })
}

pub(super) async fn registration(
    talk: &Talk<'_>,
    settings: &SparkpostSettings<Secret>,
) -> Result<Registration, RegistrationError> {
    let callbacks = ours(talk, settings).await?.iter().flat_map(callbacks).collect();
    Ok(Registration { callbacks, ..Registration::default() })
}

pub(super) async fn unregister(
    talk: &Talk<'_>,
    settings: &SparkpostSettings<Secret>,
) -> Result<(), RegistrationError> {
    for webhook in ours(talk, settings).await? {
        talk.tell_if_there(request(talk, settings, Method::DELETE, &path(&webhook))?).await?;
    }
    Ok(())
}

async fn ours(
    talk: &Talk<'_>,
    settings: &SparkpostSettings<Secret>,
) -> Result<Vec<Value>, RegistrationError> {
    let told = talk.tell(request(talk, settings, Method::GET, "")?).await?.json();
    let all = told["results"].as_array().cloned().unwrap_or_default();
    let ours =
        all.into_iter().filter(|w| w["target"].as_str().is_some_and(|url| is_ours(url, talk.callback)));
    Ok(ours.collect())
}

fn callbacks(webhook: &Value) -> Vec<RegisteredCallback> {
    let has = |name: &str| webhook["events"].as_array().is_some_and(|all| all.iter().any(|e| e == name));
    let on = CallbackEvent::ALL.into_iter().filter(|event| EVENTS.iter().any(|(n, e)| e == event && has(n)));
    let active = webhook["active"] != false;
    registered(&webhook["id"], webhook["target"].as_str().unwrap_or_default(), active, on)
}

fn path(webhook: &Value) -> String {
    format!("/{}", webhook["id"].as_str().unwrap_or_default())
}

/// The endpoint is the owner's choice, so that it must not lead inside.
fn request(
    talk: &Talk<'_>,
    settings: &SparkpostSettings<Secret>,
    method: Method,
    path: &str,
) -> Result<RequestBuilder, RegistrationError> {
    let endpoint = settings.endpoint.trim_end_matches('/');
    let url = Url::parse(endpoint).ok();
    let is_public =
        url.is_some_and(|url| url.scheme() == "https" && url.host_str().is_some_and(hosts::may_be_public));
    if !is_public && !talk.config.allow_private_hosts {
        return Err(RegistrationError::Provider("its endpoint is not a public https address".to_owned()));
    }
    let request = talk.client.request(method, format!("{endpoint}/api/v1/webhooks{path}"));
    Ok(request.header("Authorization", settings.api_key.expose()))
}
