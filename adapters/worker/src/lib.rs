//! The loop that does what the index of due work says: plans broadcasts and delivers mails.
//!
//! It never polls a workspace's database: it looks only where work was promised. Workspaces take
//! turns, one batch each, so that a long queue delays nobody else's.

mod signal;
mod turns;

pub use signal::Wakeup;

use application::{
    broadcasts::Broadcasts,
    deliveries::{Batch, Deliveries},
    failure::{Failure as _, FailureKind},
    ports::{Settled, StoreError, WorkItem, WorkKind},
    work::Work,
};
use domain::{
    Timestamp,
    ids::{MessageId, WorkspaceId},
};
use futures_util::{StreamExt as _, stream};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tracing::Instrument as _;
use turns::{Turn, Turns};

/// How the loop works.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Workspaces that are worked on at the same time.
    pub workspaces_at_once: usize,
    /// Mails of one workspace that are handed over at the same time.
    pub mails_at_once: usize,
    /// How often the index is read for work that became due, or of which nothing was heard.
    pub poll: Duration,
    /// Entries read from the index at once.
    pub poll_size: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { workspaces_at_once: 8, mails_at_once: 16, poll: Duration::from_secs(1), poll_size: 256 }
    }
}

/// The worker of one process.
pub struct Worker {
    duties: Arc<Duties>,
    wakeup: Arc<Wakeup>,
    config: Config,
}

/// Ends a worker: mails in flight are finished, claimed ones that are not begun are given back.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<StopState>);

#[derive(Debug, Default)]
struct StopState {
    asked: AtomicBool,
    notify: Notify,
}

impl Stop {
    /// Asks the worker to end.
    pub fn ask(&self) {
        self.0.asked.store(true, Ordering::SeqCst);
        self.0.notify.notify_waiters();
    }

    fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    async fn asked(&self) {
        let notified = self.0.notify.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        if !self.is_asked() {
            notified.await;
        }
    }
}

struct Duties {
    deliveries: Arc<Deliveries>,
    broadcasts: Arc<Broadcasts>,
    work: Arc<Work>,
    mails_at_once: usize,
}

/// Pauses between attempts to record results.
const RECORD_PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
];

/// What a turn found.
enum Look {
    /// There is more to do at once.
    More,
    /// Nothing more to do until then.
    Done(Option<Timestamp>),
}

impl Worker {
    /// Takes its use cases. `wakeup` is also the signal that the use cases were given.
    #[must_use]
    pub fn new(
        deliveries: Arc<Deliveries>,
        broadcasts: Arc<Broadcasts>,
        work: Arc<Work>,
        wakeup: Arc<Wakeup>,
        config: Config,
    ) -> Self {
        let duties = Duties { deliveries, broadcasts, work, mails_at_once: config.mails_at_once };
        Self { duties: Arc::new(duties), wakeup, config }
    }

    /// Works until asked to stop and all that was begun is finished.
    pub async fn run(&self, stop: Stop) {
        let mut turns = Turns::default();
        let mut running = JoinSet::new();
        let mut next_poll = Instant::now();
        loop {
            while running.len() < self.config.workspaces_at_once && !stop.is_asked() {
                let Some(turn) = turns.begin(Instant::now()) else { break };
                let (duties, stop) = (self.duties.clone(), stop.clone());
                running.spawn(async move {
                    let result = duties.turn(&turn.workspace, turn.kind, turn.seen.as_ref(), &stop).await;
                    (turn, result)
                });
            }
            if stop.is_asked() && running.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                Some(ended) = running.join_next() => match ended {
                    Ok((turn, Ok(more))) => turns.end(&turn.workspace, turn.kind, more),
                    Ok((turn, Err(error))) => {
                        let pause = report(&turn, &error);
                        turns.fail(&turn.workspace, turn.kind, Instant::now() + pause);
                    }
                    Err(panicked) => {
                        tracing::error!(error = %panicked, "a turn of the worker panicked");
                        turns.forget_running();
                    }
                },
                () = stop.asked(), if !stop.is_asked() => {}
                () = self.wakeup.woken() => {
                    let calls = self.wakeup.drain();
                    for (workspace, kind) in calls.places {
                        turns.add(workspace, kind);
                    }
                    if calls.missed {
                        self.catch_up(&mut turns).await;
                    }
                }
                () = tokio::time::sleep_until(turns.next_moment(Instant::now(), next_poll)), if !stop.is_asked() => {
                    if Instant::now() >= next_poll {
                        self.poll(&mut turns).await;
                        next_poll = Instant::now() + self.config.poll;
                    }
                }
            }
        }
    }

    async fn poll(&self, turns: &mut Turns) {
        add_seen(turns, self.duties.work.due(self.config.poll_size).await);
    }

    /// Looks wherever another process may have committed work unheard. What is beyond the first
    /// entries is found by polling, or when its grace ends.
    async fn catch_up(&self, turns: &mut Turns) {
        add_seen(turns, self.duties.work.recent(CATCH_UP).await);
    }
}

/// Entries that are read at once after signals may have been missed.
const CATCH_UP: usize = 10_000;

fn add_seen(turns: &mut Turns, read: Result<Vec<WorkItem>, StoreError>) {
    match read {
        Ok(items) => items.into_iter().for_each(|item| turns.add_seen(item)),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the work index cannot be read");
        }
    }
}

/// The longest that a workspace is left alone after failures.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Logs a failed turn and answers how long to leave the workspace alone.
fn report(turn: &Turn, error: &StoreError) -> Duration {
    let pause = pause(error.kind(), turn.failures);
    tracing::warn!(
        workspace.id = %turn.workspace,
        work.kind = turn.kind.name(),
        pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        error = error as &dyn std::error::Error,
        "a turn of the worker failed"
    );
    pause
}

/// What passes by itself says when; anything else needs somebody's hand, and is tried again at
/// doubling distances.
fn pause(kind: FailureKind, failures_before: u32) -> Duration {
    if let Some(retry_after) = kind.retry_after() {
        return retry_after;
    }
    let first = match kind {
        FailureKind::NotFound => Duration::from_mins(1),
        _ => Duration::from_secs(10),
    };
    first.saturating_mul(2_u32.saturating_pow(failures_before)).min(LONGEST_PAUSE)
}

impl Duties {
    /// One turn of a workspace. Answers whether it wants another.
    async fn turn(
        &self,
        workspace: &WorkspaceId,
        kind: WorkKind,
        seen: Option<&WorkItem>,
        stop: &Stop,
    ) -> Result<bool, StoreError> {
        let span = tracing::info_span!("turn", workspace.id = %workspace, work.kind = kind.name());
        let look = async {
            match kind {
                WorkKind::Deliveries => self.deliver(workspace, stop).await,
                WorkKind::Planning => {
                    let planned = self.broadcasts.plan(workspace).await?;
                    Ok(if planned.more { Look::More } else { Look::Done(planned.next) })
                }
            }
        };
        match look.instrument(span).await? {
            Look::More => Ok(true),
            Look::Done(next) => {
                if let Some(seen) = seen {
                    self.work.conclude(seen, next).await?;
                }
                Ok(false)
            }
        }
    }

    async fn deliver(&self, workspace: &WorkspaceId, stop: &Stop) -> Result<Look, StoreError> {
        let batch = Arc::new(self.deliveries.claim(workspace).await?);
        if batch.items().is_empty() {
            return Ok(Look::Done(batch.next()));
        }
        let handed = tokio::select! {
            handed = self.hand_over(&batch, stop) => handed,
            never = self.hold(&batch) => match never {},
        };
        let messages = batch.items().iter().map(application::deliveries::Item::message);
        let untried: Vec<_> = messages.filter(|m| !handed.tried.contains(m)).cloned().collect();
        if !handed.unrecorded.is_empty() {
            self.record(&batch, &handed.unrecorded).await?;
        }
        if !untried.is_empty() {
            self.deliveries.release(&batch, &untried).await?;
        }
        Ok(Look::More)
    }

    /// Keeps the claims of a batch alive for as long as it is polled.
    async fn hold(&self, batch: &Batch) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(self.deliveries.hold_every()).await;
            if let Err(error) = self.deliveries.hold(batch).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "claims could not be extended");
            }
        }
    }

    /// Mails that were handed over must not be forgotten because the database is away for a moment.
    async fn record(&self, batch: &Batch, settled: &[Settled]) -> Result<(), StoreError> {
        let mut pauses = RECORD_PAUSES.iter();
        loop {
            let error = match self.deliveries.record(batch, settled).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let Some(pause) = pauses.next() else { return Err(error) };
            tracing::warn!(error = &error as &dyn std::error::Error, "results are not recorded yet");
            tokio::time::sleep(*pause).await;
        }
    }

    /// Hands the mails of a batch over, a few groups at the same time. A group is noted as begun
    /// before its first mail, and results are recorded a few groups at a time, so that little is
    /// unknown when the process is killed.
    async fn hand_over(&self, batch: &Arc<Batch>, stop: &Stop) -> Handed {
        let mut groups = (0..batch.items().len()).step_by(GROUP);
        let mut running = JoinSet::new();
        let mut handed = Handed::default();
        loop {
            while running.len() * GROUP < self.mails_at_once && !stop.is_asked() {
                let Some(first) = groups.next() else { break };
                let (deliveries, batch) = (self.deliveries.clone(), batch.clone());
                let group = async move { hand_over_group(&deliveries, &batch, first).await };
                running.spawn(group.in_current_span());
            }
            match running.join_next().await {
                Some(Ok(group)) => handed.add(group),
                // What had begun is recorded as unknown when its lease has run out.
                Some(Err(error)) => tracing::error!(error = %error, "handing over mails panicked"),
                None => return handed,
            }
            if handed.unrecorded.len() >= RECORD && !running.is_empty() {
                match self.deliveries.record(batch, &handed.unrecorded).await {
                    Ok(()) => handed.unrecorded.clear(),
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "results are not recorded yet");
                    }
                }
            }
        }
    }
}

/// What became of a batch.
#[derive(Default)]
struct Handed {
    /// Mails that were tried.
    tried: HashSet<MessageId>,
    /// Results that are not recorded yet.
    unrecorded: Vec<Settled>,
}

impl Handed {
    fn add(&mut self, group: Vec<Settled>) {
        self.tried.extend(group.iter().map(|settled| settled.message.clone()));
        self.unrecorded.extend(group);
    }
}

/// Results that are recorded together, while others of the batch are still handed over.
const RECORD: usize = 32;

/// Mails that are noted as begun together.
const GROUP: usize = 8;

async fn hand_over_group(deliveries: &Deliveries, batch: &Batch, first: usize) -> Vec<Settled> {
    let last = batch.items().len().min(first + GROUP);
    let items: Vec<_> = batch.items()[first..last].iter().collect();
    let begun = match deliveries.begin(batch, &items).await {
        Ok(begun) => begun,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "deliveries could not begin");
            return Vec::new();
        }
    };
    let may = (first..last).filter(|n| begun.contains(batch.items()[*n].message()));
    stream::iter(may.collect::<Vec<_>>())
        .map(|n| deliveries.deliver(batch, &batch.items()[n]))
        .buffer_unordered(GROUP)
        .collect()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_must_mend_is_tried_again_at_doubling_distances() {
        let pauses: Vec<_> = (0..7).map(|n| pause(FailureKind::Internal, n).as_secs()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn what_passes_by_itself_is_tried_again_when_it_says() {
        let kind = FailureKind::Unavailable(Duration::from_secs(3));
        assert_eq!(pause(kind, 9), Duration::from_secs(3));
    }
}
