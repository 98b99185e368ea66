//! Whether what the probe says of a dump is to be believed.

use ipvs_sampler_common::{COUNTERS, Slot};

use crate::{
    model::{DumpCheck, Mismatch, ReadTable, Snapshot, check_complete, check_readings},
    source::feed::{Dumped, Reason},
};

/// Why a probe is blind that ran while a dump of this many destinations was made. Probes are there only when
/// they are seen to work: the kernel attaches them also where it does not run them.
#[must_use]
pub fn blindness(dumped: &Dumped, destinations: usize) -> Option<Reason> {
    if !dumped.seen {
        Some(Reason::NotFiring)
    } else if destinations > 0 && !dumped.destinations_seen {
        Some(Reason::DumpUnseen)
    } else {
        None
    }
}

/// Holds readings against the dump before them, that dump's messages against the memory of their objects, and
/// all against `totals` of the network namespace, read after them.
///
/// # Errors
/// The first that does not fit, which may be a change that came between the two.
pub fn fits(
    check: &DumpCheck,
    snapshot: &Snapshot,
    readings: &ReadTable,
    totals: Option<&[u64; COUNTERS]>,
    muted: impl Fn(Slot) -> bool,
) -> Result<(), Mismatch> {
    check.verdict()?;
    check_complete(snapshot, |slot| readings.left_out(slot) && !muted(slot))?;
    check_readings(snapshot, totals, |slot| readings.get(slot).copied())
}
