//! The order of a tick: the one place that knows it.

mod print;

use std::time::Duration;

use crate::{
    cli::{self, Ebpf, Live, Run},
    clock::{Due, Moment},
    encode::Influx,
    events::Events,
    failure::Failure,
    health::{Health, Mode, Report},
    model::{Ledger, Readings, Snapshot, check_readings, slots_end},
    schema::{self, Netmask},
    source::{
        netlink::{self, Netlink},
        probe::{self, Changes, Probe, Unavailable},
    },
};

/// A dump that takes longer is given up.
pub const DUMP_LIMIT: Duration = Duration::from_secs(3);

/// Shortest time between two dumps made to learn a new destination's name, in ns.
const LEARNING_PAUSE: u64 = 250_000_000;

/// So often live readings may differ from a dump before they are held to be wrong.
const CHECKS: u32 = 3;

/// Least number of services and destinations that the probe has room for.
const LEAST_SLOTS: u32 = 4096;

/// Everything that one tick needs, kept from tick to tick so that a steady one allocates nothing.
pub struct Sampler {
    options: Run,
    encoder: Influx,
    netlink: Netlink,
    probe: Option<Probe>,
    mode: Mode,
    /// The last dump.
    snapshot: Snapshot,
    /// Memory for the next one.
    spare: Snapshot,
    ledger: Ledger,
    /// In [`Mode::Live`].
    readings: Readings,
    changes: Changes,
    events: Events,
    places: Vec<(usize, usize)>,
    health: Health,
    window_began: Moment,
    last_dump: Moment,
}

impl Sampler {
    /// Opens the sources and says on standard error how connections are known.
    ///
    /// # Errors
    /// When privileges are missing, or IPVS or the probe is required and not to be had.
    pub fn start(options: Run) -> Result<Self, Failure> {
        let now = Moment::now();
        let mut sampler = Self {
            encoder: Influx {
                netmask: netmask(options.tags.netmask),
            },
            netlink: Netlink::open(DUMP_LIMIT)?,
            probe: None,
            mode: Mode::Waiting,
            snapshot: Snapshot::default(),
            spare: Snapshot::default(),
            ledger: Ledger::default(),
            readings: Readings::default(),
            changes: Changes::default(),
            events: Events::default(),
            places: Vec::new(),
            health: Health::new()
                .ok_or_else(|| Failure::Bug("the histograms' bounds do not fit".into()))?,
            window_began: now,
            last_dump: now,
            options,
        };
        match sampler.netlink.dump(&mut sampler.snapshot, &mut ()) {
            Ok(()) => sampler.start_probe()?,
            Err(netlink::Error::NotLoaded) if sampler.options.ebpf != Ebpf::Require => {
                log::warn!("IPVS is not loaded: waiting for it (modprobe ip_vs loads it)");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(sampler)
    }

    /// Time between ticks for what was scheduled to; `None` when nothing can tell.
    #[must_use]
    pub fn resolution(&self) -> Option<Duration> {
        self.probe.is_some().then_some(self.options.resolution)
    }

    /// One tick: read, learn what is new, append the lines that are due to `batch`. Whether a
    /// complete snapshot is among them.
    ///
    /// # Errors
    /// When privileges were withdrawn, or a required probe cannot run any more.
    pub fn tick(&mut self, due: Due, deadline: i64, batch: &mut Vec<u8>) -> Result<bool, Failure> {
        let began = Moment::now();
        let mut now = began;
        self.read_watched();
        let news = self.ledger.wants_dump() || self.events.lost_changes();
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
            (true, _) => self.print_all(&now, batch),
            (false, Mode::Live) => self.print_changed(&now, batch),
            (false, _) => self.print_scheduled(&now, batch),
        }
        self.ledger.end_window();
        self.window_began = now;
        self.health.ticks += 1;
        self.health
            .late_ns
            .record(u64::try_from(began.wall - deadline).unwrap_or(0));
        self.health.work_ns.record(Moment::now().since(&began));
        if due == Due::Interval {
            self.end_interval(&now, batch);
        }
        Ok(complete)
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
        apply(&self.changes, &mut self.ledger);
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
        if let Err(unavailable) = outcome {
            self.enter(Mode::Events(unavailable.to_string()));
        }
        now
    }

    /// Holds what is read live against the dump just made. A difference may be a change that came
    /// between the two, so it is looked at again with another dump; one that stays ends the live
    /// mode before a line of it is written. Whether the last dump succeeded.
    fn check_live(&mut self, batch: &mut Vec<u8>) -> Result<bool, Failure> {
        for checks_left in (0..CHECKS).rev() {
            let (Mode::Live, Some(probe)) = (&self.mode, &mut self.probe) else {
                break;
            };
            let outcome = probe.read_live(slots_end(&self.snapshot)).and_then(|()| {
                check_readings(&self.snapshot, |slot| probe.reading(slot))
                    .map_err(|mismatch| Unavailable::mismatch(&mismatch))
            });
            let Err(unavailable) = outcome else { break };
            if checks_left == 0 || probe.not_live().is_some() {
                probe.end_live(unavailable.clone());
                self.enter(Mode::Events(unavailable.to_string()));
            } else if !self.dump(batch)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Dumps and joins; with a new probe where the old one will not do, and then once more.
    /// Whether it succeeded. Its moment is `last_dump`.
    fn refresh(&mut self, batch: &mut Vec<u8>) -> Result<bool, Failure> {
        let known = self.netlink.family();
        if !self.dump(batch)? {
            return Ok(false);
        }
        if self.probe.is_some() && self.netlink.family() != known {
            log::warn!("IPVS was loaded anew");
            self.forget_probe();
        }
        if self.wants_probe() {
            self.start_probe()?;
            if self.probe.is_some() && !self.dump(batch)? {
                return Ok(false);
            }
        }
        self.check_live(batch)
    }

    /// Whether a probe is to be started: there was no IPVS before; or the one that runs has no
    /// slots left, best before a connection finds none; or it lost word of changes, so that
    /// nobody knows which of its slots still count for whom.
    fn wants_probe(&self) -> bool {
        let objects = self.objects();
        match (&self.mode, &self.probe) {
            (Mode::Netlink(_), _) => false,
            (_, None) => true,
            (_, Some(probe)) => {
                objects > probe.slots() as usize / 2
                    || self.events.no_slot_left()
                    || self.events.lost_changes()
            }
        }
    }

    fn dump(&mut self, batch: &mut Vec<u8>) -> Result<bool, Failure> {
        let began = Moment::now();
        let result = match &mut self.probe {
            Some(probe) => self.netlink.dump(&mut self.spare, &mut probe.learner()),
            None => self.netlink.dump(&mut self.spare, &mut ()),
        };
        self.last_dump = Moment::now();
        match result {
            Ok(()) => {}
            Err(netlink::Error::NotLoaded) => {
                self.wait_for_ipvs();
                return Ok(false);
            }
            Err(error @ netlink::Error::NotPermitted) => return Err(error.into()),
            Err(error) => {
                self.health.dump_failures += 1;
                log::warn!("no dump this time: {error}");
                return Ok(false);
            }
        }
        self.health.dumps += 1;
        self.health.dump_ns.record(self.last_dump.since(&began));
        self.health.dump_repeats += self.spare.repeated;
        self.join(batch);
        Ok(true)
    }

    /// Puts the new dump in place of the last one, and the probe's counts to its names.
    fn join(&mut self, batch: &mut Vec<u8>) {
        if let Some(probe) = &mut self.probe {
            self.changes.clear();
            probe.drain(&mut self.changes);
            self.events.update(probe);
            self.ledger.read_all(|slot| probe.connections(slot));
            apply(&self.changes, &mut self.ledger);
            if self.mode != Mode::Live {
                self.print_departed(batch);
            }
            self.ledger.inherit(&mut self.spare, &self.snapshot);
            self.ledger.adopt(&self.spare);
        }
        std::mem::swap(&mut self.snapshot, &mut self.spare);
    }

    /// How many slots the last dump's services and destinations take.
    fn objects(&self) -> usize {
        self.snapshot.services.len() + self.snapshot.destinations.len()
    }

    fn start_probe(&mut self) -> Result<(), Failure> {
        if self.options.ebpf == Ebpf::Off {
            self.enter(Mode::Netlink("--ebpf off".into()));
            return Ok(());
        }
        let room = self.objects().saturating_mul(4);
        let slots = u32::try_from(room).unwrap_or(u32::MAX / 2).max(LEAST_SLOTS);
        let slots = self
            .probe
            .take()
            .map_or(0, |probe| probe.slots() * 2)
            .max(slots);
        if self.events.lost_changes() {
            self.ledger.doubt();
        }
        self.events.probe_ended();
        let options = probe::Options {
            resolution_ns: u64::try_from(self.options.resolution.as_nanos()).unwrap_or(u64::MAX),
            ring_bytes: self.options.ebpf_ring,
            slots: slots.next_power_of_two(),
            log: self.options.ebpf_log,
        };
        match Probe::start(&options) {
            Ok(probe) => {
                self.ledger.restart(probe.slots(), &mut self.snapshot);
                self.events.probe_began(&probe);
                let not_live = match self.options.live {
                    Live::Auto => probe.not_live().map(ToString::to_string),
                    Live::Off => Some("--live off".into()),
                };
                self.readings.clear();
                self.probe = Some(probe);
                self.enter(not_live.map_or(Mode::Live, Mode::Events));
                Ok(())
            }
            Err(unavailable) if self.options.ebpf == Ebpf::Require => Err(unavailable.into()),
            Err(unavailable) => {
                self.ledger.clear();
                self.enter(Mode::Netlink(unavailable.to_string()));
                Ok(())
            }
        }
    }

    fn wait_for_ipvs(&mut self) {
        self.forget_probe();
        self.snapshot.clear();
        self.enter(Mode::Waiting);
    }

    /// The kernel's functions are gone, and with them all that was counted.
    fn forget_probe(&mut self) {
        self.probe = None;
        self.events.ipvs_ended();
        self.ledger.clear();
    }

    fn enter(&mut self, mode: Mode) {
        if mode != Mode::Live {
            // Whatever was read last must not be taken for live.
            self.readings.clear();
        }
        if self.mode != mode {
            log::info!("{mode}");
            self.mode = mode;
        }
    }

    fn end_interval(&mut self, now: &Moment, batch: &mut Vec<u8>) {
        if let Some(probe) = &mut self.probe {
            self.events.compare(probe);
            self.ledger.expire(|slot| probe.recycle(slot));
        }
        let report = Report {
            mode: &self.mode,
            services: self.snapshot.services.len(),
            destinations: self.snapshot.destinations.len(),
            uncounted: self.snapshot.uncounted(),
            events: self.events.totals(),
            totals: self.ledger.totals(),
        };
        let fields = schema::sampler::fields(&self.health, &report);
        self.encoder
            .fields(batch, schema::sampler::MEASUREMENT, &fields, now.wall);
        self.health.end_interval();
    }
}

fn apply(changes: &Changes, ledger: &mut Ledger) {
    for &slot in &changes.zeroed {
        ledger.zero(slot);
    }
    for &slot in &changes.retired {
        ledger.retire(slot);
    }
}

/// The schema's word for a choice on the command line.
pub(crate) fn netmask(choice: cli::Netmask) -> Netmask {
    match choice {
        cli::Netmask::Popcount => Netmask::Popcount,
        cli::Netmask::Prefix => Netmask::Prefix,
    }
}
