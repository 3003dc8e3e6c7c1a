//! What the core is told and what it asks for.

use std::time::Duration;

use super::slab::{ConnId, WaiterId};
use crate::{Access, BrokerError, Class, Limits, OpenFailure, Target, WorkspaceKey};

/// The lane a request is for, borrowed so that the hot path copies nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lane<'a> {
    System,
    Workspace(&'a WorkspaceKey),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) lane: Lane<'a>,
    pub(crate) class: Class,
    pub(crate) access: Access,
    pub(crate) wait: Duration,
    pub(crate) label: &'static str,
    /// By the broker for itself: may use the last system connection.
    pub(crate) own: bool,
}

/// How a lease was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    Clean,
    Dirty { discard: bool },
    Broken,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Event<'a> {
    Acquire(Request<'a>),
    /// Grants an idle connection or nothing.
    TryAcquire(Request<'a>),
    Cancel(WaiterId),
    Release(ConnId, Release),
    Opened(ConnId),
    /// `proven`: the slot is known to be free.
    OpenFailed {
        conn: ConnId,
        failure: OpenFailure,
        proven: bool,
    },
    /// Cleaned or checked.
    Cleaned {
        conn: ConnId,
        usable: bool,
    },
    /// Closed for certain, zombies included.
    Closed(ConnId),
    CloseTimedOut(ConnId),
    /// The peer of an idle connection closed it.
    PeerGone(ConnId),
    Tick,
    Reconfigure(&'a Limits),
    /// Connections opened until now are not to be lent again.
    Renew,
    Retire(&'a WorkspaceKey),
    Readmit(&'a WorkspaceKey),
    /// Interrupts the leases of one workspace, or all of them.
    Revoke(Option<&'a WorkspaceKey>),
    Prewarm(&'a WorkspaceKey),
    Shutdown,
}

/// The direct answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// The event was no request, or nothing was idle.
    None,
    Granted(ConnId),
    Queued(WaiterId),
    Refused(BrokerError),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Grant {
        waiter: WaiterId,
        conn: ConnId,
    },
    Refuse {
        waiter: WaiterId,
        error: BrokerError,
    },
    Open {
        conn: ConnId,
        target: Target,
    },
    Clean {
        conn: ConnId,
        discard: bool,
    },
    Check {
        conn: ConnId,
    },
    Close {
        conn: ConnId,
    },
    /// The connection is a zombie: its end has to be proven.
    Prove {
        conn: ConnId,
    },
    /// End what runs on a leased connection.
    Interrupt {
        conn: ConnId,
    },
    /// Nothing of a retired workspace is left.
    Gone(WorkspaceKey),
    /// Shutting down, and nothing is left.
    Drained,
    Note(Note),
}

/// Worth a log line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Note {
    LeaseOverWarn { label: &'static str, class: Class, workspace: Option<WorkspaceKey>, held: Duration },
    LeaseOverMax { label: &'static str, class: Class, workspace: Option<WorkspaceKey>, held: Duration },
    FirstRefusal { error: BrokerError },
    ServerRefused { effective_slots: u32 },
    RoleRefused,
    ServerDown { retry_in: Duration },
    ServerBack,
    WorkspaceFailing { workspace: WorkspaceKey, retry_in: Duration },
    Zombie { workspace: Option<WorkspaceKey> },
}
