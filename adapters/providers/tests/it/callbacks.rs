//! How each provider is told which address to call.

use crate::support::{Act, KEY, Noon, Provider, Seen, postmark};
use application::ports::{Callback, CallbackEvent, CallbackRegistrar as _, Registration, RegistrationError};
use domain::{
    ids::{IntegrationId, WorkspaceId},
    integrations::{
        MailgunRegion, MailgunSettings, MailjetSettings, ProviderSettings, SendgridSettings, SesSettings,
        SmtpSecurity, SmtpSettings, SparkpostSettings,
    },
    secret::Secret,
};
use providers::{Config, HttpRegistrar};
use serde_json::json;
use std::sync::Arc;

const OURS: &str = "https://mail.acme.example/webhooks/email?provider=any&workspace_id=acme\
                    &integration_id=00000000-0000-0000-0000-000000000005&token=t0k3n";
/// Made before the secret part was another.
const EARLIER: &str = "https://mail.acme.example/webhooks/email?provider=any&workspace_id=acme\
                       &integration_id=00000000-0000-0000-0000-000000000005";
const THEIRS: &str = "https://other.example/webhooks/email?workspace_id=acme";

fn callback() -> Callback {
    Callback {
        url: Secret::new(OURS),
        workspace: WorkspaceId::parse("acme").unwrap(),
        integration: IntegrationId::from_uuid(uuid::Uuid::from_u128(5)),
    }
}

fn key() -> Secret {
    Secret::new(KEY)
}

fn registrar(provider: &Provider) -> HttpRegistrar {
    HttpRegistrar::new(provider.config(), Arc::new(Noon)).unwrap()
}

async fn register(
    provider: &Provider,
    settings: &ProviderSettings<Secret>,
    events: &[CallbackEvent],
) -> Result<Registration, RegistrationError> {
    registrar(provider).register(settings, &callback(), events).await
}

/// Which events are reported, in short.
fn events(registration: &Registration) -> Vec<&'static str> {
    let mut events: Vec<_> = registration.callbacks.iter().map(|c| c.event.name()).collect();
    events.dedup();
    events
}

fn lines(provider: &Provider) -> Vec<String> {
    provider.seen().into_iter().map(|seen| seen.line).collect()
}

fn changes(provider: &Provider) -> Vec<Seen> {
    provider.seen().into_iter().filter(|seen| !seen.line.starts_with("GET ")).collect()
}

#[tokio::test]
async fn postmark_has_one_address_with_switches() {
    let provider = Provider::start(Act::Play(|seen| {
        let body = match seen.line.as_str() {
            "GET /webhooks?MessageStream=outbound" => json!({"Webhooks": [
                {"ID": 1, "Url": THEIRS, "Triggers": {"Delivery": {"Enabled": true}}},
                {"ID": 2, "Url": EARLIER, "Triggers": {"Delivery": {"Enabled": true}, "Bounce": {"Enabled": false}}},
                {"ID": 3, "Url": EARLIER, "Triggers": {}},
            ]}),
            "PUT /webhooks/2" => {
                let mut body = seen.json();
                body["ID"] = json!(2);
                body
            }
            "DELETE /webhooks/3" | "DELETE /webhooks/2" => json!({}),
            _ => return (422, json!({"Message": "unexpected"}).to_string()),
        };
        (200, body.to_string())
    }))
    .await;
    let known = registrar(&provider).registration(&postmark(), &callback()).await.unwrap();
    assert_eq!(events(&known), ["delivered"]);
    let told = register(&provider, &postmark(), &[CallbackEvent::Bounce]).await.unwrap();
    assert_eq!(events(&told), ["bounce"]);
    let [put, delete] = <[Seen; 2]>::try_from(changes(&provider)).unwrap();
    assert_eq!((put.line.as_str(), delete.line.as_str()), ("PUT /webhooks/2", "DELETE /webhooks/3"));
    assert_eq!(put.headers["x-postmark-server-token"], KEY);
    assert_eq!(put.json()["Url"], OURS);
    assert_eq!(put.json()["Triggers"]["Bounce"], json!({"Enabled": true, "IncludeContent": false}));
    assert_eq!(put.json()["Triggers"]["Delivery"], json!({"Enabled": false}));
    registrar(&provider).unregister(&postmark(), &callback()).await.unwrap();
    let gone: Vec<_> = changes(&provider).iter().skip(2).map(|seen| seen.line.clone()).collect();
    assert_eq!(gone, ["DELETE /webhooks/2", "DELETE /webhooks/3"]);
}

fn mailgun() -> ProviderSettings<Secret> {
    ProviderSettings::Mailgun(MailgunSettings {
        domain: "mg.acme.example".into(),
        region: MailgunRegion::Eu,
        api_key: key(),
        webhook_signing_key: None,
    })
}

#[tokio::test]
async fn mailgun_keeps_the_addresses_of_others_and_tells_its_key() {
    let provider = Provider::start(Act::Play(|seen| {
        let body = match seen.line.as_str() {
            "GET /eu/v3/domains/mg.acme.example/webhooks" => json!({"webhooks": {
                "delivered": {"urls": [THEIRS, EARLIER]},
                "permanent_fail": {"urls": [OURS]},
                "opened": {"urls": [THEIRS]},
            }}),
            "GET /eu/v5/accounts/http_signing_key" => json!({"http_signing_key": "signing-key"}),
            _ => json!({"message": "done"}),
        };
        (200, body.to_string())
    }))
    .await;
    let told = register(&provider, &mailgun(), &CallbackEvent::ALL).await.unwrap();
    assert_eq!(events(&told), ["delivered", "bounce", "complaint"]);
    assert_eq!(told.learned.mailgun_signing_key, Some(Secret::new("signing-key")));
    let changes = changes(&provider);
    let told: Vec<_> = changes.iter().map(|seen| (seen.line.as_str(), seen.form())).collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let base = "/eu/v3/domains/mg.acme.example/webhooks";
    assert_eq!(
        told,
        [
            (format!("PUT {base}/delivered").as_str(), vec![pair("url", THEIRS), pair("url", OURS)]),
            (format!("POST {base}").as_str(), vec![pair("id", "temporary_fail"), pair("url", OURS)]),
            (format!("POST {base}").as_str(), vec![pair("id", "complained"), pair("url", OURS)]),
        ]
    );
    let known = registrar(&provider).registration(&mailgun(), &callback()).await.unwrap();
    assert_eq!(events(&known), ["delivered", "bounce"]);
    registrar(&provider).unregister(&mailgun(), &callback()).await.unwrap();
    let gone: Vec<_> = lines(&provider).into_iter().rev().take(2).collect();
    assert_eq!(gone, [format!("DELETE {base}/permanent_fail"), format!("PUT {base}/delivered")]);
}

#[tokio::test]
async fn mailgun_is_not_changed_when_an_event_has_no_room() {
    let provider = Provider::start(Act::Play(|_| {
        let full = json!({"urls": ["https://a.example/1", "https://a.example/2", "https://a.example/3"]});
        (200, json!({"webhooks": {"complained": full}}).to_string())
    }))
    .await;
    let refused = register(&provider, &mailgun(), &CallbackEvent::ALL).await;
    assert!(matches!(refused, Err(RegistrationError::Provider(why)) if why.contains("complained")));
    assert!(changes(&provider).is_empty());
}

#[tokio::test]
async fn a_key_for_the_domain_alone_learns_no_signing_key() {
    let provider = Provider::start(Act::Play(|seen| match seen.line.as_str() {
        "GET /eu/v5/accounts/http_signing_key" => (401, String::new()),
        _ => (200, "{}".to_owned()),
    }))
    .await;
    let told = register(&provider, &mailgun(), &CallbackEvent::ALL).await.unwrap();
    assert_eq!(told.learned.mailgun_signing_key, None);
}

#[tokio::test]
async fn mailjet_has_an_address_for_each_event() {
    let settings =
        ProviderSettings::Mailjet(MailjetSettings { api_key: key(), secret_key: key(), sandbox_mode: false });
    let provider = Provider::start(Act::Play(|seen| {
        let body = match seen.line.as_str() {
            "GET /v3/REST/eventcallbackurl?Limit=100" => json!({"Data": [
                {"ID": 1, "EventType": "open", "Url": THEIRS, "Status": "alive"},
                {"ID": 2, "EventType": "sent", "Url": EARLIER, "Status": "alive"},
                {"ID": 3, "EventType": "spam", "Url": EARLIER, "Status": "dead"},
            ]}),
            line if line.starts_with("DELETE ") => return (204, String::new()),
            _ => json!({"Data": [{"ID": 9}]}),
        };
        (200, body.to_string())
    }))
    .await;
    let known = registrar(&provider).registration(&settings, &callback()).await.unwrap();
    let known: Vec<_> = known.callbacks.iter().map(|c| (c.event.name(), c.active)).collect();
    assert_eq!(known, [("delivered", true), ("complaint", false)]);
    let wanted = [CallbackEvent::Delivered, CallbackEvent::Bounce];
    let told = register(&provider, &settings, &wanted).await.unwrap();
    assert_eq!(events(&told), ["delivered", "bounce"]);
    let changes = changes(&provider);
    let told: Vec<_> = changes.iter().map(|seen| seen.line.as_str()).collect();
    let base = "/v3/REST/eventcallbackurl";
    assert_eq!(
        told,
        [format!("PUT {base}/2"), format!("POST {base}"), format!("POST {base}"), format!("DELETE {base}/3")]
    );
    assert_eq!(
        changes[1].json(),
        json!({"EventType": "bounce", "Url": OURS, "Version": 2, "Status": "alive"})
    );
}

#[tokio::test]
async fn sparkpost_has_one_address_with_a_list_of_events() {
    let provider = Provider::start(Act::Play(|seen| {
        let body = match seen.line.as_str() {
            "GET /api/v1/webhooks" => {
                json!({"results": [{"id": "w-1", "target": THEIRS, "events": ["bounce"]}]})
            }
            "POST /api/v1/webhooks" => json!({"results": {"id": "w-2"}}),
            _ => return (422, String::new()),
        };
        (200, body.to_string())
    }))
    .await;
    let settings = ProviderSettings::Sparkpost(SparkpostSettings {
        endpoint: provider.base.clone(),
        api_key: key(),
        sandbox_mode: false,
    });
    let told = register(&provider, &settings, &CallbackEvent::ALL).await.unwrap();
    assert_eq!(events(&told), ["delivered", "bounce", "complaint"]);
    let made = changes(&provider).remove(0);
    assert_eq!(made.headers["authorization"], KEY);
    assert_eq!(
        made.json(),
        json!({"name": "Notifuse-00000000-0000-0000-0000-000000000005", "target": OURS, "auth_type": "none",
            "events": ["delivery", "bounce", "out_of_band", "spam_complaint"]})
    );
    let known = registrar(&provider).registration(&settings, &callback()).await.unwrap();
    assert_eq!(events(&known), [""; 0]);
    let strict = Config { allow_private_hosts: false, ..provider.config() };
    let strict = HttpRegistrar::new(strict, Arc::new(Noon)).unwrap();
    let refused = strict.registration(&settings, &callback()).await;
    assert!(matches!(refused, Err(RegistrationError::Provider(_))), "the endpoint must not lead inside");
}

fn sendgrid() -> ProviderSettings<Secret> {
    ProviderSettings::Sendgrid(SendgridSettings { api_key: key(), webhook_public_key: None })
}

#[tokio::test]
async fn sendgrid_signs_from_then_on() {
    let provider = Provider::start(Act::Play(|seen| {
        let base = "/v3/user/webhooks/event/settings";
        let body = match seen.line.strip_suffix(base).or(seen.line.strip_suffix("/signed")) {
            Some("GET ") => json!({"enabled": true, "url": EARLIER, "delivered": true, "dropped": false}),
            Some("PATCH ") => seen.json(),
            Some(_) => json!({"public_key": "cHVibGlj"}),
            None => return (404, String::new()),
        };
        (200, body.to_string())
    }))
    .await;
    let told = register(&provider, &sendgrid(), &[CallbackEvent::Bounce, CallbackEvent::Complaint]).await;
    let told = told.unwrap();
    assert_eq!(events(&told), ["bounce", "complaint"]);
    assert_eq!(told.learned.sendgrid_public_key.as_deref(), Some("cHVibGlj"));
    let [changed, signed] = <[Seen; 2]>::try_from(changes(&provider)).unwrap();
    assert_eq!(
        changed.json(),
        json!({"enabled": true, "url": OURS, "delivered": false, "bounce": true, "dropped": true, "spam_report": true})
    );
    assert_eq!(signed.line, "PATCH /v3/user/webhooks/event/settings/signed");
    assert_eq!(signed.json(), json!({"enabled": true}));
    registrar(&provider).unregister(&sendgrid(), &callback()).await.unwrap();
    assert_eq!(changes(&provider)[2].json(), json!({"enabled": false, "url": EARLIER}));
}

#[tokio::test]
async fn sendgrids_only_address_is_not_taken_from_others() {
    let provider =
        Provider::start(Act::Play(|_| (200, json!({"enabled": true, "url": THEIRS}).to_string()))).await;
    let refused = register(&provider, &sendgrid(), &CallbackEvent::ALL).await;
    assert!(matches!(refused, Err(RegistrationError::Provider(_))));
    registrar(&provider).unregister(&sendgrid(), &callback()).await.unwrap();
    assert!(changes(&provider).is_empty());
}

fn ses(set: Option<&str>) -> ProviderSettings<Secret> {
    ProviderSettings::Ses(SesSettings {
        region: "eu-west-1".into(),
        access_key: "AKIAIOSFODNN7EXAMPLE".into(),
        secret_key: key(),
        configuration_set: set.map(str::to_owned),
    })
}

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:notifuse-ses-00000000-0000-0000-0000-000000000005";
const SET: &str = "notifuse-00000000-0000-0000-0000-000000000005";
const DESTINATION: &str = "notifuse-destination-00000000-0000-0000-0000-000000000005";

/// Amazon, where the destination is there already.
fn amazon(seen: &Seen) -> (u16, String) {
    let action = seen.form().into_iter().find(|(name, _)| name == "Action").map(|(_, action)| action);
    let destinations = "/event-destinations";
    match (seen.line.as_str(), action.as_deref()) {
        (_, Some("CreateTopic")) => (200, format!("<a><TopicArn>{TOPIC}</TopicArn></a>")),
        (_, Some(_)) => (200, "<a/>".to_owned()),
        (line, _) if line.starts_with("GET ") => {
            let known = json!({"Name": DESTINATION, "Enabled": true, "MatchingEventTypes": ["BOUNCE", "OPEN"],
                "SnsDestination": {"TopicArn": TOPIC}});
            (200, json!({"EventDestinations": [{"Name": "other"}, known]}).to_string())
        }
        (line, _) if line.starts_with("POST ") && line.ends_with(destinations) => {
            (400, json!({"message": "AlreadyExistsException"}).to_string())
        }
        _ => (200, "{}".to_owned()),
    }
}

#[tokio::test]
async fn amazon_publishes_to_a_topic_that_calls_us() {
    let provider = Provider::start(Act::Play(amazon)).await;
    let told = register(&provider, &ses(None), &CallbackEvent::ALL).await.unwrap();
    assert_eq!(events(&told), ["delivered", "bounce", "complaint"]);
    assert_eq!(told.learned.ses_configuration_set.as_deref(), Some(SET));
    assert_eq!(told.details["bounce_topic"], TOPIC);
    let seen = provider.seen();
    let actions: Vec<_> = seen.iter().take(4).map(|seen| seen.form()[0].1.clone()).collect();
    assert_eq!(actions, ["CreateTopic", "SetTopicAttributes", "SetTopicAttributes", "Subscribe"]);
    let subscribe = seen[3].form();
    assert!(subscribe.contains(&("Endpoint".to_owned(), OURS.to_owned())), "{subscribe:?}");
    assert!(subscribe.contains(&("Protocol".to_owned(), "https".to_owned())));
    for seen in &seen {
        assert!(seen.headers["authorization"].starts_with("AWS4-HMAC-SHA256 Credential=AKIA"));
    }
    assert_eq!(seen[4].json(), json!({"ConfigurationSetName": SET}));
    let put = seen.last().unwrap();
    assert_eq!(put.line, format!("PUT /v2/email/configuration-sets/{SET}/event-destinations/{DESTINATION}"));
    assert_eq!(
        put.json()["EventDestination"],
        json!({"Enabled": true, "MatchingEventTypes": ["DELIVERY", "BOUNCE", "COMPLAINT"],
            "SnsDestination": {"TopicArn": TOPIC}})
    );
}

#[tokio::test]
async fn a_set_that_the_owner_chose_is_used_and_kept() {
    let provider = Provider::start(Act::Play(amazon)).await;
    let known = registrar(&provider).registration(&ses(Some("own")), &callback()).await.unwrap();
    assert_eq!(events(&known), ["bounce"]);
    assert_eq!(lines(&provider), ["GET /v2/email/configuration-sets/own/event-destinations"]);
    registrar(&provider).unregister(&ses(Some("own")), &callback()).await.unwrap();
    let gone: Vec<_> = changes(&provider).iter().map(|seen| seen.line.clone()).collect();
    assert_eq!(
        gone,
        [
            format!("DELETE /v2/email/configuration-sets/own/event-destinations/{DESTINATION}"),
            "POST /".to_owned()
        ]
    );
}

#[tokio::test]
async fn our_own_set_goes_with_the_integration() {
    let provider = Provider::start(Act::Play(amazon)).await;
    registrar(&provider).unregister(&ses(None), &callback()).await.unwrap();
    let gone: Vec<_> = changes(&provider).iter().map(|seen| seen.line.clone()).collect();
    assert_eq!(gone[1], format!("DELETE /v2/email/configuration-sets/{SET}"));
    assert!(changes(&provider)[2].form().contains(&("TopicArn".to_owned(), TOPIC.to_owned())));
}

#[tokio::test]
async fn a_refusal_is_told_without_secrets() {
    let provider = Provider::start(Act::Play(|seen| {
        let words = format!("no\r\n{} {}", seen.headers["x-postmark-server-token"], OURS);
        (401, json!({"Message": words}).to_string())
    }))
    .await;
    let Err(RegistrationError::Provider(why)) = register(&provider, &postmark(), &CallbackEvent::ALL).await
    else {
        panic!("it is refused")
    };
    assert!(why.starts_with("401 ") && !why.contains(KEY) && !why.contains("t0k3n"), "{why}");
    let gone = Provider::start(Act::Cut).await;
    let unreachable = register(&gone, &postmark(), &CallbackEvent::ALL).await;
    assert!(matches!(unreachable, Err(RegistrationError::Provider(_))));
}

#[tokio::test]
async fn a_mail_server_cannot_be_told() {
    let provider = Provider::start(Act::Answer(200, "", "{}")).await;
    let settings = ProviderSettings::Smtp(SmtpSettings {
        host: "mx.acme.example".into(),
        port: 25,
        security: SmtpSecurity::None,
        ehlo_hostname: None,
        username: None,
        password: None,
    });
    let refused = register(&provider, &settings, &CallbackEvent::ALL).await;
    assert_eq!(refused, Err(RegistrationError::Unsupported));
    assert!(provider.seen().is_empty());
}
