//! `SendGrid`: `/v3/user/webhooks/event/settings`, one address for the whole account.
//! <https://www.twilio.com/docs/sendgrid/api-reference/webhooks>

use super::{is_ours, registered, talk::Talk};
use application::ports::{CallbackEvent, Learned, RegisteredCallback, Registration, RegistrationError};
use domain::{integrations::SendgridSettings, secret::Secret};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const SWITCHES: [(&str, CallbackEvent); 4] = [
    ("delivered", CallbackEvent::Delivered),
    ("bounce", CallbackEvent::Bounce),
    ("dropped", CallbackEvent::Bounce),
    ("spam_report", CallbackEvent::Complaint),
];

pub(super) async fn register(
    talk: &Talk<'_>,
    settings: &SendgridSettings<Secret>,
    events: &[CallbackEvent],
) -> Result<Registration, RegistrationError> {
    let known = known(talk, settings).await?;
    let url = known["url"].as_str().unwrap_or_default();
    if known["enabled"] == true && !url.is_empty() && !is_ours(url, talk.callback) {
        let why = "the account has one event webhook and it calls another address; remove that first";
        return Err(RegistrationError::Provider(why.to_owned()));
    }
    let mut body = json!({"enabled": true, "url": talk.url()});
    for (switch, event) in SWITCHES {
        body[switch] = json!(events.contains(&event));
    }
    let changed = talk.tell(request(talk, settings, Method::PATCH, "").json(&body)).await?.json();
    let signed = request(talk, settings, Method::PATCH, "/signed").json(&json!({"enabled": true}));
    let signed = talk.tell(signed).await?.json();
    let key = signed["public_key"].as_str().filter(|key| !key.is_empty()).map(str::to_owned);
    let key = key.ok_or_else(|| RegistrationError::Provider("it did not tell its public key".to_owned()))?;
    let learned = Learned { sendgrid_public_key: Some(key), ..Learned::default() };
    Ok(Registration { callbacks: callbacks(talk, &changed), learned, ..Registration::default() })
}

pub(super) async fn registration(
    talk: &Talk<'_>,
    settings: &SendgridSettings<Secret>,
) -> Result<Registration, RegistrationError> {
    let known = known(talk, settings).await?;
    Ok(Registration { callbacks: callbacks(talk, &known), ..Registration::default() })
}

pub(super) async fn unregister(
    talk: &Talk<'_>,
    settings: &SendgridSettings<Secret>,
) -> Result<(), RegistrationError> {
    let known = known(talk, settings).await?;
    let Some(url) = known["url"].as_str().filter(|url| is_ours(url, talk.callback)) else { return Ok(()) };
    let body = json!({"enabled": false, "url": url});
    talk.tell(request(talk, settings, Method::PATCH, "").json(&body)).await.map(drop)
}

async fn known(talk: &Talk<'_>, settings: &SendgridSettings<Secret>) -> Result<Value, RegistrationError> {
    Ok(talk
        .tell_if_there(request(talk, settings, Method::GET, ""))
        .await?
        .map(|told| told.json())
        .unwrap_or_default())
}

fn callbacks(talk: &Talk<'_>, known: &Value) -> Vec<RegisteredCallback> {
    let Some(url) = known["url"].as_str().filter(|url| is_ours(url, talk.callback)) else {
        return Vec::new();
    };
    let on = CallbackEvent::ALL
        .into_iter()
        .filter(|event| SWITCHES.iter().any(|(switch, e)| e == event && known[*switch] == true));
    registered(&known["id"], url, known["enabled"] == true, on)
}

fn request(
    talk: &Talk<'_>,
    settings: &SendgridSettings<Secret>,
    method: Method,
    path: &str,
) -> RequestBuilder {
    let url = format!("{}/v3/user/webhooks/event/settings{path}", talk.config.bases.sendgrid);
    talk.client.request(method, url).bearer_auth(settings.api_key.expose())
}
