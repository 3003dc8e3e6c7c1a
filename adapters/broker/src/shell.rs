//! One mutex round the core; what it decides is performed after unlocking, in tasks of the broker.

mod busiest;
mod jobs;
mod lease;
mod nested;
mod notes;
mod platform;
#[cfg(all(test, feature = "shuttle"))]
mod schedules;
#[cfg(all(test, not(feature = "shuttle")))]
mod tests;
mod zombies;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, Weak},
    time::Duration,
};

use tokio::sync::{Notify, oneshot};

pub use self::lease::{Lease, LeaseOptions};
use self::{
    busiest::Busiest,
    jobs::Job,
    nested::{Caller, Holders},
    platform::{Handle, Instant, Mutex, MutexGuard, sleep_until, timeout},
    zombies::Zombies,
};
use crate::{
    BrokerError, BrokerStats, Connector, InvalidLimits, Limits, StatsPage, WorkspaceKey,
    core::{Answer, ConnId, Core, Effect, Event, Id, Lane, Moment, Request, WaiterId},
};

/// Lends connections. Cheap to clone; all clones are one broker.
///
/// Dropping the last clone without [`Broker::shutdown`] drops the idle connections where they are.
pub struct Broker<C: Connector> {
    shared: Arc<Shared<C>>,
}

impl<C: Connector> Clone for Broker<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C: Connector> std::fmt::Debug for Broker<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").finish_non_exhaustive()
    }
}

/// A workspace of whose connections none is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retired {
    /// Whether leases had to be interrupted.
    pub forced: bool,
}

/// How a shutdown went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Leases that had to be interrupted.
    pub interrupted: usize,
    /// Leases that were not given back even so.
    pub leases_left: usize,
    /// Connections whose end is not proven, those leases included.
    pub connections_left: usize,
}

impl ShutdownReport {
    /// Whether everything is closed and nothing had to be forced.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.interrupted == 0 && self.connections_left == 0
    }
}

impl<C: Connector> Broker<C> {
    /// Makes a broker; opens nothing. Must be called within a tokio runtime, whose tasks do the
    /// work.
    ///
    /// # Errors
    ///
    /// [`InvalidLimits`] with everything that [`Limits::validate`] finds.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn new(limits: Limits, connector: C) -> Result<Self, InvalidLimits> {
        limits.validate().map_err(|problems| InvalidLimits { problems })?;
        Ok(Self::unchecked(limits, connector))
    }

    fn unchecked(limits: Limits, connector: C) -> Self {
        let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0_u8);
        let wake = Arc::new(Notify::new());
        tracing::info!(
            budget = limits.max_connections,
            share = limits.effective_share(),
            reserve = limits.effective_system_reserve(),
            slots = limits.workspace_slots(),
            cap = limits.max_connections_per_workspace,
            "connection broker started",
        );
        let shared = Arc::new(Shared {
            connector,
            runtime: Handle::current(),
            epoch: Instant::now(),
            wake: Arc::clone(&wake),
            state: Mutex::new(State::new(limits, seed)),
        });
        shared.runtime.spawn(keep_time(Arc::downgrade(&shared), wake));
        if shared.lock().busiest.is_wanted() {
            shared.runtime.spawn(busiest::keep_warm(Arc::downgrade(&shared)));
        }
        Self { shared }
    }

    /// Waits for a connection of a workspace. Cancel-safe: dropping the future at any point leaves
    /// nothing behind.
    ///
    /// # Errors
    ///
    /// A [`BrokerError`], at the latest when the wait allowed is over, and at once if it is clear
    /// that no connection will come in time.
    pub async fn lease(
        &self,
        workspace: &WorkspaceKey,
        options: LeaseOptions,
    ) -> Result<Lease<C>, BrokerError> {
        self.shared.lease(Lane::Workspace(workspace), options).await
    }

    /// Waits for a connection of the system database. Otherwise like [`Broker::lease`]. One
    /// connection of the reserve is kept for the broker itself.
    ///
    /// # Errors
    ///
    /// As for [`Broker::lease`].
    pub async fn system(&self, options: LeaseOptions) -> Result<Lease<C>, BrokerError> {
        self.shared.lease(Lane::System, options).await
    }

    /// An idle connection of a workspace, if there is one that may be lent now without overtaking
    /// anybody and without a health check. The wait in the options is ignored.
    #[must_use]
    pub fn try_lease(&self, workspace: &WorkspaceKey, options: LeaseOptions) -> Option<Lease<C>> {
        self.shared.try_lease(workspace, options)
    }

    /// Closes all connections of a workspace and refuses new leases for it. Returns only when
    /// nothing of it is left on the server and nothing will come. Leases get the time given to be
    /// given back, then they are interrupted.
    ///
    /// Dropping the future does not undo it; [`Broker::readmit`] does.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`] if the workspace is readmitted meanwhile.
    pub async fn retire(&self, workspace: &WorkspaceKey, within: Duration) -> Result<Retired, BrokerError> {
        let gone = self.shared.when_gone(workspace);
        self.shared.apply(Event::Retire(workspace));
        tokio::pin!(gone);
        let mut forced = false;
        let mut wait = within;
        loop {
            match timeout(wait, &mut gone).await {
                Ok(Ok(())) => return Ok(Retired { forced }),
                Ok(Err(_)) => return Err(BrokerError::Unavailable { retry_after: Duration::from_secs(1) }),
                Err(_) => {
                    forced = true;
                    wait = Duration::from_secs(1);
                    self.shared.apply(Event::Revoke(Some(workspace)));
                }
            }
        }
    }

    /// Lends connections of a retired workspace again.
    pub fn readmit(&self, workspace: &WorkspaceKey) {
        self.shared.lock().retiring.remove(workspace);
        self.shared.apply(Event::Readmit(workspace));
    }

    /// Opens a connection for a workspace at a time to come, if there is a free slot then and it
    /// has none. Nobody loses a connection over it.
    pub fn prewarm(&self, workspace: &WorkspaceKey, at: Instant) {
        let (shared, workspace) = (Arc::downgrade(&self.shared), workspace.clone());
        self.shared.runtime.spawn(async move {
            sleep_until(at).await;
            if let Some(shared) = shared.upgrade() {
                shared.apply(Event::Prewarm(&workspace));
            }
        });
    }

    /// Figures, without any I/O. Takes the broker's lock for O(connections + active workspaces).
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "the caller hands the page over")]
    pub fn stats(&self, page: StatsPage) -> BrokerStats {
        let now = self.shared.now();
        let shared = self.shared.lock();
        let nested_leases = shared.holders.nested();
        BrokerStats { nested_leases, ..shared.core.stats(&page, now) }
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.shared.lock().core.limits().clone()
    }

    /// Changes the limits. Nothing is revoked: over a lowered limit nothing is opened and idle
    /// connections are closed first. `single_writer` stays as it was.
    ///
    /// # Errors
    ///
    /// [`InvalidLimits`]; then nothing has changed.
    #[expect(clippy::needless_pass_by_value, reason = "the caller hands the limits over")]
    pub fn reconfigure(&self, limits: Limits) -> Result<(), InvalidLimits> {
        limits.validate().map_err(|problems| InvalidLimits { problems })?;
        self.shared.apply(Event::Reconfigure(&limits));
        Ok(())
    }

    /// Closes every connection opened until now, leased ones when they are given back: after a
    /// change of what the connector opens them with.
    pub fn renew(&self) {
        self.shared.apply(Event::Renew);
    }

    /// Interrupts every lease there is: its holder gets an error, and the connection is closed. For when
    /// connections may not be had any longer.
    pub fn revoke(&self) {
        self.shared.apply(Event::Revoke(None));
    }

    /// Refuses new leases, fails waiters, waits for leases to be given back and closes everything.
    /// After the time given leases are interrupted; after the time for a close it returns with
    /// whatever is left.
    pub async fn shutdown(&self, within: Duration) -> ShutdownReport {
        let (done, drained) = oneshot::channel();
        let close_timeout = {
            let mut state = self.shared.lock();
            state.draining.push(done);
            state.core.limits().close_timeout
        };
        self.shared.apply(Event::Shutdown);
        tokio::pin!(drained);
        let mut interrupted = 0;
        if timeout(within, &mut drained).await.is_err() {
            interrupted = self.shared.lock().core.remaining().1;
            self.shared.apply(Event::Revoke(None));
            let grace = close_timeout + close_timeout;
            // What is still there afterwards is reported.
            let _ = timeout(grace, &mut drained).await;
        }
        let (connections_left, leases_left) = self.shared.lock().core.remaining();
        ShutdownReport { interrupted, leases_left, connections_left }
    }
}

/// What all clones, leases and tasks share.
struct Shared<C: Connector> {
    connector: C,
    runtime: Handle,
    epoch: Instant,
    wake: Arc<Notify>,
    state: Mutex<State<C>>,
}

type Reply<C> = oneshot::Sender<Result<Lease<C>, BrokerError>>;

struct State<C: Connector> {
    core: Core,
    effects: Vec<Effect>,
    /// Connections that are not lent, by the index of their record.
    parked: Vec<Option<C::Connection>>,
    handles: Vec<Option<C::Handle>>,
    /// Callers waiting, by the index of their waiter.
    replies: Vec<Option<Reply<C>>>,
    /// Until when the timer task sleeps.
    armed: Option<Moment>,
    holders: Holders,
    busiest: Busiest,
    retiring: HashMap<WorkspaceKey, Vec<oneshot::Sender<()>>>,
    draining: Vec<oneshot::Sender<()>>,
    zombies: Zombies<C::Handle>,
}

/// Sets a place in a vector that grows as needed.
fn put<T>(places: &mut Vec<Option<T>>, id: impl Id, value: T) {
    if places.len() <= id.index() {
        places.resize_with(id.index() + 1, || None);
    }
    places[id.index()] = Some(value);
}

fn take<T>(places: &mut [Option<T>], id: impl Id) -> Option<T> {
    places.get_mut(id.index())?.take()
}

impl<C: Connector> State<C> {
    fn new(limits: Limits, seed: u64) -> Self {
        let holders = Holders::new(limits.panic_on_nested);
        let busiest = Busiest::new(limits.prewarm);
        Self {
            core: Core::new(limits, seed),
            effects: Vec::new(),
            parked: Vec::new(),
            handles: Vec::new(),
            replies: Vec::new(),
            armed: None,
            holders,
            busiest,
            retiring: HashMap::new(),
            draining: Vec::new(),
            zombies: Zombies::default(),
        }
    }
}

impl<C: Connector> Shared<C> {
    /// A panic elsewhere under the lock is a bug in the broker; serving on beats failing everyone.
    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        Moment::after(self.epoch.elapsed())
    }

    fn at(&self, moment: Moment) -> Instant {
        self.epoch + moment.since(Moment::START)
    }

    /// Tells the core and performs what it decides.
    fn apply(self: &Arc<Self>, event: Event<'_>) {
        self.apply_with(event, |_| {});
    }

    /// As [`Shared::apply`], after a change to the state under the same lock.
    fn apply_with(self: &Arc<Self>, event: Event<'_>, before: impl FnOnce(&mut State<C>)) {
        let mut state = self.lock();
        before(&mut state);
        let now = self.now();
        self.step(&mut state, event, now);
        let jobs = self.collect(&mut state);
        drop(state);
        self.perform(jobs);
    }

    fn step(&self, state: &mut State<C>, event: Event<'_>, now: Moment) -> Answer {
        let answer = state.core.apply(event, now, &mut state.effects);
        let next = state.core.next_deadline();
        if let Some(next) = next
            && state.armed.is_none_or(|armed| next < armed)
        {
            state.armed = Some(next);
            self.wake.notify_one();
        }
        answer
    }

    /// Turns effects into jobs, with the connections and callers they are about.
    fn collect(self: &Arc<Self>, state: &mut State<C>) -> Vec<Job<C>> {
        let mut jobs = Vec::new();
        let mut effects = std::mem::take(&mut state.effects);
        for effect in effects.drain(..) {
            jobs.extend(Job::from_effect(self, state, effect));
        }
        // Keeps its memory.
        state.effects = effects;
        jobs
    }

    fn perform(self: &Arc<Self>, jobs: Vec<Job<C>>) {
        for job in jobs {
            job.run(self);
        }
    }

    async fn lease(self: &Arc<Self>, lane: Lane<'_>, options: LeaseOptions) -> Result<Lease<C>, BrokerError> {
        let (asked, caller) = {
            let mut state = self.lock();
            let caller = state.holders.about_to_lease(options.label);
            let asked = self.ask(state, lane, options, false, Some(&caller));
            (asked, caller)
        };
        caller.complain();
        let waited = matches!(asked, Asked::Waits(_));
        let mut lease = asked.answer().await?;
        if waited {
            self.lock().holders.granted(&caller);
            lease.held_by(caller.who());
        }
        Ok(lease)
    }

    /// For the broker itself: not a caller that could nest leases.
    async fn own_lease(
        self: &Arc<Self>,
        lane: Lane<'_>,
        options: LeaseOptions,
    ) -> Result<Lease<C>, BrokerError> {
        let asked = self.ask(self.lock(), lane, options, true, None);
        asked.answer().await
    }

    fn ask(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State<C>>,
        lane: Lane<'_>,
        options: LeaseOptions,
        own: bool,
        caller: Option<&Caller>,
    ) -> Asked<C> {
        let now = self.now();
        if let Lane::Workspace(workspace) = lane {
            state.busiest.count(workspace, now);
        }
        let request = request(&state.core, lane, options, own);
        let asked = match self.step(&mut state, Event::Acquire(request), now) {
            Answer::Granted(conn) => Asked::Granted(self.lend(&mut state, conn, caller)),
            Answer::Refused(error) => Asked::Refused(error),
            Answer::Queued(waiter) => {
                let (reply, receiver) = oneshot::channel();
                put(&mut state.replies, waiter, reply);
                Asked::Waits(Waiting { shared: Arc::clone(self), waiter, receiver })
            }
            Answer::None => unreachable!("a request is answered"),
        };
        let jobs = self.collect(&mut state);
        drop(state);
        self.perform(jobs);
        asked
    }

    fn try_lease(self: &Arc<Self>, workspace: &WorkspaceKey, options: LeaseOptions) -> Option<Lease<C>> {
        let mut state = self.lock();
        let caller = state.holders.about_to_lease(options.label);
        let now = self.now();
        let request = request(&state.core, Lane::Workspace(workspace), options, false);
        let lease = match self.step(&mut state, Event::TryAcquire(request), now) {
            Answer::Granted(conn) => Some(self.lend(&mut state, conn, Some(&caller))),
            _ => None,
        };
        let jobs = self.collect(&mut state);
        drop(state);
        self.perform(jobs);
        caller.complain();
        lease
    }

    /// The lease of a connection that the core has granted.
    fn lend(self: &Arc<Self>, state: &mut State<C>, conn: ConnId, caller: Option<&Caller>) -> Lease<C> {
        let connection = take(&mut state.parked, conn);
        debug_assert!(connection.is_some(), "a granted connection is parked");
        let mut lease = Lease::new(Arc::clone(self), conn, connection);
        if let Some(caller) = caller {
            state.holders.granted(caller);
            lease.held_by(caller.who());
        }
        lease
    }

    /// Told when nothing of a workspace is left after [`Event::Retire`].
    fn when_gone(&self, workspace: &WorkspaceKey) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.lock().retiring.entry(workspace.clone()).or_default().push(sender);
        receiver
    }
}

fn request<'a>(core: &Core, lane: Lane<'a>, options: LeaseOptions, own: bool) -> Request<'a> {
    let LeaseOptions { class, wait, label, access } = options;
    let wait = wait.unwrap_or_else(|| core.default_wait(class));
    Request { lane, class, access, wait, label, own }
}

enum Asked<C: Connector> {
    Granted(Lease<C>),
    Refused(BrokerError),
    Waits(Waiting<C>),
}

impl<C: Connector> Asked<C> {
    async fn answer(self) -> Result<Lease<C>, BrokerError> {
        match self {
            Self::Granted(lease) => Ok(lease),
            Self::Refused(error) => Err(error),
            // A channel closed without an answer: the runtime is going down with its tasks.
            Self::Waits(mut waiting) => {
                (&mut waiting.receiver).await.unwrap_or(Err(BrokerError::ShuttingDown))
            }
        }
    }
}

/// A caller in the queue. Dropped before the answer, it leaves the queue; dropped after it, the
/// lease in the channel is given back.
struct Waiting<C: Connector> {
    shared: Arc<Shared<C>>,
    waiter: WaiterId,
    receiver: oneshot::Receiver<Result<Lease<C>, BrokerError>>,
}

impl<C: Connector> Drop for Waiting<C> {
    fn drop(&mut self) {
        if !self.receiver.is_terminated() {
            let waiter = self.waiter;
            self.shared.apply_with(Event::Cancel(waiter), |state| {
                if state.core.is_waiting(waiter) {
                    take(&mut state.replies, waiter);
                }
            });
        }
    }
}

impl<C: Connector> Drop for Shared<C> {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

/// The timer: tells the core when its next deadline has come.
async fn keep_time<C: Connector>(shared: Weak<Shared<C>>, wake: Arc<Notify>) {
    loop {
        let until = {
            let Some(shared) = shared.upgrade() else { return };
            let mut state = shared.lock();
            state.armed = state.core.next_deadline();
            state.armed.map(|at| shared.at(at))
        };
        match until {
            None => wake.notified().await,
            Some(until) => {
                tokio::select! {
                    () = wake.notified() => continue,
                    () = sleep_until(until) => {}
                }
                let Some(shared) = shared.upgrade() else { return };
                shared.apply(Event::Tick);
            }
        }
    }
}
