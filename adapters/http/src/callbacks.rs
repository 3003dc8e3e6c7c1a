//! `webhooks.register` and `webhooks.status`: the address that the provider of an integration calls.

use crate::{Bearer, Body, Problem, Text, features::Shared, integrations::integration_id, tags::Tag};
use application::{
    feedback::CallbackStatus,
    ports::{CallbackEvent, RegisteredCallback, Registration},
};
use domain::validation::{Check, Invalid};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
use serde_json::Value;

pub(crate) struct CallbacksApi(pub(crate) Shared);

/// Making a provider report.
#[derive(Object)]
#[oai(rename = "RegisterWebhooksBody")]
struct RegisterBody {
    workspace_id: Text,
    integration_id: Text,
    /// `delivered`, `bounce` and `complaint`; all of them by default.
    #[oai(nullable)]
    event_types: Option<Vec<Text>>,
}

/// An address that a provider calls.
#[derive(Object)]
#[oai(rename = "WebhookEndpoint", skip_serializing_if_is_none)]
struct EndpointBody {
    /// The provider's name of it.
    webhook_id: Option<String>,
    /// Without its secret part.
    url: String,
    /// `delivered`, `bounce` or `complaint`.
    event_type: String,
    active: bool,
}

/// What the provider of an integration reports.
#[derive(Object)]
#[oai(rename = "WebhookStatus", skip_serializing_if_is_none)]
struct StatusBody {
    email_provider_kind: String,
    /// Whether the provider reports anything.
    is_registered: bool,
    endpoints: Vec<EndpointBody>,
    /// Why it is not known what the provider reports.
    error: Option<String>,
    /// What the provider calls its parts.
    provider_details: Option<Value>,
    /// The address to call, for setting it by hand. It is a secret, so that only those see it who may
    /// change the workspace.
    callback_url: Option<String>,
}

#[derive(Object)]
#[oai(rename = "WebhookStatusAnswer")]
struct StatusAnswer {
    status: StatusBody,
}

impl From<RegisteredCallback> for EndpointBody {
    fn from(callback: RegisteredCallback) -> Self {
        Self {
            webhook_id: callback.id,
            url: without_token(callback.url.expose()),
            event_type: callback.event.name().to_owned(),
            active: callback.active,
        }
    }
}

/// The address up to its secret part, which stands last.
fn without_token(url: &str) -> String {
    url.split("&token=").next().unwrap_or_default().to_owned()
}

impl From<CallbackStatus> for StatusAnswer {
    fn from(status: CallbackStatus) -> Self {
        let (registration, error) = match status.registration {
            Ok(registration) => (registration, None),
            Err(error) => (Registration::default(), Some(error.to_string())),
        };
        let details = Some(registration.details).filter(|details| !details.is_empty());
        Self {
            status: StatusBody {
                email_provider_kind: status.provider.to_owned(),
                is_registered: registration.callbacks.iter().any(|callback| callback.active),
                endpoints: registration.callbacks.into_iter().map(Into::into).collect(),
                error,
                provider_details: details.map(Value::Object),
                callback_url: status.url.map(|url| url.expose().to_owned()),
            },
        }
    }
}

#[OpenApi(tag = "Tag::Integrations")]
impl CallbacksApi {
    /// Makes the provider of an integration report deliveries, bounces and complaints
    ///
    /// Addresses of other systems at the provider stay. Where the provider signs its calls, its key is
    /// asked for and kept, and calls without a good signature are refused from then on. For Amazon SES a
    /// topic, and a configuration set when the integration names none, are made. A mail server (`smtp`)
    /// cannot be told: 422.
    #[oai(path = "/webhooks.register", method = "post", operation_id = "webhooksRegister")]
    async fn register(
        &self,
        bearer: Bearer,
        Body(body): Body<RegisterBody>,
    ) -> Result<Json<StatusAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let id = integration_id(&body.integration_id.0)?;
        let events = events(body.event_types)?;
        Ok(Json(self.0.feedback.register(&caller, id, &events).await?.into()))
    }

    /// Tells what the provider of an integration reports, and the address that it is to call
    #[oai(path = "/webhooks.status", method = "get", operation_id = "webhooksStatus")]
    async fn status(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// The integration.
        integration_id: Query<String>,
    ) -> Result<Json<StatusAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let id = crate::integrations::integration_id(&integration_id.0)?;
        Ok(Json(self.0.feedback.status(&caller, id).await?.into()))
    }
}

fn events(names: Option<Vec<Text>>) -> Result<Vec<CallbackEvent>, Invalid> {
    let Some(names) = names.filter(|names| !names.is_empty()) else {
        return Ok(CallbackEvent::ALL.to_vec());
    };
    let mut check = Check::default();
    let mut events = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let event = CallbackEvent::from_name(&name.0).ok_or("must be delivered, bounce or complaint");
        events.extend(check.field(&format!("/event_types/{n}"), event));
    }
    check.finish()?;
    Ok(events)
}
