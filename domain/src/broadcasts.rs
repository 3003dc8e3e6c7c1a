//! Newsletters: one mail to everybody on a list.

mod account;
mod audience;
mod schedule;
mod state;

pub use account::{Audit, Ledger, Recipient, RecipientState, SkipReason, Skipped};
pub use audience::{Audience, AudienceMember};
pub use schedule::Schedule;
pub use state::{BroadcastState, IllegalTransition, Progress};

use crate::{
    Timestamp,
    email_address::EmailAddress,
    ids::{BroadcastId, IntegrationId, TemplateId},
    timezones::Timezone,
    utm::UtmParameters,
    validation::{Invalid, required_text},
};
use serde_json::{Map, Value};

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
    /// Version of the template.
    pub template_version: i64,
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
    /// What it is sent with; exactly one.
    pub variations: Vec<Variation>,
    /// Campaign parameters of its links.
    pub utm: UtmParameters,
    /// Stored for clients.
    pub metadata: Option<Map<String, Value>>,
    /// When it is sent; `None` unless a moment was chosen.
    pub schedule: Option<Schedule>,
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
    /// See [`Broadcast::utm`].
    pub utm: UtmParameters,
    /// See [`Broadcast::metadata`].
    pub metadata: Option<Map<String, Value>>,
}

impl BroadcastDraft {
    /// # Errors
    /// When the name is empty or too long, or there is not exactly one variation.
    pub fn into_broadcast(self, id: BroadcastId, now: Timestamp) -> Result<Broadcast, Invalid> {
        let name = self.checked_name()?;
        Ok(Broadcast {
            id,
            name,
            audience: self.audience,
            variations: self.variations,
            utm: self.utm,
            metadata: self.metadata,
            schedule: None,
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
        if self.variations.len() != 1 {
            return Err(Invalid::one("/test_settings/variations", "must name exactly one template"));
        }
        self.audience.check()?;
        Ok(name)
    }
}

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
        self.name = draft.checked_name()?;
        self.reschedule(moment, now)?;
        if self.audience != draft.audience {
            self.audience = draft.audience;
            self.cursor = None;
            if let BroadcastState::Paused { before, .. } = &mut self.state
                && let Progress::Processed { started_at, .. } = *before
            {
                *before = Progress::Processing { started_at };
            }
        }
        self.variations = draft.variations;
        self.utm = draft.utm;
        self.metadata = draft.metadata;
        self.updated_at = now;
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

    /// Takes another version of its template for those who are not planned yet. Does nothing before
    /// it was started.
    pub fn use_template_version(&mut self, version: i64) {
        if let Some(launch) = &mut self.launch {
            launch.template_version = version;
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
        self.begin(launch, now);
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
            self.begin(launch, now);
        }
    }

    fn begin(&mut self, launch: Launch, now: Timestamp) {
        self.state = BroadcastState::Running(Progress::Processing { started_at: now });
        self.launch = Some(launch);
        self.updated_at = now;
    }

    /// Whether its recipients are being planned.
    #[must_use]
    pub fn is_in_planning(&self) -> bool {
        matches!(self.state, BroadcastState::Running(Progress::Processing { .. }))
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
            return Err(self.state.refuse("paused", "scheduled, processing, processed"));
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
            return Err(self.state.refuse("cancelled", "scheduled, processing, processed, paused"));
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
            return Err(self.state.refuse("retried", "processing, processed"));
        }
        Ok(())
    }

    /// Whether it may be deleted.
    ///
    /// # Errors
    /// While its recipients are being planned.
    pub fn check_deletable(&self) -> Result<(), IllegalTransition> {
        if self.is_in_planning() {
            return Err(self.state.refuse("deleted", "draft, scheduled, processed, paused, cancelled"));
        }
        Ok(())
    }

    /// Notes that a part of the audience was planned up to `last`.
    pub fn advance(&mut self, last: EmailAddress, enqueued: u64, now: Timestamp) {
        self.cursor = Some(last);
        self.enqueued_count += enqueued;
        self.updated_at = now;
    }

    /// Notes that the whole audience is planned. Does nothing unless it is being processed.
    pub fn complete(&mut self, now: Timestamp) {
        if let BroadcastState::Running(Progress::Processing { started_at }) = self.state {
            self.state = BroadcastState::Running(Progress::Processed { started_at, completed_at: now });
            self.updated_at = now;
        }
    }

    /// The template that mails are made from.
    #[must_use]
    pub fn template(&self) -> Option<&TemplateId> {
        self.variations.first().map(|v| &v.template_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ListId;

    fn broadcast() -> Broadcast {
        let variation =
            Variation { variation_name: "A".into(), template_id: TemplateId::parse("t").unwrap() };
        BroadcastDraft {
            name: "June".into(),
            audience: Audience {
                list: ListId::parse("news").unwrap(),
                further_lists: vec![],
                excluded_lists: vec![],
                segments: vec![],
                exclude_unsubscribed: true,
            },
            variations: vec![variation],
            utm: UtmParameters::default(),
            metadata: None,
        }
        .into_broadcast(BroadcastId::from_uuid(uuid::Uuid::from_u128(7)), Timestamp::UNIX_EPOCH)
        .unwrap()
    }

    fn launch() -> Launch {
        Launch { template_version: 1, integration: IntegrationId::from_uuid(uuid::Uuid::from_u128(1)) }
    }

    #[test]
    fn a_broadcast_starts_once() {
        let mut broadcast = broadcast();
        broadcast.start(launch(), Timestamp::UNIX_EPOCH).unwrap();
        let refused = broadcast.start(launch(), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "a broadcast with status processing cannot be scheduled; allowed: draft"
        );
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + chrono::Duration::seconds(seconds)
    }

    fn draft_to(list: &str) -> BroadcastDraft {
        let Broadcast { name, audience, variations, utm, metadata, .. } = broadcast();
        let audience = Audience { list: ListId::parse(list).unwrap(), ..audience };
        BroadcastDraft { name, audience, variations, utm, metadata }
    }

    #[test]
    fn a_pause_goes_on_where_it_was() {
        let mut running = broadcast();
        running.start(launch(), at(1)).unwrap();
        let mut done = running.clone();
        done.complete(at(2));
        for mut broadcast in [running, done] {
            let before = broadcast.state.clone();
            broadcast.pause(at(3)).unwrap();
            assert_eq!(broadcast.state.paused_at(), Some(at(3)));
            broadcast.resume(at(4)).unwrap();
            assert_eq!(broadcast.state, before);
        }
    }

    #[test]
    fn each_refusal_names_what_is_allowed() {
        let mut draft = broadcast();
        assert_eq!(draft.pause(at(1)).unwrap_err().allowed, "scheduled, processing, processed");
        assert_eq!(draft.resume(at(1)).unwrap_err().allowed, "paused");
        assert_eq!(draft.cancel(at(1)).unwrap_err().allowed, "scheduled, processing, processed, paused");
        draft.start(launch(), at(1)).unwrap();
        let mut running = draft;
        let deletable = "draft, scheduled, processed, paused, cancelled";
        assert_eq!(running.check_deletable().unwrap_err().allowed, deletable);
        let EditError::Transition(refused) =
            running.edit(draft_to("news"), Rescheduling::Keep, at(2)).unwrap_err()
        else {
            panic!("a rule was broken instead");
        };
        assert_eq!(refused.allowed, "draft, scheduled, paused");
        running.cancel(at(2)).unwrap();
        assert_eq!(running.state.cancelled_at(), Some(at(2)));
        running.cancel(at(3)).unwrap_err();
        running.check_deletable().unwrap();
    }

    #[test]
    fn another_audience_is_planned_from_its_beginning() {
        let mut broadcast = broadcast();
        broadcast.start(launch(), at(1)).unwrap();
        broadcast.advance(EmailAddress::parse("zoe@shop.example").unwrap(), 1, at(1));
        broadcast.complete(at(2));
        broadcast.pause(at(3)).unwrap();
        broadcast.edit(draft_to("news"), Rescheduling::Keep, at(4)).unwrap();
        assert!(broadcast.cursor.is_some() && broadcast.state.completed_at().is_some());
        broadcast.edit(draft_to("vip"), Rescheduling::Keep, at(5)).unwrap();
        assert!(broadcast.cursor.is_none() && broadcast.state.completed_at().is_none());
    }

    fn on_1970_at(time: &str) -> Schedule {
        Schedule::parse("1970-01-01", time, None, false).unwrap()
    }

    #[test]
    fn a_scheduled_broadcast_starts_when_its_moment_has_come() {
        let mut broadcast = broadcast();
        broadcast.schedule(on_1970_at("01:00"), at(0)).unwrap();
        assert_eq!(broadcast.state.name(), "scheduled");
        broadcast.start_due(launch(), at(3599));
        assert_eq!(broadcast.state.name(), "scheduled");
        broadcast.start_due(launch(), at(3600));
        assert_eq!((broadcast.state.name(), broadcast.state.started_at()), ("processing", Some(at(3600))));
    }

    #[test]
    fn a_scheduled_broadcast_is_paused_resumed_and_cancelled() {
        let mut broadcast = broadcast();
        broadcast.schedule(on_1970_at("01:00"), at(0)).unwrap();
        broadcast.pause(at(1)).unwrap();
        assert!(!broadcast.is_due(at(3600)));
        broadcast.resume(at(2)).unwrap();
        assert!(broadcast.is_due(at(3600)));
        broadcast.cancel(at(3)).unwrap();
        assert_eq!((broadcast.state.name(), broadcast.state.started_at()), ("cancelled", None));
    }

    #[test]
    fn an_update_moves_or_clears_the_moment() {
        let mut broadcast = broadcast();
        broadcast.schedule(on_1970_at("01:00"), at(0)).unwrap();
        broadcast.edit(draft_to("news"), Rescheduling::Keep, at(1)).unwrap();
        assert!(broadcast.is_due(at(3600)));
        broadcast.edit(draft_to("news"), Rescheduling::Move(on_1970_at("02:00")), at(1)).unwrap();
        assert!(!broadcast.is_due(at(7199)) && broadcast.is_due(at(7200)));
        let past = Rescheduling::Move(on_1970_at("00:30"));
        broadcast.edit(draft_to("news"), past, at(3600)).unwrap_err();
        broadcast.edit(draft_to("news"), Rescheduling::Clear, at(1)).unwrap();
        assert_eq!((broadcast.state.name(), broadcast.schedule), ("draft", None));
    }

    #[test]
    fn a_list_is_not_both_mailed_and_left_out() {
        let list = |name: &str| ListId::parse(name).unwrap();
        let mut draft = draft_to("news");
        draft.audience.further_lists = vec![list("vip"), list("news")];
        assert_eq!(draft.audience.lists(), [&list("news"), &list("vip")]);
        draft.audience.excluded_lists = vec![list("vip")];
        assert_eq!(draft.checked_name().unwrap_err().0[0].pointer, "/audience/exclude_lists");
    }

    #[test]
    fn only_a_running_broadcast_completes() {
        let mut broadcast = broadcast();
        broadcast.complete(Timestamp::UNIX_EPOCH);
        assert_eq!(broadcast.state, BroadcastState::Draft);
        broadcast.start(launch(), Timestamp::UNIX_EPOCH).unwrap();
        broadcast.complete(Timestamp::UNIX_EPOCH);
        assert_eq!(broadcast.state.name(), "processed");
    }
}
