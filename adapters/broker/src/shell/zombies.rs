//! Connections that were closed but may still exist on the server: asks until it is known.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    Lease, LeaseOptions, Shared,
    platform::{sleep, timeout},
};
use crate::{
    Class, Connector, ZombieProbe,
    core::{ConnId, Event, Lane},
};

/// The server is asked to terminate a zombie so many times, once a second.
const TERMINATIONS: u32 = 3;
const SOON: Duration = Duration::from_secs(1);
/// After that it is only asked whether it is gone, so often.
const LATER: Duration = Duration::from_secs(5);

struct Zombie<H> {
    /// `None` until the connector has said by what to know it.
    handle: Option<H>,
    asked: u32,
}

pub(super) struct Zombies<H> {
    all: BTreeMap<ConnId, Zombie<H>>,
    /// Whether the task that proves them is there.
    running: bool,
}

impl<H> Default for Zombies<H> {
    fn default() -> Self {
        Self { all: BTreeMap::new(), running: false }
    }
}

impl<H: Clone> Zombies<H> {
    /// Both orders happen: named first, or found to be a zombie first.
    pub(super) fn add(&mut self, conn: ConnId) {
        self.all.entry(conn).or_insert(Zombie { handle: None, asked: 0 });
    }

    pub(super) fn name(&mut self, conn: ConnId, handle: H) {
        self.all.entry(conn).or_insert(Zombie { handle: None, asked: 0 }).handle = Some(handle);
    }

    pub(super) fn forget(&mut self, conn: ConnId) {
        self.all.remove(&conn);
    }

    fn probes(&mut self) -> (Vec<ConnId>, Vec<ZombieProbe<H>>) {
        let named = self.all.iter_mut().filter_map(|(conn, zombie)| {
            let handle = zombie.handle.clone()?;
            zombie.asked += 1;
            Some((*conn, ZombieProbe { handle, terminate: zombie.asked <= TERMINATIONS }))
        });
        named.unzip()
    }

    fn pause(&self) -> Duration {
        if self.all.values().any(|zombie| zombie.asked < TERMINATIONS) { SOON } else { LATER }
    }
}

/// Sees to it that the zombies are asked about until there are none.
pub(super) fn prove<C: Connector>(shared: &Arc<Shared<C>>) {
    let start = {
        let mut state = shared.lock();
        !std::mem::replace(&mut state.zombies.running, true)
    };
    if start {
        let task = run(Arc::downgrade(shared));
        shared.runtime.spawn(task);
    }
}

async fn run<C: Connector>(shared: Weak<Shared<C>>) {
    loop {
        let Some(pause) = round(&shared).await else { return };
        sleep(pause).await;
    }
}

/// Asks about all zombies once, and tells how long to wait before the next time, if any is left.
async fn round<C: Connector>(shared: &Weak<Shared<C>>) -> Option<Duration> {
    let shared = shared.upgrade()?;
    let (conns, probes) = shared.lock().zombies.probes();
    if !probes.is_empty() {
        ask(&shared, &conns, &probes).await;
    }
    let mut state = shared.lock();
    if state.zombies.all.is_empty() {
        state.zombies.running = false;
        return None;
    }
    Some(state.zombies.pause())
}

async fn ask<C: Connector>(shared: &Arc<Shared<C>>, conns: &[ConnId], probes: &[ZombieProbe<C::Handle>]) {
    let options = LeaseOptions::read(Class::Interactive, "broker: zombies").within(SOON);
    let mut lease = shared.own_lease(Lane::System, options).await.ok();
    if let Some(lease) = &mut lease {
        // Whatever becomes of the question, the connection is cleaned.
        lease.mark_dirty();
    }
    let system = lease.as_mut().map(Lease::connection);
    let Ok(gone) = timeout(LATER, shared.connector.prove_gone(system, probes)).await else { return };
    if let Some(lease) = &mut lease {
        lease.mark_clean();
    }
    drop(lease);
    for (conn, _) in conns.iter().zip(gone).filter(|(_, gone)| *gone) {
        shared.apply_with(Event::Closed(*conn), |state| state.zombies.forget(*conn));
    }
}
