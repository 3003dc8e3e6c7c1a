//! `messages.*`: the history of messages.

use crate::{Bearer, Moment, Problem, body::complete, contacts::truth, cursor, features::Shared, tags::Tag};
use application::{
    messages::{MessageView, Occurrence},
    page::Page,
};
use domain::{
    Timestamp,
    attachments::{AttachedFile, Disposition},
    email_address::EmailAddress,
    ids::{BroadcastId, ListId, MessageId, TemplateId},
    messages::{MessageFilter, MessageState, MessageStats},
    tracking::LinkClicks,
    validation::{Check, Invalid},
};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
use serde_json::{Map, Value};

pub(crate) struct MessagesApi(pub(crate) Shared);

/// What a message was made with.
#[derive(Object)]
#[oai(rename = "MessageData", skip_serializing_if_is_none)]
struct DataBody {
    /// The caller's template variables.
    data: Value,
    metadata: Option<Value>,
}

/// What a send changed of the mail.
#[derive(Object)]
#[oai(rename = "ChannelOptions", skip_serializing_if_is_none, skip_serializing_if_is_empty)]
struct OptionsBody {
    from_name: Option<String>,
    subject: Option<String>,
    subject_preview: Option<String>,
    reply_to: Option<String>,
    cc: Vec<String>,
    bcc: Vec<String>,
}

/// A file that went with a mail.
#[derive(Object)]
#[oai(rename = "AttachedFile")]
struct FileBody {
    /// SHA-256 of its bytes, in hexadecimal.
    checksum: String,
    filename: String,
    content_type: String,
    /// `attachment` or `inline`.
    disposition: String,
}

impl From<AttachedFile> for FileBody {
    fn from(file: AttachedFile) -> Self {
        let disposition = match file.disposition {
            Disposition::Attachment => "attachment",
            Disposition::Inline => "inline",
        };
        Self {
            checksum: file.checksum,
            filename: file.filename.into(),
            content_type: file.content_type.into(),
            disposition: disposition.to_owned(),
        }
    }
}

/// A message. Moments that have not come are left out.
#[derive(Object)]
#[oai(rename = "Message", skip_serializing_if_is_none)]
struct MessageBody {
    id: String,
    external_id: Option<String>,
    contact_email: String,
    broadcast_id: Option<String>,
    transactional_notification_id: Option<String>,
    list_id: Option<String>,
    template_id: String,
    template_version: i64,
    /// Always `email`.
    channel: String,
    /// `queued`, `sent`, `failed`, or `unknown` when it was handed over without an answer.
    state: String,
    /// The mail server's last words.
    status_info: Option<String>,
    message_data: DataBody,
    channel_options: Option<OptionsBody>,
    #[oai(skip_serializing_if_is_empty)]
    attachments: Vec<FileBody>,
    sent_at: Option<Moment>,
    delivered_at: Option<Moment>,
    failed_at: Option<Moment>,
    opened_at: Option<Moment>,
    clicked_at: Option<Moment>,
    bounced_at: Option<Moment>,
    complained_at: Option<Moment>,
    unsubscribed_at: Option<Moment>,
    created_at: Moment,
    updated_at: Moment,
}

impl From<MessageView> for MessageBody {
    fn from(view: MessageView) -> Self {
        let MessageView { message, data } = view;
        let mut options = message.options;
        let attachments = std::mem::take(&mut options.attachments);
        let has_options = options != domain::transactional::EmailOptions::default();
        let text = |addresses: Vec<EmailAddress>| addresses.into_iter().map(String::from).collect();
        let moment = |at: Option<Timestamp>| at.map(Moment::from);
        Self {
            id: message.id.to_string(),
            external_id: message.external_id,
            contact_email: message.contact_email.into(),
            broadcast_id: message.broadcast.map(String::from),
            transactional_notification_id: message.notification.map(String::from),
            list_id: message.list.map(String::from),
            template_id: message.template.into(),
            template_version: message.template_version,
            channel: "email".to_owned(),
            state: message.state.name().to_owned(),
            status_info: message.status_info,
            message_data: DataBody { data: object(data), metadata: message.metadata.map(object) },
            channel_options: has_options.then(|| OptionsBody {
                from_name: options.from_name.map(String::from),
                subject: options.subject,
                subject_preview: options.subject_preview,
                reply_to: options.reply_to.map(String::from),
                cc: text(options.cc),
                bcc: text(options.bcc),
            }),
            attachments: attachments.into_iter().map(Into::into).collect(),
            sent_at: moment(message.sent_at),
            delivered_at: moment(message.delivered_at),
            failed_at: moment(message.failed_at),
            opened_at: moment(message.opened_at),
            clicked_at: moment(message.clicked_at),
            bounced_at: moment(message.bounced_at),
            complained_at: moment(message.complained_at),
            unsubscribed_at: moment(message.unsubscribed_at),
            created_at: message.created_at.into(),
            updated_at: message.updated_at.into(),
        }
    }
}

fn object(map: Map<String, Value>) -> Value {
    Value::Object(map)
}

#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct MessagesPage {
    messages: Vec<MessageBody>,
    /// For the next page; absent on the last one.
    next_cursor: Option<String>,
    has_more: bool,
}

impl From<Page<MessageView>> for MessagesPage {
    fn from(page: Page<MessageView>) -> Self {
        let last = page.items.last().filter(|_| page.has_more);
        Self {
            next_cursor: last.map(|view| cursor::write_message(&view.message)),
            has_more: page.has_more,
            messages: page.items.into_iter().map(Into::into).collect(),
        }
    }
}

/// How many messages have seen which event.
#[derive(Object)]
#[oai(rename = "MessageStats")]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
struct StatsBody {
    total_sent: u64,
    total_delivered: u64,
    total_bounced: u64,
    total_complained: u64,
    total_failed: u64,
    total_opened: u64,
    total_clicked: u64,
    total_unsubscribed: u64,
    /// Opened by the image proxy of a mailbox provider; also in `total_opened`.
    total_proxy_opened: u64,
    /// Opened by a machine such as a spam filter; `total_opened` does not count these.
    total_machine_opened: u64,
    /// Clicked by a machine such as a link scanner; `total_clicked` does not count these.
    total_machine_clicked: u64,
}

impl From<MessageStats> for StatsBody {
    fn from(stats: MessageStats) -> Self {
        Self {
            total_sent: stats.sent,
            total_delivered: stats.delivered,
            total_bounced: stats.bounced,
            total_complained: stats.complained,
            total_failed: stats.failed,
            total_opened: stats.opened,
            total_clicked: stats.clicked,
            total_unsubscribed: stats.unsubscribed,
            total_proxy_opened: stats.proxy_opened,
            total_machine_opened: stats.machine_opened,
            total_machine_clicked: stats.machine_clicked,
        }
    }
}

#[derive(Object)]
struct BroadcastStatsAnswer {
    broadcast_id: String,
    stats: StatsBody,
}

/// A link of a broadcast.
#[derive(Object)]
#[oai(rename = "LinkClicks")]
struct LinkBody {
    /// Where it leads.
    url: String,
    /// Messages in which somebody followed it.
    messages: u64,
    /// How often somebody followed it.
    clicks: u64,
    /// How often a machine such as a link scanner followed it.
    machine_clicks: u64,
}

#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct LinksPage {
    links: Vec<LinkBody>,
    /// For the next page; absent on the last one.
    next_cursor: Option<String>,
    has_more: bool,
}

impl From<Page<LinkClicks>> for LinksPage {
    fn from(page: Page<LinkClicks>) -> Self {
        let last = page.items.last().filter(|_| page.has_more);
        let body = |clicks: LinkClicks| LinkBody {
            url: clicks.link,
            messages: clicks.messages,
            clicks: clicks.clicks,
            machine_clicks: clicks.machine_clicks,
        };
        Self {
            next_cursor: last.map(|clicks| cursor::write_link(&clicks.link)),
            has_more: page.has_more,
            links: page.items.into_iter().map(body).collect(),
        }
    }
}

/// Something that happened to a message.
#[derive(Object)]
#[oai(rename = "MessageEvent", skip_serializing_if_is_none)]
struct EventBody {
    /// `created`, `sent`, `failed`, `delivered`, `bounced`, `complained`, `unsubscribed`, `opened` or
    /// `clicked`.
    r#type: String,
    /// When, for the first time.
    at: Moment,
    /// When it was opened or clicked in this way for the last time.
    last_at: Option<Moment>,
    /// How often it was opened or clicked in this way.
    count: Option<u64>,
    /// Who opened or clicked: `human`, `proxy` or `machine`.
    actor: Option<String>,
    /// The link that was clicked.
    url: Option<String>,
}

impl From<Occurrence> for EventBody {
    fn from(event: Occurrence) -> Self {
        let at = event.at().into();
        match event {
            Occurrence::Reached { stage, .. } => {
                Self { r#type: stage.to_owned(), at, last_at: None, count: None, actor: None, url: None }
            }
            Occurrence::Engaged(engagement) => Self {
                r#type: engagement.kind.name().to_owned(),
                at,
                last_at: Some(engagement.last_at.into()),
                count: Some(engagement.count),
                actor: Some(engagement.actor.name().to_owned()),
                url: Some(engagement.link).filter(|link| !link.is_empty()),
            },
        }
    }
}

#[derive(Object)]
struct EventsAnswer {
    events: Vec<EventBody>,
}

#[OpenApi(tag = "Tag::Messages")]
impl MessagesApi {
    /// Lists messages, newest first
    #[oai(path = "/messages.list", method = "get", operation_id = "messagesList")]
    #[expect(clippy::too_many_arguments, reason = "one for each query parameter")]
    async fn list(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// This message.
        id: Query<Option<String>>,
        /// With this idempotency key.
        external_id: Query<Option<String>>,
        /// Sent through this list.
        list_id: Query<Option<String>>,
        /// `email` is the only channel.
        channel: Query<Option<String>>,
        /// To exactly this address.
        contact_email: Query<Option<String>>,
        /// Of this broadcast.
        broadcast_id: Query<Option<String>>,
        /// Made from this template.
        template_id: Query<Option<String>>,
        /// `queued`, `sent`, `failed`, or `unknown`: handed over without an answer.
        state: Query<Option<String>>,
        /// Taken by the mail server, or not.
        is_sent: Query<Option<String>>,
        /// Delivered, or not.
        is_delivered: Query<Option<String>>,
        /// Given up, or not.
        is_failed: Query<Option<String>>,
        /// Opened, or not.
        is_opened: Query<Option<String>>,
        /// Clicked, or not.
        is_clicked: Query<Option<String>>,
        /// Come back, or not.
        is_bounced: Query<Option<String>>,
        /// Called spam, or not.
        is_complained: Query<Option<String>>,
        /// Led to an unsubscription, or not.
        is_unsubscribed: Query<Option<String>>,
        /// Sent at or after this moment (RFC 3339).
        sent_after: Query<Option<String>>,
        /// Sent at or before this moment.
        sent_before: Query<Option<String>>,
        /// Changed at or after this moment.
        updated_after: Query<Option<String>>,
        /// Changed at or before this moment.
        updated_before: Query<Option<String>>,
        /// 1 to 100; 20 by default, more than 100 counts as 100.
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<MessagesPage>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let mut check = Check::default();
        let c = &mut check;
        let filter = MessageFilter {
            id: read(c, "/id", id.0, MessageId::parse),
            external_id: external_id.0.filter(|t| !t.is_empty()),
            list: read(c, "/list_id", list_id.0, ListId::parse),
            contact_email: read(c, "/contact_email", contact_email.0, EmailAddress::parse),
            broadcast: read(c, "/broadcast_id", broadcast_id.0, BroadcastId::parse),
            template: read(c, "/template_id", template_id.0, TemplateId::parse),
            state: read(c, "/state", state.0, |name| {
                MessageState::from_name(name).ok_or("must be queued, sent, failed or unknown")
            }),
            is_sent: read(c, "/is_sent", is_sent.0, truth),
            is_delivered: read(c, "/is_delivered", is_delivered.0, truth),
            is_failed: read(c, "/is_failed", is_failed.0, truth),
            is_opened: read(c, "/is_opened", is_opened.0, truth),
            is_clicked: read(c, "/is_clicked", is_clicked.0, truth),
            is_bounced: read(c, "/is_bounced", is_bounced.0, truth),
            is_complained: read(c, "/is_complained", is_complained.0, truth),
            is_unsubscribed: read(c, "/is_unsubscribed", is_unsubscribed.0, truth),
            sent_after: read(c, "/sent_after", sent_after.0, moment),
            sent_before: read(c, "/sent_before", sent_before.0, moment),
            updated_after: read(c, "/updated_after", updated_after.0, moment),
            updated_before: read(c, "/updated_before", updated_before.0, moment),
        };
        read(c, "/channel", channel.0, |t| if t == "email" { Ok(()) } else { Err("must be email") });
        for (pointer, after, before) in [
            ("/sent_after", filter.sent_after, filter.sent_before),
            ("/updated_after", filter.updated_after, filter.updated_before),
        ] {
            let ordered = after.zip(before).is_none_or(|(after, before)| after <= before);
            check.require(ordered, pointer, "must not be later than its counterpart");
        }
        let limit = limit.0.unwrap_or(20).min(100);
        check.require(limit > 0, "/limit", "must be at least 1");
        let after = read(&mut check, "/cursor", cursor.0, cursor::read_message);
        complete(check, Some(()))?;
        Ok(Json(self.0.messages.list(&caller, &filter, after.as_ref(), limit as usize).await?.into()))
    }

    /// Counts the messages of a broadcast by event
    #[oai(path = "/messages.broadcastStats", method = "get", operation_id = "messagesBroadcastStats")]
    async fn broadcast_stats(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// The broadcast.
        broadcast_id: Query<String>,
    ) -> Result<Json<BroadcastStatsAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let id = BroadcastId::parse(&broadcast_id.0).map_err(|rule| Invalid::one("/broadcast_id", rule))?;
        let stats = self.0.messages.broadcast_stats(&caller, &id).await?;
        Ok(Json(BroadcastStatsAnswer { broadcast_id: id.to_string(), stats: stats.into() }))
    }

    /// Lists the links of a broadcast that were followed
    #[oai(path = "/messages.broadcastLinks", method = "get", operation_id = "messagesBroadcastLinks")]
    async fn broadcast_links(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// The broadcast.
        broadcast_id: Query<String>,
        /// 1 to 100; 20 by default, more than 100 counts as 100.
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<LinksPage>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let mut check = Check::default();
        let id = check.field("/broadcast_id", BroadcastId::parse(&broadcast_id.0));
        let limit = limit.0.unwrap_or(20).min(100);
        check.require(limit > 0, "/limit", "must be at least 1");
        let after = read(&mut check, "/cursor", cursor.0, cursor::read_link);
        let id = complete(check, id)?;
        let page = self.0.messages.broadcast_links(&caller, &id, after.as_deref(), limit as usize).await?;
        Ok(Json(page.into()))
    }

    /// Tells what happened to a message, the earliest first
    #[oai(path = "/messages.events", method = "get", operation_id = "messagesEvents")]
    async fn events(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// The message.
        id: Query<String>,
    ) -> Result<Json<EventsAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let id = MessageId::parse(&id.0).map_err(|rule| Invalid::one("/id", rule))?;
        let events = self.0.messages.events(&caller, &id).await?;
        Ok(Json(EventsAnswer { events: events.into_iter().map(Into::into).collect() }))
    }
}

/// Reads a parameter that may be left out or empty.
pub(crate) fn read<T, E: std::fmt::Display>(
    check: &mut Check,
    pointer: &str,
    text: Option<String>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    let text = text.filter(|t| !t.is_empty())?;
    check.field(pointer, parse(&text))
}

pub(crate) fn moment(text: &str) -> Result<Timestamp, &'static str> {
    // A plus sign that a client did not escape arrives as a blank.
    let at = chrono::DateTime::parse_from_rfc3339(&text.trim().replace(' ', "+"));
    at.map(|at| domain::to_microseconds(at.to_utc())).map_err(|_| "must be an RFC 3339 date and time")
}
