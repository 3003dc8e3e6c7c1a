//! What `templates.compile` reads and answers.

use crate::{
    Text,
    body::{complete, object, text_of},
};
use application::ports::{CompileError, CompileRequest, Compiled};
use domain::{
    templates::{EmailBody, EmailContent},
    transactional::MailTracking,
    utm::UtmParameters,
    validation::{Check, Invalid},
};
use poem_openapi::Object;
use serde_json::Value;

/// Campaign parameters of links, and whether they are counted.
#[derive(Object, Default)]
#[oai(rename = "TrackingSettings", default)]
pub(crate) struct TrackingBody {
    #[oai(nullable)]
    utm_source: Option<Text>,
    #[oai(nullable)]
    utm_medium: Option<Text>,
    #[oai(nullable)]
    utm_campaign: Option<Text>,
    #[oai(nullable)]
    utm_content: Option<Text>,
    #[oai(nullable)]
    utm_term: Option<Text>,
    /// For a notification: `false` sends its mails without reports of opens and clicks. A workspace with
    /// `email_tracking_enabled` off has none in any case.
    #[oai(nullable)]
    enable_tracking: Option<bool>,
}

impl TrackingBody {
    /// What is told of a notification.
    pub(crate) fn of(utm: UtmParameters, tracking: MailTracking) -> Self {
        Self { enable_tracking: tracking.flag(), ..utm.into() }
    }

    pub(crate) fn tracking(&self) -> MailTracking {
        MailTracking::from_flag(self.enable_tracking)
    }
}

impl From<TrackingBody> for UtmParameters {
    fn from(body: TrackingBody) -> Self {
        let text = |text| text_of(text).unwrap_or_default();
        Self {
            source: text(body.utm_source),
            medium: text(body.utm_medium),
            campaign: text(body.utm_campaign),
            content: text(body.utm_content),
            term: text(body.utm_term),
        }
    }
}

impl From<UtmParameters> for TrackingBody {
    fn from(utm: UtmParameters) -> Self {
        let text = |text: String| Some(Text(text)).filter(|t| !t.0.is_empty());
        Self {
            utm_source: text(utm.source),
            utm_medium: text(utm.medium),
            utm_campaign: text(utm.campaign),
            utm_content: text(utm.content),
            utm_term: text(utm.term),
            enable_tracking: None,
        }
    }
}

/// A content to look at.
#[derive(Object)]
#[oai(rename = "CompileRequest")]
pub(super) struct CompileBody {
    pub(super) workspace_id: Text,
    /// MJML source. Wins over `visual_editor_tree`.
    #[oai(nullable)]
    mjml_source: Option<Text>,
    /// A tree of blocks whose root is an `mjml` block with `children`.
    #[oai(nullable)]
    visual_editor_tree: Option<Value>,
    #[oai(nullable)]
    subject: Option<Text>,
    #[oai(nullable)]
    subject_preview: Option<Text>,
    /// Replaces `subject_preview`.
    #[oai(nullable)]
    subject_preview_override: Option<Text>,
    /// Variables; with none, Liquid is left in place.
    #[oai(nullable)]
    test_data: Option<Value>,
    #[oai(nullable)]
    tracking_settings: Option<TrackingBody>,
    /// `email` (default) or `web`.
    #[oai(nullable)]
    channel: Option<Text>,
    /// Leaves Liquid in place.
    #[oai(default)]
    preserve_liquid: bool,
}

impl TryFrom<CompileBody> for (CompileRequest, UtmParameters) {
    type Error = Invalid;

    fn try_from(body: CompileBody) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let sound_tree = |tree: &Value| tree["type"] == "mjml" && tree["children"].is_array();
        let content = match (text_of(body.mjml_source), body.visual_editor_tree) {
            (Some(mjml_source), _) => Some(EmailBody::Code { mjml_source }),
            (None, Some(tree)) if sound_tree(&tree) => Some(EmailBody::Visual { visual_editor_tree: tree }),
            (None, Some(_)) => {
                check.problem("/visual_editor_tree", "must be an mjml block with children");
                None
            }
            (None, None) => {
                check.problem("/visual_editor_tree", "is required unless mjml_source is given");
                None
            }
        };
        let channel = text_of(body.channel).unwrap_or_default();
        check.require(matches!(channel.as_str(), "" | "email" | "web"), "/channel", "must be email or web");
        let data = object(&mut check, "/test_data", body.test_data);
        let content = complete(check, content)?;
        let request = CompileRequest {
            content: EmailContent {
                body: content,
                sender_id: None,
                reply_to: None,
                subject: text_of(body.subject).unwrap_or_default(),
                subject_preview: text_of(body.subject_preview_override).or(text_of(body.subject_preview)),
                compiled_preview: None,
                text: None,
            },
            data: Value::Object(data.unwrap_or_default()),
            preserve_liquid: body.preserve_liquid,
            web: channel == "web",
        };
        Ok((request, body.tracking_settings.unwrap_or_default().into()))
    }
}

/// One mistake in a content.
#[derive(Object)]
#[oai(rename = "CompileIssue")]
struct IssueBody {
    /// Line of the source, from 1; 0 when unknown.
    line: u32,
    message: String,
    /// The element it is about; empty when unknown.
    #[oai(rename = "tagName")]
    tag_name: String,
}

/// Why a content could not be compiled.
#[derive(Object)]
#[oai(rename = "CompileError")]
struct ErrorBody {
    message: String,
    details: Vec<IssueBody>,
}

#[derive(Object)]
#[oai(rename = "CompileAnswer", skip_serializing_if_is_none)]
pub(super) struct CompileAnswer {
    success: bool,
    mjml: Option<String>,
    html: Option<String>,
    subject: Option<String>,
    subject_preview: Option<String>,
    error: Option<ErrorBody>,
}

impl From<Result<Compiled, CompileError>> for CompileAnswer {
    fn from(result: Result<Compiled, CompileError>) -> Self {
        match result {
            Ok(compiled) => Self {
                success: true,
                mjml: Some(compiled.mjml),
                html: Some(compiled.html),
                subject: Some(compiled.subject).filter(|t| !t.is_empty()),
                subject_preview: Some(compiled.subject_preview).filter(|t| !t.is_empty()),
                error: None,
            },
            Err(error) => {
                let issues = error.issues.into_iter();
                let details =
                    issues.map(|i| IssueBody { line: i.line, message: i.message, tag_name: i.tag_name });
                Self {
                    success: false,
                    mjml: None,
                    html: None,
                    subject: None,
                    subject_preview: None,
                    error: Some(ErrorBody { message: error.message, details: details.collect() }),
                }
            }
        }
    }
}
