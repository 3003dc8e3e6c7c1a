//! The engine behind the broker: what it takes to open, clean, check and close a connection.

use std::{fmt, future::Future, pin::Pin};

use crate::WorkspaceKey;

/// The database a connection is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The system database.
    System,
    /// The database of one workspace.
    Workspace(WorkspaceKey),
}

/// One engine. The broker calls it from tasks of its own, never from a caller's task and never
/// while it holds its lock.
///
/// A connector takes no decision: it neither pools, retries nor opens connections unasked.
/// Write the methods as `async fn`.
pub trait Connector: Send + Sync + 'static {
    /// One open connection.
    type Connection: Send + 'static;
    /// Names a connection to whoever can tell whether the server still has it (for PostgreSQL the
    /// backend's pid and start time). Must not keep the connection open.
    type Handle: Clone + Send + Sync + 'static;

    /// Opens one connection, start-up and schema check included.
    ///
    /// Should give up within [`Limits::connect_timeout`](crate::Limits::connect_timeout), close
    /// what it began and say in the error whether the slot is known to be free. After that time
    /// the broker counts the attempt as failed but lets it finish: the future is never dropped
    /// half-way, except with the runtime.
    ///
    /// # Errors
    ///
    /// An [`OpenError`], whose class decides what the broker does next.
    fn open(
        &self,
        target: &Target,
    ) -> impl Future<Output = Result<Self::Connection, OpenError<Self::Handle>>> + Send;

    /// Names an open connection. Called once, right after it was opened.
    fn handle(&self, connection: &Self::Connection) -> Self::Handle;

    /// Makes a connection that was given back dirty fit for its next holder. Dropped, and the
    /// connection closed, after [`Limits::clean_timeout`](crate::Limits::clean_timeout) per step.
    ///
    /// # Errors
    ///
    /// [`Unusable`] when it cannot be; the broker closes it.
    fn clean(
        &self,
        connection: &mut Self::Connection,
        step: CleanStep,
    ) -> impl Future<Output = Result<(), Unusable>> + Send;

    /// One round trip to see that a connection that was idle for long still works.
    ///
    /// # Errors
    ///
    /// [`Unusable`] when it does not; the broker closes it.
    fn check(&self, connection: &mut Self::Connection) -> impl Future<Output = Result<(), Unusable>> + Send;

    /// Closes a connection and waits for the proof that the server has freed its slot. The broker
    /// counts it as a zombie after [`Limits::close_timeout`](crate::Limits::close_timeout), but
    /// lets the future finish.
    fn close(&self, connection: Self::Connection) -> impl Future<Output = CloseProof<Self::Handle>> + Send;

    /// Tells for each zombie, in order, whether the server is known to have freed its slot. One
    /// call for all of them; `system` is a lent connection of the system database, if one could be
    /// had in time.
    fn prove_gone(
        &self,
        system: Option<&mut Self::Connection>,
        zombies: &[ZombieProbe<Self::Handle>],
    ) -> impl Future<Output = Vec<bool>> + Send;

    /// Ends what runs on a connection whose lease lasted too long, so that its holder gets an
    /// error and drops the lease. Must not need a connection slot. Does nothing by default.
    fn interrupt(&self, handle: &Self::Handle) -> impl Future<Output = ()> + Send {
        let _ = handle;
        std::future::ready(())
    }

    /// Ends when the peer has closed the connection, ours included; `None` if that cannot be
    /// noticed without using the connection. Idle connections are then closed at once.
    fn watch(&self, handle: &Self::Handle) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let _ = handle;
        None
    }
}

/// A failed attempt to open a connection.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the connection could not be opened")]
pub struct OpenError<H> {
    /// What went wrong.
    pub failure: OpenFailure,
    /// Whether the server has a session left over from the attempt. [`CloseProof::Free`] if the
    /// start-up packet was never sent, or the end of the connection was seen.
    pub proof: CloseProof<H>,
}

impl<H> OpenError<H> {
    /// A failure that left nothing behind on the server.
    #[must_use]
    pub const fn proven(failure: OpenFailure) -> Self {
        Self { failure, proof: CloseProof::Free }
    }

    /// A failure after the start-up packet whose session may still exist.
    #[must_use]
    pub const fn unproven(failure: OpenFailure, handle: H) -> Self {
        Self { failure, proof: CloseProof::NotProven(handle) }
    }
}

/// Why an attempt to open a connection failed. The class decides what the broker does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenFailure {
    /// The server, role or database has no connection left (SQLSTATE 53300; too many open files).
    /// The broker uses fewer slots for a while and tries again.
    Limit,
    /// The server cannot be reached or is starting up or down. The broker probes for its return.
    Down,
    /// The workspace has no database (SQLSTATE 3D000; no such file). Callers are told at once.
    DatabaseMissing,
    /// The server does not accept the configured role (SQLSTATE 28000, 28P01).
    Auth,
    /// Anything else, a failed schema check included. Only this workspace is held back.
    Other,
}

/// How thoroughly to clean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CleanStep {
    /// Stop what still runs, read what is left, roll back.
    Rollback,
    /// Discard session state: settings, temporary tables, advisory locks, prepared names.
    Discard,
}

/// The connection cannot be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection is unusable")]
pub struct Unusable;

/// Whether a closed connection's slot is known to be free. Shows nothing of the handle.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CloseProof<H> {
    /// The server has freed the slot.
    Free,
    /// Not known; the slot counts as used until [`Connector::prove_gone`] says otherwise.
    NotProven(H),
}

impl<H> fmt::Debug for CloseProof<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Free => "Free",
            Self::NotProven(_) => "NotProven(..)",
        })
    }
}

/// One connection whose end is not proven. Shows nothing of the handle.
#[derive(Clone)]
pub struct ZombieProbe<H> {
    /// Which one.
    pub handle: H,
    /// Whether to ask the server to terminate it as well (the first three times).
    pub terminate: bool,
}

impl<H> fmt::Debug for ZombieProbe<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZombieProbe").field("terminate", &self.terminate).finish_non_exhaustive()
    }
}
