//! Until when connections may be lent: as long as this process is known to have its share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// Cheap to clone; all clones are one. The clock cannot be set.
#[derive(Debug, Clone)]
pub(crate) struct Fence {
    began: Instant,
    /// In milliseconds since it began.
    open_until: Arc<AtomicU64>,
}

impl Fence {
    /// For a process that shares with nobody.
    pub(crate) fn open() -> Self {
        Self { began: Instant::now(), open_until: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// For a process that has no share yet.
    pub(crate) fn closed() -> Self {
        Self { began: Instant::now(), open_until: Arc::new(AtomicU64::new(0)) }
    }

    pub(crate) fn is_open(&self) -> bool {
        let until = self.open_until.load(Ordering::Acquire);
        until == u64::MAX || self.millis(Instant::now()) < until
    }

    pub(crate) fn open_until(&self, moment: Instant) {
        self.open_until.store(self.millis(moment), Ordering::Release);
    }

    pub(crate) fn close(&self) {
        self.open_until.store(0, Ordering::Release);
    }

    fn millis(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.began);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_fence_is_open_until_its_moment() {
        assert!(Fence::open().is_open());
        let fence = Fence::closed();
        assert!(!fence.is_open());
        fence.open_until(Instant::now() + Duration::from_mins(1));
        assert!(fence.is_open());
        fence.open_until(Instant::now());
        assert!(!fence.is_open());
        fence.open_until(Instant::now() + Duration::from_mins(1));
        fence.close();
        assert!(!fence.is_open());
    }
}
