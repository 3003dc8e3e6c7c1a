//! What the operations of broadcasts read and answer.

use crate::{
    Moment, Text,
    body::{complete, object, text_of},
};
use domain::{
    broadcasts::{Audience, Broadcast, BroadcastDraft, Ledger, Skipped, Variation},
    ids::{BroadcastId, ListId, TemplateId, WorkspaceId},
    utm::UtmParameters,
    validation::{Check, Invalid},
};
use poem_openapi::Object;
use serde_json::Value;

/// Who a broadcast goes to.
#[derive(Object)]
#[oai(rename = "AudienceDraft")]
struct AudienceDraft {
    /// Its live active members.
    list: Text,
    /// Not supported yet: must be left out or empty.
    #[oai(nullable)]
    segments: Option<Vec<Text>>,
    /// Kept for clients: who unsubscribed, bounced or complained is never mailed.
    #[oai(default)]
    exclude_unsubscribed: bool,
}

/// A content of a broadcast.
#[derive(Object)]
#[oai(rename = "VariationDraft")]
struct VariationDraft {
    #[oai(nullable)]
    variation_name: Option<Text>,
    template_id: Text,
}

/// What a broadcast is sent with.
#[derive(Object)]
#[oai(rename = "TestSettingsDraft")]
struct TestSettingsDraft {
    /// Comparing variations is not supported yet: must be left out or false.
    #[oai(default)]
    enabled: bool,
    /// Exactly one.
    variations: Vec<VariationDraft>,
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
    /// Not supported yet: must be left out.
    #[oai(nullable)]
    data_feed: Option<Value>,
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
        let no_segments = self.audience.segments.is_none_or(|segments| segments.is_empty());
        check.require(no_segments, "/audience/segments", "segments are not supported yet");
        check.require(
            !self.test_settings.enabled,
            "/test_settings/enabled",
            "comparing variations is not supported yet",
        );
        check.require(self.data_feed.is_none(), "/data_feed", "data feeds are not supported yet");
        let mut variations = Vec::new();
        for (n, draft) in self.test_settings.variations.into_iter().enumerate() {
            let pointer = format!("/test_settings/variations/{n}/template_id");
            if let Some(template_id) = check.field(&pointer, TemplateId::parse(&draft.template_id.0)) {
                let variation_name = text_of(draft.variation_name).unwrap_or_default();
                variations.push(Variation { variation_name, template_id });
            }
        }
        let metadata = object(check, "/metadata", self.metadata);
        let exclude_unsubscribed = self.audience.exclude_unsubscribed;
        Some(BroadcastDraft {
            name: self.name.0,
            audience: Audience { list: list?, segments: Vec::new(), exclude_unsubscribed },
            variations,
            utm: self.utm_parameters.map(Into::into).unwrap_or_default(),
            metadata,
        })
    }
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
    #[oai(nullable)]
    schedule: Option<ScheduleDraft>,
    /// Not supported yet: must be left out.
    #[oai(nullable)]
    data_feed: Option<Value>,
}

/// When a broadcast is sent.
#[derive(Object)]
#[oai(rename = "ScheduleDraft")]
struct ScheduleDraft {
    /// Sending at a later date is not supported yet: must be left out or false.
    #[oai(default)]
    is_scheduled: bool,
}

impl UpdateBody {
    pub(super) fn read(self) -> Result<(BroadcastId, BroadcastDraft), Invalid> {
        let mut check = Check::default();
        let id = check.field("/id", BroadcastId::parse(&self.id.0));
        check.require(
            self.schedule.is_none_or(|schedule| !schedule.is_scheduled),
            "/schedule/is_scheduled",
            "sending at a later date is not supported yet",
        );
        let content = CreateBody {
            workspace_id: self.workspace_id,
            name: self.name,
            audience: self.audience,
            test_settings: self.test_settings,
            utm_parameters: self.utm_parameters,
            metadata: self.metadata,
            data_feed: self.data_feed,
        };
        let draft = content.draft(&mut check);
        complete(check, id.zip(draft))
    }
}

/// Names a broadcast.
#[derive(Object)]
#[oai(rename = "BroadcastChoice")]
pub(super) struct ChosenBody {
    pub(super) workspace_id: Text,
    pub(super) id: Text,
}

/// Who a broadcast goes to.
#[derive(Object)]
#[oai(rename = "Audience")]
struct AudienceBody {
    list: String,
    segments: Vec<String>,
    exclude_unsubscribed: bool,
}

/// When a broadcast is sent.
#[derive(Object)]
#[oai(rename = "Schedule")]
struct ScheduleAnswer {
    is_scheduled: bool,
    use_recipient_timezone: bool,
}

/// A content of a broadcast.
#[derive(Object)]
#[oai(rename = "Variation")]
struct VariationBody {
    variation_name: String,
    template_id: String,
}

/// What a broadcast is sent with.
#[derive(Object)]
#[oai(rename = "TestSettings")]
struct TestSettingsBody {
    enabled: bool,
    sample_percentage: u32,
    auto_send_winner: bool,
    variations: Vec<VariationBody>,
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
    /// `draft`, `processing`, `processed` when every recipient is planned, `paused` or `cancelled`.
    status: String,
    audience: AudienceBody,
    schedule: ScheduleAnswer,
    test_settings: TestSettingsBody,
    utm_parameters: Option<UtmBody>,
    metadata: Option<Value>,
    started_at: Option<Moment>,
    completed_at: Option<Moment>,
    paused_at: Option<Moment>,
    cancelled_at: Option<Moment>,
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
    let variations = broadcast
        .variations
        .into_iter()
        .map(|v| VariationBody { variation_name: v.variation_name, template_id: v.template_id.into() });
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
            segments: broadcast.audience.segments.into_iter().map(String::from).collect(),
            exclude_unsubscribed: broadcast.audience.exclude_unsubscribed,
        },
        schedule: ScheduleAnswer { is_scheduled: false, use_recipient_timezone: false },
        test_settings: TestSettingsBody {
            enabled: false,
            sample_percentage: 0,
            auto_send_winner: false,
            variations: variations.collect(),
        },
        utm_parameters: (!broadcast.utm.is_empty()).then(|| broadcast.utm.into()),
        metadata: broadcast.metadata.map(Value::Object),
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

/// Starting a broadcast.
#[derive(Object)]
#[oai(rename = "ScheduleRequest")]
pub(super) struct ScheduleBody {
    pub(super) workspace_id: Text,
    id: Text,
    /// Must be true: sending at a later date is not supported yet.
    #[oai(default)]
    send_now: bool,
}

impl ScheduleBody {
    pub(super) fn read(&self) -> Result<BroadcastId, Invalid> {
        let mut check = Check::default();
        let later = "must be true: sending at a later date is not supported yet";
        check.require(self.send_now, "/send_now", later);
        let id = check.field("/id", BroadcastId::parse(&self.id.0));
        complete(check, id)
    }
}

#[derive(Object)]
#[oai(rename = "BroadcastDone")]
pub(super) struct DoneAnswer {
    pub(super) success: bool,
}

/// Recipients by state. `planned` is the sum of the others, at any moment.
#[derive(Object)]
#[oai(rename = "Ledger")]
pub(super) struct LedgerBody {
    planned: u64,
    /// Waiting in the queue.
    queued: u64,
    /// Being handed over to the provider.
    sending: u64,
    sent: u64,
    /// Refused for good, or could not be made; the message history tells why.
    failed: u64,
    /// Handed over without an answer: may or may not have gone out.
    unknown: u64,
    /// Found at the last moment that the mail must not be sent.
    skipped: u64,
    skipped_reasons: SkippedBody,
    /// Not handed over before the broadcast was cancelled.
    cancelled: u64,
}

/// Recipients that were skipped, by what happened since they were planned.
#[derive(Object)]
#[oai(rename = "LedgerSkipped")]
struct SkippedBody {
    unsubscribed: u64,
    bounced: u64,
    complained: u64,
    /// No longer a confirmed member of the list.
    not_member: u64,
    /// On a list that the broadcast leaves out.
    excluded: u64,
    /// The contact was deleted.
    deleted: u64,
}

impl From<Skipped> for SkippedBody {
    fn from(skipped: Skipped) -> Self {
        Self {
            unsubscribed: skipped.unsubscribed,
            bounced: skipped.bounced,
            complained: skipped.complained,
            not_member: skipped.not_member,
            excluded: skipped.excluded,
            deleted: skipped.deleted,
        }
    }
}

impl From<Ledger> for LedgerBody {
    fn from(ledger: Ledger) -> Self {
        Self {
            planned: ledger.planned,
            queued: ledger.queued,
            sending: ledger.sending,
            sent: ledger.sent,
            failed: ledger.failed,
            unknown: ledger.unknown,
            skipped: ledger.skipped.total(),
            skipped_reasons: ledger.skipped.into(),
            cancelled: ledger.cancelled,
        }
    }
}

/// Sending again to whom a mail failed.
#[derive(Object)]
#[oai(rename = "BroadcastRetry")]
pub(super) struct RetryBody {
    pub(super) workspace_id: Text,
    pub(super) id: Text,
    /// Whether those are mailed again of whom nobody knows whether their mail went out: some of them
    /// may get it twice.
    #[oai(default)]
    pub(super) include_unknown: bool,
}

#[derive(Object)]
#[oai(rename = "BroadcastRetried")]
pub(super) struct RetriedAnswer {
    pub(super) success: bool,
    /// How many mails were put into the queue.
    pub(super) retried: u64,
}

#[derive(Object)]
pub(super) struct LedgerAnswer {
    pub(super) broadcast_id: String,
    pub(super) ledger: LedgerBody,
}
