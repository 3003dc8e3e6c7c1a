//! Who calls, and whether they may.

use crate::failure::{Failure, FailureKind};
use domain::{
    ids::{SessionId, UserId, WorkspaceId},
    permissions::{Permission, Permissions, Role},
    users::UserKind,
};

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
