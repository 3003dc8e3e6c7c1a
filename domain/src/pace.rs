//! How fast a provider may be used.

use crate::Timestamp;
use chrono::Duration;

/// How far the mails handed to a provider have used up its rate: a bucket with the mails of one second,
/// and at least one, of which only the moment is kept at which it is full again.
///
/// What was used at another rate is forgotten. A clock that is behind the one that used it waits longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    full_at: Timestamp,
    per_minute: u32,
}

const MINUTE: u64 = 60_000_000;
const SECOND: u64 = 1_000_000;

impl Pace {
    /// A bucket that is full again at this moment, when it fills with so many mails a minute.
    #[must_use]
    pub const fn full_at(full_at: Timestamp, per_minute: u32) -> Self {
        Self { full_at, per_minute }
    }

    /// The rate at which it was last used; 0 when it never was.
    #[must_use]
    pub const fn per_minute(&self) -> u32 {
        self.per_minute
    }

    /// The moment at which the bucket is full again, which may have passed.
    #[must_use]
    pub const fn when_full(&self) -> Timestamp {
        self.full_at
    }

    /// How many mails may be handed over now, at so many a minute.
    #[must_use]
    pub fn available(&self, per_minute: u32, now: Timestamp) -> usize {
        let free = window(per_minute).saturating_sub(self.used(per_minute, now));
        usize::try_from(free * rate(per_minute) / MINUTE).unwrap_or(usize::MAX)
    }

    /// The first moment at which a mail may be handed over.
    #[must_use]
    pub fn next(&self, per_minute: u32, now: Timestamp) -> Timestamp {
        let wait = (self.used(per_minute, now) + cost(1, per_minute)).saturating_sub(window(per_minute));
        now + micros(wait)
    }

    /// Uses the rate for up to so many mails. Answers for how many.
    pub fn take(&mut self, wanted: usize, per_minute: u32, now: Timestamp) -> usize {
        let taken = wanted.min(self.available(per_minute, now));
        let used = self.used(per_minute, now) + cost(taken, per_minute);
        if taken > 0 {
            *self = Self::full_at(now + micros(used), per_minute);
        }
        taken
    }

    /// The time until it is full, in microseconds.
    fn used(&self, per_minute: u32, now: Timestamp) -> u64 {
        if self.per_minute != per_minute {
            return 0;
        }
        let left = (self.full_at - now).num_microseconds().unwrap_or(i64::MAX);
        u64::try_from(left).unwrap_or(0)
    }
}

/// A bucket that was never used.
impl Default for Pace {
    fn default() -> Self {
        Self::full_at(Timestamp::UNIX_EPOCH, 0)
    }
}

fn rate(per_minute: u32) -> u64 {
    u64::from(per_minute.max(1))
}

/// How long a number of mails takes, in microseconds.
fn cost(mails: usize, per_minute: u32) -> u64 {
    let mails = u64::try_from(mails).unwrap_or(u64::MAX);
    mails.saturating_mul(MINUTE).div_ceil(rate(per_minute))
}

/// How long an empty bucket takes to be full, in microseconds.
fn window(per_minute: u32) -> u64 {
    cost(1, per_minute).max(SECOND)
}

fn micros(time: u64) -> Duration {
    Duration::microseconds(i64::try_from(time).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::seconds(seconds)
    }

    #[test]
    fn no_more_than_the_rate_is_taken() {
        for per_minute in [1, 7, 60, 120, 999, 60_000, u32::MAX] {
            let mut pace = Pace::default();
            let taken: usize = (0..600).map(|n| pace.take(usize::MAX >> 8, per_minute, at(n))).sum();
            let (taken, rate) = (taken as u64, u64::from(per_minute));
            let burst = (rate / 60).max(1);
            assert!(taken <= rate * 10 + burst, "{per_minute}: {taken}");
            // One that fits into no second is lost while nobody asks.
            let least = if rate % 60 == 0 { rate * 599 / 60 } else { rate * 9 };
            assert!(taken + 2 >= least, "{per_minute}: {taken}");
        }
    }

    #[test]
    fn an_empty_bucket_says_when_it_has_a_mail_again() {
        let mut pace = Pace::default();
        assert_eq!(pace.take(2, 1, at(0)), 1);
        assert_eq!(pace.available(1, at(59)), 0);
        assert_eq!(pace.next(1, at(0)), at(60));
        assert_eq!(pace.available(1, at(60)), 1);
        let mut quick = Pace::default();
        assert_eq!(quick.take(100, 600, at(0)), 10);
        assert_eq!(quick.next(600, at(0)), at(0) + Duration::milliseconds(100));
    }

    #[test]
    fn a_higher_rate_counts_at_once() {
        let mut pace = Pace::default();
        pace.take(1, 1, at(0));
        assert_eq!(pace.available(60, at(1)), 1);
    }

    #[test]
    fn clocks_that_differ_never_use_more_than_the_rate() {
        let (mut pace, mut taken) = (Pace::default(), 0);
        for n in 0..60 {
            taken += pace.take(100, 600, at(n));
            taken += pace.take(100, 600, at(n - 5));
        }
        assert!(taken <= 610, "{taken}");
    }
}
