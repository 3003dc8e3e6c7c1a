//! Clients that ask one query after the other for a time.

use super::ways::{Outcome, Way};
use crate::figures::{per_second, percentile};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Which database a client asks next.
#[derive(Clone)]
pub(crate) enum Pick {
    /// Always its own.
    Own(usize),
    /// All in turn, whoever asks.
    InTurn(Arc<AtomicUsize>, usize),
    /// Any, the first ones most; sums of weights.
    Zipf(Arc<[f64]>),
}

impl Pick {
    pub(crate) fn in_turn(databases: usize) -> Self {
        Self::InTurn(Arc::default(), databases)
    }

    #[expect(clippy::cast_precision_loss, reason = "few databases")]
    pub(crate) fn zipf(databases: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=databases).map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        });
        Self::Zipf(sums.collect())
    }

    fn next(&self, client: usize, random: &mut StdRng) -> usize {
        match self {
            Self::Own(databases) => client % databases,
            Self::InTurn(next, databases) => next.fetch_add(1, Ordering::Relaxed) % databases,
            Self::Zipf(sums) => {
                let all = sums.last().copied().unwrap_or_default();
                let at = random.random_range(0.0..all.max(f64::MIN_POSITIVE));
                sums.partition_point(|sum| *sum <= at).min(sums.len() - 1)
            }
        }
    }
}

/// What clients have seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) served: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    pub(crate) time: Duration,
    /// Of those served, sorted.
    pub(crate) took: Vec<Duration>,
    /// Served, by client.
    pub(crate) by_client: Vec<u64>,
}

impl Seen {
    pub(crate) fn per_second(&self) -> f64 {
        per_second(self.served, self.time)
    }

    pub(crate) fn p50(&self) -> f64 {
        percentile(&self.took, 0.5).as_secs_f64() * 1e3
    }

    pub(crate) fn p99(&self) -> f64 {
        percentile(&self.took, 0.99).as_secs_f64() * 1e3
    }

    /// Jain's index of what clients got: 1 when all got the same.
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 queries")]
    pub(crate) fn fairness(&self) -> f64 {
        let sum: f64 = self.by_client.iter().map(|n| *n as f64).sum();
        let squares: f64 = self.by_client.iter().map(|n| (*n as f64).powi(2)).sum();
        if squares == 0.0 { 0.0 } else { sum * sum / (self.by_client.len() as f64 * squares) }
    }
}

/// What is asked.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) pick: Pick,
    pub(crate) time: Duration,
    /// Before it is measured.
    pub(crate) warm_up: Duration,
    pub(crate) seed: u64,
}

/// Lets clients ask. Queries that begin after the warm-up count.
pub(crate) async fn drive<W: Way>(way: &Arc<W>, load: &Load) -> Seen {
    let (over, measured) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let mut clients = JoinSet::new();
    for client in 0..load.clients {
        let (way, pick) = (Arc::clone(way), load.pick.clone());
        let (over, measured) = (Arc::clone(&over), Arc::clone(&measured));
        let mut random = StdRng::seed_from_u64(load.seed ^ ((client as u64) << 20));
        clients.spawn(async move {
            let mut seen = Seen::default();
            while !over.load(Ordering::Relaxed) {
                let counts = measured.load(Ordering::Relaxed);
                let (database, began) = (pick.next(client, &mut random), Instant::now());
                let outcome = way.select_one(client, database).await;
                if outcome != Outcome::Served {
                    // Whoever is refused at once must not ask without a pause for others.
                    tokio::task::yield_now().await;
                }
                if !counts || over.load(Ordering::Relaxed) {
                    continue;
                }
                match outcome {
                    Outcome::Served => {
                        seen.served += 1;
                        seen.took.push(began.elapsed());
                    }
                    Outcome::Refused => seen.refused += 1,
                    Outcome::Failed => seen.failed += 1,
                }
            }
            (client, seen)
        });
    }
    tokio::time::sleep(load.warm_up).await;
    measured.store(true, Ordering::Relaxed);
    let began = Instant::now();
    tokio::time::sleep(load.time).await;
    over.store(true, Ordering::Relaxed);
    let time = began.elapsed();
    let mut all = Seen { time, by_client: vec![0; load.clients], ..Seen::default() };
    while let Some(ended) = clients.join_next().await {
        let Ok((client, seen)) = ended else { continue };
        all.served += seen.served;
        all.refused += seen.refused;
        all.failed += seen.failed;
        all.took.extend(seen.took);
        all.by_client[client] = seen.served;
    }
    all.took.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ones_are_picked_most() {
        let (pick, mut random) = (Pick::zipf(100, 1.1), StdRng::seed_from_u64(7));
        let mut counts = [0_u32; 100];
        (0..20_000).for_each(|_| counts[pick.next(0, &mut random)] += 1);
        assert!(counts[0] > counts[9] * 8 && counts.iter().all(|count| *count > 0), "{counts:?}");
    }

    #[test]
    fn equal_parts_are_fair_and_one_for_all_is_not() {
        let seen = |by_client| Seen { by_client, ..Seen::default() };
        assert!((seen(vec![5, 5, 5]).fairness() - 1.0).abs() < 1e-9);
        assert!((seen(vec![9, 0, 0]).fairness() - 1.0 / 3.0).abs() < 1e-9);
    }
}
