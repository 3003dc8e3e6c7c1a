//! What a caller names: a workspace, a class of work, a kind of access.

use std::{borrow::Borrow, fmt, sync::Arc};

/// Names one workspace. Opaque to the broker; cheap to clone; shown in errors and statistics.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkspaceKey(Arc<str>);

impl WorkspaceKey {
    /// Takes any text that identifies the workspace for the connector.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text given to [`WorkspaceKey::new`].
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for WorkspaceKey {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for WorkspaceKey {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl Borrow<str> for WorkspaceKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkspaceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for WorkspaceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// How urgent a request is. Within a workspace the order is the one of the variants; a waiter
/// moves up one class for every second it has waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Somebody waits for the answer.
    Interactive,
    /// Mail on its way.
    Delivery,
    /// Work that can wait: imports, exports, segments. Its share of the slots is limited.
    Background,
}

/// What the lease is used for. Matters only to engines with one writer per workspace
/// ([`Limits::single_writer`](crate::Limits::single_writer)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Access {
    /// Reads only.
    #[default]
    Read,
    /// Writes. With a single writer, at most one such lease per workspace is granted at a time.
    Write,
}
