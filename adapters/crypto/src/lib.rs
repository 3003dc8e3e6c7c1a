//! Sealing, hashing, signing, chance, time and identifiers.
//!
//! Every construction is the one that existing installations and their clients use, so that stored
//! secrets, links and tokens keep their meaning.

mod chance;
mod keys;
mod subscriptions;
mod tokens;
mod tracking;
mod vault;

pub use chance::{OsRandom, SystemClock, UuidGenerator};
pub use subscriptions::HmacContactTokens;
pub use tokens::JwtTokens;
pub use tracking::HmacTrackingTokens;
pub use vault::AesVault;
