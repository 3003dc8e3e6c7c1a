//! What the shell needs of its surroundings: a lock, a clock, tasks.
//!
//! In the tests with the feature `shuttle` all three belong to a scheduler that tries the orders in
//! which threads can meet. Channels stay those of tokio: they are driven by wakers, whoever's.

#[cfg(not(all(test, feature = "shuttle")))]
pub(super) use {
    std::sync::{Mutex, MutexGuard},
    tokio::{
        runtime::Handle,
        time::{Instant, sleep, sleep_until, timeout},
    },
};

#[cfg(all(test, feature = "shuttle"))]
pub(super) use scheduled::{Handle, Instant, Mutex, MutexGuard, sleep, sleep_until, start_clock, timeout};

#[cfg(all(test, feature = "shuttle"))]
mod scheduled {
    use shuttle::{
        future::{spawn, yield_now},
        rand::{Rng as _, thread_rng},
    };
    use std::{cell::Cell, future::Future, ops::Add, pin::pin, time::Duration};

    pub(in super::super) use shuttle::sync::{Mutex, MutexGuard};

    thread_local! {
        /// The time, and whether it passes. All tasks of a schedule run on one thread.
        static CLOCK: Cell<(Duration, bool)> = const { Cell::new((Duration::ZERO, false)) };
    }

    /// Sets the clock back for the next schedule. While time does not pass, nothing times out: whoever
    /// is not woken waits for ever, and the scheduler says so.
    pub(in super::super) fn start_clock(passes: bool) {
        CLOCK.set((Duration::ZERO, passes));
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Instant(Duration);

    impl Instant {
        pub fn now() -> Self {
            Self(CLOCK.get().0)
        }

        pub fn elapsed(self) -> Duration {
            Self::now().0.saturating_sub(self.0)
        }
    }

    impl Add<Duration> for Instant {
        type Output = Self;

        fn add(self, time: Duration) -> Self {
            Self(self.0 + time)
        }
    }

    /// Ends at some moment in the schedule; by then it is as late as it says.
    pub(in super::super) async fn sleep_until(at: Instant) {
        if !CLOCK.get().1 {
            std::future::pending::<()>().await;
        }
        for _ in 0..thread_rng().gen_range(1..30) {
            yield_now().await;
        }
        let (now, passes) = CLOCK.get();
        CLOCK.set((now.max(at.0), passes));
    }

    pub(in super::super) async fn sleep(time: Duration) {
        sleep_until(Instant::now() + time).await;
    }

    #[derive(Debug)]
    pub(in super::super) struct Elapsed;

    pub(in super::super) async fn timeout<F: Future>(
        time: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        tokio::select! {
            biased;
            done = &mut future => Ok(done),
            () = sleep(time) => Err(Elapsed),
        }
    }

    pub(in super::super) struct Handle;

    impl Handle {
        pub(in super::super) fn current() -> Self {
            Self
        }

        #[expect(clippy::unused_self, reason = "as tokio's")]
        pub(in super::super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
            drop(spawn(task));
        }
    }
}
