//! Sealing of secrets, signing of tokens.

use domain::{
    Timestamp,
    ids::{InvitationId, SessionId, UserId, WorkspaceId},
    secret::{Sealed, Secret},
};

/// A sealed text that cannot be opened: another key, or tampered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored secret cannot be opened with the configured SECRET_KEY")]
pub struct VaultError;

/// Seals and opens secrets, and makes keyed hashes.
pub trait Vault: Send + Sync {
    /// Seals a text with the key of the installation.
    fn seal(&self, text: &Secret) -> Sealed;

    /// Opens what [`Vault::seal`] sealed.
    ///
    /// # Errors
    /// When it was sealed with another key or changed.
    fn open(&self, sealed: &Sealed) -> Result<Secret, VaultError>;

    /// Seals a text with another key, such as that of a workspace.
    fn seal_with(&self, key: &Secret, text: &Secret) -> Sealed;

    /// Opens what [`Vault::seal_with`] sealed.
    ///
    /// # Errors
    /// When it was sealed with another key or changed.
    fn open_with(&self, key: &Secret, sealed: &Sealed) -> Result<Secret, VaultError>;

    /// HMAC-SHA256 under the key of the installation, in lower-case hexadecimal.
    fn hash(&self, text: &str) -> String;

    /// HMAC-SHA256 under another key, in lower-case hexadecimal.
    fn hash_with(&self, key: &Secret, text: &str) -> String;

    /// SHA-256 in lower-case hexadecimal: a fingerprint, no secret.
    fn fingerprint(&self, bytes: &[u8]) -> String;

    /// Compares two hashes in a time that does not depend on where they differ.
    fn same(&self, a: &str, b: &str) -> bool;
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claims {
    /// A person in a session.
    Session {
        /// Who.
        user: UserId,
        /// In which session.
        session: SessionId,
        /// The account's address, for clients that show it.
        email: String,
        /// Useless from then on.
        expires_at: Timestamp,
    },
    /// An API key.
    ApiKey {
        /// The key's account.
        user: UserId,
        /// The account's address.
        email: String,
        /// Useless from then on.
        expires_at: Timestamp,
    },
    /// An invitation.
    Invitation {
        /// Which.
        invitation: InvitationId,
        /// Where to.
        workspace: WorkspaceId,
        /// Who is invited.
        email: String,
        /// Useless from then on.
        expires_at: Timestamp,
    },
}

/// A token that is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not signed by this installation, or not a token at all.
    #[error("the token is not valid")]
    Invalid,
    /// Too old.
    #[error("the token has expired")]
    Expired,
}

/// Signs and checks tokens (JWT, HS256).
pub trait Tokens: Send + Sync {
    /// Signs a token.
    fn issue(&self, claims: &Claims, now: Timestamp) -> Secret;

    /// Reads a token.
    ///
    /// # Errors
    /// When it is not signed by this installation or has expired.
    fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError>;
}
