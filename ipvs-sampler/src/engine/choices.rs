//! What the user chose that decides what is sampled.

use crate::model::Selection;

/// See the module.
#[derive(Clone, Debug)]
pub struct Choices {
    /// Whether to use a probe.
    pub probe: ProbeUse,
    /// Whether to read all counters live where the probe can.
    pub live: bool,
    /// Whether rates are the kernel's, not those of the window.
    pub kernel_rates: bool,
    /// Whether rows have what an interval knows.
    pub extended: bool,
    /// Whether anybody reads rows tick by tick.
    pub rows: bool,
    /// Shortest time between two records of one (CPU, destination), in ns.
    pub resolution_ns: u64,
    /// Size of the ring buffer of records.
    pub ring_bytes: u32,
    /// Level of the programs' own messages, none when they are to be silent.
    pub log: Option<log::Level>,
    /// Which services and destinations are asked for.
    pub selection: Selection,
}

/// Whether to use a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeUse {
    /// None.
    Off,
    /// Where there can be one.
    Wanted,
    /// Without one there is nothing to sample.
    Required,
}
