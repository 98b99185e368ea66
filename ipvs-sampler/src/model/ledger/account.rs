//! One counter known from two sides.
//!
//! For one life of a destination let `N` be the kernel's counter in a dump and `E` the probe's count
//! just after it. The true count is `B + E` with a `B` that never changes, and `N` was true at some
//! moment before, so `N - E <= B`. The account keeps the largest `N - E` it has seen as its `base`:
//! `base + E` never exceeds what the kernel will show, never goes backwards, and is exact as soon as
//! one dump has fallen into a moment when nothing had been scheduled since the kernel's last
//! estimator run. Zeroing (`ipvsadm -Z`) restarts at `base = -E`.

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    base: i64,
    events: u64,
    /// The kernel's counter in the last dump.
    kernel: u64,
}

impl Account {
    /// The probe counted this many more.
    pub(super) fn add(&mut self, events: u64) {
        self.events += events;
    }

    /// The probe counted this many more, but `settle` may have taken them in before.
    pub(super) fn absorb(&mut self, events: u64) {
        self.base -= signed(events);
        self.events += events;
    }

    /// Takes in the kernel's counter of a dump that ended before the last `add`. Whether it went back,
    /// although nothing reported that it was zeroed.
    pub(super) fn settle(&mut self, kernel: u64) -> bool {
        let behind = signed(kernel) - signed(self.events);
        let went_back = kernel < self.kernel;
        self.base = if went_back {
            behind
        } else {
            self.base.max(behind)
        };
        self.kernel = kernel;
        went_back
    }

    /// Starts from zero; `waiting` connections are seen and not added yet.
    pub(super) fn zero(&mut self, waiting: u64) {
        self.base = -signed(self.events + waiting);
        self.kernel = 0;
    }

    /// The same account for a probe that begins to count now.
    pub(super) fn carried(self) -> Self {
        Self {
            base: signed(self.connections()),
            events: 0,
            kernel: self.kernel,
        }
    }

    /// An account of which only the kernel's counter is known.
    pub(super) fn from_kernel(kernel: u64) -> Self {
        Self {
            base: signed(kernel),
            events: 0,
            kernel,
        }
    }

    /// Connections, cumulative.
    pub(super) fn connections(self) -> u64 {
        u64::try_from(self.base + signed(self.events)).unwrap_or(0)
    }

    /// By how much that is ahead of the kernel's counter in the last dump.
    pub(super) fn ahead(self) -> u64 {
        self.connections().saturating_sub(self.kernel)
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
