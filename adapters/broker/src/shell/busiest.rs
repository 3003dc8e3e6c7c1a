//! The workspaces that are asked for most, by counts that fade, in bounded memory.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::sleep;

use super::Shared;
use crate::{
    Connector, WorkspaceKey,
    core::{Event, Moment},
};

/// How often the busiest are given a connection ahead.
const EVERY: Duration = Duration::from_secs(1);

/// Counts leases per workspace. A count halves every two minutes.
pub(super) struct Busiest {
    wanted: usize,
    counts: HashMap<WorkspaceKey, Count>,
}

#[derive(Clone, Copy)]
struct Count {
    weight: f64,
    at: Moment,
}

impl Count {
    const HALF_LIFE: f64 = 120.0;

    fn faded(&self, now: Moment) -> f64 {
        self.weight * (-now.since(self.at).as_secs_f64() / Self::HALF_LIFE).exp2()
    }
}

impl Busiest {
    /// Below this a workspace is not busy, however few others are.
    const LEAST: f64 = 1.0;

    pub(super) fn new(wanted: u32) -> Self {
        Self { wanted: usize::try_from(wanted).unwrap_or(usize::MAX), counts: HashMap::new() }
    }

    pub(super) const fn is_wanted(&self) -> bool {
        self.wanted > 0
    }

    /// A lease was asked for.
    pub(super) fn count(&mut self, workspace: &WorkspaceKey, now: Moment) {
        if !self.is_wanted() {
            return;
        }
        if let Some(count) = self.counts.get_mut(workspace) {
            *count = Count { weight: count.faded(now) + 1.0, at: now };
            return;
        }
        if self.counts.len() >= self.wanted * 8 {
            self.forget_the_lesser_half(now);
        }
        self.counts.insert(workspace.clone(), Count { weight: 1.0, at: now });
    }

    fn forget_the_lesser_half(&mut self, now: Moment) {
        for workspace in self.ranked(now).split_off(self.wanted * 4) {
            self.counts.remove(&workspace);
        }
    }

    fn ranked(&self, now: Moment) -> Vec<WorkspaceKey> {
        let mut all: Vec<_> = self.counts.iter().map(|(key, count)| (count.faded(now), key)).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        all.into_iter().map(|(_, key)| key.clone()).collect()
    }

    /// Those to be kept warm, busiest first. Who has faded is forgotten.
    pub(super) fn now(&mut self, now: Moment) -> Vec<WorkspaceKey> {
        self.counts.retain(|_, count| count.faded(now) >= Self::LEAST / 2.0);
        let mut busiest = self.ranked(now);
        busiest.truncate(self.wanted);
        busiest.retain(|key| self.counts[key].faded(now) >= Self::LEAST);
        busiest
    }
}

/// Gives the busiest workspaces a connection whenever they have none and a slot is free.
pub(super) async fn keep_warm<C: Connector>(shared: Weak<Shared<C>>) {
    loop {
        sleep(EVERY).await;
        let Some(shared) = shared.upgrade() else { return };
        warm(&shared);
    }
}

fn warm<C: Connector>(shared: &Arc<Shared<C>>) {
    let now = shared.now();
    let busiest = shared.lock().busiest.now(now);
    for workspace in &busiest {
        shared.apply(Event::Prewarm(workspace));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after(Duration::from_secs(seconds))
    }

    fn key(number: usize) -> WorkspaceKey {
        WorkspaceKey::from(format!("w{number}"))
    }

    #[test]
    fn the_busiest_come_first_and_no_more_than_wanted() {
        let mut busiest = Busiest::new(2);
        for (number, leases) in [(1, 3), (2, 5), (3, 4)] {
            (0..leases).for_each(|_| busiest.count(&key(number), at(0)));
        }
        assert_eq!(busiest.now(at(1)), [key(2), key(3)]);
    }

    #[test]
    fn counts_fade_until_the_workspace_is_forgotten() {
        let mut busiest = Busiest::new(4);
        (0..4).for_each(|_| busiest.count(&key(1), at(0)));
        assert_eq!(busiest.now(at(239)), [key(1)]);
        assert_eq!(busiest.now(at(241)), []);
        busiest.now(at(400));
        assert!(busiest.counts.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_the_busy_are_kept() {
        let mut busiest = Busiest::new(3);
        for number in 0..10_000 {
            busiest.count(&key(number), at(0));
            busiest.count(&key(0), at(0));
            assert!(busiest.counts.len() <= 24);
        }
        assert_eq!(busiest.now(at(0))[0], key(0));
    }

    #[test]
    fn nothing_is_counted_when_none_is_wanted() {
        let mut busiest = Busiest::new(0);
        busiest.count(&key(1), at(0));
        assert!(busiest.counts.is_empty());
    }
}
