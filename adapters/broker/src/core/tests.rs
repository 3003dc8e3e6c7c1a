//! Drives the core on a virtual clock, with a world that performs its effects.

mod exhaustive;
mod fairness;
mod random;
mod reference;
mod rules;
mod world;
