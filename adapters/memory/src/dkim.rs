//! Keys to sign with that are easy to write down.

use application::ports::{DkimKeyError, DkimKeys};
use domain::{
    dkim::{DkimAlgorithm, DkimPublicKey},
    secret::Secret,
};

/// Takes `rsa:…` and `ed25519:…` for keys, and shows what stands behind the colon backwards.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainDkimKeys;

impl DkimKeys for PlainDkimKeys {
    fn public(&self, private: &Secret) -> Result<DkimPublicKey, DkimKeyError> {
        let (kind, key) = private.expose().split_once(':').ok_or(DkimKeyError)?;
        let algorithm = match kind {
            "rsa" => DkimAlgorithm::Rsa,
            "ed25519" => DkimAlgorithm::Ed25519,
            _ => return Err(DkimKeyError),
        };
        Ok(DkimPublicKey { algorithm, key: key.chars().rev().collect() })
    }
}
