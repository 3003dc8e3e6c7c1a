//! Time, identifiers and chance that a test decides.

use crate::locked;
use application::ports::{Clock, IdGenerator, Random};
use chrono::Duration;
use domain::{Timestamp, secret::Secret, to_microseconds};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};
use uuid::Uuid;

/// A clock that stands still until it is moved. Clones show the same time.
#[derive(Clone)]
pub struct FixedClock(Arc<Mutex<Timestamp>>);

impl FixedClock {
    /// A clock that shows `now`, cut to microseconds.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(to_microseconds(now))))
    }

    /// Shows another moment from now on.
    pub fn set(&self, now: Timestamp) {
        *locked(&self.0) = to_microseconds(now);
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let mut now = locked(&self.0);
        *now = to_microseconds(*now + by);
    }
}

/// 2026-01-01, midnight UTC.
impl Default for FixedClock {
    fn default() -> Self {
        Self::at(Timestamp::UNIX_EPOCH + Duration::days(20_454))
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        *locked(&self.0)
    }
}

/// Gives the UUIDs `00000000-0000-0000-0000-000000000001`, `…2` and so on. Clones share the count.
#[derive(Clone, Default)]
pub struct SequentialIds(Arc<AtomicU64>);

impl SequentialIds {
    /// The first UUID will be number 1.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The UUID with this number, to name it before or after it was given.
    #[must_use]
    pub fn nth(number: u64) -> Uuid {
        Uuid::from_u128(u128::from(number))
    }
}

impl IdGenerator for SequentialIds {
    fn uuid(&self) -> Uuid {
        Self::nth(self.0.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

/// Chance that always falls the same way.
#[derive(Debug, Clone, Copy)]
pub struct FixedRandom {
    /// The sign-in code, below 1,000,000.
    pub code: u32,
    /// The number that every digit pair of a secret key shows.
    pub key_byte: u8,
    /// The jitter, in 0..1.
    pub jitter: f64,
}

impl Default for FixedRandom {
    fn default() -> Self {
        Self { code: 123_456, key_byte: 0x5a, jitter: 0.5 }
    }
}

impl Random for FixedRandom {
    fn sign_in_code(&self) -> Secret {
        Secret::new(format!("{:06}", self.code % 1_000_000))
    }

    fn secret_key(&self) -> Secret {
        Secret::new(format!("{:02x}", self.key_byte).repeat(32))
    }

    fn jitter(&self) -> f64 {
        self.jitter
    }
}
