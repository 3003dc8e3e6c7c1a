//! The system's clock and randomness.

use application::ports::{Clock, IdGenerator, Random};
use domain::{Timestamp, secret::Secret, to_microseconds};
use rand::{Rng as _, RngCore as _};
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock port's one source of time")]
    fn now(&self) -> Timestamp {
        to_microseconds(chrono::Utc::now())
    }
}

/// Chance from a cryptographic generator that the operating system seeds.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn sign_in_code(&self) -> Secret {
        Secret::new(format!("{:06}", rand::rng().random_range(0..1_000_000)))
    }

    fn secret_key(&self) -> Secret {
        let mut key = [0_u8; 32];
        rand::rng().fill_bytes(&mut key);
        Secret::new(hex::encode(key))
    }

    fn jitter(&self) -> f64 {
        rand::rng().random()
    }
}

/// Identifiers in the order of their making (UUID version 7), each with 74 random bits of its own:
/// who knows one cannot guess its neighbours.
#[derive(Debug, Clone, Copy, Default)]
pub struct UuidGenerator;

impl IdGenerator for UuidGenerator {
    fn uuid(&self) -> Uuid {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut random = [0_u8; 10];
        rand::rng().fill_bytes(&mut random);
        let millis = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_clock_tells_whole_microseconds() {
        let now = SystemClock.now();
        assert_eq!(now, to_microseconds(now));
    }

    #[test]
    fn a_code_has_six_digits() {
        for _ in 0..1_000 {
            let code = OsRandom.sign_in_code();
            assert_eq!(code.expose().len(), 6);
            assert!(code.expose().bytes().all(|b| b.is_ascii_digit()));
        }
    }

    #[test]
    fn a_key_has_64_hexadecimal_digits_and_never_repeats() {
        let keys: HashSet<String> = (0..100).map(|_| OsRandom.secret_key().expose().to_owned()).collect();
        assert_eq!(keys.len(), 100);
        assert!(keys.iter().all(|k| k.len() == 64 && k.bytes().all(|b| b.is_ascii_hexdigit())));
    }

    #[test]
    fn jitter_lies_between_nought_and_one() {
        assert!((0..1_000).map(|_| OsRandom.jitter()).all(|j| (0.0..1.0).contains(&j)));
    }

    #[test]
    fn identifiers_never_repeat_and_carry_their_version() {
        let ids: HashSet<Uuid> = (0..10_000).map(|_| UuidGenerator.uuid()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }
}
