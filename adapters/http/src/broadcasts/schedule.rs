//! When a broadcast is sent, as it is read and answered.

use crate::{Text, body::text_of};
use domain::{
    broadcasts::{PlanHash, Rescheduling, Schedule},
    ids::BroadcastId,
    validation::{Check, Invalid},
};
use poem_openapi::Object;

/// When a broadcast is sent.
#[derive(Object)]
#[oai(rename = "ScheduleDraft")]
pub(super) struct ScheduleDraft {
    #[oai(default)]
    is_scheduled: bool,
    /// As `2026-06-01`; required when scheduled.
    #[oai(nullable)]
    scheduled_date: Option<Text>,
    /// As `09:30`; required when scheduled.
    #[oai(nullable)]
    scheduled_time: Option<Text>,
    /// An IANA time zone; UTC when left out.
    #[oai(nullable)]
    timezone: Option<Text>,
    /// Whether each recipient's own clock counts.
    #[oai(default)]
    use_recipient_timezone: bool,
}

impl ScheduleDraft {
    pub(super) fn read(self) -> Result<Rescheduling, Invalid> {
        if self.is_scheduled { self.moment().map(Rescheduling::Move) } else { Ok(Rescheduling::Clear) }
    }

    fn moment(self) -> Result<Schedule, Invalid> {
        let text = |text| text_of(text).unwrap_or_default();
        let timezone = text_of(self.timezone).filter(|zone| !zone.is_empty());
        Schedule::parse(
            &text(self.scheduled_date),
            &text(self.scheduled_time),
            timezone.as_deref(),
            self.use_recipient_timezone,
        )
    }
}

/// When a broadcast is sent.
#[derive(Object)]
#[oai(rename = "Schedule", skip_serializing_if_is_none)]
pub(super) struct ScheduleBody {
    is_scheduled: bool,
    scheduled_date: Option<String>,
    scheduled_time: Option<String>,
    timezone: Option<String>,
    use_recipient_timezone: bool,
}

impl From<Option<Schedule>> for ScheduleBody {
    fn from(schedule: Option<Schedule>) -> Self {
        Self {
            is_scheduled: schedule.is_some(),
            scheduled_date: schedule.as_ref().map(Schedule::date),
            scheduled_time: schedule.as_ref().map(Schedule::time),
            timezone: schedule.as_ref().map(|schedule| schedule.timezone().name().to_owned()),
            use_recipient_timezone: schedule.is_some_and(|schedule| schedule.use_recipient_timezone()),
        }
    }
}

/// Starting a broadcast, at once or at a moment.
#[derive(Object)]
#[oai(rename = "ScheduleRequest")]
pub(super) struct StartBody {
    pub(super) workspace_id: Text,
    id: Text,
    /// At once: the fields about a moment are then left aside.
    #[oai(default)]
    send_now: bool,
    /// As `2026-06-01`; required unless it is sent now.
    #[oai(nullable)]
    scheduled_date: Option<Text>,
    /// As `09:30`; required unless it is sent now.
    #[oai(nullable)]
    scheduled_time: Option<Text>,
    /// An IANA time zone; UTC when left out.
    #[oai(nullable)]
    timezone: Option<Text>,
    /// Whether each recipient's own clock counts, as far as the time zone of the contact is known.
    #[oai(default)]
    use_recipient_timezone: bool,
    /// The `hash` of `broadcasts.plan`: refused with 409 when other lists, templates, versions or another
    /// provider would be used by now, or when the number of recipients differs by more than one in a
    /// hundred and by more than ten.
    #[oai(nullable)]
    plan_hash: Option<Text>,
}

/// What is started, when unless at once, and after which plan.
pub(super) type Start = (BroadcastId, Option<Schedule>, Option<PlanHash>);

impl StartBody {
    pub(super) fn read(self) -> Result<Start, Invalid> {
        let mut check = Check::default();
        let id = check.field("/id", BroadcastId::parse(&self.id.0));
        let later = ScheduleDraft {
            is_scheduled: !self.send_now,
            scheduled_date: self.scheduled_date,
            scheduled_time: self.scheduled_time,
            timezone: self.timezone,
            use_recipient_timezone: self.use_recipient_timezone,
        };
        let moment = (!self.send_now).then(|| check.nested("", later.moment())).flatten();
        let plan = text_of(self.plan_hash).filter(|hash| !hash.is_empty());
        let plan = check.field("/plan_hash", plan.map(|hash| PlanHash::parse(&hash)).transpose());
        check.finish()?;
        Ok((id.ok_or_else(|| Invalid::one("/id", "is required"))?, moment, plan.flatten()))
    }
}
