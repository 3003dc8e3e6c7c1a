//! Comparing contents of a broadcast on a part of its audience.

use crate::{
    email_address::EmailAddress,
    ids::BroadcastId,
    validation::{Check, Invalid},
};
use chrono::Duration;

/// How the contents of a broadcast are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AbTest {
    sample_percentage: u8,
    winner: WinnerChoice,
}

/// Who chooses the content that the rest of the audience gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum WinnerChoice {
    /// A person.
    ByHand,
    /// The rates, some hours after the last mail of the test was planned.
    Automatic {
        /// Which rate.
        metric: WinnerMetric,
        /// After how many hours, 1 to 168.
        hours: u8,
    },
}

/// What a content wins by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum WinnerMetric {
    /// Mails opened, of those sent.
    OpenRate,
    /// Mails in which a link was followed, of those sent.
    ClickRate,
}

impl WinnerMetric {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenRate => "open_rate",
            Self::ClickRate => "click_rate",
        }
    }

    /// The metric with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::OpenRate, Self::ClickRate].into_iter().find(|metric| metric.name() == name)
    }
}

impl AbTest {
    /// Takes how much of the audience is tested on, and who chooses.
    ///
    /// # Errors
    /// Names the field that is out of bounds.
    pub fn new(sample_percentage: u32, winner: WinnerChoice) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let percentage = u8::try_from(sample_percentage).ok().filter(|p| (1..=100).contains(p));
        check.require(percentage.is_some(), "/sample_percentage", "must be 1 to 100");
        if let WinnerChoice::Automatic { hours, .. } = winner {
            check.require((1..=168).contains(&hours), "/test_duration_hours", "must be 1 to 168");
        }
        check.finish()?;
        Ok(Self { sample_percentage: percentage.unwrap_or(100), winner })
    }

    /// How much of the audience is tested on, 1 to 100.
    #[must_use]
    pub fn sample_percentage(&self) -> u8 {
        self.sample_percentage
    }

    /// Who chooses.
    #[must_use]
    pub fn winner(&self) -> WinnerChoice {
        self.winner
    }

    /// How long after the last mail of the test was planned the rates choose; `None` when they do not.
    #[must_use]
    pub fn decided_after(&self) -> Option<Duration> {
        match self.winner {
            WinnerChoice::ByHand => None,
            WinnerChoice::Automatic { hours, .. } => Some(Duration::hours(hours.into())),
        }
    }

    /// Which of `variations` contents an address is tested with; `None` when it is not in the sample.
    /// The same answer each time, and another draw for each broadcast.
    #[must_use]
    pub fn draw(&self, broadcast: &BroadcastId, email: &EmailAddress, variations: usize) -> Option<u8> {
        let drawn = draw(broadcast.as_str(), email.as_str());
        let in_sample = drawn % 10_000 < u64::from(self.sample_percentage) * 100;
        let variations = u64::try_from(variations).ok().filter(|n| *n > 0)?;
        in_sample.then(|| u8::try_from((drawn / 10_000) % variations).unwrap_or_default())
    }
}

fn draw(broadcast: &str, email: &str) -> u64 {
    mix(broadcast.bytes().chain([0]).chain(email.bytes()))
}

/// A number that depends on every byte: FNV-1a, and the finish of splitmix64 against its weak low bits.
pub(super) fn mix(bytes: impl Iterator<Item = u8>) -> u64 {
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// What became of the test mails of one content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the states")]
pub struct VariationResult {
    /// Which content, counted from zero.
    pub variation: u8,
    /// In the sample.
    pub recipients: u64,
    pub sent: u64,
    pub delivered: u64,
    pub opened: u64,
    pub clicked: u64,
}

impl VariationResult {
    /// Opened, of those sent; 0 when none was.
    #[must_use]
    pub fn open_rate(&self) -> f64 {
        rate(self.opened, self.sent)
    }

    /// Clicked, of those sent; 0 when none was.
    #[must_use]
    pub fn click_rate(&self) -> f64 {
        rate(self.clicked, self.sent)
    }

    /// By what a content is recommended to a person: a click tells more than an opening.
    #[must_use]
    pub fn score(&self) -> f64 {
        0.7 * self.click_rate() + 0.3 * self.open_rate()
    }

    fn by(&self, metric: WinnerMetric) -> f64 {
        match metric {
            WinnerMetric::OpenRate => self.open_rate(),
            WinnerMetric::ClickRate => self.click_rate(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of mails are far below 2^53")]
fn rate(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The content with the best rate; the first of those that are alike.
#[must_use]
pub fn winner(results: &[VariationResult], metric: WinnerMetric) -> u8 {
    best(results, |result| result.by(metric))
}

/// The content to recommend; the first of those that are alike.
#[must_use]
pub fn recommended(results: &[VariationResult]) -> u8 {
    best(results, VariationResult::score)
}

fn best(results: &[VariationResult], score: impl Fn(&VariationResult) -> f64) -> u8 {
    let first = VariationResult::default();
    let better = |best: VariationResult, result: &VariationResult| {
        if score(result) > score(&best) { *result } else { best }
    };
    results.iter().fold(results.first().copied().unwrap_or(first), better).variation
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::BroadcastId;

    fn id(number: u128) -> BroadcastId {
        BroadcastId::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn draws(broadcast: u128, percentage: u32) -> Vec<Option<u8>> {
        let test = AbTest::new(percentage, WinnerChoice::ByHand).unwrap();
        let emails = (0..20_000).map(|n| EmailAddress::parse(&format!("c{n:05}@shop.example")).unwrap());
        emails.map(|email| test.draw(&id(broadcast), &email, 4)).collect()
    }

    #[test]
    fn a_sample_has_about_its_size_and_its_contents_about_the_same() {
        let drawn = draws(7, 20);
        let sample = drawn.iter().flatten().count();
        assert!((3_800..=4_200).contains(&sample), "{sample}");
        for variation in 0..4 {
            let share = drawn.iter().flatten().filter(|v| **v == variation).count();
            assert!((900..=1_100).contains(&share), "{share} of {variation}");
        }
    }

    #[test]
    fn a_draw_is_the_same_each_time_and_another_for_each_broadcast() {
        assert_eq!(draws(7, 20), draws(7, 20));
        assert_ne!(draws(7, 20), draws(8, 20));
        assert!(draws(7, 100).iter().all(Option::is_some));
    }

    #[test]
    fn a_sample_is_not_the_first_of_the_alphabet() {
        let drawn = draws(7, 50);
        let early = drawn[..10_000].iter().flatten().count();
        assert!((4_800..=5_200).contains(&early), "{early}");
    }

    #[test]
    fn the_best_rate_over_sent_wins_and_the_first_of_equals() {
        let result = |variation, sent, opened, clicked| VariationResult {
            variation,
            sent,
            opened,
            clicked,
            ..VariationResult::default()
        };
        let results = [result(0, 100, 10, 5), result(1, 10, 9, 0), result(2, 10, 0, 1)];
        assert_eq!(winner(&results, WinnerMetric::OpenRate), 1);
        assert_eq!(winner(&results, WinnerMetric::ClickRate), 2);
        assert_eq!(recommended(&results), 1);
        assert_eq!(winner(&[result(0, 0, 0, 0), result(1, 5, 0, 0)], WinnerMetric::OpenRate), 0);
        assert_eq!(winner(&[], WinnerMetric::OpenRate), 0);
    }

    #[test]
    fn settings_out_of_bounds_are_named() {
        let auto = WinnerChoice::Automatic { metric: WinnerMetric::OpenRate, hours: 0 };
        let problems = AbTest::new(101, auto).unwrap_err();
        let fields: Vec<_> = problems.0.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(fields, ["/sample_percentage", "/test_duration_hours"]);
    }
}
