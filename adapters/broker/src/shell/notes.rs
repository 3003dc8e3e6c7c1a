//! Log lines.

use crate::{WorkspaceKey, core::Note};

fn name(workspace: Option<&WorkspaceKey>) -> &str {
    workspace.map_or("system", WorkspaceKey::as_str)
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Note {
    pub(super) fn log(self) {
        match self {
            Self::LeaseOverWarn { label, class, workspace, held } => tracing::warn!(
                label,
                ?class,
                workspace.id = name(workspace.as_ref()),
                held_ms = millis(held),
                "a lease is held for long",
            ),
            Self::LeaseOverMax { label, class, workspace, held } => tracing::error!(
                label,
                ?class,
                workspace.id = name(workspace.as_ref()),
                held_ms = millis(held),
                "a lease is held for too long and has been interrupted",
            ),
            Self::FirstRefusal { error } => {
                tracing::warn!(
                    ?error,
                    "a request for a connection was refused; more within a minute are not logged"
                );
            }
            Self::ServerRefused { effective_slots } => {
                tracing::error!(effective_slots, "the server refused a connection within the budget");
            }
            Self::RoleRefused => tracing::error!("the server does not accept the configured role"),
            Self::ServerDown { retry_in } => {
                tracing::error!(retry_in_ms = millis(retry_in), "the database server cannot be reached");
            }
            Self::ServerBack => tracing::info!("the database server is back"),
            Self::WorkspaceFailing { workspace, retry_in } => tracing::warn!(
                workspace.id = workspace.as_str(),
                retry_in_ms = millis(retry_in),
                "no connection can be opened for a workspace",
            ),
            Self::Zombie { workspace } => tracing::warn!(
                workspace.id = name(workspace.as_ref()),
                "a closed connection is not known to be gone from the server",
            ),
        }
    }
}
