//! Measuring without keeping samples: moving averages, histograms, rates. And a seeded generator.

use std::time::Duration;

use super::moment::Moment;
use crate::{ByClass, Spread};

/// An exponentially weighted moving average of a time; each sample counts an eighth.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ewma(Option<Duration>);

impl Ewma {
    pub(crate) fn record(&mut self, sample: Duration) {
        self.0 = Some(self.0.map_or(sample, |mean| (mean * 7 + sample) / 8));
    }

    pub(crate) const fn get(self) -> Option<Duration> {
        self.0
    }
}

/// Four buckets per doubling, from 1 µs to over half an hour.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    buckets: [u32; Self::BUCKETS],
    count: u64,
    sum: Duration,
    max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [0; Self::BUCKETS], count: 0, sum: Duration::ZERO, max: Duration::ZERO }
    }
}

impl Histogram {
    const BUCKETS: usize = 128;

    pub(crate) fn record(&mut self, sample: Duration) {
        let micros = u64::try_from(sample.as_micros()).unwrap_or(u64::MAX);
        let bucket = Self::bucket(micros);
        self.buckets[bucket] = self.buckets[bucket].saturating_add(1);
        self.count += 1;
        self.sum += sample;
        self.max = self.max.max(sample);
    }

    fn bucket(micros: u64) -> usize {
        if micros < 4 {
            return usize::try_from(micros).unwrap_or(0);
        }
        let power = micros.ilog2();
        let quarter = (micros >> (power - 2)) & 3;
        let bucket = u64::from(power) * 4 - 4 + quarter;
        usize::try_from(bucket).unwrap_or(usize::MAX).min(Self::BUCKETS - 1)
    }

    /// The middle of a bucket, in milliseconds.
    #[expect(clippy::cast_precision_loss, reason = "bucket numbers are below 128")]
    fn middle(bucket: usize) -> f64 {
        if bucket < 4 {
            return bucket as f64 / 1000.0;
        }
        let (power, quarter) = ((bucket + 4) / 4, bucket % 4);
        ((4 + quarter) as f64 + 0.5) / 4.0 * (power as f64).exp2() / 1000.0
    }

    #[expect(clippy::cast_precision_loss, reason = "a percentile need not be exact beyond 2^52 samples")]
    pub(crate) fn percentile(&self, part: f64) -> f64 {
        let wanted = part * self.count as f64;
        let mut seen = 0.0;
        for (bucket, &count) in self.buckets.iter().enumerate() {
            seen += f64::from(count);
            if count > 0 && seen >= wanted {
                return Self::middle(bucket).min(ms(self.max));
            }
        }
        0.0
    }

    pub(crate) fn spread(&self) -> Spread {
        Spread {
            count: self.count,
            p50: self.percentile(0.5),
            p95: self.percentile(0.95),
            p99: self.percentile(0.99),
            max: ms(self.max),
            sum: ms(self.sum),
            up_to: self.up_to(),
        }
    }

    /// The bounds of a spread are powers of two, where buckets begin.
    fn up_to(&self) -> [u64; Spread::BOUNDS] {
        const FIRST: u32 = 6;
        let mut powers = FIRST..;
        let (mut seen, mut bucket) = (0, 0);
        std::array::from_fn(|_| {
            let end = Self::bucket(1 << powers.next().unwrap_or(FIRST));
            while bucket < end {
                seen += u64::from(self.buckets[bucket]);
                bucket += 1;
            }
            seen
        })
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine = mine.saturating_add(*theirs);
        }
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }
}

impl ByClass<Histogram> {
    pub(crate) fn spread(&self) -> Spread {
        let mut all = Histogram::default();
        for (_, one) in self.named() {
            all.add(one);
        }
        all.spread()
    }
}

/// Milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Events per second, those of ten seconds ago counting 1/e.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    weight: f64,
    at: Moment,
}

impl Rate {
    const MEMORY: f64 = 10.0;

    pub(crate) fn record(&mut self, now: Moment) {
        self.weight = self.faded(now) + 1.0;
        self.at = now;
    }

    pub(crate) fn per_second(&self, now: Moment) -> f64 {
        self.faded(now) / Self::MEMORY
    }

    fn faded(&self, now: Moment) -> f64 {
        self.weight * (-now.since(self.at).as_secs_f64() / Self::MEMORY).exp()
    }
}

/// `SplitMix64`: small, seeded, good enough to spread retries.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform in [0, 1).
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub(crate) fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_an_eighth() {
        let mut histogram = Histogram::default();
        for millis in 1..=1000 {
            histogram.record(Duration::from_millis(millis));
        }
        for (part, exact) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0)] {
            let found = histogram.percentile(part);
            assert!((found / exact - 1.0).abs() < 0.125, "{part}: {found}");
        }
        assert_eq!(Histogram::default().spread(), Spread::default());
    }

    #[test]
    fn a_spread_counts_up_to_each_bound() {
        let mut histogram = Histogram::default();
        for micros in [10, 100, 1_000, 1_000_000, 100_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        let up_to = histogram.spread().up_to;
        let at = |ms: f64| up_to[Spread::BOUNDS_MS.iter().position(|bound| *bound >= ms).unwrap()];
        assert_eq!([at(0.064), at(0.1), at(1.0), at(1_000.0), at(8_000.0)], [1, 2, 3, 4, 4]);
        assert!(up_to.is_sorted());
    }

    #[test]
    fn a_rate_settles_at_events_per_second() {
        let (mut rate, mut now) = (Rate::default(), Moment::START);
        for _ in 0..2000 {
            now += Duration::from_millis(50);
            rate.record(now);
        }
        assert!((rate.per_second(now) - 20.0).abs() < 0.5);
        assert!(rate.per_second(now + Duration::from_mins(2)) < 0.01);
    }

    #[test]
    fn the_generator_is_uniform_and_repeatable() {
        let mut dice = Dice::seeded(7);
        let rolls: Vec<f64> = (0..1000).map(|_| dice.roll()).collect();
        assert!(rolls.iter().all(|r| (0.0..1.0).contains(r)));
        assert!((rolls.iter().sum::<f64>() / 1000.0 - 0.5).abs() < 0.03);
        assert_eq!(rolls[0].to_bits(), Dice::seeded(7).roll().to_bits());
    }
}
