//! Who calls, and whether they may.

use crate::{
    failure::{Failure, FailureKind},
    platform::Platform,
    ports::{Claims, Purpose, StoreError, TokenError},
};
use domain::{
    Timestamp,
    ids::{SessionId, UserId, WorkspaceId},
    permissions::{Permission, Permissions, Role},
    users::UserKind,
    workspaces::WorkspaceState,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Finds out who calls, and what they are in a workspace.
pub struct Access {
    platform: Arc<Platform>,
    /// Administrators whose session was good a moment ago, and when.
    watchers: Mutex<HashMap<SessionId, (Identity, Timestamp)>>,
}

/// For so long an administrator may look at figures without their session being looked up again.
const WATCHING: chrono::Duration = chrono::Duration::seconds(60);

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The session or key was ended, or is too old.
    #[error("Session expired")]
    SessionExpired,
    /// Not a token of this installation.
    #[error("the token is not valid; sign in again or use another API key")]
    BadToken,
    /// No such workspace. Only root is told; others are not members.
    #[error("no workspace has this id")]
    UnknownWorkspace,
    /// Not a member.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for AccessError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::SessionExpired | Self::BadToken => FailureKind::Unauthenticated,
            Self::UnknownWorkspace => FailureKind::NotFound,
            Self::Denied(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::SessionExpired => "session-expired",
            Self::BadToken => "token-invalid",
            Self::UnknownWorkspace => "workspace-not-found",
            Self::Denied(e) => e.code(),
            Self::Store(e) => e.code(),
        }
    }
}

impl Access {
    /// Takes its ports.
    #[must_use]
    pub fn new(platform: Arc<Platform>) -> Self {
        Self { platform, watchers: Mutex::default() }
    }

    /// As [`Access::authenticate`], for figures that must be had when no connection is left: an
    /// administrator who was let in within the last minute is let in without a look at the store.
    /// An ended session is found out that much later, so this is for looking only.
    ///
    /// # Errors
    /// When the token is not good, or no longer.
    pub async fn authenticate_watcher(&self, token: &str) -> Result<Identity, AccessError> {
        let now = self.platform.clock.now();
        if let Ok(Claims::Session { user, session, .. }) = self.platform.tokens.verify(token, now)
            && let Some((known, since)) = self.watchers().get(&session)
            && known.user == user
            && now - *since < WATCHING
        {
            return Ok(known.clone());
        }
        let identity = self.authenticate(token).await?;
        if let (true, Some(session)) = (identity.is_root, identity.session) {
            let mut watchers = self.watchers();
            watchers.retain(|_, (_, since)| now - *since < WATCHING);
            watchers.insert(session, (identity.clone(), now));
        }
        Ok(identity)
    }

    fn watchers(&self) -> MutexGuard<'_, HashMap<SessionId, (Identity, Timestamp)>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whose token it is. Ending a session or removing a key takes effect at once.
    ///
    /// # Errors
    /// When the token is not good, or no longer.
    #[tracing::instrument(name = "access.authenticate", skip_all)]
    pub async fn authenticate(&self, token: &str) -> Result<Identity, AccessError> {
        let now = self.platform.clock.now();
        let claims = self.platform.tokens.verify(token, now).map_err(|e| match e {
            TokenError::Expired => AccessError::SessionExpired,
            TokenError::Invalid => AccessError::BadToken,
        })?;
        let (id, session) = match claims {
            Claims::Session { user, session, .. } => (user, Some(session)),
            Claims::ApiKey { user, .. } => (user, None),
            Claims::Invitation { .. } => return Err(AccessError::BadToken),
        };
        let mut store = self.platform.broker.read_system(Purpose::interactive("access.authenticate")).await?;
        let live = match session {
            Some(session) => store.session(session).await?.is_some_and(|s| s.user == id && s.is_live(now)),
            None => true,
        };
        let user = if live { store.user(id).await? } else { None };
        let user = user.ok_or(AccessError::SessionExpired)?;
        let good = match (user.kind, session) {
            (UserKind::Person, Some(_)) => true,
            (UserKind::ApiKey, None) => {
                let hash = self.platform.vault.hash(token);
                user.token_hash.as_deref().is_some_and(|kept| self.platform.vault.same(kept, &hash))
            }
            _ => false,
        };
        if !good {
            return Err(AccessError::SessionExpired);
        }
        let is_root = user.kind == UserKind::Person && self.platform.installation.is_root(&user.email);
        Ok(Identity { user: id, kind: user.kind, session, is_root })
    }

    /// Lets somebody into a workspace that is in use.
    ///
    /// # Errors
    /// When they are no member. Only root learns that a workspace does not exist.
    #[tracing::instrument(name = "access.enter", skip_all)]
    pub async fn enter(&self, identity: &Identity, workspace: &WorkspaceId) -> Result<Caller, AccessError> {
        let mut store = self.platform.broker.read_system(Purpose::interactive("access.enter")).await?;
        let active = store.workspace(workspace).await?.is_some_and(|w| w.state == WorkspaceState::Active);
        let member = if active { store.member(workspace, identity.user).await? } else { None };
        match member {
            Some(member) => Ok(Caller {
                identity: identity.clone(),
                workspace: workspace.clone(),
                role: member.role,
                permissions: member.permissions,
            }),
            None if !active && identity.is_root => Err(AccessError::UnknownWorkspace),
            None => Err(Denied::NotMember.into()),
        }
    }
}

/// Somebody whose token was found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who.
    pub user: UserId,
    /// Person or API key.
    pub kind: UserKind,
    /// The session of a person.
    pub session: Option<SessionId>,
    /// Whether it is the administrator of the installation.
    pub is_root: bool,
}

/// Somebody in a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub identity: Identity,
    /// Where.
    pub workspace: WorkspaceId,
    /// Owner or member.
    pub role: Role,
    /// Rights of a member.
    pub permissions: Permissions,
}

/// The caller may not do this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// A permission is missing.
    #[error("this needs the permission {}", permission_name(*.0))]
    Permission(Permission),
    /// Not a member of the workspace.
    #[error("you are not a member of this workspace")]
    NotMember,
    /// Only for the administrator of the installation.
    #[error("only the root user of this installation may do this")]
    NotRoot,
}

fn permission_name(permission: Permission) -> String {
    match permission {
        Permission::Read(resource) => format!("{}:read", resource.name()),
        Permission::Write(resource) => format!("{}:write", resource.name()),
        Permission::Own => "owner of the workspace".to_owned(),
    }
}

impl Failure for Denied {
    fn kind(&self) -> FailureKind {
        FailureKind::Forbidden
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Permission(_) => "permission-missing",
            Self::NotMember => "not-a-member",
            Self::NotRoot => "root-only",
        }
    }
}

impl Caller {
    /// # Errors
    /// When the caller lacks the right.
    pub fn require(&self, wanted: Permission) -> Result<(), Denied> {
        if self.role.allows(&self.permissions, wanted) { Ok(()) } else { Err(Denied::Permission(wanted)) }
    }
}

impl Identity {
    /// # Errors
    /// When it is not the administrator of the installation.
    pub fn require_root(&self) -> Result<(), Denied> {
        if self.is_root { Ok(()) } else { Err(Denied::NotRoot) }
    }
}
