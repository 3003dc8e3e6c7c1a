//! Seals and tokens that anybody can read: nothing here is secret.

use application::ports::{Claims, TokenError, Tokens, Vault, VaultError};
use chrono::DateTime;
use domain::{
    Timestamp,
    ids::{InvitationId, SessionId, UserId, WorkspaceId},
    secret::{Sealed, Secret},
};
use std::hash::{DefaultHasher, Hasher as _};

/// Seals by writing a keyed checksum before the text. The same text always has the same seal.
#[derive(Clone)]
pub struct PlainVault {
    key: Secret,
}

impl PlainVault {
    /// A vault whose installation has this key.
    #[must_use]
    pub fn with_key(key: &str) -> Self {
        Self { key: Secret::new(key) }
    }
}

impl Default for PlainVault {
    fn default() -> Self {
        Self::with_key("the key of a test installation")
    }
}

impl Vault for PlainVault {
    fn seal(&self, text: &Secret) -> Sealed {
        self.seal_with(&self.key, text)
    }

    fn open(&self, sealed: &Sealed) -> Result<Secret, VaultError> {
        self.open_with(&self.key, sealed)
    }

    fn seal_with(&self, key: &Secret, text: &Secret) -> Sealed {
        Sealed::new(
            checksum(&[b"seal", key.expose().as_bytes(), text.expose().as_bytes()])
                + &hex::encode(text.expose()),
        )
    }

    fn open_with(&self, key: &Secret, sealed: &Sealed) -> Result<Secret, VaultError> {
        let body = sealed.as_str().get(CHECKSUM_LENGTH..).ok_or(VaultError)?;
        let text = String::from_utf8(hex::decode(body).map_err(|_| VaultError)?).map_err(|_| VaultError)?;
        let text = Secret::new(text);
        if self.seal_with(key, &text) == *sealed { Ok(text) } else { Err(VaultError) }
    }

    fn hash(&self, text: &str) -> String {
        self.hash_with(&self.key, text)
    }

    fn hash_with(&self, key: &Secret, text: &str) -> String {
        checksum(&[b"hash", key.expose().as_bytes(), text.as_bytes()])
    }

    fn fingerprint(&self, bytes: &[u8]) -> String {
        checksum(&[b"fingerprint", bytes])
    }

    fn same(&self, a: &str, b: &str) -> bool {
        a == b
    }
}

/// Digits of a checksum, as many as SHA-256 has.
const CHECKSUM_LENGTH: usize = 64;

/// Looks like SHA-256 and is nothing of the kind.
fn checksum(parts: &[&[u8]]) -> String {
    let quarter = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(salt);
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        format!("{:016x}", hasher.finish())
    };
    (0..4).map(quarter).collect()
}

/// Tokens in clear with a keyed checksum.
#[derive(Clone, Default)]
pub struct PlainTokens {
    vault: PlainVault,
}

impl PlainTokens {
    /// Tokens of an installation with this key.
    #[must_use]
    pub fn with_key(key: &str) -> Self {
        Self { vault: PlainVault::with_key(key) }
    }
}

impl Tokens for PlainTokens {
    fn issue(&self, claims: &Claims, now: Timestamp) -> Secret {
        let written = format!("{}\n{}", now.timestamp_micros(), write(claims));
        Secret::new(self.vault.seal(&Secret::new(written)).as_str())
    }

    fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let opened = self.vault.open(&Sealed::new(token)).map_err(|_| TokenError::Invalid)?;
        let written = opened.expose().split_once('\n').map(|(_, claims)| claims);
        let (claims, expires_at) = written.and_then(read).ok_or(TokenError::Invalid)?;
        if now < expires_at { Ok(claims) } else { Err(TokenError::Expired) }
    }
}

fn write(claims: &Claims) -> String {
    match claims {
        Claims::Session { user, session, email, expires_at } => {
            format!("session\n{user}\n{session}\n{}\n{email}", expires_at.timestamp_micros())
        }
        Claims::ApiKey { user, email, expires_at } => {
            format!("api_key\n{user}\n\n{}\n{email}", expires_at.timestamp_micros())
        }
        Claims::Invitation { invitation, workspace, email, expires_at } => {
            format!("invitation\n{invitation}\n{workspace}\n{}\n{email}", expires_at.timestamp_micros())
        }
    }
}

fn read(written: &str) -> Option<(Claims, Timestamp)> {
    let mut parts = written.splitn(5, '\n');
    let [kind, first, second, end, email] = [(); 5].map(|()| parts.next().unwrap_or_default());
    let expires_at = DateTime::from_timestamp_micros(end.parse().ok()?)?;
    let email = email.to_owned();
    let claims = match kind {
        "session" => {
            let (user, session) = (UserId::parse(first).ok()?, SessionId::parse(second).ok()?);
            Claims::Session { user, session, email, expires_at }
        }
        "api_key" => Claims::ApiKey { user: UserId::parse(first).ok()?, email, expires_at },
        "invitation" => {
            let (invitation, workspace) =
                (InvitationId::parse(first).ok()?, WorkspaceId::parse(second).ok()?);
            Claims::Invitation { invitation, workspace, email, expires_at }
        }
        _ => return None,
    };
    Some((claims, expires_at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Duration;
    use uuid::Uuid;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn claims() -> [Claims; 3] {
        let (expires_at, email) = (NOW + Duration::days(1), "ana@shop.example".to_owned());
        let user = UserId::from_uuid(Uuid::from_u128(1));
        [
            Claims::Session {
                user,
                session: SessionId::from_uuid(Uuid::from_u128(2)),
                email: email.clone(),
                expires_at,
            },
            Claims::ApiKey { user, email: email.clone(), expires_at },
            Claims::Invitation {
                invitation: InvitationId::from_uuid(Uuid::from_u128(3)),
                workspace: WorkspaceId::parse("acme").unwrap(),
                email,
                expires_at,
            },
        ]
    }

    #[test]
    fn what_was_sealed_is_opened() {
        let vault = PlainVault::default();
        assert_eq!(vault.open(&vault.seal(&Secret::new("pâté"))), Ok(Secret::new("pâté")));
    }

    #[test]
    fn another_key_opens_nothing() {
        let sealed = PlainVault::default().seal(&Secret::new("text"));
        assert_eq!(PlainVault::with_key("other").open(&sealed), Err(VaultError));
    }

    #[test]
    fn a_changed_seal_opens_nothing() {
        let vault = PlainVault::default();
        let sealed = vault.seal(&Secret::new("text"));
        let changed = Sealed::new(sealed.as_str().replace(&hex::encode("text"), &hex::encode("tent")));
        assert_eq!(vault.open(&changed), Err(VaultError));
        assert_eq!(vault.open(&Sealed::new("zz")), Err(VaultError));
    }

    #[test]
    fn a_hash_has_64_digits_and_depends_on_its_key() {
        let vault = PlainVault::default();
        let hash = vault.hash("123456");
        assert_eq!(hash.len(), 64);
        assert_ne!(hash, vault.hash_with(&Secret::new("other"), "123456"));
    }

    #[test]
    fn a_token_says_what_it_was_issued_for() {
        let tokens = PlainTokens::default();
        for claims in claims() {
            assert_eq!(tokens.verify(tokens.issue(&claims, NOW).expose(), NOW), Ok(claims));
        }
    }

    #[test]
    fn a_token_is_useless_from_its_expiry_on() {
        let tokens = PlainTokens::default();
        let token = tokens.issue(&claims()[0], NOW);
        assert_eq!(tokens.verify(token.expose(), NOW + Duration::days(1)), Err(TokenError::Expired));
    }

    #[test]
    fn a_token_of_another_installation_is_not_valid() {
        let token = PlainTokens::with_key("other").issue(&claims()[0], NOW);
        assert_eq!(PlainTokens::default().verify(token.expose(), NOW), Err(TokenError::Invalid));
        assert_eq!(PlainTokens::default().verify("no token", NOW), Err(TokenError::Invalid));
    }
}
