//! Circuit breakers: a provider that fails again and again is left alone for a while, so that its mails
//! use up no attempts, and nobody else waits for it.
//!
//! A circuit is closed while the provider works; open for a pause after failures in a row; and half
//! open after the pause, when one mail is tried. The pause doubles with each trial that fails.

use crate::Timestamp;
use chrono::Duration;

/// When a provider is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row after which it is left alone.
    pub failures: u32,
    /// The first pause; doubles with each failed trial.
    pub pause: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { failures: 5, pause: Duration::minutes(1), longest: Duration::minutes(15) }
    }
}

/// What an attempt says about the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It answers, be it with a refusal of this mail.
    Works,
    /// It cannot be used.
    Fails,
}

/// What may be handed to a provider now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// Any number of mails.
    Free,
    /// One mail, to try it.
    Trial,
    /// None until then.
    Barred(Timestamp),
}

/// One provider's circuit. A provider that works needs none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circuit {
    /// When the integration was last changed: a change is a reason to try anew.
    pub version: Timestamp,
    /// Where it stands.
    pub state: CircuitState,
    /// Trips in a row without a success between them.
    pub trips: u32,
}

/// Where a circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// The provider is used.
    Closed {
        /// In a row.
        failures: u32,
    },
    /// It is left alone.
    Open {
        /// Until then.
        until: Timestamp,
    },
    /// One mail is on its way, to try it.
    HalfOpen {
        /// A trial that was not heard of until then is repeated.
        until: Timestamp,
    },
}

impl Circuit {
    /// The circuit of a provider of which nothing bad is known.
    #[must_use]
    pub fn new(version: Timestamp) -> Self {
        Self { version, state: CircuitState::Closed { failures: 0 }, trips: 0 }
    }

    /// What may be handed over now.
    #[must_use]
    pub fn passage(&self, now: Timestamp) -> Passage {
        match self.state {
            CircuitState::Closed { .. } => Passage::Free,
            CircuitState::Open { until } | CircuitState::HalfOpen { until } if now < until => {
                Passage::Barred(until)
            }
            CircuitState::Open { .. } | CircuitState::HalfOpen { .. } => Passage::Trial,
        }
    }

    /// Notes that the trial has begun. Answers whether it may: another may have been faster.
    #[must_use]
    pub fn begin_trial(&mut self, now: Timestamp, policy: &BreakerPolicy) -> bool {
        let may = self.passage(now) == Passage::Trial;
        if may {
            self.state = CircuitState::HalfOpen { until: now + policy.pause };
        }
        may
    }

    /// Notes what an attempt says.
    pub fn note(&mut self, sign: Sign, now: Timestamp, policy: &BreakerPolicy) {
        match (self.state, sign) {
            (_, Sign::Works) => *self = Self::new(self.version),
            (CircuitState::Closed { failures }, Sign::Fails) if failures + 1 < policy.failures => {
                self.state = CircuitState::Closed { failures: failures + 1 };
            }
            (CircuitState::Closed { .. } | CircuitState::HalfOpen { .. }, Sign::Fails) => {
                let doubled = 1_i32.checked_shl(self.trips.min(20)).unwrap_or(i32::MAX);
                let pause = policy.pause.checked_mul(doubled).unwrap_or(policy.longest).min(policy.longest);
                self.state = CircuitState::Open { until: now + pause };
                self.trips = self.trips.saturating_add(1);
            }
            // Mails that were in flight when it opened.
            (CircuitState::Open { .. }, Sign::Fails) => {}
        }
    }

    /// Notes that a mail has not reached the provider after all: a trial is still to be made.
    pub fn note_nothing(&mut self, now: Timestamp) {
        if matches!(self.state, CircuitState::HalfOpen { .. }) {
            self.state = CircuitState::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::seconds(seconds)
    }

    fn failing(times: u32) -> Circuit {
        let mut circuit = Circuit::new(at(0));
        for _ in 0..times {
            circuit.note(Sign::Fails, at(0), &BreakerPolicy::default());
        }
        circuit
    }

    #[test]
    fn failures_in_a_row_open_the_circuit() {
        assert_eq!(failing(4).passage(at(0)), Passage::Free);
        assert_eq!(failing(5).passage(at(0)), Passage::Barred(at(60)));
    }

    #[test]
    fn a_success_between_failures_starts_the_count_anew() {
        let mut circuit = failing(4);
        circuit.note(Sign::Works, at(0), &BreakerPolicy::default());
        for _ in 0..4 {
            circuit.note(Sign::Fails, at(0), &BreakerPolicy::default());
        }
        assert_eq!(circuit.passage(at(0)), Passage::Free);
    }

    #[test]
    fn after_the_pause_one_mail_is_tried() {
        let mut circuit = failing(5);
        assert_eq!(circuit.passage(at(59)), Passage::Barred(at(60)));
        assert_eq!(circuit.passage(at(60)), Passage::Trial);
        assert!(circuit.begin_trial(at(60), &BreakerPolicy::default()));
        assert!(!circuit.begin_trial(at(60), &BreakerPolicy::default()), "only one");
        circuit.note(Sign::Works, at(61), &BreakerPolicy::default());
        assert_eq!(circuit.passage(at(61)), Passage::Free);
    }

    #[test]
    fn the_pause_doubles_up_to_a_limit() {
        let policy = BreakerPolicy::default();
        let mut circuit = failing(5);
        let mut pauses = Vec::new();
        let mut now = at(60);
        for _ in 0..5 {
            assert!(circuit.begin_trial(now, &policy));
            circuit.note(Sign::Fails, now, &policy);
            let Passage::Barred(until) = circuit.passage(now) else { panic!("it is open") };
            pauses.push((until - now).num_minutes());
            now = until;
        }
        assert_eq!(pauses, [2, 4, 8, 15, 15]);
    }

    #[test]
    fn what_was_in_flight_does_not_make_the_pause_longer() {
        let mut circuit = failing(9);
        assert_eq!(circuit.passage(at(0)), Passage::Barred(at(60)));
        circuit.note(Sign::Fails, at(30), &BreakerPolicy::default());
        assert_eq!(circuit.passage(at(60)), Passage::Trial);
    }

    #[test]
    fn a_trial_that_is_not_heard_of_is_repeated() {
        let mut circuit = failing(5);
        assert!(circuit.begin_trial(at(60), &BreakerPolicy::default()));
        assert_eq!(circuit.passage(at(119)), Passage::Barred(at(120)));
        assert_eq!(circuit.passage(at(120)), Passage::Trial);
    }

    #[test]
    fn a_trial_that_never_reached_the_provider_is_made_again() {
        let mut circuit = failing(5);
        assert!(circuit.begin_trial(at(60), &BreakerPolicy::default()));
        circuit.note_nothing(at(61));
        assert_eq!(circuit.passage(at(61)), Passage::Trial);
    }
}
