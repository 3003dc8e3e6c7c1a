//! `broadcasts.*`: newsletters to the members of a list.

mod bodies;
mod feeds;
mod ledger;
mod plan;
mod schedule;
mod testing;
mod web;

use crate::{Bearer, Body, Created, Problem, body::complete, cursor, features::Shared, tags::Tag};
use application::access::Caller;
use bodies::{
    BroadcastAnswer, BroadcastsAnswer, ChosenBody, CreateBody, DoneAnswer, TrialBody, UpdateBody, broadcast,
    with_more,
};
use domain::{
    broadcasts::{Broadcast, RecipientState},
    ids::{BroadcastId, TemplateId},
    templates::Template,
    validation::{Check, Invalid},
};
use feeds::{GlobalTrialBody, RecipientTrialBody, TriedBody};
use ledger::{LedgerAnswer, RecipientsPage, RetriedAnswer, RetryBody};
use plan::PlanAnswer;
use poem_openapi::{OpenApi, param::Query, payload::Json};
use schedule::StartBody;
use std::collections::HashMap;
use testing::{TestResultsAnswer, WinnerBody};

pub(crate) struct BroadcastsApi(pub(crate) Shared);

#[OpenApi(tag = "Tag::Broadcasts")]
impl BroadcastsApi {
    /// Makes a draft
    #[oai(path = "/broadcasts.create", method = "post", operation_id = "broadcastsCreate")]
    async fn create(
        &self,
        bearer: Bearer,
        Body(body): Body<CreateBody>,
    ) -> Result<Created<BroadcastAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let made = self.0.broadcasts.create(&caller, body.try_into()?).await?;
        Ok(Created(BroadcastAnswer { broadcast: broadcast(&caller.workspace, made) }))
    }

    /// One broadcast
    #[oai(path = "/broadcasts.get", method = "get", operation_id = "broadcastsGet")]
    async fn get(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// The broadcast.
        id: Query<String>,
        /// Whether its variations come with the latest versions of their templates.
        with_templates: Query<Option<bool>>,
    ) -> Result<Json<BroadcastAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let found = self.0.broadcasts.get(&caller, &broadcast_id(&id.0)?).await?;
        let data = self.0.broadcasts.global_feed(&caller, &found).await?;
        let wanted = with_templates.0.unwrap_or_default();
        let templates = self.0.templates_of(&caller, std::slice::from_ref(&found), wanted).await?;
        let broadcast = with_more(&caller.workspace, found, data, &templates);
        Ok(Json(BroadcastAnswer { broadcast }))
    }

    /// Lists broadcasts, newest first
    #[oai(path = "/broadcasts.list", method = "get", operation_id = "broadcastsList")]
    async fn list(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// Only with this status: `draft`, `scheduled`, `processing`, `testing`, `test_completed`,
        /// `winner_selected`, `processed`, `paused` or `cancelled`.
        status: Query<Option<String>>,
        /// 50 by default, at most 100.
        limit: Query<Option<u32>>,
        /// How many to skip.
        offset: Query<Option<u32>>,
        /// Whether their variations come with the latest versions of their templates.
        with_templates: Query<Option<bool>>,
    ) -> Result<Json<BroadcastsAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let status = status.0.filter(|text| !text.is_empty());
        let limit = u64::from(limit.0.filter(|limit| *limit > 0).unwrap_or(50).min(100));
        let offset = u64::from(offset.0.unwrap_or(0));
        let found = self.0.broadcasts.list(&caller, status.as_deref(), limit, offset).await?;
        let wanted = with_templates.0.unwrap_or_default();
        let templates = self.0.templates_of(&caller, &found.items, wanted).await?;
        let answered = found.items.into_iter().map(|b| with_more(&caller.workspace, b, None, &templates));
        Ok(Json(BroadcastsAnswer { broadcasts: answered.collect(), total_count: found.total }))
    }

    /// What a broadcast would do now
    ///
    /// Counts who it reaches and who not, makes its mails for a few recipients, and tells what should be
    /// looked at. Sends and stores nothing. With the `hash` given to `broadcasts.schedule`, the broadcast
    /// starts only as it was seen here.
    #[oai(path = "/broadcasts.plan", method = "get", operation_id = "broadcastsPlan")]
    async fn plan(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// The broadcast.
        id: Query<String>,
    ) -> Result<Json<PlanAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let forecast = self.0.deliveries.forecast(&caller, &broadcast_id(&id.0)?).await?;
        Ok(Json(forecast.into()))
    }

    /// Starts a draft, at once or at a moment
    ///
    /// Who is a live, active member of the lists at the moment of sending is mailed once, with the
    /// version of the template that is the latest when the broadcast starts. A time that clocks leave
    /// out is as much later as they are put forward, one that they show twice is the first. With
    /// `use_recipient_timezone` planning starts when the first clocks on Earth show the time, and each
    /// mail waits for the recipient's own clock; without a time zone of the contact that of the schedule
    /// counts, and who is planned when its time has passed is mailed at once.
    #[oai(path = "/broadcasts.schedule", method = "post", operation_id = "broadcastsSchedule")]
    async fn schedule(
        &self,
        bearer: Bearer,
        Body(body): Body<StartBody>,
    ) -> Result<Json<DoneAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        match body.read()? {
            (id, None, plan) => self.0.broadcasts.send_now(&caller, &id, plan).await?,
            (id, Some(moment), plan) => self.0.broadcasts.schedule(&caller, &id, moment, plan).await?,
        }
        Ok(Json(DoneAnswer { success: true }))
    }

    /// Replaces the content of a draft, a scheduled or a paused broadcast
    ///
    /// When it was paused in the middle, mails that are in the queue stay as they were planned;
    /// whoever is planned later is mailed with the latest version of the template that is named now.
    /// With another audience, everybody in it who has not been planned is planned.
    #[oai(path = "/broadcasts.update", method = "post", operation_id = "broadcastsUpdate")]
    async fn update(
        &self,
        bearer: Bearer,
        Body(body): Body<UpdateBody>,
    ) -> Result<Json<BroadcastAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let (id, draft, moment) = body.read()?;
        let changed = self.0.broadcasts.update(&caller, &id, draft, moment).await?;
        Ok(Json(BroadcastAnswer { broadcast: broadcast(&caller.workspace, changed) }))
    }

    /// Pauses a scheduled or running broadcast
    ///
    /// Mails whose delivery has begun are finished, all others wait until it is resumed.
    #[oai(path = "/broadcasts.pause", method = "post", operation_id = "broadcastsPause")]
    async fn pause(&self, bearer: Bearer, Body(body): Body<ChosenBody>) -> Result<Json<DoneAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        self.0.broadcasts.pause(&caller, &broadcast_id(&body.id.0)?).await?;
        Ok(Json(DoneAnswer { success: true }))
    }

    /// Goes on with a paused broadcast
    #[oai(path = "/broadcasts.resume", method = "post", operation_id = "broadcastsResume")]
    async fn resume(
        &self,
        bearer: Bearer,
        Body(body): Body<ChosenBody>,
    ) -> Result<Json<DoneAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        self.0.broadcasts.resume(&caller, &broadcast_id(&body.id.0)?).await?;
        Ok(Json(DoneAnswer { success: true }))
    }

    /// Ends a scheduled or started broadcast for good
    ///
    /// Mails whose delivery has begun are finished, all others are never sent: the account counts
    /// their recipients as cancelled.
    #[oai(path = "/broadcasts.cancel", method = "post", operation_id = "broadcastsCancel")]
    async fn cancel(
        &self,
        bearer: Bearer,
        Body(body): Body<ChosenBody>,
    ) -> Result<Json<DoneAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        self.0.broadcasts.cancel(&caller, &broadcast_id(&body.id.0)?).await?;
        Ok(Json(DoneAnswer { success: true }))
    }

    /// Sends one mail of a broadcast to one address, to see how it looks
    ///
    /// At once and through the provider of broadcasts. The message history keeps it as a test
    /// (`metadata.test`); neither the account nor the statistics of the broadcast count it.
    #[oai(
        path = "/broadcasts.sendToIndividual",
        method = "post",
        operation_id = "broadcastsSendToIndividual"
    )]
    async fn send_to_individual(
        &self,
        bearer: Bearer,
        Body(body): Body<TrialBody>,
    ) -> Result<Json<DoneAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let (id, recipient, template) = body.read()?;
        self.0.deliveries.send_trial(&caller, &id, recipient, template).await?;
        Ok(Json(DoneAnswer { success: true }))
    }

    /// Asks a global feed, to see what it says
    ///
    /// Stores nothing. A feed that gives no data is answered with `success: false` and the reason.
    #[oai(
        path = "/broadcasts.refreshGlobalFeed",
        method = "post",
        operation_id = "broadcastsRefreshGlobalFeed"
    )]
    async fn refresh_global_feed(
        &self,
        bearer: Bearer,
        Body(body): Body<GlobalTrialBody>,
    ) -> Result<Json<TriedBody>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let (id, url, headers) = body.read()?;
        Ok(Json(self.0.broadcasts.refresh_global_feed(&caller, &id, url, headers).await?.into()))
    }

    /// Asks a recipient feed for one contact, to see what it says
    ///
    /// Stores nothing. A feed that gives no data is answered with `success: false` and the reason.
    #[oai(
        path = "/broadcasts.testRecipientFeed",
        method = "post",
        operation_id = "broadcastsTestRecipientFeed"
    )]
    async fn test_recipient_feed(
        &self,
        bearer: Bearer,
        Body(body): Body<RecipientTrialBody>,
    ) -> Result<Json<TriedBody>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let (id, contact, url, headers) = body.read()?;
        let tried =
            self.0.broadcasts.test_recipient_feed(&caller, &id, contact.as_ref(), url, headers).await?;
        Ok(Json(tried.into()))
    }

    /// How the contents of a broadcast do in its test
    ///
    /// Mails of the sample alone are counted.
    #[oai(path = "/broadcasts.getTestResults", method = "get", operation_id = "broadcastsGetTestResults")]
    async fn test_results(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// The broadcast.
        id: Query<String>,
    ) -> Result<Json<TestResultsAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let results = self.0.broadcasts.test_results(&caller, &broadcast_id(&id.0)?).await?;
        Ok(Json(results.into()))
    }

    /// Chooses the content for the rest of the audience
    ///
    /// A test that still runs ends with it.
    #[oai(path = "/broadcasts.selectWinner", method = "post", operation_id = "broadcastsSelectWinner")]
    async fn select_winner(
        &self,
        bearer: Bearer,
        Body(body): Body<WinnerBody>,
    ) -> Result<Json<DoneAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let (id, template) = body.read()?;
        self.0.broadcasts.select_winner(&caller, &id, &template).await?;
        Ok(Json(DoneAnswer { success: true }))
    }

    /// Sends again to whom a mail failed
    ///
    /// Nobody whose mail was sent gets another. Only a running broadcast is retried: one that is being
    /// processed or is processed.
    #[oai(path = "/broadcasts.retryFailed", method = "post", operation_id = "broadcastsRetryFailed")]
    async fn retry_failed(
        &self,
        bearer: Bearer,
        Body(body): Body<RetryBody>,
    ) -> Result<Json<RetriedAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let id = broadcast_id(&body.id.0)?;
        let retried = self.0.broadcasts.retry_failed(&caller, &id, body.include_unknown).await?;
        Ok(Json(RetriedAnswer { success: true, retried }))
    }

    /// Deletes a broadcast that is not being processed
    ///
    /// Its account and its mails in the queue go with it; the message history stays.
    #[oai(path = "/broadcasts.delete", method = "post", operation_id = "broadcastsDelete")]
    async fn delete(
        &self,
        bearer: Bearer,
        Body(body): Body<ChosenBody>,
    ) -> Result<Json<DoneAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        self.0.broadcasts.delete(&caller, &broadcast_id(&body.id.0)?).await?;
        Ok(Json(DoneAnswer { success: true }))
    }

    /// The account of a broadcast: how many recipients are in which state
    #[oai(path = "/broadcasts.ledger", method = "get", operation_id = "broadcastsLedger")]
    async fn ledger(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// The broadcast.
        id: Query<String>,
    ) -> Result<Json<LedgerAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let id = broadcast_id(&id.0)?;
        let ledger = self.0.broadcasts.ledger(&caller, &id).await?;
        Ok(Json(LedgerAnswer { broadcast_id: id.to_string(), ledger: ledger.into() }))
    }

    /// Who was planned, and what became of each, by address
    #[oai(path = "/broadcasts.recipients", method = "get", operation_id = "broadcastsRecipients")]
    async fn recipients(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// The broadcast.
        id: Query<String>,
        /// Only in this state: `queued`, `sent`, `failed`, `unknown`, `skipped` or `cancelled`.
        state: Query<Option<String>>,
        /// 1 to 1,000; 100 by default, more than 1,000 counts as 1,000.
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<RecipientsPage>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let mut check = Check::default();
        let id = check.field("/id", BroadcastId::parse(&id.0));
        let state = state.0.filter(|text| !text.is_empty());
        let state = check.field("/state", state.map(|text| state_name(&text)).transpose());
        let after = cursor.0.filter(|text| !text.is_empty());
        let after = check.field("/cursor", after.map(|text| cursor::read_address(&text)).transpose());
        let size = limit.0.unwrap_or(100).min(1_000) as usize;
        check.require(size > 0, "/limit", "must be at least 1");
        let (id, (state, after)) = complete(check, id.zip(state.zip(after)))?;
        let found = self.0.broadcasts.recipients(&caller, &id, state, after.as_ref(), size).await?;
        Ok(Json(RecipientsPage::new(&found.0, found.1)))
    }
}

impl Shared {
    /// The templates of some broadcasts, when they are wanted.
    async fn templates_of(
        &self,
        caller: &Caller,
        broadcasts: &[Broadcast],
        wanted: bool,
    ) -> Result<HashMap<TemplateId, Template>, Problem> {
        Ok(if wanted { self.broadcasts.templates(caller, broadcasts).await? } else { HashMap::new() })
    }
}

/// The state of a recipient with this name.
fn state_name(text: &str) -> Result<&'static str, &'static str> {
    let known = RecipientState::NAMES.into_iter().find(|name| *name == text);
    known.ok_or("must be queued, sent, failed, unknown, skipped or cancelled")
}

fn broadcast_id(text: &str) -> Result<BroadcastId, Invalid> {
    BroadcastId::parse(text).map_err(|rule| Invalid::one("/id", rule))
}
