//! Samples one network namespace; tick.rs knows the order. Pure but for what it asks its feed.

mod books;
mod choices;
mod climb;
mod due;
mod dumps;
mod join;
mod known;
mod ladder;
mod looks;
mod muting;
mod rows;
mod sample;
mod sampler;
#[cfg(test)]
mod tests;
mod tick;
mod zeroed;

pub use choices::{Choices, ProbeUse};
pub use climb::{CHECKS, LOOKS};
pub use due::Due;
pub use looks::{blindness, fits};
pub use rows::{Row, RowOf};
pub use sample::Sample;
pub use sampler::Sampler;
