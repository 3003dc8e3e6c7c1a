//! `/webhooks/email` and `inboundWebhookEvents.list`: what providers report about mails.

use crate::{
    Bearer, Moment, Problem,
    body::complete,
    cursor,
    features::{Shared, workspace_id},
    messages::{moment, read},
    tags::Tag,
};
use application::{
    feedback::{CallbackAddress, Uploaded},
    page::Page,
    ports::InboundCall,
};
use domain::{
    email_address::EmailAddress,
    feedback::{Feedback, FeedbackFilter, FeedbackKind},
    ids::IntegrationId,
    secret::Secret,
    validation::{Check, Invalid},
};
use poem::{
    Body, IntoResponse as _, Request, RequestBody, Response, handler,
    http::HeaderMap,
    web::{Data, Json as PlainJson, Query as PlainQuery},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, Object, OpenApi,
    param::Query,
    payload::Json,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry},
};
use serde::Deserialize;
use serde_json::json;

/// The parameters of the address that a provider calls.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CallbackQuery {
    provider: String,
    workspace_id: String,
    integration_id: String,
    token: String,
}

impl CallbackQuery {
    /// `None` when a parameter cannot be one of an address of ours.
    fn address(self) -> Result<Option<CallbackAddress>, Invalid> {
        let mut check = Check::default();
        for (pointer, text) in [
            ("/provider", &self.provider),
            ("/workspace_id", &self.workspace_id),
            ("/integration_id", &self.integration_id),
        ] {
            check.require(!text.is_empty(), pointer, "is required");
        }
        check.finish()?;
        let workspace = workspace_id("/workspace_id", &self.workspace_id).ok();
        let integration = IntegrationId::parse(&self.integration_id).ok();
        Ok(workspace.zip(integration).map(|(workspace, integration)| CallbackAddress {
            workspace,
            integration,
            provider: self.provider,
            token: Secret::new(self.token),
        }))
    }
}

/// Takes a call of a provider. The body is read only once the address is known to be ours.
#[handler]
pub(crate) async fn receive(
    Data(shared): Data<&Shared>,
    PlainQuery(query): PlainQuery<CallbackQuery>,
    request: &Request,
    body: Body,
) -> poem::Result<Response> {
    use application::feedback::FeedbackError;
    let address = query.address().map_err(Problem::from)?;
    let address = address.ok_or(FeedbackError::UnknownAddress).map_err(Problem::from)?;
    let admitted = shared.feedback.admit(&address).await.map_err(Problem::from)?;
    let call = InboundCall { headers: headers(request.headers()), body: body.into_vec().await? };
    shared.feedback.receive(&admitted, &call).await.map_err(Problem::from)?;
    Ok(PlainJson(json!({ "success": true })).into_response())
}

fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = headers.iter().filter_map(|(name, value)| Some((name, value.to_str().ok()?)));
    text.map(|(name, value)| (name.as_str().to_owned(), value.to_owned())).collect()
}

pub(crate) struct FeedbackApi(pub(crate) Shared);

/// What a provider has reported about a mail.
#[derive(Object)]
#[oai(rename = "InboundWebhookEvent", skip_serializing_if_is_none)]
struct FeedbackBody {
    id: String,
    /// `delivered`, `bounce`, `complaint` or `unsubscribe`.
    r#type: String,
    /// The kind of provider, or `dsn` for a delivery status notification.
    source: String,
    integration_id: Option<String>,
    recipient_email: String,
    /// Our identifier of the mail, else that of the provider.
    message_id: Option<String>,
    /// When it happened.
    timestamp: Moment,
    /// The report as it came, at most 16,384 characters.
    raw_payload: String,
    /// With type `bounce`: `hard`, `soft`, or `ignored` when the mail was the reason and not the address.
    bounce_class: Option<String>,
    /// With type `bounce`: what the provider calls it.
    bounce_type: Option<String>,
    /// With type `bounce`: what the provider calls it more closely.
    bounce_category: Option<String>,
    /// With type `bounce`: the words of the mail server.
    bounce_diagnostic: Option<String>,
    /// With type `complaint`: what the mailbox provider calls it.
    complaint_feedback_type: Option<String>,
    /// When the report came.
    created_at: Moment,
}

impl From<Feedback> for FeedbackBody {
    fn from(report: Feedback) -> Self {
        let name = report.kind.name().to_owned();
        let (mut bounce, mut complaint) = (None, None);
        match report.kind {
            FeedbackKind::Bounced(told) => bounce = Some(told),
            FeedbackKind::Complained { feedback_type } => complaint = Some(feedback_type),
            FeedbackKind::Delivered | FeedbackKind::Unsubscribed => {}
        }
        let class = bounce.as_ref().map(|bounce| bounce.class.name().to_owned());
        let (kind, category, diagnostic) = match bounce {
            Some(bounce) => (Some(bounce.kind), Some(bounce.category), Some(bounce.diagnostic)),
            None => (None, None, None),
        };
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        Self {
            id: report.id.to_string(),
            r#type: name,
            source: report.source,
            integration_id: report.integration.map(|id| id.to_string()),
            recipient_email: report.recipient.into(),
            message_id: report.message,
            timestamp: report.at.into(),
            raw_payload: report.payload,
            bounce_class: class,
            bounce_type: filled(kind),
            bounce_category: filled(category),
            bounce_diagnostic: filled(diagnostic),
            complaint_feedback_type: filled(complaint),
            created_at: report.created_at.into(),
        }
    }
}

#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct FeedbackPage {
    events: Vec<FeedbackBody>,
    /// For the next page; absent on the last one.
    next_cursor: Option<String>,
    has_more: bool,
}

impl From<Page<Feedback>> for FeedbackPage {
    fn from(page: Page<Feedback>) -> Self {
        let last = page.items.last().filter(|_| page.has_more);
        Self {
            next_cursor: last.map(cursor::write_feedback),
            has_more: page.has_more,
            events: page.items.into_iter().map(Into::into).collect(),
        }
    }
}

/// What a notice reported.
#[derive(Object)]
#[oai(rename = "NoticeUploaded")]
struct UploadAnswer {
    /// About mails and contacts of the workspace.
    events: Vec<FeedbackBody>,
    /// How many of them were not known yet.
    new: usize,
    /// How many more are about mails and addresses that the workspace does not know.
    passed_over: usize,
}

impl From<Uploaded> for UploadAnswer {
    fn from(uploaded: Uploaded) -> Self {
        Self {
            events: uploaded.reports.into_iter().map(Into::into).collect(),
            new: uploaded.new,
            passed_over: uploaded.foreign,
        }
    }
}

/// A mail as it came, whatever its content is called.
struct RawMail(Vec<u8>);

impl<'a> ApiExtractor<'a> for RawMail {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(_registry: &mut Registry) {}

    fn request_meta() -> Option<MetaRequest> {
        let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")));
        let content = MetaMediaType { content_type: "message/rfc822", schema };
        Some(MetaRequest { description: None, content: vec![content], required: true })
    }

    async fn from_request(
        _request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self(body.take()?.into_vec().await?))
    }
}

#[OpenApi(tag = "Tag::Messages")]
impl FeedbackApi {
    /// Takes a delivery status notification
    ///
    /// The body is the mail as it came: a delivery status notification (RFC 3464), or a report of a
    /// complaint (RFC 5965), of at most 5 MiB, whatever the `Content-Type`. The mail that it is about is
    /// found by its Message-ID, the contact by the recipient; what is about neither is passed over. The
    /// same notice again changes nothing.
    #[oai(
        path = "/inboundWebhookEvents.upload",
        method = "post",
        operation_id = "inboundWebhookEventsUpload"
    )]
    async fn upload(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        mail: RawMail,
    ) -> Result<Json<UploadAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        Ok(Json(self.0.feedback.upload(&caller, &mail.0).await?.into()))
    }

    /// Lists what providers have reported about mails, the newest event first
    #[oai(path = "/inboundWebhookEvents.list", method = "get", operation_id = "inboundWebhookEventsList")]
    #[expect(clippy::too_many_arguments, reason = "one for each query parameter")]
    async fn list(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// `delivered`, `bounce`, `complaint` or `unsubscribe`.
        event_type: Query<Option<String>>,
        /// About mails to this address.
        recipient_email: Query<Option<String>>,
        /// About this mail.
        message_id: Query<Option<String>>,
        /// Happened at or after this moment (RFC 3339).
        timestamp_after: Query<Option<String>>,
        /// Happened at or before this moment.
        timestamp_before: Query<Option<String>>,
        /// 1 to 100; 20 by default, more than 100 counts as 100.
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<FeedbackPage>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let mut check = Check::default();
        let c = &mut check;
        let filter = FeedbackFilter {
            kind: read(c, "/event_type", event_type.0, |name| {
                let known = FeedbackKind::NAMES.into_iter().find(|known| *known == name);
                known.ok_or("must be delivered, bounce, complaint or unsubscribe")
            }),
            recipient: read(c, "/recipient_email", recipient_email.0, EmailAddress::parse),
            message: message_id.0.filter(|id| !id.is_empty()),
            after: read(c, "/timestamp_after", timestamp_after.0, moment),
            before: read(c, "/timestamp_before", timestamp_before.0, moment),
        };
        let limit = limit.0.unwrap_or(20).min(100);
        check.require(limit > 0, "/limit", "must be at least 1");
        let after = read(&mut check, "/cursor", cursor.0, cursor::read_feedback);
        complete(check, Some(()))?;
        Ok(Json(self.0.feedback.list(&caller, &filter, after.as_ref(), limit as usize).await?.into()))
    }
}
