//! Who asks for what, and when.

use std::{rc::Rc, time::Duration};

use rand::{Rng as _, rngs::StdRng};

/// How requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Each by itself.
    Memoryless,
    /// Ten in a row for one workspace, with time to think between them.
    Sessions,
    /// Twenty at once for one workspace.
    Bursts,
}

impl Pattern {
    pub(super) const ALL: [Self; 3] = [Self::Memoryless, Self::Sessions, Self::Bursts];
    /// Mean time between two requests of a session.
    pub(super) const THINKING: Duration = Duration::from_millis(200);
    /// Mean time that a connection is held.
    pub(super) const HOLD: Duration = Duration::from_millis(2);

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Memoryless => "memoryless",
            Self::Sessions => "sessions",
            Self::Bursts => "bursts",
        }
    }

    /// Requests that belong together.
    pub(super) const fn requests(self) -> u32 {
        match self {
            Self::Memoryless => 1,
            Self::Sessions => 10,
            Self::Bursts => 20,
        }
    }
}

/// Popularity of workspaces: the n-th has 1/n^s of the first.
#[derive(Clone, Debug)]
pub(super) struct Zipf {
    sums: Rc<[f64]>,
}

impl Zipf {
    pub(super) fn new(workspaces: u32, exponent: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=workspaces).map(|rank| {
            sum += f64::from(rank).powf(-exponent);
            sum
        });
        Self { sums: sums.collect() }
    }

    pub(super) fn choose(&self, random: &mut StdRng) -> u32 {
        let all = self.sums.last().copied().unwrap_or_default();
        let at = random.random::<f64>() * all;
        let rank = self.sums.partition_point(|sum| *sum < at);
        u32::try_from(rank.min(self.sums.len().saturating_sub(1))).unwrap_or(u32::MAX)
    }
}

/// Asks again and again.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// So many requests per second, whatever becomes of them; each held for about the time given.
    Arrivals { rate: f64, pattern: Pattern, popularity: Zipf, hold: Duration },
    /// Waits for its answer, holds, asks again.
    Client { workspace: u32, hold: Duration },
    /// Every so often a request of a workspace that has not been seen before.
    Strangers { next: u32, hold: Duration, every: Duration, start: Duration },
}

impl Source {
    pub(super) const fn start(&self) -> Duration {
        match self {
            Self::Strangers { start, .. } => *start,
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn the_first_of_a_zipf_is_twice_as_popular_as_the_second() {
        let (zipf, mut random) = (Zipf::new(100, 1.0), StdRng::seed_from_u64(1));
        let mut counts = [0_u32; 100];
        for _ in 0..100_000 {
            counts[zipf.choose(&mut random) as usize] += 1;
        }
        let ratio = f64::from(counts[0]) / f64::from(counts[1]);
        assert!((1.9..2.1).contains(&ratio), "{ratio}");
        assert!(counts.iter().all(|count| *count > 0), "nobody is left out");
    }
}
