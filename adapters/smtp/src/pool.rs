//! Connections kept for the next mail: bounded per route, closed when unused, old or outdated.

use crate::{
    Config,
    client::{Deadline, Session},
};
use application::ports::SendError;
use domain::{
    ids::{IntegrationId, WorkspaceId},
    integrations::{ProviderSettings, SmtpSettings},
    secret::Secret,
};
use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout_at},
};

/// Names whose connections are shared: the workspace's integration, or the installation's own.
pub(crate) type Owner = Option<(WorkspaceId, IntegrationId)>;

/// All routes in use.
pub(crate) struct Pool {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct Limits {
    connections: usize,
    mails: u32,
    idle: Duration,
}

#[derive(Default)]
struct State {
    routes: HashMap<Key, Arc<Route>>,
    sweeping: bool,
}

/// Settings are part of the key: changed settings mean other connections.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    owner: Owner,
    settings: Arc<ProviderSettings<Secret>>,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.owner.hash(state);
        if let ProviderSettings::Smtp(SmtpSettings { host, port, username, .. }) = &*self.settings {
            (host, port, username).hash(state);
        }
    }
}

struct Route {
    free: Arc<Semaphore>,
    parked: Mutex<Parked>,
}

struct Parked {
    /// Least recently used first.
    sessions: Vec<(Session, Instant)>,
    used: Instant,
    /// The settings have changed: nothing is parked any more.
    outdated: bool,
}

/// The right to one connection of a route; given back when dropped.
pub(crate) struct Slot {
    route: Arc<Route>,
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    /// The connection used last, if one is parked.
    pub fn parked(&self) -> Option<Session> {
        lock(&self.route.parked).sessions.pop().map(|(session, _)| session)
    }
}

impl Pool {
    pub fn new(config: &Config) -> Arc<Self> {
        let connections = config.connections_per_route.clamp(1, Semaphore::MAX_PERMITS);
        let limits = Limits { connections, mails: config.mails_per_connection, idle: config.idle };
        Arc::new(Self { limits, state: Mutex::default() })
    }

    /// Waits for the right to a connection.
    pub async fn slot(
        self: &Arc<Self>,
        owner: &Owner,
        settings: &Arc<ProviderSettings<Secret>>,
        deadline: &Deadline,
    ) -> Result<Slot, SendError> {
        let (route, outdated) = self.route(owner, settings);
        self.sweep_later();
        for session in outdated {
            session.quit().await;
        }
        match timeout_at(deadline.overall, Arc::clone(&route.free).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Slot { route, _permit: permit }),
            Ok(Err(_)) | Err(_) => {
                Err(SendError::Provider { reason: "all connections stayed busy for too long".to_owned() })
            }
        }
    }

    /// Parks a session for the next mail, or closes it.
    pub async fn give_back(&self, slot: Slot, session: Session) {
        let mut leaving = Some(session);
        if leaving.as_ref().is_some_and(|s| s.is_reusable() && s.mails() < self.limits.mails) {
            let mut parked = lock(&slot.route.parked);
            parked.used = Instant::now();
            if !parked.outdated {
                parked.sessions.extend(leaving.take().map(|session| (session, Instant::now())));
            }
        }
        if let Some(session) = leaving {
            session.quit().await;
        }
        drop(slot);
    }

    /// Closes every parked connection.
    pub async fn close(&self) {
        let routes: Vec<_> = lock(&self.state).routes.drain().map(|(_, route)| route).collect();
        for session in routes.iter().flat_map(|route| route.retire()) {
            session.quit().await;
        }
    }

    fn route(&self, owner: &Owner, settings: &Arc<ProviderSettings<Secret>>) -> (Arc<Route>, Vec<Session>) {
        let key = Key { owner: owner.clone(), settings: Arc::clone(settings) };
        let mut state = lock(&self.state);
        if let Some(route) = state.routes.get(&key) {
            lock(&route.parked).used = Instant::now();
            return (Arc::clone(route), Vec::new());
        }
        let mut outdated = Vec::new();
        if key.owner.is_some() {
            for (_, route) in state.routes.extract_if(|other, _| other.owner == key.owner) {
                outdated.extend(route.retire());
            }
        }
        let parked = Parked { sessions: Vec::new(), used: Instant::now(), outdated: false };
        let route = Arc::new(Route {
            free: Arc::new(Semaphore::new(self.limits.connections)),
            parked: Mutex::new(parked),
        });
        state.routes.insert(key, Arc::clone(&route));
        (route, outdated)
    }

    /// Sweeps in the background for as long as there are routes.
    fn sweep_later(self: &Arc<Self>) {
        if std::mem::replace(&mut lock(&self.state).sweeping, true) {
            return;
        }
        let (pool, pause) = (Arc::downgrade(self), self.limits.idle.max(Duration::from_millis(10)) / 2);
        drop(tokio::spawn(async move {
            loop {
                sleep(pause).await;
                let Some(pool) = Weak::upgrade(&pool) else { return };
                let (leaving, done) = pool.sweep(Instant::now());
                for session in leaving {
                    session.quit().await;
                }
                if done {
                    return;
                }
            }
        }));
    }

    /// Takes what has been unused for too long; true when nothing is left to watch.
    fn sweep(&self, now: Instant) -> (Vec<Session>, bool) {
        let idle = self.limits.idle;
        let mut leaving = Vec::new();
        let mut state = lock(&self.state);
        state.routes.retain(|_, route| {
            let in_use = Arc::strong_count(route) > 1;
            let mut parked = lock(&route.parked);
            let expired = parked.sessions.partition_point(|(_, since)| now.duration_since(*since) >= idle);
            leaving.extend(parked.sessions.drain(..expired).map(|(session, _)| session));
            in_use || !parked.sessions.is_empty() || now.duration_since(parked.used) < idle
        });
        state.sweeping = !state.routes.is_empty();
        (leaving, state.routes.is_empty())
    }
}

impl Route {
    fn retire(&self) -> Vec<Session> {
        let mut parked = lock(&self.parked);
        parked.outdated = true;
        parked.sessions.drain(..).map(|(session, _)| session).collect()
    }
}

/// Nothing under these locks panics half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
