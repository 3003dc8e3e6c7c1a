//! Mailgun: `/v3/domains/{domain}/webhooks`, up to three addresses for each event, shared with others.
//! <https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/domain-webhooks>

use super::{is_ours, registered, talk::Talk};
use application::ports::{CallbackEvent, Learned, Registration, RegistrationError};
use domain::{
    integrations::{MailgunRegion, MailgunSettings},
    secret::Secret,
};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

const EVENTS: [(&str, CallbackEvent); 4] = [
    ("delivered", CallbackEvent::Delivered),
    ("permanent_fail", CallbackEvent::Bounce),
    ("temporary_fail", CallbackEvent::Bounce),
    ("complained", CallbackEvent::Complaint),
];

/// Most addresses of an event.
const MOST: usize = 3;

pub(super) async fn register(
    talk: &Talk<'_>,
    settings: &MailgunSettings<Secret>,
    events: &[CallbackEvent],
) -> Result<Registration, RegistrationError> {
    let known = known(talk, settings).await?;
    // Everything is planned before anything is changed.
    let mut plan = Vec::new();
    for (name, event) in EVENTS {
        let before = urls(&known, name);
        let mut after: Vec<&str> = before.iter().copied().filter(|u| !is_ours(u, talk.callback)).collect();
        if events.contains(&event) {
            after.push(talk.url());
        }
        if after.len() > MOST {
            let why = format!("there are already {MOST} addresses for {name}; remove one at Mailgun first");
            return Err(RegistrationError::Provider(why));
        }
        plan.push((name, before, after));
    }
    for (name, before, after) in plan {
        change(talk, settings, name, &before, &after).await?;
    }
    let wanted = EVENTS.iter().filter(|(_, event)| events.contains(event));
    let callbacks = wanted.flat_map(|(name, event)| registered(&(*name).into(), talk.url(), true, [*event]));
    let learned = Learned { mailgun_signing_key: signing_key(talk, settings).await, ..Learned::default() };
    Ok(Registration { callbacks: callbacks.collect(), learned, ..Registration::default() })
}

pub(super) async fn registration(
    talk: &Talk<'_>,
    settings: &MailgunSettings<Secret>,
) -> Result<Registration, RegistrationError> {
    let known = known(talk, settings).await?;
    let mut callbacks = Vec::new();
    for (name, event) in EVENTS {
        let ours = urls(&known, name).into_iter().filter(|url| is_ours(url, talk.callback));
        callbacks.extend(ours.flat_map(|url| registered(&name.into(), url, true, [event])));
    }
    Ok(Registration { callbacks, ..Registration::default() })
}

pub(super) async fn unregister(
    talk: &Talk<'_>,
    settings: &MailgunSettings<Secret>,
) -> Result<(), RegistrationError> {
    let known = known(talk, settings).await?;
    for (name, _) in EVENTS {
        let before = urls(&known, name);
        let after: Vec<&str> = before.iter().copied().filter(|u| !is_ours(u, talk.callback)).collect();
        change(talk, settings, name, &before, &after).await?;
    }
    Ok(())
}

async fn change(
    talk: &Talk<'_>,
    settings: &MailgunSettings<Secret>,
    name: &str,
    before: &[&str],
    after: &[&str],
) -> Result<(), RegistrationError> {
    let urls = after.iter().map(|url| ("url", *url));
    let one = format!("/{name}");
    let request = match (before, after) {
        _ if before == after => return Ok(()),
        ([], _) => {
            let form: Vec<_> = [("id", name)].into_iter().chain(urls).collect();
            request(talk, settings, Method::POST, "").form(&form)
        }
        (_, []) => return talk.tell_if_there(request(talk, settings, Method::DELETE, &one)).await.map(drop),
        _ => request(talk, settings, Method::PUT, &one).form(&urls.collect::<Vec<_>>()),
    };
    talk.tell(request).await.map(drop)
}

/// The key that the account signs with. A key of the interface that is for the domain alone may not
/// learn it; then the owner gives it by hand.
async fn signing_key(talk: &Talk<'_>, settings: &MailgunSettings<Secret>) -> Option<Secret> {
    let url = format!("{}/v5/accounts/http_signing_key", base(talk, settings));
    let request = talk.client.get(url).basic_auth("api", Some(settings.api_key.expose()));
    let told = talk.tell(request).await.ok()?.json();
    told["http_signing_key"].as_str().filter(|key| !key.is_empty()).map(Secret::new)
}

async fn known(talk: &Talk<'_>, settings: &MailgunSettings<Secret>) -> Result<Value, RegistrationError> {
    Ok(talk.tell(request(talk, settings, Method::GET, "")).await?.json())
}

fn urls<'v>(known: &'v Value, name: &str) -> Vec<&'v str> {
    let event = &known["webhooks"][name];
    let many = event["urls"].as_array().map(|urls| urls.iter().filter_map(Value::as_str).collect());
    many.unwrap_or_else(|| event["url"].as_str().into_iter().collect())
}

fn base<'t>(talk: &'t Talk<'_>, settings: &MailgunSettings<Secret>) -> &'t str {
    match settings.region {
        MailgunRegion::Us => &talk.config.bases.mailgun,
        MailgunRegion::Eu => &talk.config.bases.mailgun_eu,
    }
}

fn request(
    talk: &Talk<'_>,
    settings: &MailgunSettings<Secret>,
    method: Method,
    path: &str,
) -> RequestBuilder {
    let url = format!("{}/v3/domains/{}/webhooks{path}", base(talk, settings), settings.domain);
    talk.client.request(method, url).basic_auth("api", Some(settings.api_key.expose()))
}
