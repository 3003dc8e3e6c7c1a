//! Newsletters: one mail to everybody on a list.

mod account;
mod audience;
mod forecast;
mod schedule;
mod state;
mod testing;

pub use account::{Audit, Ledger, Recipient, RecipientState, SkipReason, Skipped};
pub use audience::{Audience, AudienceMember};
pub use forecast::{AudienceCounts, PlanHash, PlanHashError};
pub use schedule::Schedule;
pub use state::{BroadcastState, IllegalTransition, Progress};
pub use testing::{AbTest, VariationResult, WinnerChoice, WinnerMetric, recommended, winner};

use crate::{
    Timestamp,
    data_feeds::{DataFeeds, FeedsDraft},
    email_address::EmailAddress,
    ids::{BroadcastId, IntegrationId, TemplateId},
    publications::{Channels, WebSettings},
    timezones::Timezone,
    utm::UtmParameters,
    validation::{Invalid, required_text},
};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// A content that a broadcast is sent with.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Variation {
    /// Its name, such as `A`.
    #[serde(default)]
    pub variation_name: String,
    /// Its template.
    pub template_id: TemplateId,
}

/// What a broadcast is sent with, fixed when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Versions of the templates, in the order of the variations.
    pub template_versions: Vec<i64>,
    /// Provider that takes the mails.
    pub integration: IntegrationId,
}

/// A newsletter.
#[derive(Debug, Clone, PartialEq)]
pub struct Broadcast {
    /// Given by the server.
    pub id: BroadcastId,
    /// How people call it, 1 to 255 characters.
    pub name: String,
    /// Who it goes to.
    pub audience: Audience,
    /// What it is sent with: one content, or 2 to 8 that are compared.
    pub variations: Vec<Variation>,
    /// How they are compared; `None` for a single one.
    pub test: Option<AbTest>,
    /// The template of the content that was chosen.
    pub winning_template: Option<TemplateId>,
    /// When the last mail of the sample was planned.
    pub test_sent_at: Option<Timestamp>,
    /// Campaign parameters of its links.
    pub utm: UtmParameters,
    /// Stored for clients.
    pub metadata: Option<Map<String, Value>>,
    /// When it is sent; `None` unless a moment was chosen.
    pub schedule: Option<Schedule>,
    /// Where it appears.
    pub channels: Channels,
    /// How it appears as a page; there when it is on the web.
    pub web: Option<WebSettings>,
    /// Data from elsewhere in its mails.
    pub feeds: DataFeeds,
    /// Where it stands.
    pub state: BroadcastState,
    /// What it is sent with; `None` until it starts.
    pub launch: Option<Launch>,
    /// How far the audience has been planned: the last address.
    pub cursor: Option<EmailAddress>,
    /// How many mails have been put into the queue.
    pub enqueued_count: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What a client gives of a new broadcast.
#[derive(Debug, Clone, PartialEq)]
pub struct BroadcastDraft {
    /// See [`Broadcast::name`].
    pub name: String,
    /// See [`Broadcast::audience`].
    pub audience: Audience,
    /// See [`Broadcast::variations`].
    pub variations: Vec<Variation>,
    /// See [`Broadcast::test`].
    pub test: Option<AbTest>,
    /// See [`Broadcast::utm`].
    pub utm: UtmParameters,
    /// See [`Broadcast::metadata`].
    pub metadata: Option<Map<String, Value>>,
    /// See [`Broadcast::channels`].
    pub channels: Channels,
    /// See [`Broadcast::web`].
    pub web: Option<WebSettings>,
    /// See [`Broadcast::feeds`].
    pub feeds: FeedsDraft,
}

impl BroadcastDraft {
    /// # Errors
    /// When the name is empty or too long, or the number of variations is wrong.
    pub fn into_broadcast(self, id: BroadcastId, now: Timestamp) -> Result<Broadcast, Invalid> {
        let name = self.checked_name()?;
        Ok(Broadcast {
            id,
            name,
            audience: self.audience,
            variations: self.variations,
            test: self.test,
            winning_template: None,
            test_sent_at: None,
            utm: self.utm,
            metadata: self.metadata,
            schedule: None,
            channels: self.channels,
            web: self.web,
            feeds: DataFeeds::default(),
            state: BroadcastState::Draft,
            launch: None,
            cursor: None,
            enqueued_count: 0,
            created_at: now,
            updated_at: now,
        })
    }

    /// The name without spaces around it, when the draft keeps every rule.
    fn checked_name(&self) -> Result<String, Invalid> {
        let name = required_text(&self.name, 255).map_err(|e| Invalid::one("/name", e))?;
        let (good, rule) = match self.test {
            None => (self.variations.len() == 1, "must name exactly one template"),
            Some(_) => ((2..=8).contains(&self.variations.len()), "must name 2 to 8 templates"),
        };
        if !good {
            return Err(Invalid::one("/test_settings/variations", rule));
        }
        let templates: HashSet<_> = self.variations.iter().map(|v| &v.template_id).collect();
        if templates.len() < self.variations.len() {
            return Err(Invalid::one("/test_settings/variations", "must name each template once"));
        }
        self.audience.check()?;
        match &self.web {
            Some(web) => web.check().map_err(|invalid| invalid.below("/web_settings"))?,
            None if self.channels.web => {
                return Err(Invalid::one("/web_settings", "is required when channels.web is true"));
            }
            None => {}
        }
        Ok(name)
    }
}

/// Statuses of a broadcast on its course, as a refusal names them.
const RUNNING: &str = "scheduled, processing, testing, test_completed, winner_selected, processed";
/// Those and a pause.
const RUNNING_OR_PAUSED: &str =
    "scheduled, processing, testing, test_completed, winner_selected, processed, paused";
/// Those in which mails are sent.
const STARTED: &str = "processing, testing, test_completed, winner_selected, processed";
/// Those in which nobody is being planned.
const DELETABLE: &str = "draft, scheduled, test_completed, processed, paused, cancelled";

/// Why a broadcast was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Its state does not allow it.
    #[error(transparent)]
    Transition(#[from] IllegalTransition),
    /// The new content breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// What a client says about the moment of a broadcast when it changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rescheduling {
    /// Nothing.
    Keep,
    /// No moment: what waits for one is a draft again.
    Clear,
    /// Another moment.
    Move(Schedule),
}

impl Broadcast {
    /// Replaces what a client gives of it. One that was paused in the middle goes on with the new
    /// content for those who are not planned yet; with another audience, everybody in it who has
    /// not been planned is planned. One that was started keeps its moment.
    ///
    /// # Errors
    /// When it is neither a draft nor scheduled nor paused, or the new content breaks a rule.
    pub fn edit(
        &mut self,
        draft: BroadcastDraft,
        moment: Rescheduling,
        now: Timestamp,
    ) -> Result<(), EditError> {
        let editable = matches!(
            self.state,
            BroadcastState::Draft
                | BroadcastState::Running(Progress::Scheduled { .. })
                | BroadcastState::Paused { .. }
        );
        if !editable {
            return Err(self.state.refuse("updated", "draft, scheduled, paused").into());
        }
        let name = draft.checked_name()?;
        let begun = self.state.started_at().is_some();
        let templates = |variations: &[Variation]| -> Vec<TemplateId> {
            variations.iter().map(|v| v.template_id.clone()).collect()
        };
        let same = self.test == draft.test && templates(&self.variations) == templates(&draft.variations);
        if begun && !same && (self.test.is_some() || draft.test.is_some()) {
            let rule = "cannot change once mails are compared";
            return Err(Invalid::one("/test_settings", rule).into());
        }
        if begun && draft.channels.web && !self.channels.web {
            let rule = "can be turned on only before the broadcast is started";
            return Err(Invalid::one("/channels/web", rule).into());
        }
        if begun && draft.channels.email != self.channels.email {
            let rule = "can be changed only before the broadcast is started";
            return Err(Invalid::one("/channels/email", rule).into());
        }
        self.reschedule(moment, now)?;
        self.name = name;
        let published_at = self.web.as_ref().and_then(|web| web.published_at).filter(|_| begun);
        self.channels = draft.channels;
        self.web = draft.web;
        if let Some(web) = &mut self.web {
            web.published_at = web.published_at.or(published_at);
        }
        if self.audience != draft.audience {
            self.audience = draft.audience;
            self.cursor = None;
            if let BroadcastState::Paused { before, .. } = &mut self.state
                && let Progress::Processed { started_at, .. } = *before
            {
                *before = match self.winning_template {
                    None => Progress::Processing { started_at },
                    Some(_) => Progress::WinnerSelected { started_at },
                };
            }
        }
        self.variations = draft.variations;
        self.test = draft.test;
        self.utm = draft.utm;
        self.metadata = draft.metadata;
        self.updated_at = now;
        Ok(())
    }

    /// Takes other feeds, for those who are not planned yet.
    ///
    /// # Errors
    /// When it was started and the global feed would be turned on: it is asked at the start alone.
    pub fn take_feeds(&mut self, feeds: DataFeeds) -> Result<(), Invalid> {
        let late = self.state.started_at().is_some() && self.feeds.active_global().is_none();
        if late && feeds.active_global().is_some() {
            let rule = "can be turned on only before the broadcast is started";
            return Err(Invalid::one("/data_feed/global_feed/enabled", rule));
        }
        self.feeds = feeds;
        Ok(())
    }

    fn reschedule(&mut self, moment: Rescheduling, now: Timestamp) -> Result<(), Invalid> {
        let waiting = match &mut self.state {
            BroadcastState::Draft => None,
            BroadcastState::Running(progress @ Progress::Scheduled { .. })
            | BroadcastState::Paused { before: progress @ Progress::Scheduled { .. }, .. } => Some(progress),
            _ => return Ok(()),
        };
        match (moment, waiting) {
            (Rescheduling::Keep, _) => {}
            (Rescheduling::Clear, _) => {
                self.schedule = None;
                self.state = BroadcastState::Draft;
            }
            (Rescheduling::Move(schedule), waiting) => {
                if let Some(progress) = waiting.filter(|_| self.schedule.as_ref() != Some(&schedule)) {
                    schedule.check_ahead(now).map_err(|invalid| invalid.below("/schedule"))?;
                    *progress = Progress::Scheduled { due_at: schedule.begins_at() };
                }
                self.schedule = Some(schedule);
            }
        }
        Ok(())
    }

    /// Notes that it becomes a page now, unless another moment was chosen or it is not on the web.
    fn publish(&mut self, now: Timestamp) {
        if let Some(web) = self.web.as_mut().filter(|_| self.channels.web) {
            web.published_at.get_or_insert(now);
        }
    }

    /// Publishes one that is on the web alone: nobody is mailed.
    ///
    /// # Errors
    /// When it is no draft.
    pub fn publish_only(&mut self, now: Timestamp) -> Result<(), IllegalTransition> {
        if self.state != BroadcastState::Draft {
            return Err(self.state.refuse("scheduled", "draft"));
        }
        self.schedule = None;
        self.begin(None, now);
        Ok(())
    }

    /// Its page, when the public may see it: it was started, not cancelled, and its moment has come.
    #[must_use]
    pub fn public_page(&self, now: Timestamp) -> Option<&WebSettings> {
        let running = self.state.started_at().is_some() && self.state.cancelled_at().is_none();
        let page = self.web.as_ref().filter(|_| self.channels.web && running)?;
        page.published_at.is_some_and(|at| at <= now).then_some(page)
    }

    /// The template of its page, and the version that was mailed: the one that won, else the first.
    #[must_use]
    pub fn page_template(&self) -> Option<(&TemplateId, Option<i64>)> {
        let won = |v: &&Variation| self.winning_template.as_ref() == Some(&v.template_id);
        let number = self.variations.iter().position(|v| won(&v)).unwrap_or(0);
        let versions = self.launch.as_ref().map(|launch| &launch.template_versions);
        let version = versions.and_then(|versions| versions.get(number).copied());
        self.variations.get(number).map(|variation| (&variation.template_id, version))
    }

    /// Takes other versions of its templates for those who are not planned yet. Does nothing before it
    /// was started.
    pub fn use_template_versions(&mut self, versions: Vec<i64>) {
        if let Some(launch) = &mut self.launch {
            launch.template_versions = versions;
        }
    }

    /// Starts sending.
    ///
    /// # Errors
    /// When it is no draft.
    pub fn start(&mut self, launch: Launch, now: Timestamp) -> Result<(), IllegalTransition> {
        if self.state != BroadcastState::Draft {
            return Err(self.state.refuse("scheduled", "draft"));
        }
        self.schedule = None;
        self.begin(Some(launch), now);
        Ok(())
    }

    /// Lets it wait for its moment.
    ///
    /// # Errors
    /// When it is no draft, or the moment has passed.
    pub fn schedule(&mut self, schedule: Schedule, now: Timestamp) -> Result<(), EditError> {
        if self.state != BroadcastState::Draft {
            return Err(self.state.refuse("scheduled", "draft").into());
        }
        schedule.check_ahead(now)?;
        self.state = BroadcastState::Running(Progress::Scheduled { due_at: schedule.begins_at() });
        self.schedule = Some(schedule);
        self.updated_at = now;
        Ok(())
    }

    /// Whether its moment has come.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        matches!(self.state, BroadcastState::Running(Progress::Scheduled { due_at }) if due_at <= now)
    }

    /// Starts sending because its moment has come. Does nothing when it has not.
    pub fn start_due(&mut self, launch: Launch, now: Timestamp) {
        if self.is_due(now) {
            self.begin(Some(launch), now);
        }
    }

    /// Publishes one that is on the web alone because its moment has come. Does nothing when it has not.
    pub fn publish_due(&mut self, now: Timestamp) {
        if self.is_due(now) {
            self.begin(None, now);
        }
    }

    /// Starts it; without a launch nobody is mailed.
    fn begin(&mut self, launch: Option<Launch>, now: Timestamp) {
        self.state = BroadcastState::Running(match launch {
            None => Progress::Processed { started_at: now, completed_at: now },
            Some(_) if self.test.is_some() => Progress::Testing { started_at: now },
            Some(_) => Progress::Processing { started_at: now },
        });
        self.launch = launch;
        self.updated_at = now;
        self.publish(now);
    }

    /// Whether its recipients are being planned.
    #[must_use]
    pub fn is_in_planning(&self) -> bool {
        matches!(
            self.state,
            BroadcastState::Running(
                Progress::Processing { .. } | Progress::Testing { .. } | Progress::WinnerSelected { .. }
            )
        )
    }

    /// Whether only a sample is being planned.
    #[must_use]
    pub fn is_testing(&self) -> bool {
        matches!(self.state, BroadcastState::Running(Progress::Testing { .. }))
    }

    /// Whether the rates are to choose the content now.
    #[must_use]
    pub fn is_to_be_decided(&self, now: Timestamp) -> bool {
        let BroadcastState::Running(Progress::TestCompleted { due_at, .. }) = self.state else {
            return false;
        };
        due_at.is_some_and(|due| due <= now)
    }

    /// Which content a member of the audience gets; `None` when it is not its turn.
    #[must_use]
    pub fn variation_for(&self, email: &EmailAddress) -> Option<u8> {
        match (&self.test, &self.winning_template) {
            (Some(test), _) if self.is_testing() => test.draw(&self.id, email, self.variations.len()),
            (Some(_), Some(winner)) => self.variation_of(winner),
            _ => Some(0),
        }
    }

    /// The place of a template among the contents.
    #[must_use]
    pub fn variation_of(&self, template: &TemplateId) -> Option<u8> {
        let place = self.variations.iter().position(|v| v.template_id == *template)?;
        u8::try_from(place).ok()
    }

    /// Chooses the content for the rest of the audience.
    ///
    /// # Errors
    /// When it is not being tested, or the template is none of its contents.
    pub fn select_winner(&mut self, template: &TemplateId, now: Timestamp) -> Result<(), EditError> {
        let BroadcastState::Running(
            Progress::Testing { started_at } | Progress::TestCompleted { started_at, .. },
        ) = self.state
        else {
            return Err(self.state.refuse("given a winner", "testing, test_completed").into());
        };
        if self.variation_of(template).is_none() {
            return Err(Invalid::one("/template_id", "must be one of the variations").into());
        }
        self.winning_template = Some(template.clone());
        self.test_sent_at = self.test_sent_at.or(Some(now));
        self.state = BroadcastState::Running(Progress::WinnerSelected { started_at });
        self.cursor = None;
        self.updated_at = now;
        Ok(())
    }

    /// When a recipient is to be mailed: at once, or when its own clock shows the time of the schedule.
    #[must_use]
    pub fn due_for(&self, recipient: Option<Timezone>, now: Timestamp) -> Timestamp {
        self.schedule.as_ref().map_or(now, |schedule| schedule.moment_for(recipient).max(now))
    }

    /// Stops planning and sending until it is resumed.
    ///
    /// # Errors
    /// When it is not running.
    pub fn pause(&mut self, now: Timestamp) -> Result<(), IllegalTransition> {
        self.stop(None, now)
    }

    /// The same because it cannot go on.
    ///
    /// # Errors
    /// When it is not running.
    pub fn pause_because(&mut self, reason: &str, now: Timestamp) -> Result<(), IllegalTransition> {
        self.stop(Some(reason.to_owned()), now)
    }

    fn stop(&mut self, reason: Option<String>, now: Timestamp) -> Result<(), IllegalTransition> {
        let BroadcastState::Running(before) = self.state else {
            return Err(self.state.refuse("paused", RUNNING));
        };
        self.state = BroadcastState::Paused { before, paused_at: now, reason };
        self.updated_at = now;
        Ok(())
    }

    /// Goes on where it was paused. One whose moment has passed meanwhile starts at once.
    ///
    /// # Errors
    /// When it is not paused.
    pub fn resume(&mut self, now: Timestamp) -> Result<(), IllegalTransition> {
        let BroadcastState::Paused { before, .. } = self.state else {
            return Err(self.state.refuse("resumed", "paused"));
        };
        self.state = BroadcastState::Running(before);
        self.updated_at = now;
        Ok(())
    }

    /// Ends it for good.
    ///
    /// # Errors
    /// When it is a draft or was cancelled before.
    pub fn cancel(&mut self, now: Timestamp) -> Result<(), IllegalTransition> {
        let (BroadcastState::Running(before) | BroadcastState::Paused { before, .. }) = self.state else {
            return Err(self.state.refuse("cancelled", RUNNING_OR_PAUSED));
        };
        self.state = BroadcastState::Cancelled { before, cancelled_at: now };
        self.updated_at = now;
        Ok(())
    }

    /// Whether mails that failed may be sent again.
    ///
    /// # Errors
    /// When it is not running.
    pub fn check_retryable(&self) -> Result<(), IllegalTransition> {
        let started = matches!(&self.state, BroadcastState::Running(p) if p.started_at().is_some());
        if !started {
            return Err(self.state.refuse("retried", STARTED));
        }
        Ok(())
    }

    /// Whether it may be deleted.
    ///
    /// # Errors
    /// While its recipients are being planned.
    pub fn check_deletable(&self) -> Result<(), IllegalTransition> {
        if self.is_in_planning() {
            return Err(self.state.refuse("deleted", DELETABLE));
        }
        Ok(())
    }

    /// Notes that a part of the audience was planned up to `last`.
    pub fn advance(&mut self, last: EmailAddress, enqueued: u64, now: Timestamp) {
        self.cursor = Some(last);
        self.enqueued_count += enqueued;
        self.updated_at = now;
    }

    /// Notes that the whole audience is planned, or the whole sample of a test. Does nothing unless it
    /// is being planned.
    pub fn complete(&mut self, now: Timestamp) {
        let BroadcastState::Running(progress) = self.state else { return };
        let progress = match progress {
            Progress::Processing { started_at } | Progress::WinnerSelected { started_at } => {
                Progress::Processed { started_at, completed_at: now }
            }
            Progress::Testing { started_at } => {
                self.cursor = None;
                self.test_sent_at = Some(now);
                let wait = self.test.as_ref().and_then(AbTest::decided_after);
                Progress::TestCompleted { started_at, due_at: wait.map(|wait| now + wait) }
            }
            _ => return,
        };
        self.state = BroadcastState::Running(progress);
        self.updated_at = now;
    }

    /// The template of a content and its version, once it was started.
    #[must_use]
    pub fn content(&self, variation: u8) -> Option<(&TemplateId, i64)> {
        let template = &self.variations.get(usize::from(variation))?.template_id;
        let version = self.launch.as_ref()?.template_versions.get(usize::from(variation))?;
        Some((template, *version))
    }
}

#[cfg(test)]
mod tests;
