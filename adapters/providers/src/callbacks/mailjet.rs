//! Mailjet: `/v3/REST/eventcallbackurl`, one address for each event.
//! <https://dev.mailjet.com/email/reference/webhook/>

use super::{is_ours, registered, talk::Talk};
use application::ports::{CallbackEvent, Registration, RegistrationError};
use domain::{integrations::MailjetSettings, secret::Secret};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const EVENTS: [(&str, CallbackEvent); 5] = [
    ("sent", CallbackEvent::Delivered),
    ("bounce", CallbackEvent::Bounce),
    ("blocked", CallbackEvent::Bounce),
    ("spam", CallbackEvent::Complaint),
    ("unsub", CallbackEvent::Complaint),
];

pub(super) async fn register(
    talk: &Talk<'_>,
    settings: &MailjetSettings<Secret>,
    events: &[CallbackEvent],
) -> Result<Registration, RegistrationError> {
    let ours = ours(talk, settings).await?;
    let mut callbacks = Vec::new();
    for (name, event) in EVENTS {
        let mut known = ours.iter().filter(|callback| callback["EventType"] == name);
        if !events.contains(&event) {
            for callback in known {
                remove(talk, settings, callback).await?;
            }
            continue;
        }
        let body = json!({"EventType": name, "Url": talk.url(), "Version": 2, "Status": "alive"});
        let request = match known.next() {
            Some(callback) => request(talk, settings, Method::PUT, &format!("/{}", callback["ID"])),
            None => request(talk, settings, Method::POST, ""),
        };
        let told = talk.tell(request.json(&body)).await?.json();
        callbacks.extend(registered(&told["Data"][0]["ID"], talk.url(), true, [event]));
        for superfluous in known {
            remove(talk, settings, superfluous).await?;
        }
    }
    Ok(Registration { callbacks, ..Registration::default() })
}

pub(super) async fn registration(
    talk: &Talk<'_>,
    settings: &MailjetSettings<Secret>,
) -> Result<Registration, RegistrationError> {
    let mut callbacks = Vec::new();
    for callback in ours(talk, settings).await? {
        let event = EVENTS.iter().find(|(name, _)| callback["EventType"] == *name).map(|(_, event)| *event);
        let url = callback["Url"].as_str().unwrap_or_default();
        callbacks.extend(registered(&callback["ID"], url, callback["Status"] == "alive", event));
    }
    Ok(Registration { callbacks, ..Registration::default() })
}

pub(super) async fn unregister(
    talk: &Talk<'_>,
    settings: &MailjetSettings<Secret>,
) -> Result<(), RegistrationError> {
    for callback in ours(talk, settings).await? {
        remove(talk, settings, &callback).await?;
    }
    Ok(())
}

async fn remove(
    talk: &Talk<'_>,
    settings: &MailjetSettings<Secret>,
    callback: &Value,
) -> Result<(), RegistrationError> {
    let path = format!("/{}", callback["ID"]);
    talk.tell_if_there(request(talk, settings, Method::DELETE, &path)).await.map(drop)
}

async fn ours(talk: &Talk<'_>, settings: &MailjetSettings<Secret>) -> Result<Vec<Value>, RegistrationError> {
    let told = talk.tell(request(talk, settings, Method::GET, "?Limit=100")).await?.json();
    let all = told["Data"].as_array().cloned().unwrap_or_default();
    let ours = all.into_iter().filter(|c| c["Url"].as_str().is_some_and(|url| is_ours(url, talk.callback)));
    Ok(ours.collect())
}

fn request(
    talk: &Talk<'_>,
    settings: &MailjetSettings<Secret>,
    method: Method,
    path: &str,
) -> RequestBuilder {
    let url = format!("{}/v3/REST/eventcallbackurl{path}", talk.config.bases.mailjet);
    let request = talk.client.request(method, url);
    request.basic_auth(settings.api_key.expose(), Some(settings.secret_key.expose()))
}
