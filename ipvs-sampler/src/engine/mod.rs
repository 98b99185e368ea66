//! The order of a tick: the one place that knows it. Pure but for what it asks its feed.

mod books;
mod choices;
mod climb;
mod join;
mod known;
mod ladder;
mod looks;
mod muting;
mod sample;
#[cfg(test)]
mod tests;
mod zeroed;

use ipvs_sampler_common::{COUNTERS, Slot};

use crate::{
    clock::{Due, Moment},
    failure::Failure,
    model::{Expired, Health, Mode, Occasion, Report, slots_end},
    source::feed::{Changes, DumpError, Feed, NoDump, Order, WhichTotals},
};
use books::Books;
use join::Dumps;
use known::{Known, WindowRates};
use ladder::{Again, Ladder, Start};
use muting::Muting;
use sample::{Departed, DueRows};
use zeroed::Zeroed;

pub use choices::{Choices, ProbeUse};
pub use climb::{CHECKS, LOOKS};
pub use looks::{blindness, fits};
pub use sample::{Row, RowOf, Sample};

/// Shortest time between two dumps made to learn a new destination's name, in ns.
const LEARNING_PAUSE: u64 = 250_000_000;

/// Samples one network namespace: everything that ticks need, kept so that a steady one allocates nothing.
pub struct Sampler {
    feed: Box<dyn Feed>,
    choices: Choices,
    /// What messages begin with when there may be several network namespaces.
    prefix: String,
    known: Known,
    ladder: Ladder,
    books: Books,
    dumps: Dumps,
    muting: Muting,
    health: Health,
    window_began: Moment,
    tick: Tick,
    memory: Memory,
}

/// What belongs to one tick.
struct Tick {
    began: Moment,
    /// What its rows show is of this moment.
    now: Moment,
    due: Due,
    /// How long after its deadline it began, in ns.
    late_ns: u64,
    /// Whether there was a dump, or a try.
    dumped: bool,
    /// Whether it has a complete snapshot.
    complete: bool,
    rows: DueRows,
    /// For [`DueRows::Scheduled`]: indices of the service and of the destination.
    places: Vec<(usize, usize)>,
    departed: Vec<Departed>,
    zeroed: Zeroed,
}

/// Room for answers. Reused.
#[derive(Default)]
struct Memory {
    changes: Changes,
    /// Records of counts were lost since all was read.
    lost: bool,
    counts: Vec<u64>,
    slots: Vec<Slot>,
    expired: Expired,
}

impl Sampler {
    /// Begins to sample what `feed` shows. The first tick says how connections are known.
    ///
    /// # Errors
    /// When privileges are missing, or IPVS or the probe is required and not to be had.
    pub fn start(
        mut feed: Box<dyn Feed>,
        choices: Choices,
        prefix: String,
    ) -> Result<Self, Failure> {
        let now = feed.now();
        let mut known = Known {
            selection: choices.selection.clone(),
            ..Known::default()
        };
        let dumped = feed.dump(&mut known.snapshot);
        let mut sampler = Self {
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
        };
        match dumped {
            Ok(dumped) => {
                sampler.dumps.family = dumped.family;
                sampler.start_probe(Start::First)?;
            }
            Err(NoDump::Failed(DumpError::NotLoaded))
                if sampler.choices.probe != ProbeUse::Required =>
            {
                log::warn!(
                    "{}IPVS is not loaded: waiting for it (modprobe ip_vs loads it)",
                    sampler.prefix
                );
            }
            Err(NoDump::Failed(error)) => return Err(error.into()),
            Err(NoDump::Nowhere) => {}
        }
        Ok(sampler)
    }

    /// Whether there is anything to tell between intervals.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.ladder.running().is_some()
    }

    /// One tick: reads, and learns what is new. [`Sampler::sample`] has what it says then, and
    /// [`Sampler::end_tick`] is to follow. Whether it has a complete snapshot.
    ///
    /// # Errors
    /// When privileges were withdrawn, or a required probe cannot run any more.
    pub fn tick(&mut self, due: Due, deadline: i64) -> Result<bool, Failure> {
        let began = self.feed.now();
        let mut now = began;
        self.tick.began = began;
        self.tick.due = due;
        self.tick.late_ns = u64::try_from(began.wall - deadline).unwrap_or(0);
        self.tick.departed.clear();
        self.tick.dumped = false;
        if due == Due::Interval {
            self.follow_namespace();
            self.try_again()?;
            self.cross_check(&began);
        }
        if self.ladder.running().is_some() {
            self.count(Occasion::Tick);
        }
        self.fetch_arrivals();
        // Where nothing had been zeroed before, nobody has seen yet that it is read from the right place.
        let zeroed = *self.ladder.mode() == Mode::Live && self.dumps.zeroed;
        let news = self.known.ledger.wants_dump() || self.books.lost_changes() || zeroed;
        let learns = news && began.since(&self.dumps.ended) >= LEARNING_PAUSE;
        let dumped = due == Due::Interval || learns;
        let fresh = dumped && self.refresh()?;
        if dumped {
            now = self.dumps.ended;
        }
        if *self.ladder.mode() == Mode::Live {
            now = self.read_live();
        }
        self.tick.now = now;
        self.tick.complete = due == Due::Interval && fresh;
        self.tick.rows = match (self.tick.complete, self.ladder.mode()) {
            _ if !self.choices.rows => DueRows::None,
            (true, _) => DueRows::All,
            (false, Mode::Live) => DueRows::Changed,
            (false, _) => {
                self.known.ledger.scheduled(&mut self.tick.places);
                DueRows::Scheduled
            }
        };
        Ok(self.tick.complete)
    }

    /// What the tick says.
    #[must_use]
    pub fn sample(&self) -> Sample<'_> {
        Sample::of(self)
    }

    /// What the tick said is published: the next window begins.
    pub fn end_tick(&mut self) {
        let Tick {
            began,
            now,
            due,
            late_ns,
            complete,
            ..
        } = self.tick;
        self.tick.zeroed.clear();
        self.known.ledger.end_window(now.since(&self.window_began));
        self.window_began = now;
        self.health.ticks += 1;
        self.health.late_ns.record(late_ns);
        let worked = self.feed.now().since(&began);
        self.health.work_ns.record(worked);
        if complete {
            self.known.ledger.end_peaks();
            self.known.readings.end_interval();
            self.known.arrivals.end_interval();
        }
        if due == Due::Interval {
            self.expire();
            self.health.end_interval();
        }
    }

    /// What IPVS has counted as the estimator last had it; `None` when it does not say.
    pub fn estimated_totals(&mut self) -> Option<[u64; COUNTERS]> {
        self.feed.totals(WhichTotals::Estimated)
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

    /// Takes over what can be changed while it runs.
    pub fn reconfigure(&mut self, choices: Choices) {
        self.known.selection = choices.selection.clone();
        self.feed.tell(Order::Resolution(choices.resolution_ns));
        self.choices = choices;
        self.select();
    }

    /// Privileges were given up; `sealed`: those that starting a probe takes, too. Where a new one is
    /// needed, a tick fails from then on.
    pub fn gave_up_privileges(&mut self, sealed: bool) {
        let conditions = self.feed.conditions();
        self.ladder.gave_up_privileges(sealed, conditions);
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

    fn try_again(&mut self) -> Result<(), Failure> {
        let facts = self.facts();
        let feed = &mut self.feed;
        match self
            .ladder
            .again(&facts, &self.choices, || feed.conditions())
        {
            Again::Process => Err(self.start_again()),
            Again::No | Again::Probe => Ok(()),
        }
    }

    fn fetch_arrivals(&mut self) {
        if self.ladder.running().is_some() {
            let arrivals = &mut self.known.arrivals;
            self.health.arrivals_lost += self.feed.arrivals(arrivals.inbox());
            let now = self.feed.now().monotonic;
            arrivals.digest(u64::try_from(now).unwrap_or(0));
        }
    }

    /// Reads all counters; the moment of the reading. When it fails, events go on without.
    fn read_live(&mut self) -> Moment {
        let end = slots_end(&self.known.snapshot);
        let outcome = self.feed.readings(end, self.known.readings.coming());
        let now = self.feed.now();
        match outcome {
            Ok(()) => {
                let window = now.since(&self.window_began);
                self.known.readings.turn(window);
            }
            Err(unavailable) => {
                self.ladder.set_live(Err(unavailable));
                self.settle_mode();
            }
        }
        now
    }

    /// Gives out the slots whose lives are over.
    fn expire(&mut self) {
        if self.ladder.running().is_none() {
            return;
        }
        self.known.ledger.expire(&mut self.memory.expired);
        let Expired { free, abandoned } = &self.memory.expired;
        if !abandoned.is_empty() {
            self.feed.tell(Order::Abandon(abandoned));
        }
        if !free.is_empty() {
            self.feed.tell(Order::Free(free));
            self.muting.free(free);
            self.known.forget(free);
        }
    }

    fn rates(&self) -> WindowRates {
        self.rates_of(self.tick.now.since(&self.window_began))
    }

    fn rates_of(&self, window_ns: u64) -> WindowRates {
        WindowRates {
            window_ns,
            kernel: self.choices.kernel_rates,
        }
    }

    fn report(&self) -> Report<'_> {
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
}
