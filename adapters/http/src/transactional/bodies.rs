//! What the operations of notifications read and answer.

use crate::{
    Moment, Text,
    body::{complete, object, text_of},
    templates::compile::TrackingBody,
};
use application::page::Counted;
use domain::{
    ids::{NotificationId, TemplateId},
    transactional::{EmailChannel, Notification, NotificationDraft, NotificationPatch},
    utm::UtmParameters,
    validation::{Check, Invalid},
};
use poem_openapi::Object;
use serde_json::Value;

/// How a notification is sent by mail.
#[derive(Object)]
#[oai(rename = "EmailChannel", skip_serializing_if_is_none)]
struct EmailChannelBody {
    /// The template, always in its latest version.
    template_id: Text,
    /// Stored for clients. The members `from_name`, `subject`, `subject_preview` and `reply_to` change
    /// every mail of the notification, unless a send changes it.
    #[oai(nullable)]
    settings: Option<Value>,
}

/// The channels of a notification; `email` is the only one.
#[derive(Object)]
#[oai(rename = "NotificationChannels")]
struct ChannelsBody {
    email: EmailChannelBody,
}

impl ChannelsBody {
    fn read(self, check: &mut Check, pointer: &str) -> Option<EmailChannel> {
        let at = |name: &str| format!("{pointer}/channels/email/{name}");
        let settings = object(check, &at("settings"), self.email.settings);
        let template_id = check.field(&at("template_id"), TemplateId::parse(&self.email.template_id.0))?;
        Some(EmailChannel { template_id, settings })
    }
}

impl From<EmailChannel> for ChannelsBody {
    fn from(email: EmailChannel) -> Self {
        let template_id = Text(email.template_id.into());
        Self { email: EmailChannelBody { template_id, settings: email.settings.map(Value::Object) } }
    }
}

/// A notification to make.
#[derive(Object)]
#[oai(rename = "NotificationDraft")]
pub(super) struct DraftBody {
    /// 1 to 32 letters, digits, underscores and hyphens; stays for good.
    id: Text,
    /// 1 to 255 characters.
    name: Text,
    #[oai(nullable)]
    description: Option<Text>,
    channels: ChannelsBody,
    #[oai(nullable)]
    tracking_settings: Option<TrackingBody>,
    /// Stored for clients.
    #[oai(nullable)]
    metadata: Option<Value>,
}

impl TryFrom<DraftBody> for NotificationDraft {
    type Error = Invalid;

    fn try_from(body: DraftBody) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let id = check.field("/notification/id", NotificationId::parse(&body.id.0));
        let email = body.channels.read(&mut check, "/notification");
        let metadata = object(&mut check, "/notification/metadata", body.metadata);
        let (id, email) = complete(check, id.zip(email))?;
        Ok(Self {
            id,
            name: body.name.0,
            description: text_of(body.description).unwrap_or_default(),
            email,
            tracking: body.tracking_settings.as_ref().map(TrackingBody::tracking).unwrap_or_default(),
            utm: body.tracking_settings.map(UtmParameters::from).unwrap_or_default(),
            metadata: metadata.unwrap_or_default(),
        })
    }
}

#[derive(Object)]
#[oai(rename = "CreateNotificationBody")]
pub(super) struct CreateBody {
    pub(super) workspace_id: Text,
    pub(super) notification: DraftBody,
}

/// What to change of a notification; at least one member.
#[derive(Object)]
#[oai(rename = "NotificationUpdates")]
pub(super) struct UpdatesBody {
    #[oai(nullable)]
    name: Option<Text>,
    #[oai(nullable)]
    description: Option<Text>,
    #[oai(nullable)]
    channels: Option<ChannelsBody>,
    #[oai(nullable)]
    tracking_settings: Option<TrackingBody>,
    #[oai(nullable)]
    metadata: Option<Value>,
}

impl TryFrom<UpdatesBody> for NotificationPatch {
    type Error = Invalid;

    fn try_from(body: UpdatesBody) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let email = body.channels.and_then(|channels| channels.read(&mut check, "/updates"));
        let metadata = object(&mut check, "/updates/metadata", body.metadata);
        check.finish()?;
        Ok(Self {
            name: body.name.map(|t| t.0),
            description: body.description.map(|t| t.0),
            email,
            tracking: body.tracking_settings.as_ref().map(TrackingBody::tracking),
            utm: body.tracking_settings.map(Into::into),
            metadata,
        })
    }
}

#[derive(Object)]
#[oai(rename = "UpdateNotificationBody")]
pub(super) struct UpdateBody {
    pub(super) workspace_id: Text,
    pub(super) id: Text,
    pub(super) updates: UpdatesBody,
}

/// A notification.
#[derive(Object)]
#[oai(rename = "Notification", skip_serializing_if_is_none)]
struct NotificationBody {
    id: String,
    name: String,
    description: String,
    channels: ChannelsBody,
    tracking_settings: TrackingBody,
    metadata: Option<Value>,
    integration_id: Option<String>,
    created_at: Moment,
    updated_at: Moment,
}

impl From<Notification> for NotificationBody {
    fn from(notification: Notification) -> Self {
        let metadata = notification.metadata;
        Self {
            id: notification.id.to_string(),
            name: notification.name,
            description: notification.description,
            channels: notification.email.into(),
            tracking_settings: TrackingBody::of(notification.utm, notification.tracking),
            metadata: (!metadata.is_empty()).then_some(Value::Object(metadata)),
            integration_id: notification.integration.map(|id| id.to_string()),
            created_at: notification.created_at.into(),
            updated_at: notification.updated_at.into(),
        }
    }
}

#[derive(Object)]
pub(super) struct NotificationAnswer {
    notification: NotificationBody,
}

impl From<Notification> for NotificationAnswer {
    fn from(notification: Notification) -> Self {
        Self { notification: notification.into() }
    }
}

#[derive(Object)]
pub(super) struct NotificationsAnswer {
    notifications: Vec<NotificationBody>,
    /// How many there are in all.
    total: u64,
}

impl From<Counted<Notification>> for NotificationsAnswer {
    fn from(counted: Counted<Notification>) -> Self {
        let notifications = counted.items.into_iter().map(Into::into).collect();
        Self { notifications, total: counted.total }
    }
}

#[derive(Object)]
pub(super) struct NotificationIdBody {
    pub(super) workspace_id: Text,
    pub(super) id: Text,
}

#[derive(Object)]
#[oai(rename = "NotificationDeleted")]
pub(super) struct DeletedAnswer {
    pub(super) success: bool,
}
