//! One test or more for each rule.

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
