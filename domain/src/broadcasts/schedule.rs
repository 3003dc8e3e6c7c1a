//! When a broadcast is sent.

use crate::{
    Timestamp,
    timezones::Timezone,
    validation::{Check, Invalid},
};
use chrono::{Duration, NaiveDate, NaiveDateTime, NaiveTime, Offset as _, TimeZone as _};

/// A date and a time on the clocks of a time zone, or on those of each recipient.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Schedule {
    date: NaiveDate,
    time: NaiveTime,
    timezone: Timezone,
    use_recipient_timezone: bool,
}

impl Schedule {
    /// How far the first clocks on Earth are ahead of universal time.
    const FIRST_CLOCKS: Duration = Duration::hours(14);

    /// Takes a date as `2026-06-01`, a time as `09:30`, and a zone, without which the time is universal.
    ///
    /// # Errors
    /// Names each field that breaks a rule.
    pub fn parse(
        date: &str,
        time: &str,
        timezone: Option<&str>,
        use_recipient_timezone: bool,
    ) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let well_formed = |text: &str, length| text.len() == length && text.is_ascii();
        let date = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok().filter(|_| well_formed(date, 10));
        check.require(date.is_some(), "/scheduled_date", "must be a date, such as 2026-06-01");
        let time = NaiveTime::parse_from_str(time, "%H:%M").ok().filter(|_| well_formed(time, 5));
        check.require(time.is_some(), "/scheduled_time", "must be a time, such as 09:30");
        let zone = timezone.map_or(Ok(Timezone::UTC), Timezone::parse);
        let timezone = check.field("/timezone", zone);
        let parts = date.zip(time).zip(timezone);
        let schedule =
            parts.map(|((date, time), timezone)| Self { date, time, timezone, use_recipient_timezone });
        check.finish()?;
        schedule.ok_or_else(|| Invalid::one("", "is incomplete"))
    }

    /// The date as it was given.
    #[must_use]
    pub fn date(&self) -> String {
        self.date.format("%Y-%m-%d").to_string()
    }

    /// The time as it was given.
    #[must_use]
    pub fn time(&self) -> String {
        self.time.format("%H:%M").to_string()
    }

    /// The zone of the schedule, and of recipients of whom no zone is known.
    #[must_use]
    pub fn timezone(&self) -> Timezone {
        self.timezone
    }

    /// Whether each recipient's own clock counts.
    #[must_use]
    pub fn use_recipient_timezone(&self) -> bool {
        self.use_recipient_timezone
    }

    /// When the clocks of the schedule's zone show this time.
    #[must_use]
    pub fn moment(&self) -> Timestamp {
        moment(self.local(), self.timezone)
    }

    /// When the broadcast begins: with recipients' own clocks as soon as the first clocks on Earth show
    /// this time.
    #[must_use]
    pub fn begins_at(&self) -> Timestamp {
        if self.use_recipient_timezone {
            self.moment().min(self.local().and_utc() - Self::FIRST_CLOCKS)
        } else {
            self.moment()
        }
    }

    /// # Errors
    /// When this time has passed on the clocks of the schedule's zone. The minute that runs has not.
    pub fn check_ahead(&self, now: Timestamp) -> Result<(), Invalid> {
        if self.moment() + Duration::minutes(1) > now {
            return Ok(());
        }
        Err(Invalid::one("/scheduled_time", "has passed already"))
    }

    /// When a recipient is to be mailed. It may be past when planning comes to it: then at once.
    #[must_use]
    pub fn moment_for(&self, recipient: Option<Timezone>) -> Timestamp {
        match recipient.filter(|_| self.use_recipient_timezone) {
            Some(zone) => moment(self.local(), zone),
            None => self.moment(),
        }
    }

    fn local(&self) -> NaiveDateTime {
        self.date.and_time(self.time)
    }
}

/// When the clocks of a zone show a time. A time that they show twice is the first one; one that they
/// leave out is as much later as they are put forward.
fn moment(local: NaiveDateTime, zone: Timezone) -> Timestamp {
    let zone = zone.zone();
    if let Some(found) = zone.from_local_datetime(&local).earliest() {
        return found.to_utc();
    }
    // Clocks are put forward by a day at most, so a good day before they still went by the old rule.
    let before = zone.from_local_datetime(&(local - Duration::hours(25))).earliest();
    let offset = before.map_or(0, |before| before.offset().fix().local_minus_utc());
    (local - Duration::seconds(offset.into())).and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(date: &str, time: &str, zone: &str) -> Schedule {
        Schedule::parse(date, time, Some(zone), false).unwrap()
    }

    fn utc(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_is_that_of_the_zone() {
        assert_eq!(schedule("2026-06-01", "09:30", "Europe/Paris").moment(), utc("2026-06-01T07:30:00Z"));
        assert_eq!(schedule("2026-12-01", "09:30", "Europe/Paris").moment(), utc("2026-12-01T08:30:00Z"));
    }

    #[test]
    fn without_a_zone_the_time_is_universal() {
        let schedule = Schedule::parse("2026-06-01", "09:30", None, false).unwrap();
        assert_eq!(schedule.moment(), utc("2026-06-01T09:30:00Z"));
    }

    #[test]
    fn a_time_that_clocks_leave_out_is_as_much_later() {
        let left_out = schedule("2026-03-29", "02:30", "Europe/Paris");
        assert_eq!(left_out.moment(), utc("2026-03-29T01:30:00Z"), "03:30 on the clocks");
        let half_an_hour = schedule("2026-10-04", "02:15", "Australia/Lord_Howe");
        assert_eq!(half_an_hour.moment(), utc("2026-10-03T15:45:00Z"), "02:45 on the clocks");
        let a_day = schedule("2011-12-30", "12:00", "Pacific/Apia");
        assert_eq!(a_day.moment(), utc("2011-12-30T22:00:00Z"), "noon of the next day");
    }

    #[test]
    fn a_time_that_clocks_show_twice_is_the_first() {
        assert_eq!(schedule("2026-10-25", "02:30", "Europe/Paris").moment(), utc("2026-10-25T00:30:00Z"));
    }

    #[test]
    fn each_recipient_has_its_own_clock() {
        let schedule = Schedule::parse("2026-06-01", "09:00", Some("Europe/Paris"), true).unwrap();
        let zone = |name| Some(Timezone::parse(name).unwrap());
        assert_eq!(schedule.moment_for(zone("Asia/Tokyo")), utc("2026-06-01T00:00:00Z"));
        assert_eq!(schedule.moment_for(zone("America/Los_Angeles")), utc("2026-06-01T16:00:00Z"));
        assert_eq!(schedule.moment_for(None), utc("2026-06-01T07:00:00Z"));
        assert_eq!(schedule.begins_at(), schedule.moment_for(zone("Pacific/Kiritimati")));
    }

    #[test]
    fn without_recipients_clocks_that_of_the_schedule_counts() {
        let schedule = schedule("2026-06-01", "09:00", "Europe/Paris");
        let tokyo = Timezone::parse("Asia/Tokyo").ok();
        assert_eq!(schedule.moment_for(tokyo), schedule.moment());
        assert_eq!(schedule.begins_at(), schedule.moment());
    }

    #[test]
    fn the_minute_that_runs_has_not_passed() {
        let schedule = schedule("2026-06-01", "09:30", "UTC");
        schedule.check_ahead(utc("2026-06-01T09:30:59Z")).unwrap();
        schedule.check_ahead(utc("2026-06-01T09:31:00Z")).unwrap_err();
    }

    #[test]
    fn every_bad_field_is_named() {
        let problems = Schedule::parse("1.6.2026", "9:5", Some("Paris"), false).unwrap_err();
        let fields: Vec<_> = problems.0.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(fields, ["/scheduled_date", "/scheduled_time", "/timezone"]);
    }
}
