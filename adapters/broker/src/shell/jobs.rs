//! Performing what the core decides. Every connector call runs in a task of its own.

use std::{
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{Lease, Reply, Shared, State, platform::timeout, put, take};
use crate::{
    BrokerError, CleanStep, CloseProof, Connector, OpenError, OpenFailure, Target, Unusable,
    core::{ConnId, Effect, Event, Id, Note},
};

/// An effect with the connection or the caller it is about.
pub(super) enum Job<C: Connector> {
    Grant(Option<Reply<C>>, Lease<C>),
    Refuse(Reply<C>, BrokerError),
    Open(ConnId, Target, Times),
    Clean(ConnId, C::Connection, bool, Times),
    Check(ConnId, C::Connection, Times),
    Close(ConnId, C::Connection, Times),
    Interrupt(C::Handle),
    /// The connection was dropped by a task that panicked.
    Lost(ConnId),
    Tell(Vec<oneshot::Sender<()>>),
    ProveZombies,
    Note(Note),
}

#[derive(Clone, Copy)]
pub(super) struct Times {
    connect: Duration,
    close: Duration,
    clean: Duration,
    check: Duration,
}

impl<C: Connector> Job<C> {
    pub(super) fn from_effect(shared: &Arc<Shared<C>>, state: &mut State<C>, effect: Effect) -> Option<Self> {
        let limits = state.core.limits();
        let times = Times {
            connect: limits.connect_timeout,
            close: limits.close_timeout,
            clean: limits.clean_timeout,
            check: limits.health_check_timeout,
        };
        Some(match effect {
            Effect::Grant { waiter, conn } => {
                // Not to be dropped here: that would take the lock again.
                let lease = shared.lend(state, conn, None);
                Self::Grant(take(&mut state.replies, waiter), lease)
            }
            Effect::Refuse { waiter, error } => Self::Refuse(take(&mut state.replies, waiter)?, error),
            Effect::Open { conn, target } => Self::Open(conn, target, times),
            Effect::Clean { conn, discard } => match take(&mut state.parked, conn) {
                Some(connection) => Self::Clean(conn, connection, discard, times),
                None => Self::Lost(conn),
            },
            Effect::Check { conn } => match take(&mut state.parked, conn) {
                Some(connection) => Self::Check(conn, connection, times),
                None => Self::Lost(conn),
            },
            Effect::Close { conn } => match take(&mut state.parked, conn) {
                Some(connection) => Self::Close(conn, connection, times),
                None => Self::Lost(conn),
            },
            Effect::Interrupt { conn } => Self::Interrupt(state.handles.get(conn.index())?.clone()?),
            Effect::Prove { conn } => {
                state.zombies.add(conn);
                Self::ProveZombies
            }
            Effect::Gone(workspace) => Self::Tell(state.retiring.remove(&workspace)?),
            Effect::Drained => Self::Tell(std::mem::take(&mut state.draining)),
            Effect::Note(note) => Self::Note(note),
        })
    }

    pub(super) fn run(self, shared: &Arc<Shared<C>>) {
        match self {
            // A caller that has gone meanwhile gives the lease back by dropping it.
            Self::Grant(Some(reply), lease) => drop(reply.send(Ok(lease))),
            Self::Grant(None, lease) => drop(lease),
            Self::Refuse(reply, error) => drop(reply.send(Err(error))),
            Self::Open(conn, target, times) => spawn(shared, open(Arc::clone(shared), conn, target, times)),
            Self::Clean(conn, connection, discard, times) => {
                spawn(shared, clean(Arc::clone(shared), conn, connection, discard, times));
            }
            Self::Check(conn, connection, times) => {
                spawn(shared, check(Arc::clone(shared), conn, connection, times));
            }
            Self::Close(conn, connection, times) => {
                spawn(shared, close(Arc::clone(shared), conn, connection, times.close));
            }
            Self::Interrupt(handle) => {
                let shared_too = Arc::clone(shared);
                spawn(shared, async move { shared_too.connector.interrupt(&handle).await });
            }
            Self::Lost(conn) => lose(shared, conn),
            Self::Tell(waiting) => {
                for sender in waiting {
                    // Whoever no longer listens has given up waiting.
                    let _ = sender.send(());
                }
            }
            Self::ProveZombies => super::zombies::prove(shared),
            Self::Note(note) => note.log(),
        }
    }
}

fn spawn<C: Connector>(shared: &Arc<Shared<C>>, task: impl Future<Output = ()> + Send + 'static) {
    shared.runtime.spawn(task);
}

/// A connection that is not there to be closed counts until the server says that it is gone.
fn lose<C: Connector>(shared: &Arc<Shared<C>>, conn: ConnId) {
    shared.apply(Event::Cleaned { conn, usable: false });
    shared.apply_with(Event::CloseTimedOut(conn), |state| {
        if let Some(handle) = take(&mut state.handles, conn) {
            state.zombies.name(conn, handle);
        }
    });
}

/// Tells the core when a connector panics, so that its slot is not lost for ever.
struct Guard<'a, C: Connector> {
    shared: &'a Arc<Shared<C>>,
    conn: ConnId,
}

impl<C: Connector> Drop for Guard<'_, C> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let conn = self.conn;
            tracing::error!("a connector panicked");
            let failure = OpenFailure::Other;
            self.shared.apply(Event::OpenFailed { conn, failure, proven: false });
            lose(self.shared, conn);
        }
    }
}

/// Opens a connection. An attempt that takes too long counts as failed, but is let finish: only
/// then is its slot known to be free.
async fn open<C: Connector>(shared: Arc<Shared<C>>, conn: ConnId, target: Target, times: Times) {
    let _guard = Guard { shared: &shared, conn };
    let opening = shared.connector.open(&target);
    tokio::pin!(opening);
    if let Ok(outcome) = timeout(times.connect, &mut opening).await {
        return match outcome {
            Ok(connection) => {
                let handle = shared.connector.handle(&connection);
                if let Some(gone) = shared.connector.watch(&handle) {
                    spawn(&shared, watch(Arc::downgrade(&shared), conn, gone));
                }
                shared.apply_with(Event::Opened(conn), |state| {
                    put(&mut state.parked, conn, connection);
                    put(&mut state.handles, conn, handle);
                });
            }
            Err(OpenError { failure, proof }) => {
                let proven = matches!(proof, CloseProof::Free);
                shared.apply_with(Event::OpenFailed { conn, failure, proven }, |state| {
                    if let CloseProof::NotProven(handle) = proof {
                        state.zombies.name(conn, handle);
                    }
                });
            }
        };
    }
    shared.apply(Event::OpenFailed { conn, failure: OpenFailure::Down, proven: false });
    match opening.await {
        Ok(connection) => finish_close(&shared, conn, shared.connector.close(connection).await),
        Err(OpenError { proof, .. }) => finish_close(&shared, conn, proof),
    }
}

async fn watch<C: Connector>(shared: Weak<Shared<C>>, conn: ConnId, gone: impl Future<Output = ()>) {
    gone.await;
    if let Some(shared) = shared.upgrade() {
        shared.apply(Event::PeerGone(conn));
    }
}

async fn clean<C: Connector>(
    shared: Arc<Shared<C>>,
    conn: ConnId,
    mut connection: C::Connection,
    discard: bool,
    times: Times,
) {
    let _guard = Guard { shared: &shared, conn };
    let mut usable = within(times.clean, shared.connector.clean(&mut connection, CleanStep::Rollback)).await;
    if usable && discard {
        usable = within(times.clean, shared.connector.clean(&mut connection, CleanStep::Discard)).await;
    }
    shared.apply_with(Event::Cleaned { conn, usable }, |state| put(&mut state.parked, conn, connection));
}

async fn check<C: Connector>(
    shared: Arc<Shared<C>>,
    conn: ConnId,
    mut connection: C::Connection,
    times: Times,
) {
    let _guard = Guard { shared: &shared, conn };
    let usable = within(times.check, shared.connector.check(&mut connection)).await;
    shared.apply_with(Event::Cleaned { conn, usable }, |state| put(&mut state.parked, conn, connection));
}

async fn within(time: Duration, step: impl Future<Output = Result<(), Unusable>>) -> bool {
    matches!(timeout(time, step).await, Ok(Ok(())))
}

async fn close<C: Connector>(
    shared: Arc<Shared<C>>,
    conn: ConnId,
    connection: C::Connection,
    time: Duration,
) {
    let _guard = Guard { shared: &shared, conn };
    let closing = shared.connector.close(connection);
    tokio::pin!(closing);
    let proof = if let Ok(proof) = timeout(time, &mut closing).await {
        proof
    } else {
        shared.apply_with(Event::CloseTimedOut(conn), |state| {
            if let Some(handle) = take(&mut state.handles, conn) {
                state.zombies.name(conn, handle);
            }
        });
        closing.await
    };
    finish_close(&shared, conn, proof);
}

fn finish_close<C: Connector>(shared: &Arc<Shared<C>>, conn: ConnId, proof: CloseProof<C::Handle>) {
    match proof {
        CloseProof::Free => shared.apply_with(Event::Closed(conn), |state| state.zombies.forget(conn)),
        CloseProof::NotProven(handle) => {
            shared.apply_with(Event::CloseTimedOut(conn), |state| state.zombies.name(conn, handle));
        }
    }
}
