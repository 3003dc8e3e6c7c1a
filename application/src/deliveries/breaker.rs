//! Circuit breakers: a provider that fails again and again is left alone for a while, so that its mails
//! use up no attempts, and nobody else waits for it.
//!
//! A circuit is closed while the provider works; open for a pause after failures in a row; and half
//! open after the pause, when one mail is tried. The pause doubles with each trial that fails.

use chrono::Duration;
use domain::{Timestamp, ids::IntegrationId};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

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
pub(super) enum Sign {
    /// It answers, be it with a refusal of this mail.
    Works,
    /// It cannot be used.
    Fails,
}

/// What may be handed to a provider now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    /// Any number of mails.
    Free,
    /// One mail, to try it.
    Trial,
    /// None until then.
    Barred(Timestamp),
}

/// One provider's circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Circuit {
    /// When the integration was last changed: a change is a reason to try anew.
    version: Timestamp,
    state: State,
    /// Trips in a row without a success between them.
    trips: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed {
        /// In a row.
        failures: u32,
    },
    Open {
        until: Timestamp,
    },
    HalfOpen {
        /// A trial that was not heard of until then is repeated.
        until: Timestamp,
    },
}

impl Circuit {
    fn new(version: Timestamp) -> Self {
        Self { version, state: State::Closed { failures: 0 }, trips: 0 }
    }

    fn passage(&self, now: Timestamp) -> Passage {
        match self.state {
            State::Closed { .. } => Passage::Free,
            State::Open { until } | State::HalfOpen { until } if now < until => Passage::Barred(until),
            State::Open { .. } | State::HalfOpen { .. } => Passage::Trial,
        }
    }

    /// Notes that the trial has begun. Answers whether it may: another may have been faster.
    fn begin_trial(&mut self, now: Timestamp, policy: &BreakerPolicy) -> bool {
        let may = self.passage(now) == Passage::Trial;
        if may {
            self.state = State::HalfOpen { until: now + policy.pause };
        }
        may
    }

    fn note(&mut self, sign: Sign, now: Timestamp, policy: &BreakerPolicy) {
        match (self.state, sign) {
            (_, Sign::Works) => *self = Self::new(self.version),
            (State::Closed { failures }, Sign::Fails) if failures + 1 < policy.failures => {
                self.state = State::Closed { failures: failures + 1 };
            }
            (State::Closed { .. } | State::HalfOpen { .. }, Sign::Fails) => {
                let doubled = 1_i32.checked_shl(self.trips.min(20)).unwrap_or(i32::MAX);
                let pause = policy.pause.checked_mul(doubled).unwrap_or(policy.longest).min(policy.longest);
                self.state = State::Open { until: now + pause };
                self.trips = self.trips.saturating_add(1);
            }
            // Mails that were in flight when it opened.
            (State::Open { .. }, Sign::Fails) => {}
        }
    }
}

/// The circuits of this process.
#[derive(Default)]
pub(super) struct Breaker {
    policy: BreakerPolicy,
    circuits: Mutex<HashMap<IntegrationId, Circuit>>,
}

impl Breaker {
    pub(super) fn new(policy: BreakerPolicy) -> Self {
        Self { policy, circuits: Mutex::default() }
    }

    /// What may be handed to a provider that was last changed at `version`.
    pub(super) fn passage(&self, id: IntegrationId, version: Timestamp, now: Timestamp) -> Passage {
        let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(circuit) = circuits.get_mut(&id) else { return Passage::Free };
        if circuit.version != version {
            circuits.remove(&id);
            return Passage::Free;
        }
        circuit.passage(now)
    }

    /// Whether a mail may still begin: the circuit may have opened since it was claimed.
    pub(super) fn admits(&self, id: IntegrationId, now: Timestamp) -> bool {
        let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(circuit) = circuits.get_mut(&id) else { return true };
        circuit.passage(now) == Passage::Free || circuit.begin_trial(now, &self.policy)
    }

    /// Notes that a mail has not reached the provider after all: a trial is still to be made.
    pub(super) fn note_nothing(&self, id: IntegrationId, now: Timestamp) {
        let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(circuit) = circuits.get_mut(&id)
            && matches!(circuit.state, State::HalfOpen { .. })
        {
            circuit.state = State::Open { until: now };
        }
    }

    /// Notes what an attempt says.
    pub(super) fn note(&self, id: IntegrationId, version: Timestamp, sign: Sign, now: Timestamp) {
        let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        if sign == Sign::Works {
            // Providers that work need no circuit.
            if circuits.remove(&id).is_some_and(|c| !matches!(c.state, State::Closed { .. })) {
                tracing::info!(integration.id = %id, "the e-mail provider works again");
            }
            return;
        }
        let circuit = circuits.entry(id).or_insert_with(|| Circuit::new(version));
        let before = circuit.trips;
        circuit.note(sign, now, &self.policy);
        if circuit.trips > before {
            tracing::warn!(integration.id = %id, "the e-mail provider fails: it is left alone for a while");
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
        let breaker = Breaker::new(BreakerPolicy::default());
        let id = IntegrationId::from_uuid(uuid::Uuid::from_u128(1));
        for _ in 0..5 {
            breaker.note(id, at(0), Sign::Fails, at(0));
        }
        assert!(breaker.admits(id, at(60)));
        assert!(!breaker.admits(id, at(60)));
        breaker.note_nothing(id, at(60));
        assert!(breaker.admits(id, at(60)));
    }

    #[test]
    fn a_changed_integration_is_tried_at_once() {
        let breaker = Breaker::new(BreakerPolicy::default());
        let id = IntegrationId::from_uuid(uuid::Uuid::from_u128(1));
        for _ in 0..5 {
            breaker.note(id, at(0), Sign::Fails, at(10));
        }
        assert_eq!(breaker.passage(id, at(0), at(10)), Passage::Barred(at(70)));
        assert_eq!(breaker.passage(id, at(5), at(10)), Passage::Free);
    }

    #[test]
    fn other_providers_are_not_concerned() {
        let breaker = Breaker::new(BreakerPolicy::default());
        let [broken, sound] = [1, 2].map(|n| IntegrationId::from_uuid(uuid::Uuid::from_u128(n)));
        for _ in 0..5 {
            breaker.note(broken, at(0), Sign::Fails, at(0));
        }
        assert!(!breaker.admits(broken, at(0)));
        assert!(breaker.admits(sound, at(0)));
        assert_eq!(breaker.passage(sound, at(0), at(0)), Passage::Free);
    }
}
