//! One life of an object in the kernel, as one slot of the probe counts it.

use super::Account;

/// Readings without a change after which a slot is no longer read at each tick. The program writes
/// at most one record per resolution, so what it counts after a record may have none of its own:
/// two more readings cover that stretch however late a tick is.
const QUIET_READINGS: u8 = 3;

/// So many intervals in a row have to end without a name for a slot before it is given up: a connection or a
/// dump may have taken it for a destination that was being deleted, of which no record will come.
const NAMELESS_INTERVALS: u8 = 2;

/// So many dumps have to name a slot before its object is sure to have lived: one that is being deleted while a
/// dump is made may get a slot once more, of whose end no record will come.
pub(super) const SURE_DUMPS: u8 = 2;

/// One life of a destination or service in the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Life {
    /// Last reading of the probe.
    pub(super) counted: u64,
    /// How much of it is booked.
    pub(super) booked: u64,
    pub(super) account: Account,
    /// Booked since the last [`Ledger::end_window`].
    pub(super) window: u64,
    /// Most connections per second of any window since [`Ledger::end_peaks`].
    pub(super) peak: u64,
    /// Where the current snapshot has it.
    pub(super) place: Option<Place>,
    /// Readings left until it counts as quiet; 0 when not watched.
    pub(super) watch: u8,
    /// A dump has already failed to name it.
    pub(super) asked: bool,
    /// When it has ended.
    pub(super) retired: Option<Retired>,
    /// Dumps in a row that left it out after others had it; 0 for one that none ever had.
    pub(super) absent: u8,
    /// Dumps that named it, up to [`SURE_DUMPS`].
    pub(super) named: u8,
    /// How many of what waits for a name were counted before a zeroing.
    pub(super) stale: u64,
    /// Dumps that had begun when it was zeroed last.
    pub(super) zeroed: Option<u64>,
    pub(super) nameless: Nameless,
}

/// What has happened since the end of a life.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Retired {
    /// An interval has ended.
    pub(super) interval: bool,
    /// A dump no longer shows it.
    pub(super) left_out: bool,
}

/// A slot that no dump names, although it has an object or has counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Nameless {
    /// In the last dump.
    pub(super) now: bool,
    /// Intervals in a row at whose end it was.
    pub(super) intervals: u8,
}

/// Where a snapshot has an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) service: u32,
    /// `None` for the service itself.
    pub(super) destination: Option<u32>,
}

impl Life {
    /// Whether it has counted what a dump has yet to name.
    pub(super) fn wants_name(&self) -> bool {
        self.place.is_none() && self.retired.is_none() && self.counted > self.booked
    }

    /// An interval is over: whether dumps failed to name it in several, so that none ever will.
    pub(super) fn has_no_name(&mut self) -> bool {
        self.nameless.intervals = if self.nameless.now {
            self.nameless.intervals.saturating_add(1)
        } else {
            0
        };
        // The next interval has to have a dump of its own.
        self.nameless.now = false;
        self.retired.is_none() && self.nameless.intervals >= NAMELESS_INTERVALS
    }

    pub(super) fn settle_at(&mut self, place: Place) {
        self.place = Some(place);
        self.absent = 0;
        self.named = self.named.saturating_add(1).min(SURE_DUMPS);
    }

    pub(super) fn zero(&mut self, dumps: u64) {
        self.zeroed = Some(dumps);
        self.stale = self.counted - self.booked;
        self.account.zero(self.stale);
    }

    /// It is to be read at the next ticks; whether it was not before.
    pub(super) fn watch(&mut self) -> bool {
        let quiet = self.watch == 0;
        self.watch = QUIET_READINGS;
        quiet
    }

    /// It was read; whether it is to be read at the next tick, too.
    pub(super) fn rest(&mut self, counted: bool) -> bool {
        // What waits for a name stays in sight until it has one.
        self.watch = if counted || self.wants_name() {
            QUIET_READINGS
        } else {
            self.watch.saturating_sub(1)
        };
        self.watch > 0
    }
}
