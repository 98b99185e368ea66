//! The order of a tick: the one place that knows it.

use super::{
    choices::{Choices, ProbeUse},
    due::Due,
    ladder::{Again, Start},
    rows::DueRows,
    sampler::{Sampler, Tick},
};
use crate::{
    model::{Expired, Mode, Occasion, slots_end},
    source::feed::{DumpError, Feed, NoDump, Order},
    system::clock::Moment,
    system::failure::Failure,
};

/// Shortest time between two dumps made to learn a new destination's name, in ns.
const LEARNING_PAUSE: u64 = 250_000_000;

impl Sampler {
    /// Begins to sample what `feed` shows. The first tick says how connections are known.
    ///
    /// # Errors
    /// When privileges are missing, or IPVS or the probe is required and not to be had.
    pub fn start(feed: Box<dyn Feed>, choices: Choices, prefix: String) -> Result<Self, Failure> {
        let mut sampler = Self::new(feed, choices, prefix);
        match sampler.feed.dump(&mut sampler.known.snapshot) {
            Ok(dumped) => {
                sampler.dumps.family = dumped.family;
                sampler.start_probe(Start::First)?;
            }
            Err(NoDump::Failed(DumpError::NotLoaded))
                if sampler.choices.probe != ProbeUse::Required =>
            {
                log::warn!(
                    "{}IPVS is not loaded; waiting for it (load it with modprobe ip_vs)",
                    sampler.prefix
                );
            }
            Err(NoDump::Failed(error)) => return Err(error.into()),
            Err(NoDump::Nowhere) => {}
        }
        Ok(sampler)
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
        self.tick.rows = DueRows::None;
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

    /// Takes over what can be changed while it runs.
    pub fn reconfigure(&mut self, choices: Choices) {
        self.known.selection = choices.selection.clone();
        self.feed.tell(Order::Resolution(choices.resolution_ns));
        self.choices = choices;
        self.select();
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
                let known = &mut self.known;
                known.readings.turn(&known.snapshot, window);
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
}
