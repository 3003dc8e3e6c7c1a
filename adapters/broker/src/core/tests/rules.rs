//! One test or more for each rule (C3).
//!
//! Every rule was taken out of the core, one at a time, to see a test here fail. Of 71 such mutants
//! fifteen went unnoticed at first; fourteen of these got a test. The last one changes nothing: that
//! a quantum ends only for the last connection, since whoever has two against none shares out anyway.

mod acquiring;
mod administering;
mod assigning;
mod background;
mod failing;
mod reaping;
mod releasing;
mod single_writer;
mod system_lane;

use std::time::Duration;

use super::world::{MS, World, key, limits};
use crate::{
    Access, BrokerError, Class, LimitReason, Limits, OpenFailure,
    core::{Answer, Effect, Event, Release, record::State},
};

const SYSTEM: usize = usize::MAX;
const LONG: Duration = Duration::from_mins(1);

fn reasons(world: &World) -> Vec<LimitReason> {
    let reasons = world.refused.iter().filter_map(|error| match error {
        BrokerError::ConnectionLimit { reason, .. } => Some(*reason),
        _ => None,
    });
    reasons.collect()
}
