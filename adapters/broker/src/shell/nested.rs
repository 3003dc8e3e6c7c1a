//! Finds tasks that ask for a lease while they hold one: they can wait for themselves.

use std::{
    collections::HashMap,
    thread::{self, ThreadId},
};

use tokio::task;

/// Who holds a lease: a task, or the thread that blocks on a future outside any task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    Task(task::Id),
    Thread(ThreadId),
}

impl Holder {
    fn current() -> Self {
        task::try_id().map_or_else(|| Self::Thread(thread::current().id()), Self::Task)
    }
}

pub(super) struct Holders {
    held: HashMap<Holder, (u32, &'static str)>,
    nested: u64,
    panic: bool,
}

/// Somebody who asks for a lease.
pub(super) struct Caller {
    holder: Holder,
    label: &'static str,
    /// Label of a lease it holds already.
    holds: Option<&'static str>,
    panic: bool,
}

impl Caller {
    /// Says so if the caller holds a lease already.
    pub(super) fn complain(&self) {
        let Some(held) = self.holds else { return };
        let wanted = self.label;
        if cfg!(debug_assertions) {
            tracing::error!(held, wanted, "a task asks for a lease while it holds one");
        }
        assert!(!self.panic, "a task asks for the lease {wanted:?} while it holds {held:?}");
    }

    pub(super) const fn who(&self) -> Holder {
        self.holder
    }
}

impl Holders {
    pub(super) fn new(panic: bool) -> Self {
        Self { held: HashMap::new(), nested: 0, panic }
    }

    #[cfg(all(test, not(feature = "shuttle")))]
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) const fn nested(&self) -> u64 {
        self.nested
    }

    pub(super) fn about_to_lease(&mut self, label: &'static str) -> Caller {
        let holder = Holder::current();
        let holds = self.held.get(&holder).map(|(_, held)| *held);
        self.nested += u64::from(holds.is_some());
        Caller { holder, label, holds, panic: self.panic }
    }

    pub(super) fn granted(&mut self, caller: &Caller) {
        self.held.entry(caller.holder).or_insert((0, caller.label)).0 += 1;
    }

    pub(super) fn released(&mut self, holder: Holder) {
        if let Some((count, _)) = self.held.get_mut(&holder) {
            *count -= 1;
            if *count == 0 {
                self.held.remove(&holder);
            }
        }
    }
}
