//! The events source: what the eBPF programs count, and which object each count belongs to.

mod arrivals;
mod attention;
mod btf;
mod learner;
mod live;
mod load;
mod map;
mod mapped;
mod maps;
mod pool;
mod program;
mod records;
mod refusal;
mod room;
mod running;
#[doc(hidden)]
pub mod synthetic;

pub use learner::Learner;
pub use running::Probe;

use super::feed::{ProbeOrder, Reason, Unavailable};

/// Loads the programs, attaches them and begins to count. Where memory is short, the probe has less
/// room than wanted.
///
/// # Errors
/// With the cause and the fix when this kernel or these privileges do not allow it.
pub fn start(order: &ProbeOrder) -> Result<Probe, Unavailable> {
    let mut smaller = *order;
    loop {
        match load::start(&smaller) {
            Err(unavailable) if unavailable.reason.is_about_memory() => {
                // A limit on the cgroup was looked at before anything was loaded.
                let next = smaller.room.smaller();
                smaller.room = next
                    .filter(|_| unavailable.reason != Reason::CgroupMemory)
                    .ok_or(unavailable)?;
            }
            outcome => return outcome,
        }
    }
}
