//! Postmark: `/webhooks`, one address with a switch for each event.
//! <https://postmarkapp.com/developer/api/webhooks-api>

use super::{is_ours, registered, talk::Talk};
use application::ports::{CallbackEvent, RegisteredCallback, Registration, RegistrationError};
use domain::{integrations::PostmarkSettings, secret::Secret};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const TRIGGERS: [(CallbackEvent, &str); 3] = [
    (CallbackEvent::Delivered, "Delivery"),
    (CallbackEvent::Bounce, "Bounce"),
    (CallbackEvent::Complaint, "SpamComplaint"),
];

pub(super) async fn register(
    talk: &Talk<'_>,
    settings: &PostmarkSettings<Secret>,
    events: &[CallbackEvent],
) -> Result<Registration, RegistrationError> {
    let wants = |event| events.contains(&event);
    let body = json!({
        "Url": talk.url(),
        "MessageStream": settings.message_stream,
        "Triggers": {
            "Open": {"Enabled": false, "PostFirstOpenOnly": false},
            "Click": {"Enabled": false},
            "Delivery": {"Enabled": wants(CallbackEvent::Delivered)},
            "Bounce": {"Enabled": wants(CallbackEvent::Bounce), "IncludeContent": false},
            "SpamComplaint": {"Enabled": wants(CallbackEvent::Complaint), "IncludeContent": false},
            "SubscriptionChange": {"Enabled": false},
        },
    });
    let ours = ours(talk, settings).await?;
    let (kept, superfluous) = match ours.split_first() {
        Some((kept, superfluous)) => (Some(kept), superfluous),
        None => (None, &[][..]),
    };
    let (method, path) = match kept {
        Some(webhook) => (Method::PUT, format!("/webhooks/{}", webhook["ID"])),
        None => (Method::POST, "/webhooks".to_owned()),
    };
    let told = talk.tell(request(talk, settings, method, &path).json(&body)).await?.json();
    for webhook in superfluous {
        remove(talk, settings, webhook).await?;
    }
    Ok(Registration { callbacks: callbacks(&told), ..Registration::default() })
}

pub(super) async fn registration(
    talk: &Talk<'_>,
    settings: &PostmarkSettings<Secret>,
) -> Result<Registration, RegistrationError> {
    let callbacks = ours(talk, settings).await?.iter().flat_map(callbacks).collect();
    Ok(Registration { callbacks, ..Registration::default() })
}

pub(super) async fn unregister(
    talk: &Talk<'_>,
    settings: &PostmarkSettings<Secret>,
) -> Result<(), RegistrationError> {
    for webhook in ours(talk, settings).await? {
        remove(talk, settings, &webhook).await?;
    }
    Ok(())
}

async fn remove(
    talk: &Talk<'_>,
    settings: &PostmarkSettings<Secret>,
    webhook: &Value,
) -> Result<(), RegistrationError> {
    let path = format!("/webhooks/{}", webhook["ID"]);
    talk.tell_if_there(request(talk, settings, Method::DELETE, &path)).await.map(drop)
}

async fn ours(talk: &Talk<'_>, settings: &PostmarkSettings<Secret>) -> Result<Vec<Value>, RegistrationError> {
    let path = format!("/webhooks?MessageStream={}", settings.message_stream);
    let told = talk.tell(request(talk, settings, Method::GET, &path)).await?.json();
    let all = told["Webhooks"].as_array().cloned().unwrap_or_default();
    let ours = all.into_iter().filter(|w| w["Url"].as_str().is_some_and(|url| is_ours(url, talk.callback)));
    Ok(ours.collect())
}

fn callbacks(webhook: &Value) -> Vec<RegisteredCallback> {
    let on = TRIGGERS.iter().filter(|(_, trigger)| webhook["Triggers"][*trigger]["Enabled"] == true);
    let events = on.map(|(event, _)| *event);
    registered(&webhook["ID"], webhook["Url"].as_str().unwrap_or_default(), true, events)
}

fn request(
    talk: &Talk<'_>,
    settings: &PostmarkSettings<Secret>,
    method: Method,
    path: &str,
) -> RequestBuilder {
    let url = format!("{}{path}", talk.config.bases.postmark);
    let request = talk.client.request(method, url).header("Accept", "application/json");
    request.header("X-Postmark-Server-Token", settings.server_token.expose())
}
