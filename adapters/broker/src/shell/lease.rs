//! The exclusive use of one connection.

use std::{sync::Arc, time::Duration};

use super::{Shared, nested::Holder, put};
use crate::{
    Access, Class, Connector,
    core::{ConnId, Event, Release},
};

/// What a lease is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseOptions {
    /// How urgent it is.
    pub class: Class,
    /// How long to wait at most; `None` for the time configured for the class.
    pub wait: Option<Duration>,
    /// Static text for logs: what it is for, not for whom.
    pub label: &'static str,
    /// Reading or writing.
    pub access: Access,
}

impl LeaseOptions {
    /// To read, waiting for as long as is configured for the class.
    #[must_use]
    pub const fn read(class: Class, label: &'static str) -> Self {
        Self { class, wait: None, label, access: Access::Read }
    }

    /// To write, waiting for as long as is configured for the class.
    #[must_use]
    pub const fn write(class: Class, label: &'static str) -> Self {
        Self { class, wait: None, label, access: Access::Write }
    }

    /// With another time to wait.
    #[must_use]
    pub const fn within(self, wait: Duration) -> Self {
        Self { wait: Some(wait), ..self }
    }
}

/// Exclusive use of one connection. Dropping it gives the connection back.
///
/// It cannot be cloned and the connection cannot be taken out of it.
pub struct Lease<C: Connector> {
    shared: Arc<Shared<C>>,
    conn: ConnId,
    connection: Option<C::Connection>,
    release: Release,
    session_state: bool,
    holder: Option<Holder>,
}

impl<C: Connector> Lease<C> {
    pub(super) const fn new(shared: Arc<Shared<C>>, conn: ConnId, connection: Option<C::Connection>) -> Self {
        Self { shared, conn, connection, release: Release::Clean, session_state: false, holder: None }
    }

    pub(super) const fn held_by(&mut self, holder: Holder) {
        self.holder = Some(holder);
    }

    /// The connection.
    #[expect(clippy::missing_panics_doc, reason = "it does not panic, see below")]
    pub const fn connection(&mut self) -> &mut C::Connection {
        self.connection.as_mut().expect("only dropping the lease takes the connection out of it")
    }

    /// The connection is to be closed, not lent again.
    pub const fn mark_broken(&mut self) {
        self.release = Release::Broken;
    }

    /// Something may be left on the connection, an open transaction or a statement still running:
    /// it is to be cleaned before it is lent again. Call it before, not after, what may be
    /// cancelled half-way.
    pub fn mark_dirty(&mut self) {
        if self.release != Release::Broken {
            self.release = Release::Dirty { discard: false };
        }
    }

    /// Undoes [`Lease::mark_dirty`]: the transaction has ended, the statement is done.
    pub fn mark_clean(&mut self) {
        if self.release != Release::Broken {
            self.release = Release::Clean;
        }
    }

    /// The holder has changed the session: settings, temporary tables, advisory locks. It is
    /// reset before the connection is lent again.
    pub const fn declare_session_state(&mut self) {
        self.session_state = true;
    }

    /// Whether somebody waits whom giving the connection back would serve. To be asked between
    /// steps of long work, about every 100 ms. Takes the broker's lock for a moment.
    #[must_use]
    pub fn should_yield(&self) -> bool {
        let now = self.shared.now();
        self.shared.lock().core.should_yield(self.conn, now)
    }

    fn outcome(&self) -> Release {
        match self.release {
            Release::Broken => Release::Broken,
            Release::Clean if !self.session_state && !std::thread::panicking() => Release::Clean,
            _ => Release::Dirty { discard: self.session_state },
        }
    }
}

impl<C: Connector> std::fmt::Debug for Lease<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("conn", &self.conn).finish_non_exhaustive()
    }
}

impl<C: Connector> Drop for Lease<C> {
    fn drop(&mut self) {
        let (conn, outcome) = (self.conn, self.outcome());
        let (connection, holder) = (self.connection.take(), self.holder.take());
        self.shared.apply_with(Event::Release(conn, outcome), |state| {
            if let Some(connection) = connection {
                put(&mut state.parked, conn, connection);
            }
            if let Some(holder) = holder {
                state.holders.released(holder);
            }
        });
    }
}
