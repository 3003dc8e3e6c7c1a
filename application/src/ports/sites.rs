//! Telling those who keep copies of public pages that they are out of date.

use domain::ids::WorkspaceId;

/// Forgets copies of what the public sees of a workspace: its host and its pages.
///
/// Told after a commit. A copy in another process ends by its age.
pub trait SiteChanges: Send + Sync {
    /// The host or the pages of this workspace may have changed.
    fn changed(&self, workspace: &WorkspaceId);
}
