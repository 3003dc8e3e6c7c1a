//! What has been counted and measured.

use super::{
    Core, Effect, Moment, Note,
    gauge::{Ewma, Histogram, Rate},
    record::CloseReason,
};
use crate::{
    BrokerError, ByClass, Class, CloseCounts, LeaseCounts, LimitReason, OpenCounts, RefusalCounts,
    StealCounts,
};
use std::time::Duration;

/// At most one log line per reason in this time.
const QUIET: Duration = Duration::from_mins(1);

#[derive(Clone, Debug, Default)]
pub(super) struct Meters {
    pub(super) open_time: Ewma,
    pub(super) close_time: Ewma,
    pub(super) hold_time: Ewma,
    pub(super) waits: ByClass<Histogram>,
    pub(super) holds: ByClass<Histogram>,
    pub(super) opens_took: Histogram,
    pub(super) closes_took: Histogram,
    pub(super) victim_age: Histogram,
    pub(super) open_rate: Rate,
    pub(super) steal_rate: Rate,
    pub(super) leases: ByClass<LeaseCounts>,
    pub(super) opens: OpenCounts,
    pub(super) closes: CloseCounts,
    pub(super) steals: StealCounts,
    pub(super) refusals: RefusalCounts,
    pub(super) server_refusals: u64,
    pub(super) auth_failures: u64,
    pub(super) zombies: u64,
    pub(super) checks_passed: u64,
    pub(super) checks_failed: u64,
    pub(super) over_warn: u64,
    pub(super) over_max: u64,
    pub(super) last_limit: Option<Moment>,
    /// When a refusal of each reason was last worth a log line.
    noted: [Option<Moment>; 6],
}

impl Meters {
    pub(super) fn granted_at_once(&mut self, class: Class) {
        self.leases.of(class).hit += 1;
        self.waits.of(class).record(Duration::ZERO);
    }

    pub(super) const fn closes_for(&mut self, reason: CloseReason) -> &mut u64 {
        let closes = &mut self.closes;
        match reason {
            CloseReason::Idle => &mut closes.idle,
            CloseReason::Lifetime => &mut closes.lifetime,
            CloseReason::Stolen => &mut closes.stolen,
            CloseReason::Share => &mut closes.share,
            CloseReason::Quantum => &mut closes.quantum,
            CloseReason::Broken => &mut closes.broken,
            CloseReason::Dirty => &mut closes.dirty,
            CloseReason::Generation => &mut closes.generation,
            CloseReason::Retired => &mut closes.retired,
            CloseReason::Shutdown => &mut closes.shutdown,
        }
    }
}

impl Core {
    /// Counts a connection taken when it was given back.
    pub(super) const fn count_takeover(&mut self, reason: CloseReason) {
        let steals = &mut self.meters.steals;
        match reason {
            CloseReason::Share => steals.share += 1,
            CloseReason::Quantum => steals.quantum += 1,
            _ => steals.unneeded += 1,
        }
    }

    /// Counts a refusal, and says so the first time in a minute.
    pub(super) fn note_refusal(
        &mut self,
        error: &BrokerError,
        class: Class,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let meters = &mut self.meters;
        meters.leases.of(class).refused += 1;
        let slot = match error {
            BrokerError::ConnectionLimit { reason, .. } => {
                *meters.refusals.of(*reason) += 1;
                meters.last_limit = Some(now);
                match reason {
                    LimitReason::WaitTimedOut => 0,
                    LimitReason::PredictedTooLong => 1,
                    LimitReason::WorkspaceQueueFull => 2,
                    LimitReason::QueueFull => 3,
                }
            }
            BrokerError::Unavailable { .. } => {
                meters.refusals.unavailable += 1;
                4
            }
            _ => {
                meters.refusals.other += 1;
                return;
            }
        };
        if meters.noted[slot].is_none_or(|at| now.since(at) >= QUIET) {
            meters.noted[slot] = Some(now);
            effects.push(Effect::Note(Note::FirstRefusal { error: error.clone() }));
        }
    }
}

#[cfg(test)]
impl Core {
    /// Forgets how long each workspace's leases were waited for.
    pub(super) fn forget_waits(&mut self) {
        for space in self.spaces.iter_mut() {
            space.tally.waits = None;
        }
    }
}
