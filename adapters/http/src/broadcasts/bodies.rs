//! What the operations of broadcasts read and answer.

use super::{
    feeds::{FeedsBody, FeedsDraftBody},
    schedule::{ScheduleBody, ScheduleDraft},
    testing::{TestSettingsBody, TestSettingsDraft},
    web::{ChannelsBody, WebSettingsBody, WebSettingsDraft},
};
use crate::{
    Moment, Text,
    body::{complete, object, text_of},
};
use domain::{
    broadcasts::{Audience, Broadcast, BroadcastDraft, Rescheduling},
    email_address::EmailAddress,
    ids::{BroadcastId, ListId, TemplateId, WorkspaceId},
    templates::Template,
    utm::UtmParameters,
    validation::{Check, Invalid},
};
use poem_openapi::Object;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Who a broadcast goes to.
#[derive(Object)]
#[oai(rename = "AudienceDraft")]
struct AudienceDraft {
    /// Its live active members.
    list: Text,
    /// Further lists, whose live active members are mailed as well. Who is on several lists is mailed
    /// once, through the first of them. At most 20 lists in all.
    #[oai(nullable)]
    lists: Option<Vec<Text>>,
    /// Whoever is on one of these lists, in whatever standing, is left out. At most 20.
    #[oai(nullable)]
    exclude_lists: Option<Vec<Text>>,
    /// Not supported yet: must be left out or empty.
    #[oai(nullable)]
    segments: Option<Vec<Text>>,
    /// Kept for clients: who unsubscribed, bounced or complained is never mailed.
    #[oai(default)]
    exclude_unsubscribed: bool,
}

/// Campaign parameters of links.
#[derive(Object, Default)]
#[oai(rename = "UtmParameters", default)]
struct UtmBody {
    #[oai(nullable)]
    source: Option<Text>,
    #[oai(nullable)]
    medium: Option<Text>,
    #[oai(nullable)]
    campaign: Option<Text>,
    #[oai(nullable)]
    term: Option<Text>,
    #[oai(nullable)]
    content: Option<Text>,
}

impl From<UtmBody> for UtmParameters {
    fn from(body: UtmBody) -> Self {
        let text = |text| text_of(text).unwrap_or_default();
        Self {
            source: text(body.source),
            medium: text(body.medium),
            campaign: text(body.campaign),
            term: text(body.term),
            content: text(body.content),
        }
    }
}

impl From<UtmParameters> for UtmBody {
    fn from(utm: UtmParameters) -> Self {
        let text = |text: String| Some(Text(text)).filter(|t| !t.0.is_empty());
        Self {
            source: text(utm.source),
            medium: text(utm.medium),
            campaign: text(utm.campaign),
            term: text(utm.term),
            content: text(utm.content),
        }
    }
}

/// A broadcast to make.
#[derive(Object)]
#[oai(rename = "BroadcastDraft")]
pub(super) struct CreateBody {
    pub(super) workspace_id: Text,
    /// 1 to 255 characters.
    name: Text,
    audience: AudienceDraft,
    test_settings: TestSettingsDraft,
    #[oai(nullable)]
    utm_parameters: Option<UtmBody>,
    /// Stored for clients.
    #[oai(nullable)]
    metadata: Option<Value>,
    #[oai(nullable)]
    channels: Option<ChannelsBody>,
    #[oai(nullable)]
    web_settings: Option<WebSettingsDraft>,
    #[oai(nullable)]
    data_feed: Option<FeedsDraftBody>,
}

impl TryFrom<CreateBody> for BroadcastDraft {
    type Error = Invalid;

    fn try_from(body: CreateBody) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let draft = body.draft(&mut check);
        complete(check, draft)
    }
}

impl CreateBody {
    /// The draft; bad fields are noted, and it is `None` when it cannot be made.
    fn draft(self, check: &mut Check) -> Option<BroadcastDraft> {
        let list = check.field("/audience/list", ListId::parse(&self.audience.list.0));
        let further_lists = list_ids(check, "/audience/lists", self.audience.lists);
        let excluded_lists = list_ids(check, "/audience/exclude_lists", self.audience.exclude_lists);
        let no_segments = self.audience.segments.is_none_or(|segments| segments.is_empty());
        check.require(no_segments, "/audience/segments", "segments are not supported yet");
        let (variations, test) = self.test_settings.read(check);
        let metadata = object(check, "/metadata", self.metadata);
        let web = self.web_settings.map(|web| web.read(check));
        let feeds = self.data_feed.map(|feeds| feeds.read(check)).unwrap_or_default();
        let exclude_unsubscribed = self.audience.exclude_unsubscribed;
        Some(BroadcastDraft {
            name: self.name.0,
            audience: Audience {
                list: list?,
                further_lists,
                excluded_lists,
                segments: Vec::new(),
                exclude_unsubscribed,
            },
            variations,
            test,
            utm: self.utm_parameters.map(Into::into).unwrap_or_default(),
            metadata,
            channels: self.channels.map(Into::into).unwrap_or_default(),
            web: web.flatten(),
            feeds,
        })
    }
}

/// The lists of a field; bad ones are noted.
fn list_ids(check: &mut Check, pointer: &str, lists: Option<Vec<Text>>) -> Vec<ListId> {
    let lists = lists.unwrap_or_default().into_iter().enumerate();
    lists.filter_map(|(n, list)| check.field(&format!("{pointer}/{n}"), ListId::parse(&list.0))).collect()
}

/// The new content of a broadcast.
#[derive(Object)]
#[oai(rename = "BroadcastUpdate")]
pub(super) struct UpdateBody {
    pub(super) workspace_id: Text,
    id: Text,
    /// 1 to 255 characters.
    name: Text,
    audience: AudienceDraft,
    test_settings: TestSettingsDraft,
    #[oai(nullable)]
    utm_parameters: Option<UtmBody>,
    /// Stored for clients.
    #[oai(nullable)]
    metadata: Option<Value>,
    /// `web` can be turned on, and `email` changed, only while it is a draft.
    #[oai(nullable)]
    channels: Option<ChannelsBody>,
    #[oai(nullable)]
    web_settings: Option<WebSettingsDraft>,
    /// Left out, the moment stays. Without `is_scheduled` a scheduled broadcast is a draft again. One
    /// that was started keeps its moment whatever stands here.
    #[oai(nullable)]
    schedule: Option<ScheduleDraft>,
    #[oai(nullable)]
    data_feed: Option<FeedsDraftBody>,
}

impl UpdateBody {
    pub(super) fn read(self) -> Result<(BroadcastId, BroadcastDraft, Rescheduling), Invalid> {
        let mut check = Check::default();
        let id = check.field("/id", BroadcastId::parse(&self.id.0));
        let moment = self.schedule.map_or(Ok(Rescheduling::Keep), ScheduleDraft::read);
        let moment = check.nested("/schedule", moment);
        let content = CreateBody {
            workspace_id: self.workspace_id,
            name: self.name,
            audience: self.audience,
            test_settings: self.test_settings,
            utm_parameters: self.utm_parameters,
            metadata: self.metadata,
            channels: self.channels,
            web_settings: self.web_settings,
            data_feed: self.data_feed,
        };
        let draft = content.draft(&mut check);
        complete(check, id.zip(draft).zip(moment)).map(|((id, draft), moment)| (id, draft, moment))
    }
}

/// Names a broadcast.
#[derive(Object)]
#[oai(rename = "BroadcastChoice")]
pub(super) struct ChosenBody {
    pub(super) workspace_id: Text,
    pub(super) id: Text,
}

/// One mail of a broadcast to one address.
#[derive(Object)]
#[oai(rename = "BroadcastTrial")]
pub(super) struct TrialBody {
    pub(super) workspace_id: Text,
    broadcast_id: Text,
    /// Need not be a contact's.
    recipient_email: Text,
    /// The template of the first variation when left out.
    #[oai(nullable)]
    template_id: Option<Text>,
}

impl TrialBody {
    pub(super) fn read(self) -> Result<(BroadcastId, EmailAddress, Option<TemplateId>), Invalid> {
        let mut check = Check::default();
        let id = check.field("/broadcast_id", BroadcastId::parse(&self.broadcast_id.0));
        let email = check.field("/recipient_email", EmailAddress::parse(&self.recipient_email.0));
        let template = text_of(self.template_id).filter(|template| !template.is_empty());
        let template = template.map(|template| TemplateId::parse(&template)).transpose();
        let template = check.field("/template_id", template);
        complete(check, id.zip(email).zip(template)).map(|((id, email), template)| (id, email, template))
    }
}

/// Who a broadcast goes to.
#[derive(Object)]
#[oai(rename = "Audience")]
struct AudienceBody {
    list: String,
    lists: Vec<String>,
    exclude_lists: Vec<String>,
    segments: Vec<String>,
    exclude_unsubscribed: bool,
}

/// A broadcast.
#[derive(Object)]
#[oai(rename = "Broadcast", skip_serializing_if_is_none)]
pub(super) struct BroadcastBody {
    id: String,
    workspace_id: String,
    name: String,
    /// Always empty; kept for clients.
    channel_type: String,
    /// `draft`, `scheduled`, `processing`, `testing`, `test_completed`, `winner_selected`, `processed`
    /// when every recipient is planned, `paused` or `cancelled`.
    status: String,
    audience: AudienceBody,
    schedule: ScheduleBody,
    test_settings: TestSettingsBody,
    utm_parameters: Option<UtmBody>,
    metadata: Option<Value>,
    /// The template that was chosen for the rest of the audience.
    winning_template: Option<String>,
    /// When the last mail of the sample was planned.
    test_sent_at: Option<Moment>,
    /// When the last mail of the rest was planned.
    winner_sent_at: Option<Moment>,
    channels: ChannelsBody,
    web_settings: Option<WebSettingsBody>,
    data_feed: Option<FeedsBody>,
    started_at: Option<Moment>,
    completed_at: Option<Moment>,
    paused_at: Option<Moment>,
    cancelled_at: Option<Moment>,
    /// Why it is paused, when nobody asked for it.
    pause_reason: Option<String>,
    /// Always 0; kept for clients.
    test_phase_recipient_count: u64,
    /// Always 0; kept for clients.
    winner_phase_recipient_count: u64,
    /// Mails put into the queue so far.
    enqueued_count: u64,
    created_at: Moment,
    updated_at: Moment,
}

/// A broadcast as it is answered.
pub(super) fn broadcast(workspace: &WorkspaceId, broadcast: Broadcast) -> BroadcastBody {
    with_more(workspace, broadcast, None, &HashMap::new())
}

/// A broadcast as it is answered, with what its global feed said, and with templates.
pub(super) fn with_more(
    workspace: &WorkspaceId,
    broadcast: Broadcast,
    data: Option<Map<String, Value>>,
    templates: &HashMap<TemplateId, Template>,
) -> BroadcastBody {
    BroadcastBody {
        id: broadcast.id.to_string(),
        workspace_id: workspace.to_string(),
        name: broadcast.name,
        channel_type: String::new(),
        status: broadcast.state.name().to_owned(),
        started_at: broadcast.state.started_at().map(Into::into),
        completed_at: broadcast.state.completed_at().map(Into::into),
        paused_at: broadcast.state.paused_at().map(Into::into),
        cancelled_at: broadcast.state.cancelled_at().map(Into::into),
        audience: AudienceBody {
            list: broadcast.audience.list.into(),
            lists: broadcast.audience.further_lists.into_iter().map(String::from).collect(),
            exclude_lists: broadcast.audience.excluded_lists.into_iter().map(String::from).collect(),
            segments: broadcast.audience.segments.into_iter().map(String::from).collect(),
            exclude_unsubscribed: broadcast.audience.exclude_unsubscribed,
        },
        pause_reason: broadcast.state.pause_reason().map(str::to_owned),
        schedule: broadcast.schedule.into(),
        test_settings: TestSettingsBody::new(broadcast.test, broadcast.variations, templates),
        winner_sent_at: broadcast
            .winning_template
            .as_ref()
            .and(broadcast.state.completed_at())
            .map(Into::into),
        winning_template: broadcast.winning_template.map(String::from),
        test_sent_at: broadcast.test_sent_at.map(Into::into),
        utm_parameters: (!broadcast.utm.is_empty()).then(|| broadcast.utm.into()),
        metadata: broadcast.metadata.map(Value::Object),
        channels: broadcast.channels.into(),
        web_settings: broadcast.web.map(Into::into),
        data_feed: FeedsBody::new(broadcast.feeds, data),
        test_phase_recipient_count: 0,
        winner_phase_recipient_count: 0,
        enqueued_count: broadcast.enqueued_count,
        created_at: broadcast.created_at.into(),
        updated_at: broadcast.updated_at.into(),
    }
}

#[derive(Object)]
pub(super) struct BroadcastAnswer {
    pub(super) broadcast: BroadcastBody,
}

#[derive(Object)]
pub(super) struct BroadcastsAnswer {
    pub(super) broadcasts: Vec<BroadcastBody>,
    /// How many there are in all.
    pub(super) total_count: u64,
}

#[derive(Object)]
#[oai(rename = "BroadcastDone")]
pub(super) struct DoneAnswer {
    pub(super) success: bool,
}
