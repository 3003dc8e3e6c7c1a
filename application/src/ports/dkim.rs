//! Keys that sign mails for the domain of their sender.

use domain::{dkim::DkimPublicKey, secret::Secret};

/// A text that is no key to sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a private key in PEM: RSA of 2048 to 4096 bits, or Ed25519")]
pub struct DkimKeyError;

/// Reads private keys.
pub trait DkimKeys: Send + Sync {
    /// What everybody may know of a key in PEM.
    ///
    /// # Errors
    /// When it is none to sign with.
    fn public(&self, private: &Secret) -> Result<DkimPublicKey, DkimKeyError>;
}

/// Who signs a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimIdentity {
    /// The domain that signs.
    pub domain: String,
    /// Names the key among those of the domain.
    pub selector: String,
    /// The key in PEM.
    pub private_key: Secret,
}
