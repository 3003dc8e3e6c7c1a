//! How databases are called.

use domain::ids::WorkspaceId;
use std::sync::Arc;

/// Gives a database to a new workspace. What was given is read from the directory ever after.
#[derive(Debug, Clone)]
pub(crate) enum Naming {
    /// `<prefix>_ws_<id>` on a server.
    Prefixed(Arc<str>),
    /// The identifier itself, as the name of a file.
    Plain,
}

impl Naming {
    /// The name of the database of a new workspace.
    pub(crate) fn database(&self, workspace: &WorkspaceId) -> String {
        match self {
            Self::Prefixed(prefix) => format!("{prefix}_ws_{workspace}"),
            Self::Plain => workspace.to_string(),
        }
    }
}
