//! Counting attempts in a sliding window, in the memory of this process.

use crate::{
    failure::{Failure, FailureKind},
    ports::Clock,
};
use chrono::Duration;
use domain::Timestamp;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// So many attempts within so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Keeps the keys of one limit apart from those of another.
    pub name: &'static str,
    /// Attempts allowed within the window.
    pub attempts: usize,
    /// Length of the window.
    pub window: Duration,
}

impl Limit {
    /// Asking for a sign-in code, or signing in as root; by address.
    pub const SIGN_IN: Self = Self { name: "signin", attempts: 5, window: Duration::minutes(5) };
    /// Typing a sign-in code; by address.
    pub const VERIFY: Self = Self { name: "verify", attempts: 5, window: Duration::minutes(5) };
    /// Opens and clicks that are noted; by message. All are answered.
    pub const TRACKING: Self = Self { name: "tracking", attempts: 120, window: Duration::minutes(1) };
    /// Subscribing, or asking for a link; by workspace and address.
    pub const SUBSCRIBE: Self = Self { name: "subscribe:email", attempts: 10, window: Duration::minutes(1) };
    /// The same; by where it comes from.
    pub const SUBSCRIBE_FROM: Self =
        Self { name: "subscribe:ip", attempts: 50, window: Duration::minutes(1) };
    /// Changing preferences; by workspace and address.
    pub const PREFERENCES: Self =
        Self { name: "preferences:email", attempts: 20, window: Duration::minutes(1) };
    /// The same; by where it comes from.
    pub const PREFERENCES_FROM: Self =
        Self { name: "preferences:ip", attempts: 100, window: Duration::minutes(1) };
    /// Mails of one kind that strangers can cause; by workspace, address and list.
    pub const ASKED_MAILS: Self = Self { name: "asked-mails", attempts: 3, window: Duration::hours(1) };
    /// One signature of a root sign-in; it is good for a minute before and after its timestamp.
    pub const ROOT_SIGNATURE: Self =
        Self { name: "root-signature", attempts: 1, window: Duration::seconds(121) };
}

/// Too many attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts; try again in {} seconds", .retry_after.as_secs())]
pub struct TooManyAttempts {
    /// When the next attempt is allowed, in whole seconds rounded up.
    pub retry_after: std::time::Duration,
}

impl Failure for TooManyAttempts {
    fn kind(&self) -> FailureKind {
        FailureKind::RateLimited(self.retry_after)
    }

    fn code(&self) -> &'static str {
        "rate-limited"
    }
}

/// Counts attempts. Its memory is bounded: under a flood of keys those are forgotten whose last
/// attempt is longest ago.
pub struct RateLimiter {
    clock: Arc<dyn Clock>,
    capacity: usize,
    attempts: Mutex<HashMap<Key, Attempts>>,
}

type Key = (&'static str, String);

struct Attempts {
    window: Duration,
    at: VecDeque<Timestamp>,
}

impl Attempts {
    fn forget_before(&mut self, now: Timestamp) {
        while self.at.front().is_some_and(|at| *at + self.window <= now) {
            self.at.pop_front();
        }
    }
}

impl RateLimiter {
    /// Keys remembered at once.
    const CAPACITY: usize = 20_000;

    /// Takes the clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_capacity(clock, Self::CAPACITY)
    }

    fn with_capacity(clock: Arc<dyn Clock>, capacity: usize) -> Self {
        Self { clock, capacity, attempts: Mutex::default() }
    }

    /// Counts an attempt. A refused one does not count.
    ///
    /// # Errors
    /// When the limit is reached.
    pub fn attempt(&self, limit: Limit, key: &str) -> Result<(), TooManyAttempts> {
        let now = self.clock.now();
        let mut all = self.all();
        let key = (limit.name, key.to_owned());
        if !all.contains_key(&key) {
            Self::make_room(&mut all, self.capacity, now);
        }
        let mine = all.entry(key).or_insert_with(|| Attempts { window: limit.window, at: VecDeque::new() });
        mine.forget_before(now);
        match mine.at.front() {
            Some(oldest) if mine.at.len() >= limit.attempts => {
                Err(TooManyAttempts { retry_after: whole_seconds(*oldest + limit.window - now) })
            }
            _ => {
                mine.at.push_back(now);
                Ok(())
            }
        }
    }

    /// Forgets the attempts of a key, after a success.
    pub fn forget(&self, limit: Limit, key: &str) {
        self.all().remove(&(limit.name, key.to_owned()));
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Key, Attempts>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_room(all: &mut HashMap<Key, Attempts>, capacity: usize, now: Timestamp) {
        if all.len() < capacity {
            return;
        }
        all.retain(|_, attempts| {
            attempts.forget_before(now);
            !attempts.at.is_empty()
        });
        if all.len() < capacity {
            return;
        }
        let mut last: Vec<Timestamp> = all.values().filter_map(|a| a.at.back().copied()).collect();
        let tenth = last.len() / 10;
        let (_, cut, _) = last.select_nth_unstable(tenth);
        let cut = *cut;
        let mut excess = tenth + 1;
        all.retain(|_, attempts| {
            let old = attempts.at.back().is_none_or(|at| *at <= cut) && excess > 0;
            excess -= usize::from(old);
            !old
        });
    }
}

fn whole_seconds(left: Duration) -> std::time::Duration {
    let left = left.to_std().unwrap_or_default();
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    std::time::Duration::from_secs(seconds.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Hand(Mutex<Timestamp>);

    impl Hand {
        fn at_start() -> Arc<Self> {
            Arc::new(Self(Mutex::new("2026-01-01T00:00:00Z".parse().unwrap())))
        }

        fn advance(&self, by: Duration) {
            *self.0.lock().unwrap() += by;
        }
    }

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            *self.0.lock().unwrap()
        }
    }

    const LIMIT: Limit = Limit { name: "test", attempts: 2, window: Duration::seconds(60) };

    #[test]
    fn the_attempt_beyond_the_limit_is_refused_until_the_oldest_leaves_the_window() {
        let clock = Hand::at_start();
        let limiter = RateLimiter::new(clock.clone());
        limiter.attempt(LIMIT, "ana").unwrap();
        clock.advance(Duration::milliseconds(10_500));
        limiter.attempt(LIMIT, "ana").unwrap();
        let refused = limiter.attempt(LIMIT, "ana").unwrap_err();
        assert_eq!(refused.retry_after.as_secs(), 50);
        clock.advance(Duration::milliseconds(49_500));
        limiter.attempt(LIMIT, "ana").unwrap();
        assert!(limiter.attempt(LIMIT, "ana").is_err());
    }

    #[test]
    fn a_refused_attempt_does_not_count() {
        let clock = Hand::at_start();
        let limiter = RateLimiter::new(clock.clone());
        for _ in 0..10 {
            let _ = limiter.attempt(LIMIT, "ana");
        }
        clock.advance(LIMIT.window);
        assert!(limiter.attempt(LIMIT, "ana").is_ok());
    }

    #[test]
    fn keys_and_limits_are_counted_apart() {
        let limiter = RateLimiter::new(Hand::at_start());
        let other = Limit { name: "other", ..LIMIT };
        for _ in 0..2 {
            limiter.attempt(LIMIT, "ana").unwrap();
            limiter.attempt(LIMIT, "bob").unwrap();
            limiter.attempt(other, "ana").unwrap();
        }
        assert!(limiter.attempt(LIMIT, "ana").is_err());
    }

    #[test]
    fn a_success_starts_anew() {
        let limiter = RateLimiter::new(Hand::at_start());
        for _ in 0..2 {
            limiter.attempt(LIMIT, "ana").unwrap();
        }
        limiter.forget(LIMIT, "ana");
        assert!(limiter.attempt(LIMIT, "ana").is_ok());
    }

    #[test]
    fn memory_is_bounded_and_the_latest_are_remembered() {
        let clock = Hand::at_start();
        let limiter = RateLimiter::with_capacity(clock.clone(), 100);
        for n in 0..1_000 {
            clock.advance(Duration::milliseconds(1));
            limiter.attempt(LIMIT, &n.to_string()).unwrap();
            assert!(limiter.all().len() <= 100);
        }
        limiter.attempt(LIMIT, "999").unwrap();
        assert!(limiter.attempt(LIMIT, "999").is_err());
    }
}
