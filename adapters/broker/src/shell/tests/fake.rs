//! A database server in this process. Counts its sessions and refuses what is over its limit.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{sync::watch, time::sleep};

use crate::{
    CleanStep, CloseProof, Connector, OpenError, OpenFailure, Target, Unusable, WorkspaceKey, ZombieProbe,
};

/// What the server does; tests change it while it runs.
#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each thing that can go wrong")]
pub(super) struct Script {
    pub(super) open_takes: Duration,
    pub(super) close_takes: Duration,
    /// The next opens fail so; the flag says whether a session is left behind.
    pub(super) failing_opens: VecDeque<(OpenFailure, bool)>,
    pub(super) hang_open: bool,
    /// Closing neither ends nor proves anything until this is reset.
    pub(super) hang_close: bool,
    pub(super) hang_clean: bool,
    pub(super) fail_clean: bool,
    pub(super) panic_in_clean: bool,
    pub(super) panic_in_close: bool,
    pub(super) hang_check: bool,
    /// Terminations of zombies are obeyed.
    pub(super) obey: bool,
}

#[derive(Default)]
struct Inner {
    limit: usize,
    next: u64,
    sessions: BTreeMap<u64, Target>,
    peak: usize,
    peak_per_workspace: usize,
    opened: usize,
    refused: usize,
    log: Vec<&'static str>,
}

#[derive(Clone)]
pub(super) struct Server {
    inner: Arc<Mutex<Inner>>,
    script: Arc<watch::Sender<Script>>,
    gone: Arc<watch::Sender<u64>>,
}

pub(super) struct FakeConnector(Server);

pub(super) struct FakeConnection {
    pub(super) id: u64,
    pub(super) target: Target,
}

impl Server {
    pub(super) fn new(limit: u32) -> Self {
        let inner = Inner { limit: limit as usize, ..Inner::default() };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            script: Arc::new(watch::Sender::new(Script::default())),
            gone: Arc::new(watch::Sender::new(0)),
        }
    }

    pub(super) fn connector(&self) -> FakeConnector {
        FakeConnector(self.clone())
    }

    pub(super) fn script(&self, change: impl FnOnce(&mut Script)) {
        self.script.send_modify(change);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn rules(&self) -> Script {
        self.script.borrow().clone()
    }

    async fn until(&self, condition: impl FnMut(&Script) -> bool) {
        let mut script = self.script.subscribe();
        script.wait_for(condition).await.unwrap();
    }

    pub(super) fn sessions(&self) -> usize {
        self.inner().sessions.len()
    }

    pub(super) fn sessions_of(&self, workspace: &WorkspaceKey) -> usize {
        let target = Target::Workspace(workspace.clone());
        self.inner().sessions.values().filter(|session| **session == target).count()
    }

    pub(super) fn peak(&self) -> usize {
        self.inner().peak
    }

    pub(super) fn peak_per_workspace(&self) -> usize {
        self.inner().peak_per_workspace
    }

    pub(super) fn opened(&self) -> usize {
        self.inner().opened
    }

    pub(super) fn refused(&self) -> usize {
        self.inner().refused
    }

    pub(super) fn log(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.inner().log)
    }

    /// The server ends a session by itself.
    pub(super) fn kill(&self, id: u64) {
        self.inner().sessions.remove(&id);
        self.gone.send_replace(id);
    }

    fn note(&self, what: &'static str) {
        self.inner().log.push(what);
    }

    fn begin(&self, target: &Target) -> Option<u64> {
        let mut inner = self.inner();
        if inner.sessions.len() >= inner.limit {
            inner.refused += 1;
            return None;
        }
        inner.next += 1;
        inner.opened += 1;
        let id = inner.next;
        inner.sessions.insert(id, target.clone());
        inner.peak = inner.peak.max(inner.sessions.len());
        let mut counts = HashMap::<&Target, usize>::new();
        for session in inner.sessions.values().filter(|session| **session != Target::System) {
            *counts.entry(session).or_default() += 1;
        }
        let most = counts.into_values().max().unwrap_or(0);
        inner.peak_per_workspace = inner.peak_per_workspace.max(most);
        Some(id)
    }

    fn end(&self, id: u64) {
        self.inner().sessions.remove(&id);
    }
}

impl Connector for FakeConnector {
    type Connection = FakeConnection;
    type Handle = u64;

    async fn open(&self, target: &Target) -> Result<FakeConnection, OpenError<u64>> {
        let server = &self.0;
        let mut failure = None;
        server.script.send_if_modified(|script| {
            failure = script.failing_opens.pop_front();
            false
        });
        if let Some((failure, false)) = failure {
            return Err(OpenError::proven(failure));
        }
        let Some(id) = server.begin(target) else {
            return Err(OpenError::proven(OpenFailure::Limit));
        };
        if let Some((failure, true)) = failure {
            return Err(OpenError::unproven(failure, id));
        }
        sleep(server.rules().open_takes).await;
        server.until(|script| !script.hang_open).await;
        Ok(FakeConnection { id, target: target.clone() })
    }

    fn handle(&self, connection: &FakeConnection) -> u64 {
        connection.id
    }

    async fn clean(&self, _: &mut FakeConnection, step: CleanStep) -> Result<(), Unusable> {
        self.0.note(match step {
            CleanStep::Rollback => "rollback",
            CleanStep::Discard => "discard",
        });
        assert!(!self.0.rules().panic_in_clean, "on purpose");
        self.0.until(|script| !script.hang_clean).await;
        if self.0.rules().fail_clean { Err(Unusable) } else { Ok(()) }
    }

    async fn check(&self, connection: &mut FakeConnection) -> Result<(), Unusable> {
        self.0.note("check");
        self.0.until(|script| !script.hang_check).await;
        let alive = self.0.inner().sessions.contains_key(&connection.id);
        if alive { Ok(()) } else { Err(Unusable) }
    }

    async fn close(&self, connection: FakeConnection) -> CloseProof<u64> {
        assert!(!self.0.rules().panic_in_close, "on purpose");
        sleep(self.0.rules().close_takes).await;
        self.0.until(|script| !script.hang_close).await;
        self.0.end(connection.id);
        CloseProof::Free
    }

    async fn prove_gone(
        &self,
        system: Option<&mut FakeConnection>,
        zombies: &[ZombieProbe<u64>],
    ) -> Vec<bool> {
        self.0.note(if system.is_some() { "prove" } else { "prove without a connection" });
        let obey = self.0.rules().obey;
        let mut inner = self.0.inner();
        for zombie in zombies.iter().filter(|zombie| zombie.terminate && obey) {
            inner.sessions.remove(&zombie.handle);
        }
        zombies.iter().map(|zombie| !inner.sessions.contains_key(&zombie.handle)).collect()
    }

    async fn interrupt(&self, _: &u64) {
        self.0.note("interrupt");
    }

    fn watch(&self, handle: &u64) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let (mut gone, handle) = (self.0.gone.subscribe(), *handle);
        Some(Box::pin(async move {
            if gone.wait_for(|id| *id == handle).await.is_err() {
                std::future::pending::<()>().await;
            }
        }))
    }
}
