//! How processes on one server tell each other of new work: one channel of the system database.
//!
//! Telling is for speed alone. What is not heard is found by reading the index of due work.

use crate::{connection::Listener, connector::PostgresConnector, failure::store_error, fence::Fence};
use application::ports::{WorkKind, WorkSignal};
use domain::ids::WorkspaceId;
use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, Statement};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

/// The name of the channel.
const CHANNEL: &str = "notifuse_work";

/// Wakes whoever does the work here, tells the others, and hears what they tell.
pub struct WorkChannel {
    server: Arc<PostgresConnector>,
    instance: Arc<str>,
    fence: Fence,
    listens: bool,
    here: Arc<dyn WorkSignal>,
    untold: Mutex<BTreeSet<(String, &'static str)>>,
    committed: Notify,
    over: AtomicBool,
    ended: Notify,
}

impl WorkChannel {
    /// What is committed meanwhile is told together.
    const TOGETHER: Duration = Duration::from_millis(20);
    /// After a failure; doubles with each further one.
    const FIRST_PAUSE: Duration = Duration::from_millis(250);
    const LONGEST_PAUSE: Duration = Duration::from_secs(30);
    /// How soon it is noticed that this process may have no connections.
    const LOOK: Duration = Duration::from_secs(1);
    /// How often a session of which nothing is heard is asked whether it is there.
    const QUIET: u32 = 30;
    const ANSWER: Duration = Duration::from_secs(5);
    /// How long the end of the process may wait for the end of the session.
    const LAST: Duration = Duration::from_secs(2);

    pub(crate) fn new(
        server: Arc<PostgresConnector>,
        instance: Arc<str>,
        fence: Fence,
        listens: bool,
        here: Arc<dyn WorkSignal>,
    ) -> Self {
        let (untold, committed, ended) = (Mutex::default(), Notify::new(), Notify::new());
        Self {
            server,
            instance,
            fence,
            listens,
            here,
            untold,
            committed,
            over: AtomicBool::new(false),
            ended,
        }
    }

    /// Tells and hears until [`WorkChannel::stop`].
    pub async fn run(&self) {
        tokio::join!(self.tell_all(), async {
            if self.listens {
                self.hear_all().await;
            }
        });
    }

    /// Lets [`WorkChannel::run`] end: what was committed so far is told before.
    pub fn stop(&self) {
        self.over.store(true, Ordering::Release);
        self.ended.notify_waiters();
    }

    async fn tell_all(&self) {
        let mut pause = Self::FIRST_PAUSE;
        loop {
            tokio::select! {
                () = self.committed.notified() => {}
                () = self.stopped() => {}
            }
            let untold = std::mem::take(&mut *self.untold());
            let told = if untold.is_empty() { Ok(()) } else { self.tell(&untold).await };
            if self.is_over() {
                return;
            }
            let wait = match told {
                Ok(()) => {
                    pause = Self::FIRST_PAUSE;
                    Self::TOGETHER
                }
                Err(error) => {
                    let error = store_error(error);
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "other processes are not told of work yet"
                    );
                    self.untold().extend(untold);
                    self.committed.notify_one();
                    longer(&mut pause)
                }
            };
            self.wait(wait).await;
        }
    }

    /// One statement for all of it, over the session that is not lent.
    async fn tell(&self, untold: &BTreeSet<(String, &'static str)>) -> Result<(), DbErr> {
        let lines: Vec<_> =
            untold.iter().map(|(workspace, kind)| format!("{} {kind} {workspace}", self.instance)).collect();
        let sql = "SELECT pg_notify($1, told) FROM unnest(string_to_array($2, E'\n')) AS told";
        let values = [CHANNEL.into(), lines.join("\n").into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        self.server.maintenance().with_session(async |c| c.execute_raw(statement).await.map(drop)).await
    }

    async fn hear_all(&self) {
        let mut pause = Self::FIRST_PAUSE;
        while !self.is_over() {
            if self.fence.is_open() {
                match self.server.listen(CHANNEL).await {
                    Ok(mut listener) => {
                        // Whatever was told while nobody listened.
                        self.here.missed();
                        let lost = self.attend(&mut listener, &mut pause).await;
                        self.end(listener).await;
                        if lost {
                            tracing::warn!(
                                "other processes are not heard: looking for their work now and then"
                            );
                        }
                    }
                    Err(error) => {
                        let error = store_error(error);
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "other processes are not heard yet: looking for their work now and then"
                        );
                    }
                }
            }
            if !self.is_over() {
                self.wait(longer(&mut pause)).await;
            }
        }
    }

    /// Hears until the session is lost, may no longer be had, or is no longer wanted. Answers whether it
    /// was lost.
    async fn attend(&self, listener: &mut Listener, pause: &mut Duration) -> bool {
        let mut quiet = 0;
        while !self.is_over() && self.fence.is_open() {
            let told = tokio::select! {
                told = timeout(Self::LOOK, listener.next()) => told,
                () = self.stopped() => return false,
            };
            match told {
                Ok(Some(told)) => {
                    quiet = 0;
                    *pause = Self::FIRST_PAUSE;
                    self.hear(&told);
                }
                Err(_) if quiet < Self::QUIET => quiet += 1,
                Err(_) if listener.answers(Self::ANSWER).await => {
                    quiet = 0;
                    *pause = Self::FIRST_PAUSE;
                }
                Ok(None) | Err(_) => return true,
            }
        }
        false
    }

    fn hear(&self, told: &str) {
        let mut words = told.split(' ');
        let (Some(instance), Some(kind), Some(workspace)) = (words.next(), words.next(), words.next()) else {
            return;
        };
        if instance == &*self.instance {
            return;
        }
        // A newer program may tell of what this one does not know.
        if let (Some(kind), Ok(workspace)) = (WorkKind::from_name(kind), WorkspaceId::parse(workspace)) {
            self.here.notify(&workspace, kind);
        }
    }

    /// Its place in the budget is free when the server no longer has the session.
    async fn end(&self, listener: Listener) {
        let end = self.server.end_listener(listener);
        tokio::pin!(end);
        tokio::select! {
            () = &mut end => {}
            () = self.stopped() => {
                let _ = timeout(Self::LAST, end).await;
            }
        }
    }

    async fn wait(&self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.stopped() => {}
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    async fn stopped(&self) {
        let ended = self.ended.notified();
        tokio::pin!(ended);
        ended.as_mut().enable();
        if !self.is_over() {
            ended.await;
        }
    }

    fn untold(&self) -> MutexGuard<'_, BTreeSet<(String, &'static str)>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkSignal for WorkChannel {
    fn notify(&self, workspace: &WorkspaceId, kind: WorkKind) {
        self.here.notify(workspace, kind);
        self.untold().insert((workspace.to_string(), kind.name()));
        self.committed.notify_one();
    }

    fn missed(&self) {
        self.here.missed();
    }
}

/// The pause, and a longer one for the next time.
fn longer(pause: &mut Duration) -> Duration {
    let now = *pause;
    *pause = (now * 2).min(WorkChannel::LONGEST_PAUSE);
    now
}
