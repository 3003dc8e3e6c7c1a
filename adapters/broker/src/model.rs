//! The state machine by itself: the decisions of a broker without tasks, clock or connections.
//!
//! For simulations, on whatever clock they have, and for measurements. Whoever drives it performs
//! what it asks for and says when that is done, as the shell of a [`Broker`](crate::Broker) does.

use std::time::Duration;

use crate::{
    Access, BrokerError, BrokerStats, Class, Limits, OpenFailure, StatsPage, Target, WorkspaceKey,
    core::{Answer, ConnId, Core, Effect, Event, Lane, Moment, Release, Request, WaiterId},
};

/// One connection, from the decision to open it until its slot is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(ConnId);

/// One pending request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(WaiterId);

/// What the model is told.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Somebody asks for a lease.
    Ask {
        /// Whose database.
        workspace: &'a WorkspaceKey,
        /// How urgent it is.
        class: Class,
        /// How long to wait at most.
        wait: Duration,
    },
    /// A pending request is given up.
    GiveUp(Ticket),
    /// A lease ends and leaves nothing behind.
    GiveBack(Slot),
    /// The connection asked for is open.
    Opened(Slot),
    /// The connection asked for could not be opened; the server has nothing left of the attempt.
    OpenFailed(Slot, OpenFailure),
    /// The check or the cleaning asked for went well.
    Cleaned(Slot),
    /// The server has freed the slot.
    Closed(Slot),
    /// The time of [`Model::next_deadline`] has come.
    Tick,
}

/// The direct answer to [`Input::Ask`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A connection was idle.
    Granted(Slot),
    /// An [`Output`] will tell.
    Queued(Ticket),
    /// Not possible in time.
    Refused(BrokerError),
    /// To any other input.
    None,
}

/// What the model asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A pending request has its connection.
    Granted(Ticket, Slot),
    /// A pending request has come to nothing.
    Refused(Ticket, BrokerError),
    /// Open a connection; [`Input::Opened`] or [`Input::OpenFailed`] follows.
    Open(Slot, Target),
    /// Check or clean a connection; [`Input::Cleaned`] follows.
    Clean(Slot),
    /// Close a connection; [`Input::Closed`] follows.
    Close(Slot),
}

/// See the [module](self). Times are counted from a start of the driver's choosing and never go back.
#[derive(Clone, Debug)]
pub struct Model {
    core: Core,
    effects: Vec<Effect>,
}

impl Model {
    /// A model without connections. The limits are taken as they are, whatever
    /// [`Limits::validate`] says; the seed decides lifetimes and the spread of retries.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self { core: Core::new(limits, seed), effects: Vec::new() }
    }

    /// Takes one input and appends to `outputs` what is to be done, in order.
    pub fn apply(&mut self, input: Input<'_>, at: Duration, outputs: &mut Vec<Output>) -> Reply {
        let event = match input {
            Input::Ask { workspace, class, wait } => Event::Acquire(Request {
                lane: Lane::Workspace(workspace),
                class,
                access: Access::Read,
                wait,
                label: "model",
                own: false,
            }),
            Input::GiveUp(ticket) => Event::Cancel(ticket.0),
            Input::GiveBack(slot) => Event::Release(slot.0, Release::Clean),
            Input::Opened(slot) => Event::Opened(slot.0),
            Input::OpenFailed(slot, failure) => Event::OpenFailed { conn: slot.0, failure, proven: true },
            Input::Cleaned(slot) => Event::Cleaned { conn: slot.0, usable: true },
            Input::Closed(slot) => Event::Closed(slot.0),
            Input::Tick => Event::Tick,
        };
        let answer = self.core.apply(event, Moment::after(at), &mut self.effects);
        outputs.extend(self.effects.drain(..).filter_map(output));
        match answer {
            Answer::Granted(conn) => Reply::Granted(Slot(conn)),
            Answer::Queued(waiter) => Reply::Queued(Ticket(waiter)),
            Answer::Refused(error) => Reply::Refused(error),
            Answer::None => Reply::None,
        }
    }

    /// When [`Input::Tick`] is due, if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.core.next_deadline().map(|at| at.since(Moment::START))
    }

    /// As [`Broker::stats`](crate::Broker::stats).
    #[must_use]
    pub fn stats(&self, page: &StatsPage, at: Duration) -> BrokerStats {
        self.core.stats(page, Moment::after(at))
    }

    /// Connections counted now, whatever their state.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.core.counted()
    }

    /// Workspaces of which anything is known.
    #[must_use]
    pub fn workspaces(&self) -> usize {
        self.core.known_workspaces()
    }

    /// Bytes reserved for records and lists, heap included: an estimate from their capacities that
    /// never shrinks, since freed records are kept for the next ones.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.core.footprint()
    }
}

fn output(effect: Effect) -> Option<Output> {
    Some(match effect {
        Effect::Grant { waiter, conn } => Output::Granted(Ticket(waiter), Slot(conn)),
        Effect::Refuse { waiter, error } => Output::Refused(Ticket(waiter), error),
        Effect::Open { conn, target } => Output::Open(Slot(conn), target),
        Effect::Clean { conn, .. } | Effect::Check { conn } => Output::Clean(Slot(conn)),
        Effect::Close { conn } => Output::Close(Slot(conn)),
        // No lease here is too long, no close hangs, nothing is retired; notes are for logs.
        Effect::Prove { .. }
        | Effect::Interrupt { .. }
        | Effect::Gone(_)
        | Effect::Drained
        | Effect::Note(_) => return None,
    })
}
