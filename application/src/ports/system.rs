//! Time, identifiers and chance.

use domain::Timestamp;
use domain::secret::Secret;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The moment, cut to microseconds.
    fn now(&self) -> Timestamp;
}

/// Gives identifiers that were never given before.
pub trait IdGenerator: Send + Sync {
    /// A fresh UUID.
    fn uuid(&self) -> uuid::Uuid;
}

/// Gives what nobody can guess.
pub trait Random: Send + Sync {
    /// Six decimal digits.
    fn sign_in_code(&self) -> Secret;

    /// 32 random bytes as 64 lower-case hexadecimal digits.
    fn secret_key(&self) -> Secret;

    /// A number in 0..1, for spreading retries. Need not be hard to guess.
    fn jitter(&self) -> f64;
}
