//! People and API keys, and how they sign in.

use crate::{
    Timestamp,
    email_address::EmailAddress,
    ids::{InvitationId, SessionId, UserId, WorkspaceId},
    permissions::{Permissions, Role},
};
use chrono::Duration;

/// What kind of account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserKind {
    /// A person who signs in with codes.
    Person,
    /// A key for programs, member of exactly one workspace.
    ApiKey,
}

impl UserKind {
    /// The name on the wire and in storage.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Person => "user",
            Self::ApiKey => "api_key",
        }
    }

    /// Reads the stored name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "user" => Some(Self::Person),
            "api_key" => Some(Self::ApiKey),
            _ => None,
        }
    }
}

/// An account of the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its identifier.
    pub id: UserId,
    /// Person or API key.
    pub kind: UserKind,
    /// Unique in the installation. For a key `<prefix>@<host of the API endpoint>`, which need not
    /// be a deliverable address, hence text.
    pub email: String,
    /// How the person is called.
    pub name: Option<String>,
    /// Language of the console and of system mails.
    pub language: String,
    /// Hash of the API key's token; `None` for people.
    pub token_hash: Option<String>,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A sign-in code waiting to be typed, kept as a keyed hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInCode {
    /// Keyed hash of the code, in hexadecimal.
    pub hash: String,
    /// Useless from then on.
    pub expires_at: Timestamp,
}

/// A signed-in browser, or one that waits for its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its identifier, also in the token.
    pub id: SessionId,
    /// Whose session it is.
    pub user: UserId,
    /// The code that would open it; `None` once opened.
    pub code: Option<SignInCode>,
    /// End of the session.
    pub expires_at: Timestamp,
    /// When it was asked for.
    pub created_at: Timestamp,
}

impl Session {
    /// How long a session lasts; it does not slide.
    pub const LIFETIME: Duration = Duration::days(30);
    /// How long a sign-in code can be used.
    pub const CODE_LIFETIME: Duration = Duration::minutes(15);

    /// A session that waits for its code.
    #[must_use]
    pub fn awaiting_code(id: SessionId, user: UserId, code_hash: String, now: Timestamp) -> Self {
        Self {
            id,
            user,
            code: Some(SignInCode { hash: code_hash, expires_at: now + Self::CODE_LIFETIME }),
            expires_at: now + Self::LIFETIME,
            created_at: now,
        }
    }

    /// A session open from the start.
    #[must_use]
    pub fn open(id: SessionId, user: UserId, now: Timestamp) -> Self {
        Self { id, user, code: None, expires_at: now + Self::LIFETIME, created_at: now }
    }

    /// Whether a token bound to this session is good.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.code.is_none() && now < self.expires_at
    }
}

/// What a user is in a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// Where.
    pub workspace: WorkspaceId,
    /// Owner or member.
    pub role: Role,
    /// Rights of a member; an owner has all whatever is stored.
    pub permissions: Permissions,
    /// Since when.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// A request to join a workspace, sent by mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its identifier, also in the token.
    pub id: InvitationId,
    /// Where to.
    pub workspace: WorkspaceId,
    /// Who invites.
    pub inviter: UserId,
    /// Who is invited.
    pub email: EmailAddress,
    /// The rights that will be given.
    pub permissions: Permissions,
    /// Useless from then on.
    pub expires_at: Timestamp,
    /// When it was first sent.
    pub created_at: Timestamp,
    /// When it was last sent.
    pub updated_at: Timestamp,
}

impl Invitation {
    /// How long an invitation can be accepted.
    pub const LIFETIME: Duration = Duration::days(15);
}
