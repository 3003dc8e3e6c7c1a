//! Keys for one purpose each, derived from the installation's.

use domain::secret::Secret;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A key that signs for one purpose alone.
pub(crate) fn derived(secret_key: &Secret, purpose: &[u8]) -> Hmac<Sha256> {
    let key = keyed(secret_key.expose().as_bytes()).chain_update(purpose).finalize().into_bytes();
    keyed(&key)
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes a key of any length")
}
