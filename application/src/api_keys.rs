//! Keys for programs.

use crate::{
    access::{Caller, Denied},
    failure::{Failure, FailureKind},
    platform::Platform,
    ports::{Claims, Purpose, StoreError},
};
use chrono::Duration;
use domain::{
    ids::UserId,
    permissions::{Permission, Permissions, Role},
    secret::Secret,
    users::{Member, User, UserKind},
    validation::{FieldProblem, Invalid},
};
use std::sync::Arc;

/// The use cases of API keys. A key is revoked by removing its membership
/// ([`crate::members::Members::remove`]).
pub struct ApiKeys {
    platform: Arc<Platform>,
}

/// Why a use case of API keys failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeysError {
    /// The address made of the prefix is taken.
    #[error("a user with this e-mail prefix already exists; choose another email_prefix")]
    Taken,
    /// The input breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The caller may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for ApiKeysError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Duplicate => Self::Taken,
            other => Self::Store(other),
        }
    }
}

impl Failure for ApiKeysError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Taken => FailureKind::Conflict,
            Self::Invalid(e) => e.kind(),
            Self::Denied(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Taken => "api-key-taken",
            Self::Invalid(e) => e.code(),
            Self::Denied(e) => e.code(),
            Self::Store(e) => e.code(),
        }
    }

    fn problems(&self) -> &[FieldProblem] {
        match self {
            Self::Invalid(e) => e.problems(),
            _ => &[],
        }
    }
}

/// A key that was just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// For the `Authorization` header. Shown this once.
    pub token: Secret,
    /// The address that stands for the key among the members.
    pub email: String,
}

impl ApiKeys {
    /// How long a key is good, unless it is removed.
    const LIFETIME: Duration = Duration::days(3_650);

    /// Takes its ports.
    #[must_use]
    pub fn new(platform: Arc<Platform>) -> Self {
        Self { platform }
    }

    /// Makes a key with every right of a member. Its token is not kept, only a hash.
    ///
    /// # Errors
    /// For others than owners, when the prefix breaks a rule or is taken.
    #[tracing::instrument(name = "api_keys.create", skip_all)]
    pub async fn create(&self, caller: &Caller, email_prefix: &str) -> Result<NewApiKey, ApiKeysError> {
        caller.require(Permission::Own)?;
        let platform = &self.platform;
        let prefix = parse_prefix(email_prefix)?;
        let email = format!("{prefix}@{}", platform.installation.api_host());
        let now = platform.clock.now();
        let id = UserId::from_uuid(platform.ids.uuid());
        let claims = Claims::ApiKey { user: id, email: email.clone(), expires_at: now + Self::LIFETIME };
        let token = platform.tokens.issue(&claims, now);
        let account = User {
            id,
            kind: UserKind::ApiKey,
            email: email.clone(),
            name: None,
            language: "en".to_owned(),
            token_hash: Some(platform.vault.hash(token.expose())),
            created_at: now,
            updated_at: now,
        };
        let member = Member {
            user: id,
            workspace: caller.workspace.clone(),
            role: Role::Member,
            permissions: Permissions::all(),
            created_at: now,
            updated_at: now,
        };
        let purpose = Purpose::interactive("workspaces.createAPIKey");
        let mut store = platform.broker.write_system(purpose).await?;
        store.insert_user(&account).await?;
        store.insert_member(&member).await?;
        store.commit().await?;
        Ok(NewApiKey { token, email })
    }
}

fn parse_prefix(text: &str) -> Result<String, Invalid> {
    let text = text.trim().to_lowercase();
    let sound = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b))
        && !text.starts_with('.')
        && !text.ends_with('.')
        && !text.contains("..");
    let rule = "must be 1 to 64 letters, digits, dots, hyphens, underscores or plus signs";
    if sound { Ok(text) } else { Err(Invalid::one("/email_prefix", rule)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_the_local_part_of_an_address() {
        assert_eq!(parse_prefix(" CRM-1 ").unwrap(), "crm-1");
        for bad in ["", "a b", "a@b", ".a", "a..b", "é", &"x".repeat(65)] {
            assert!(parse_prefix(bad).is_err(), "{bad}");
        }
    }
}
