//! The two clocks.

use rustix::time::{ClockId, Timespec, clock_gettime};

const NANOSECONDS: i64 = 1_000_000_000;

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since 1970, in ns: for timestamps and deadlines. Can be set by the administrator.
    pub wall: i64,
    /// Since boot, in ns: for lengths of time.
    pub monotonic: i64,
}

impl Moment {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        Self {
            wall: read(ClockId::Realtime),
            monotonic: read(ClockId::Monotonic),
        }
    }

    /// Nanoseconds from an earlier moment to this one.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> u64 {
        u64::try_from(self.monotonic - earlier.monotonic).unwrap_or(0)
    }
}

fn read(clock: ClockId) -> i64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    tv_sec * NANOSECONDS + tv_nsec
}
