//! What was told about public pages.

use crate::locked;
use application::ports::SiteChanges;
use domain::ids::WorkspaceId;
use std::sync::{Arc, Mutex};

/// Remembers which workspaces were told to have changed. Clones share the memory.
#[derive(Debug, Clone, Default)]
pub struct RecordingSites(Arc<Mutex<Vec<WorkspaceId>>>);

impl RecordingSites {
    /// Takes what was told since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<WorkspaceId> {
        std::mem::take(&mut *locked(&self.0))
    }
}

impl SiteChanges for RecordingSites {
    fn changed(&self, workspace: &WorkspaceId) {
        locked(&self.0).push(workspace.clone());
    }
}
