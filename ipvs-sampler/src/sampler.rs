//! The order of a tick: the one place that knows it.

mod choices;
mod ladder;
mod page;
mod place;
mod print;

use std::time::Duration;

use crate::{
    cli::{Ebpf, Settings},
    clock::{Due, Moment},
    encode::{Influx, Prometheus},
    events::Events,
    failure::Failure,
    health::{Health, Mode, Report},
    model::{
        Around, Arrivals, Crosscheck, Floors, Ledger, Patience, Readings, Selection, Snapshot,
        slots_end,
    },
    schema::{self, FieldSet},
    sink::Target,
    source::{
        conditions::Conditions,
        namespace::Namespace,
        netlink::{self, Netlink},
        probe::{Changes, Probe},
    },
};

use ladder::Start;
use place::{open_netlink, prefix};

pub(crate) use choices::{field_set, further_tags, selection, tag_style};
pub(crate) use place::{cannot_enter, within};

/// A dump that takes longer is given up.
pub const DUMP_LIMIT: Duration = Duration::from_secs(3);

/// Shortest time between two dumps made to learn a new destination's name, in ns.
const LEARNING_PAUSE: u64 = 250_000_000;

/// Everything that one tick needs, kept from tick to tick so that a steady one allocates nothing.
pub struct Sampler {
    options: Settings,
    namespace: Namespace,
    encoder: Influx,
    /// `None` while the network namespace is gone.
    netlink: Option<Netlink>,
    probe: Option<Probe>,
    mode: Mode,
    /// Something was zeroed since the last dump began.
    zeroed: bool,
    /// Something was zeroed since the last tick.
    zeroed_in_tick: bool,
    /// A probe was seen to work.
    has_worked: bool,
    /// A new probe may come further than the one there is.
    trying_again: bool,
    /// Times that a probe may yet fail to start; 0 before the first one.
    tries_left: u32,
    /// Under which the probe was started, and came no further than it did.
    conditions: Conditions,
    /// When something that failed is tried again, whatever the conditions.
    patience: Patience,
    /// The probe that runs has room for less than there is, and a larger one was refused.
    room_refused: bool,
    /// Below them no counter falls when a source is lost.
    floors: Floors,
    /// The last dump.
    snapshot: Snapshot,
    /// Memory for the next one.
    spare: Snapshot,
    ledger: Ledger,
    /// In [`Mode::Live`].
    readings: Readings,
    crosscheck: Crosscheck,
    /// What is printed of the snapshot.
    selection: Selection,
    /// No new probe can be started: what that takes was given up.
    sealed: bool,
    /// With extended fields.
    arrivals: Arrivals,
    changes: Changes,
    events: Events,
    places: Vec<(usize, usize)>,
    health: Health,
    window_began: Moment,
    last_dump: Moment,
    /// Why the last dump failed, where it did.
    dump_failure: Option<String>,
    /// The end of the last dump that succeeded, in ns since 1970.
    snapshot_wall: Option<i64>,
    /// Memory for a file of /proc.
    text: String,
}

impl Sampler {
    /// Opens the sources in a network namespace. The first tick says how connections are known.
    ///
    /// # Errors
    /// When privileges are missing, or IPVS or the probe is required and not to be had.
    pub fn start(options: Settings, namespace: Namespace) -> Result<Self, Failure> {
        let now = Moment::now();
        let mut netlink = open_netlink(&namespace)?;
        let mut snapshot = Snapshot::default();
        let dumped = netlink.dump(&mut snapshot, &mut ());
        let selection = selection(&options.reloadable.selection);
        let mut sampler = Self {
            encoder: Influx {
                style: tag_style(&options.reloadable.tags, further_tags(&options), &namespace),
            },
            netlink: Some(netlink),
            options,
            namespace,
            probe: None,
            mode: Mode::Waiting(NOT_LOADED),
            zeroed: false,
            zeroed_in_tick: false,
            has_worked: false,
            trying_again: false,
            tries_left: 0,
            conditions: Conditions::default(),
            patience: Patience::default(),
            room_refused: false,
            floors: Floors::default(),
            snapshot,
            spare: Snapshot::default(),
            ledger: Ledger::default(),
            readings: Readings::default(),
            crosscheck: Crosscheck::default(),
            selection,
            sealed: false,
            arrivals: Arrivals::default(),
            changes: Changes::default(),
            events: Events::default(),
            places: Vec::new(),
            health: Health::new()
                .ok_or_else(|| Failure::Bug("the histograms' bounds do not fit".into()))?,
            window_began: now,
            last_dump: now,
            dump_failure: None,
            snapshot_wall: None,
            text: String::new(),
        };
        match dumped {
            Ok(()) => sampler.start_probe(Start::First)?,
            Err(netlink::Error::NotLoaded) if sampler.options.fixed.ebpf != Ebpf::Require => {
                log::warn!(
                    "{}IPVS is not loaded: waiting for it (modprobe ip_vs loads it)",
                    prefix(&sampler.namespace)
                );
            }
            Err(error) => return Err(error.into()),
        }
        Ok(sampler)
    }

    /// Time between ticks for what was scheduled to; `None` when nothing can tell.
    #[must_use]
    pub fn resolution(&self) -> Option<Duration> {
        self.probe
            .is_some()
            .then_some(self.options.reloadable.resolution)
    }

    /// One tick: read, learn what is new, append the lines that are due to `batch`, and add everything to
    /// `page` when there is one to be made. Whether a complete snapshot is among the lines.
    ///
    /// # Errors
    /// When privileges were withdrawn, or a required probe cannot run any more.
    pub fn tick(
        &mut self,
        due: Due,
        deadline: i64,
        batch: &mut Vec<u8>,
        page: Option<&mut Prometheus>,
    ) -> Result<bool, Failure> {
        let began = Moment::now();
        let mut now = began;
        if due == Due::Interval {
            self.follow_namespace();
            self.try_again()?;
            self.cross_check(&began);
        }
        self.read_watched();
        self.fetch_arrivals();
        // Where nothing had been zeroed before, nobody has seen yet that it is read from the right place.
        let zeroed = self.mode == Mode::Live && self.zeroed;
        let news = self.ledger.wants_dump() || self.events.lost_changes() || zeroed;
        let dumped = due == Due::Interval || news && began.since(&self.last_dump) >= LEARNING_PAUSE;
        let fresh = dumped && self.refresh(batch)?;
        if dumped {
            now = self.last_dump;
        }
        if self.mode == Mode::Live {
            now = self.read_live();
        }
        let complete = due == Due::Interval && fresh;
        match (complete, &self.mode) {
            _ if !self.has_readers() => {}
            (true, _) => self.print_all(&now, batch),
            (false, Mode::Live) => self.print_changed(&now, batch),
            (false, _) => self.print_scheduled(&now, batch),
        }
        self.zeroed_in_tick = false;
        self.ledger.end_window(now.since(&self.window_began));
        self.window_began = now;
        self.health.ticks += 1;
        self.health
            .late_ns
            .record(u64::try_from(began.wall - deadline).unwrap_or(0));
        self.health.work_ns.record(Moment::now().since(&began));
        if complete {
            self.ledger.end_peaks();
            self.readings.end_interval();
            self.arrivals.end_interval();
        }
        if due == Due::Interval {
            self.end_interval(&now, batch);
        }
        if let Some(page) = page {
            self.add_to_page(&now, page);
        }
        Ok(complete)
    }

    /// How it is doing, in a few words.
    #[must_use]
    pub fn status(&self) -> String {
        format!(
            "{}{}, {} services, {} destinations",
            prefix(&self.namespace),
            self.mode.name(),
            self.snapshot.services.len(),
            self.snapshot.destinations.len()
        )
    }

    /// How connections are known, in one word.
    #[must_use]
    pub fn mode_name(&self) -> &'static str {
        self.mode.name()
    }

    /// Takes over what can be changed while it runs.
    pub fn reconfigure(&mut self, options: &Settings) {
        self.encoder.style = tag_style(
            &options.reloadable.tags,
            further_tags(options),
            &self.namespace,
        );
        self.selection = selection(&options.reloadable.selection);
        self.options = options.clone();
        if let Some(probe) = &mut self.probe {
            probe.set_resolution(nanoseconds(options.reloadable.resolution));
        }
        self.select();
    }

    /// Privileges were given up; `sealed`: those that starting a probe takes, too. Where a new one is
    /// needed, a tick fails from then on.
    pub fn gave_up_privileges(&mut self, sealed: bool) {
        // That is no reason to try again.
        self.conditions = Conditions::now();
        self.sealed = sealed;
    }

    /// Whether what it has open can be used with the privileges in effect.
    pub fn works(&mut self) -> bool {
        self.probe.as_mut().is_none_or(Probe::works)
    }

    /// Counts deadlines that passed while a tick was at work.
    pub fn missed(&mut self, deadlines: u64) {
        self.health.ticks_missed += deadlines;
    }

    /// Lines that were dropped before a slow reader, for the report.
    pub fn dropped(&mut self, lines: u64) {
        self.health.lines_dropped = lines;
    }

    fn read_watched(&mut self) {
        let Some(probe) = &mut self.probe else { return };
        self.changes.clear();
        probe.drain(&mut self.changes);
        for &slot in &self.changes.active {
            self.ledger.watch(slot);
        }
        if self.events.update(probe) {
            // Records were lost: any slot may have counted.
            self.ledger.read_all(|slot| probe.connections(slot));
        } else {
            self.ledger.read_watched(|slot| probe.connections(slot));
        }
        self.apply_changes();
    }

    fn fetch_arrivals(&mut self) {
        if let Some(probe) = &mut self.probe {
            self.health.arrivals_lost += probe.fetch_arrivals(self.arrivals.inbox());
            let now = Moment::now().monotonic;
            self.arrivals.digest(u64::try_from(now).unwrap_or(0));
        }
    }

    /// Reads all counters; the moment of the reading. When it fails, events go on without.
    fn read_live(&mut self) -> Moment {
        let Some(probe) = &mut self.probe else {
            return Moment::now();
        };
        let outcome = probe.read_live(slots_end(&self.snapshot));
        let now = Moment::now();
        let window = now.since(&self.window_began);
        self.readings
            .take(&self.snapshot, window, |slot| probe.reading(slot));
        if outcome.is_err() {
            self.settle_mode();
        }
        now
    }

    /// Compares events with live counters. The ledger has the events of the tick before.
    fn cross_check(&mut self, now: &Moment) {
        let (Mode::Live, Some(probe)) = (&self.mode, &mut self.probe) else {
            return;
        };
        if probe.read_live(slots_end(&self.snapshot)).is_err() {
            return self.settle_mode();
        }
        let events = |slot| Around {
            before: self.ledger.counted(slot),
            after: probe.connections(slot),
        };
        self.crosscheck.observe(
            &self.snapshot,
            u64::try_from(now.monotonic).unwrap_or(0),
            |slot| probe.reading(slot),
            events,
        );
    }

    /// Dumps and joins. Whether it succeeded. Its moment is `last_dump`.
    fn dump(&mut self, batch: &mut Vec<u8>) -> Result<bool, Failure> {
        let began = Moment::now();
        let Some(netlink) = &mut self.netlink else {
            self.last_dump = began;
            return Ok(false);
        };
        self.zeroed = false;
        let result = match &mut self.probe {
            Some(probe) => netlink.dump(&mut self.spare, &mut probe.learner()),
            None => netlink.dump(&mut self.spare, &mut ()),
        };
        self.last_dump = Moment::now();
        match result {
            Ok(()) => {}
            Err(netlink::Error::NotLoaded) => {
                self.wait(NOT_LOADED);
                return Ok(false);
            }
            Err(error @ netlink::Error::NotPermitted) => return Err(error.into()),
            Err(error) => {
                self.health.dump_failures += 1;
                let error = error.to_string();
                if self.dump_failure.as_ref() != Some(&error) {
                    log::warn!("{}netlink dump failed: {error}", prefix(&self.namespace));
                    self.dump_failure = Some(error);
                }
                return Ok(false);
            }
        }
        if self.dump_failure.take().is_some() {
            log::info!("{}netlink dump succeeded again", prefix(&self.namespace));
        }
        self.floors.take_in(&self.spare);
        self.snapshot_wall = Some(self.last_dump.wall);
        self.health.dumps += 1;
        self.health.dump_ns.record(self.last_dump.since(&began));
        self.health.dump_repeats += self.spare.repeated;
        self.join(batch);
        Ok(true)
    }

    fn apply_changes(&mut self) {
        self.zeroed |= !self.changes.zeroed.is_empty();
        if self.changes.zeroings > 0 {
            self.zeroed_in_tick = true;
            self.floors.clear();
            self.events.sight.zeroing_reported();
        }
        for &slot in &self.changes.zeroed {
            self.ledger.zero(slot);
        }
        for &slot in &self.changes.retired {
            self.ledger.retire(slot);
        }
    }

    /// Puts the new dump in place of the last one, and the probe's counts to its names.
    fn join(&mut self, batch: &mut Vec<u8>) {
        if let Some(probe) = &mut self.probe {
            self.changes.clear();
            probe.drain(&mut self.changes);
            self.events.update(probe);
            self.ledger.read_all(|slot| probe.connections(slot));
            self.apply_changes();
            if self.mode != Mode::Live && self.has_readers() {
                self.print_departed(batch);
            }
            self.ledger.inherit(&mut self.spare, &self.snapshot);
            let untold = self.ledger.adopt(&self.spare);
            self.events.sight.dumped(untold);
        }
        std::mem::swap(&mut self.snapshot, &mut self.spare);
        self.select();
    }

    /// Decides what is printed of the snapshot, and lets the probe know what nobody asks for.
    fn select(&mut self) {
        self.selection.apply(&self.snapshot);
        let Some(probe) = &mut self.probe else { return };
        for (index, (service, destinations)) in self.snapshot.iter().enumerate() {
            let asked = self.selection.service(index);
            if let Some(slot) = service.slot {
                probe.mute(slot, !asked);
            }
            let first = service.first_destination as usize;
            for (destination, index) in destinations.iter().zip(first..) {
                let Some(slot) = destination.slot else {
                    continue;
                };
                // By events, a service has the connections of all its destinations.
                let muted = !asked && !self.selection.destination(index);
                if probe.mute(slot, muted) && !muted {
                    self.ledger.catch_up(slot, probe.connections(slot));
                }
            }
        }
    }

    fn end_interval(&mut self, now: &Moment, batch: &mut Vec<u8>) {
        if let Some(probe) = &mut self.probe {
            self.ledger.expire(|slot| {
                probe.recycle(slot);
                self.arrivals.forget(slot);
                self.crosscheck.forget(slot);
            });
        }
        self.health.end_interval();
        let fields = schema::sampler::fields(&self.health, &self.report());
        let tags = [("netns", self.encoder.style.netns())];
        self.encoder.fields(
            batch,
            schema::sampler::MEASUREMENT,
            &tags,
            &fields,
            now.wall,
        );
    }

    /// Whether lines go anywhere. Where only pages are asked for, none is written.
    fn has_readers(&self) -> bool {
        self.options
            .reloadable
            .output
            .iter()
            .any(Target::takes_lines)
    }

    fn report(&self) -> Report<'_> {
        Report {
            mode: &self.mode,
            services: self.snapshot.services.len(),
            destinations: self.snapshot.destinations.len(),
            uncounted: self.snapshot.uncounted(),
            events: self.events.totals(),
            totals: self.ledger.totals(),
            differences: (self.mode == Mode::Live).then(|| self.crosscheck.differences()),
        }
    }

    fn field_set(&self) -> FieldSet {
        field_set(&self.options)
    }
}

const NOT_LOADED: &str = "IPVS is not loaded";

/// As the kernel takes it.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
