//! What a sampler has.

use ipvs_sampler_common::{COUNTERS, Slot};

use super::{
    books::Books,
    choices::Choices,
    due::Due,
    dumps::Dumps,
    known::{Known, WindowRates},
    ladder::Ladder,
    muting::Muting,
    rows::{Departed, DueRows},
    zeroed::Zeroed,
};
use crate::{
    model::{Expired, Health, Mode, Report},
    source::feed::{Changes, Feed, WhichTotals},
    system::clock::Moment,
};

/// Samples one network namespace: everything that ticks need, kept so that a steady one allocates nothing.
pub struct Sampler {
    pub(super) feed: Box<dyn Feed>,
    pub(super) choices: Choices,
    /// What messages begin with when there may be several network namespaces.
    pub(super) prefix: String,
    pub(super) known: Known,
    pub(super) ladder: Ladder,
    pub(super) books: Books,
    pub(super) dumps: Dumps,
    pub(super) muting: Muting,
    pub(super) health: Health,
    pub(super) window_began: Moment,
    pub(super) tick: Tick,
    pub(super) memory: Memory,
}

/// What belongs to one tick.
pub(super) struct Tick {
    pub(super) began: Moment,
    /// What its rows show is of this moment.
    pub(super) now: Moment,
    pub(super) due: Due,
    /// How long after its deadline it began, in ns.
    pub(super) late_ns: u64,
    /// Whether there was a dump, or a try.
    pub(super) dumped: bool,
    /// Whether it has a complete snapshot.
    pub(super) complete: bool,
    pub(super) rows: DueRows,
    /// For [`DueRows::Scheduled`]: indices of the service and of the destination.
    pub(super) places: Vec<(usize, usize)>,
    pub(super) departed: Vec<Departed>,
    pub(super) zeroed: Zeroed,
}

/// Room for answers. Reused.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) changes: Changes,
    /// Records of counts were lost since all was read.
    pub(super) lost: bool,
    pub(super) counts: Vec<u64>,
    pub(super) slots: Vec<Slot>,
    pub(super) expired: Expired,
}

impl Sampler {
    /// Nothing is known yet.
    pub(super) fn new(mut feed: Box<dyn Feed>, choices: Choices, prefix: String) -> Self {
        let now = feed.now();
        let known = Known {
            selection: choices.selection.clone(),
            ..Known::default()
        };
        Self {
            feed,
            choices,
            prefix,
            known,
            ladder: Ladder::default(),
            books: Books::default(),
            dumps: Dumps::new(now),
            muting: Muting::default(),
            health: Health::default(),
            window_began: now,
            tick: Tick {
                began: now,
                now,
                due: Due::Interval,
                late_ns: 0,
                dumped: false,
                complete: false,
                rows: DueRows::None,
                places: Vec::new(),
                departed: Vec::new(),
                zeroed: Zeroed::default(),
            },
            memory: Memory::default(),
        }
    }

    /// Whether there is anything to tell between intervals.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.ladder.running().is_some()
    }

    /// How it is doing, in a few words.
    #[must_use]
    pub fn status(&self) -> String {
        format!(
            "{}{}, {} services, {} destinations",
            self.prefix,
            self.mode_name(),
            self.known.snapshot.services.len(),
            self.known.snapshot.destinations.len()
        )
    }

    /// How connections are known, in one word.
    #[must_use]
    pub fn mode_name(&self) -> &'static str {
        self.ladder.mode().name()
    }

    /// Whether what it has open can be used with the privileges in effect.
    pub fn is_permitted(&mut self) -> bool {
        self.feed.is_permitted()
    }

    /// Counts deadlines that passed while a tick was at work.
    pub fn missed(&mut self, deadlines: u64) {
        self.health.ticks_missed += deadlines;
    }

    /// Lines that were dropped before a slow reader, for the report.
    pub fn dropped(&mut self, lines: u64) {
        self.health.lines_dropped = lines;
    }

    /// Privileges were given up; `sealed`: those that starting a probe takes, too. Where a new one is
    /// needed, a tick fails from then on.
    pub fn gave_up_privileges(&mut self, sealed: bool) {
        let conditions = self.feed.conditions();
        self.ladder.gave_up_privileges(sealed, conditions);
    }

    pub(super) fn rates(&self) -> WindowRates {
        self.rates_of(self.tick.now.since(&self.window_began))
    }

    pub(super) fn rates_of(&self, window_ns: u64) -> WindowRates {
        WindowRates {
            window_ns,
            kernel: self.choices.kernel_rates,
        }
    }

    pub(super) fn report(&self) -> Report<'_> {
        let snapshot = &self.known.snapshot;
        let live = *self.ladder.mode() == Mode::Live;
        Report {
            mode: self.ladder.mode(),
            services: snapshot.services.len(),
            destinations: snapshot.destinations.len(),
            uncounted: snapshot.uncounted(),
            events: self.books.totals(),
            totals: self.known.ledger.totals(),
            differences: live.then(|| self.known.crosscheck.differences()),
        }
    }

    /// What IPVS has counted as the estimator last had it; `None` when it does not say.
    pub fn estimated_totals(&mut self) -> Option<[u64; COUNTERS]> {
        self.feed.totals(WhichTotals::Estimated)
    }
}
