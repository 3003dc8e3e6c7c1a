//! The `date` filter, for the many forms in which data carries moments.

use super::{Call, text};
use chrono::{
    DateTime, FixedOffset, NaiveDate, NaiveDateTime, TimeZone, Utc,
    format::{Item, StrftimeItems},
};
use liquid_core::{Error, Result, Value};

/// The moment that `now` and `today` stand for.
#[derive(Debug, Default)]
pub struct Now(pub DateTime<Utc>);

/// Later whole numbers count milliseconds.
const LAST_SECOND: i64 = 99_999_999_999;

pub fn date(call: &Call<'_>) -> Result<Value> {
    let (input, format) = (call.text(), call.argument_text(0));
    let moment = match input.trim() {
        "now" | "today" => Some(call.runtime.registers().get_mut::<Now>().0.fixed_offset()),
        other => parse(other),
    };
    let Some(moment) = moment.filter(|_| !format.is_empty()) else { return Ok(call.input.to_value()) };
    let items: Vec<Item<'_>> = StrftimeItems::new(&format).collect();
    if items.contains(&Item::Error) {
        return Err(Error::with_msg("the format of a date has an unknown directive"));
    }
    Ok(text(moment.format_with_items(items.iter()).to_string()))
}

fn parse(input: &str) -> Option<DateTime<FixedOffset>> {
    if let Ok(number) = input.parse::<i64>() {
        let moment = if number.abs() > LAST_SECOND {
            DateTime::from_timestamp_millis(number)
        } else {
            DateTime::from_timestamp(number, 0)
        };
        return moment.map(|moment| moment.fixed_offset());
    }
    if let Ok(moment) = DateTime::parse_from_rfc3339(input).or_else(|_| DateTime::parse_from_rfc2822(input)) {
        return Some(moment);
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f%z"] {
        if let Ok(moment) = DateTime::parse_from_str(input, format) {
            return Some(moment);
        }
    }
    let utc = |moment: NaiveDateTime| Utc.from_utc_datetime(&moment).fixed_offset();
    let plain = input.strip_suffix(" UTC").unwrap_or(input);
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"] {
        if let Ok(moment) = NaiveDateTime::parse_from_str(plain, format) {
            return Some(utc(moment));
        }
    }
    for format in ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y"] {
        if let Ok(day) = NaiveDate::parse_from_str(plain, format) {
            return day.and_hms_opt(0, 0, 0).map(utc);
        }
    }
    None
}
