//! Records for user space.

use ipvs_sampler_common::{Record, Tally};

use crate::maps::RECORDS;

/// `BPF_RB_NO_WAKEUP`: the reader comes by itself at each tick.
pub(crate) const NO_WAKEUP: u64 = 1;

#[inline(always)]
pub(crate) fn submit(tally: &mut Tally, record: Record) -> bool {
    let Some(mut entry) = RECORDS.reserve::<Record>(0) else {
        return false;
    };
    entry.write(record);
    entry.submit(NO_WAKEUP);
    tally.submitted += 1;
    true
}
