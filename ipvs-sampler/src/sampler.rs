//! The order of a tick: the one place that knows it.

use std::time::Duration;

use crate::{
    cli::{self, Ebpf, Run},
    clock::{Due, Moment},
    encode::Influx,
    events::Events,
    failure::Failure,
    health::{Health, Mode, Report},
    model::{Ledger, Snapshot},
    schema::{self, DestinationRow, FieldSet, Netmask, ServiceRow},
    source::{
        netlink::{self, Netlink},
        probe::{self, Changes, Probe},
    },
};

/// A dump that takes longer is given up.
pub const DUMP_LIMIT: Duration = Duration::from_secs(3);

/// Shortest time between two dumps made to learn a new destination's name, in ns.
const LEARNING_PAUSE: u64 = 250_000_000;

/// Least number of destinations that the probe has room for.
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
        let complete = due == Due::Interval && fresh;
        if complete {
            self.print_all(&now, batch);
        } else {
            self.print_scheduled(&now, batch);
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
        if !self.wants_probe() {
            return Ok(true);
        }
        self.start_probe()?;
        if self.probe.is_none() {
            return Ok(true);
        }
        self.dump(batch)
    }

    /// Whether a probe is to be started: there was no IPVS before; or the one that runs has no
    /// slots left, best before a connection finds none; or it lost word of changes, so that
    /// nobody knows which of its slots still count for whom.
    fn wants_probe(&self) -> bool {
        let destinations = self.snapshot.destinations.len();
        match (&self.mode, &self.probe) {
            (Mode::Netlink(_), _) => false,
            (_, None) => true,
            (_, Some(probe)) => {
                destinations > probe.slots() as usize / 2
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
            self.print_departed(batch);
            self.ledger.inherit(&mut self.spare, &self.snapshot);
            self.ledger.adopt(&self.spare);
        }
        std::mem::swap(&mut self.snapshot, &mut self.spare);
    }

    fn start_probe(&mut self) -> Result<(), Failure> {
        if self.options.ebpf == Ebpf::Off {
            self.enter(Mode::Netlink("--ebpf off".into()));
            return Ok(());
        }
        let room = self.snapshot.destinations.len().saturating_mul(4);
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
                self.probe = Some(probe);
                self.enter(Mode::Events);
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
        if self.mode != mode {
            log::info!("{mode}");
            self.mode = mode;
        }
    }

    fn print_all(&mut self, now: &Moment, batch: &mut Vec<u8>) {
        let window = now.since(&self.window_began);
        for (index, (service, destinations)) in self.snapshot.iter().enumerate() {
            let mut row = ServiceRow::from_netlink(service);
            if let Some((connections, scheduled)) = self.ledger.service(index) {
                row.connections = connections;
                row.connections_per_second = per_second(scheduled, window);
            }
            self.encoder.service(batch, &row, FieldSet::All, now.wall);
            for destination in destinations {
                let mut row = DestinationRow::from_netlink(service, destination);
                if let Some(scheduled) = self.ledger.window(destination) {
                    row.connections = self.ledger.connections(destination);
                    row.connections_per_second = per_second(scheduled, window);
                }
                self.encoder
                    .destination(batch, &row, FieldSet::All, now.wall);
            }
        }
    }

    fn print_scheduled(&mut self, now: &Moment, batch: &mut Vec<u8>) {
        self.ledger.scheduled(&mut self.places);
        self.print_places(now, batch);
    }

    /// Destinations that are gone have a last word: the next dump will not have them. It is
    /// stamped just before the tick, at which a new destination of that name may have its first.
    fn print_departed(&mut self, batch: &mut Vec<u8>) {
        self.ledger.departed(&mut self.places);
        let before = Moment {
            wall: self.last_dump.wall - 1,
            ..self.last_dump
        };
        self.print_places(&before, batch);
    }

    fn print_places(&self, now: &Moment, batch: &mut Vec<u8>) {
        let window = now.since(&self.window_began);
        for &(service, destination) in &self.places {
            let (Some(service), Some(destination)) = (
                self.snapshot.services.get(service),
                self.snapshot.destinations.get(destination),
            ) else {
                continue;
            };
            let mut row = DestinationRow::from_netlink(service, destination);
            row.connections = self.ledger.connections(destination);
            row.connections_per_second =
                per_second(self.ledger.window(destination).unwrap_or(0), window);
            self.encoder
                .destination(batch, &row, FieldSet::Scheduled, now.wall);
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

/// Rounded; 0 for an empty window.
fn per_second(count: u64, window_ns: u64) -> u64 {
    const NANOSECONDS: u128 = 1_000_000_000;
    let (count, window) = (u128::from(count), u128::from(window_ns));
    if window == 0 {
        return 0;
    }
    u64::try_from((count * NANOSECONDS + window / 2) / window).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::per_second;

    #[test]
    fn rates_are_rounded_and_never_divide_by_zero() {
        assert_eq!(per_second(3, 100_000_000), 30);
        assert_eq!(per_second(1, 3_000_000_000), 0);
        assert_eq!(per_second(2, 3_000_000_000), 1);
        assert_eq!(per_second(5, 0), 0);
    }
}
