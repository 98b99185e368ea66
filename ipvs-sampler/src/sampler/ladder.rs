//! Which of live, events and netlink is taken, and when that is thought over.

use std::fmt;

use super::{NOT_LOADED, Sampler, nanoseconds, open_netlink, prefix, within};
use crate::{
    cli::{Ebpf, Live},
    clock::Moment,
    failure::Failure,
    health::Mode,
    model::Floors,
    schema::FieldSet,
    source::{
        conditions::Conditions,
        namespace::Change,
        probe::{CHECKS, LOOKS, Options, Probe, Reason, Room, Unavailable, cause_of},
    },
};

/// So often in a row a probe may fail to start after one that ran.
const TRIES: u32 = 3;

/// Least number of services and destinations that the probe has room for.
const LEAST_SLOTS: u32 = 4096;

/// Least number in a memory that is short.
const FEW_SLOTS: u32 = 64;

/// Connections whose moments each CPU keeps between two ticks, 128 KiB.
const ARRIVALS: u32 = 8192;

/// Why a probe is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// There was none, and IPVS is there.
    First,
    /// It may come further than the one that runs, or failed.
    Better,
    /// More services and destinations than the one that runs has room for.
    Larger,
    /// The one that runs lost word of changes: nobody knows which of its slots still count for whom.
    ChangesLost,
}

impl fmt::Display for Start {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::First => "IPVS is there",
            Self::Better => "what stood against it may be gone",
            Self::Larger => "there are more services and destinations",
            Self::ChangesLost => "records of changes were lost",
        })
    }
}

impl Sampler {
    /// A dump, with a new probe where the old one will not do, and then once more; held against
    /// what is read live. Whether it succeeded.
    pub(super) fn refresh(&mut self, batch: &mut Vec<u8>) -> Result<bool, Failure> {
        let family = |sampler: &Self| sampler.netlink.as_ref()?.family();
        let known = family(self);
        if !self.dump(batch)? {
            return Ok(false);
        }
        if known.is_some() && family(self) != known {
            log::warn!("{}IPVS was loaded anew", prefix(&self.namespace));
            self.forget_probe();
            self.mode = Mode::Waiting(NOT_LOADED);
        }
        if let Some(why) = self.wants_probe() {
            self.start_probe(why)?;
            if self.probe.is_some() && !self.dump(batch)? {
                return Ok(false);
            }
        }
        if self.probe.as_mut().is_some_and(Probe::confirm) && !self.dump(batch)? {
            return Ok(false);
        }
        if let Some(probe) = &self.probe {
            self.events.compare(probe, &self.namespace);
        }
        for looks_left in (0..LOOKS).rev() {
            let Some(blind) = self.blindness() else { break };
            if looks_left == 0 {
                self.lose_sight(blind)?;
                return Ok(true);
            }
            // Other programs may have kept ours from running for a moment.
            if !self.dump(batch)? {
                return Ok(false);
            }
        }
        let checked = self.check_live(batch)?;
        self.settle_mode();
        Ok(checked)
    }

    /// Whether a probe is to be started, and why.
    fn wants_probe(&self) -> Option<Start> {
        match (&self.mode, &self.probe) {
            _ if self.trying_again => Some(Start::Better),
            (Mode::Netlink(_), _) => None,
            (_, None) => Some(Start::First),
            (_, Some(_)) if self.events.lost_changes() => Some(Start::ChangesLost),
            (_, Some(probe)) => {
                let refused =
                    self.room_refused && (self.sealed || !self.patience.is_over(monotonic()));
                (self.is_full(probe) && !refused).then_some(Start::Larger)
            }
        }
    }

    /// Whether a larger probe is wanted, best before a connection finds no slot.
    fn is_full(&self, probe: &Probe) -> bool {
        self.objects() > probe.slots() as usize / 4 * 3 || self.events.no_slot_left()
    }

    /// Looks whether what stood against a better mode has changed, or whether it is time to see for
    /// ourselves. Then a new probe is started.
    pub(super) fn try_again(&mut self) -> Result<(), Failure> {
        let wanted = match &self.mode {
            Mode::Live | Mode::Waiting(_) => false,
            Mode::Events(_) => self.options.fixed.live == Live::Auto,
            Mode::Netlink(_) => self.options.fixed.ebpf != Ebpf::Off,
        };
        let now = monotonic();
        self.room_refused &= self.probe.as_ref().is_some_and(|probe| self.is_full(probe));
        if !wanted {
            if !self.room_refused {
                self.patience.worked(now);
            }
            return Ok(());
        }
        let changed = Conditions::now() != self.conditions;
        if self.sealed {
            // What runs by events goes on: only without any probe is a new process worth its gap, and only when
            // there is reason to believe that it comes further.
            let hopeful = changed || self.has_worked && self.patience.is_over(now);
            return match &self.mode {
                Mode::Netlink(_) if hopeful => Err(self.start_again()),
                _ => Ok(()),
            };
        }
        self.trying_again = changed || self.patience.is_over(now);
        Ok(())
    }

    fn start_again(&self) -> Failure {
        Failure::StartAgain(format!(
            "{}a new probe is needed, and what starting one takes was given up \
             (--privileges least)",
            prefix(&self.namespace)
        ))
    }

    /// The probe's counts stay with the ledger.
    fn drop_probe(&mut self) {
        self.keep_floors();
        self.probe = None;
        if self.events.lost_changes() {
            self.ledger.doubt();
        }
        self.events.probe_ended();
    }

    pub(super) fn start_probe(&mut self, why: Start) -> Result<(), Failure> {
        if self.options.fixed.ebpf == Ebpf::Off {
            self.enter(Mode::Netlink("--ebpf off"), None);
            return Ok(());
        }
        if self.sealed {
            return Err(self.start_again());
        }
        self.trying_again = false;
        let had = self.probe.as_ref().map_or(0, Probe::slots);
        let room = self.room(had);
        self.conditions = Conditions::now();
        // The one that runs goes on until there is another, which has to be larger where that is the point.
        let beside = Room {
            least: match why {
                Start::Larger => room.least.max(had + 1),
                _ => room.least,
            },
            ..room
        };
        let mut outcome = self.load_probe(beside)?;
        let refused_before = why == Start::Larger && self.room_refused;
        if let Err(unavailable) = &outcome
            && unavailable.reason.is_about_memory()
            && had > 0
            && why != Start::Better
            && !refused_before
        {
            // There may be memory for one, and not for two; and for as much as there was.
            self.drop_probe();
            outcome = self.load_probe(room)?;
            if outcome.is_err() {
                let as_before = Room {
                    wanted: had,
                    least: FEW_SLOTS,
                };
                outcome = self.load_probe(as_before)?;
            }
        }
        match outcome {
            Ok(probe) => {
                self.take_probe(probe, room, why);
                Ok(())
            }
            Err(unavailable) => self.without_probe(&unavailable, why),
        }
    }

    /// Half as many again as there are fit before `wants_probe` wants more; each slot costs some 300 bytes,
    /// and 16 more for each CPU.
    fn room(&self, had: u32) -> Room {
        let count = |objects: usize| u32::try_from(objects).unwrap_or(u32::MAX / 2);
        let objects = self.objects();
        let wanted = count(objects.saturating_mul(2)).max(LEAST_SLOTS);
        let wanted = if self.events.no_slot_left() {
            wanted.max(had.saturating_mul(2))
        } else {
            wanted
        };
        Room {
            wanted,
            least: count(objects + objects / 4).max(FEW_SLOTS),
        }
    }

    fn load_probe(&self, room: Room) -> Result<Result<Probe, Unavailable>, Failure> {
        let options = Options {
            resolution_ns: nanoseconds(self.options.reloadable.resolution),
            ring_bytes: self.options.fixed.ebpf_ring,
            room,
            arrivals: match self.options.fixed.fields {
                FieldSet::Extended => ARRIVALS,
                _ => 0,
            },
            log: self.options.fixed.ebpf_log,
        };
        within(&self.namespace, || Probe::start(&options))
    }

    fn take_probe(&mut self, probe: Probe, room: Room, why: Start) {
        if self.probe.is_some() {
            self.drop_probe();
        }
        let slots = probe.slots();
        if why != Start::First {
            let prefix = prefix(&self.namespace);
            log::info!("{prefix}the probe was restarted, with room for {slots} objects: {why}");
        }
        self.room_refused = slots < room.wanted;
        if self.room_refused {
            self.patience.failed(monotonic());
            log::warn!(
                "{}memory for a probe is short: it has room for {slots} services and destinations instead \
                 of {}, and there are {}; those without room have netlink's counters",
                prefix(&self.namespace),
                room.wanted,
                self.objects(),
            );
        }
        self.tries_left = TRIES;
        self.ledger.restart(slots, &mut self.snapshot);
        self.events.probe_began(&probe, &self.namespace);
        self.forget_slots();
        self.probe = Some(probe);
    }

    /// No probe could be started.
    fn without_probe(&mut self, unavailable: &Unavailable, why: Start) -> Result<(), Failure> {
        let reason = unavailable.reason;
        if let (Some(level), Some(log)) = (self.options.fixed.ebpf_log, &unavailable.log) {
            for line in log.lines() {
                log::log!(level, "verifier: {line}");
            }
        }
        let runs = self.probe.is_some();
        match (reason, why) {
            // Unloaded between the dump and now.
            (Reason::NoIpvs, _) => {
                self.wait(NOT_LOADED);
                Ok(())
            }
            // What runs goes on.
            (_, Start::Better) if runs => Ok(()),
            (_, Start::Larger) if runs => {
                if !self.room_refused {
                    log::warn!(
                        "{}cannot start a larger probe, keeping the one that runs: {unavailable}",
                        prefix(&self.namespace)
                    );
                }
                self.room_refused = true;
                self.patience.failed(monotonic());
                Ok(())
            }
            // A probe ran here before. In a module that is being unloaded or loaded, functions come and go.
            (Reason::NoFunction | Reason::KernelError, _) if self.tries_left > 0 => {
                self.tries_left -= 1;
                self.wait("the probe did not start; the next interval tries again");
                Ok(())
            }
            _ if self.options.fixed.ebpf == Ebpf::Require => Err(unavailable.clone().into()),
            _ => {
                self.fall_to_netlink(unavailable);
                Ok(())
            }
        }
    }

    /// Why the probe is not to be believed, if it is not.
    fn blindness(&self) -> Option<Reason> {
        let probe = self.probe.as_ref()?;
        let sight = self.events.sight;
        match probe.check_sight(self.snapshot.destinations.len()) {
            Err(reason) => Some(reason),
            Ok(()) if sight.misses_connections() => Some(Reason::ConnectionsUnseen),
            Ok(()) if sight.misses_changes() => Some(Reason::ChangesUnseen),
            Ok(()) => None,
        }
    }

    /// A probe that does not see is none.
    fn lose_sight(&mut self, reason: Reason) -> Result<(), Failure> {
        let unavailable = cause_of(reason, &Conditions::now()).into();
        if self.options.fixed.ebpf == Ebpf::Require {
            return Err(Failure::from(unavailable));
        }
        self.fall_to_netlink(&unavailable);
        Ok(())
    }

    fn fall_to_netlink(&mut self, unavailable: &Unavailable) {
        self.drop_probe();
        self.enter(
            Mode::Netlink(unavailable.reason.text()),
            unavailable.detail.as_deref(),
        );
        self.ledger.clear();
        self.snapshot.forget_slots();
        self.forget_slots();
    }

    /// Holds what is read live against the dump just made. A difference may be a change that came
    /// between the two, so it is looked at again with another dump; one that stays ends the live
    /// mode before a line of it is written. Whether the last dump succeeded.
    fn check_live(&mut self, batch: &mut Vec<u8>) -> Result<bool, Failure> {
        for checks_left in (0..CHECKS).rev() {
            let Some(probe) = &mut self.probe else { break };
            if self.options.fixed.live == Live::Off || probe.not_live().is_some() {
                break;
            }
            let events = &mut self.events;
            let namespace = &self.namespace;
            let checked = probe.check_live(&self.snapshot, || events.kernel_totals(namespace));
            let Err(unavailable) = checked else {
                self.crosscheck.compare_dump(
                    &self.snapshot,
                    |slot| probe.reading(slot),
                    |slot| probe.connections(slot),
                );
                break;
            };
            if probe.not_live().is_some() {
                break;
            }
            if checks_left == 0 {
                probe.end_live(unavailable);
            } else if !self.dump(batch)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The mode that the probe is good for.
    pub(super) fn settle_mode(&mut self) {
        let Some(probe) = &self.probe else { return };
        self.has_worked = true;
        match (self.options.fixed.live, probe.not_live()) {
            (Live::Off, _) => self.enter(Mode::Events("--live off"), None),
            (Live::Auto, None) => self.enter(Mode::Live, None),
            (Live::Auto, Some(unavailable)) => self.enter(
                Mode::Events(unavailable.reason.text()),
                unavailable.detail.as_deref(),
            ),
        }
    }

    fn enter(&mut self, mode: Mode, detail: Option<&str>) {
        if mode == Mode::Live {
            self.floors.clear();
        } else {
            if self.mode.is_better_than(&mode) {
                self.keep_floors();
            }
            // Whatever was read last must not be taken for live.
            self.readings.clear();
        }
        let short = matches!(mode, Mode::Events(_) | Mode::Netlink(_));
        if short && (self.mode != mode || self.patience.is_over(monotonic())) {
            self.patience.failed(monotonic());
            self.conditions = Conditions::now();
        }
        if self.mode != mode {
            let detail = detail.map_or_else(String::new, |detail| format!(" ({detail})"));
            log::info!("{}{mode}{detail}", prefix(&self.namespace));
            self.mode = mode;
        }
    }

    /// Notes what is published, where netlink is behind it: a source is about to be lost. To be called after
    /// a dump, with `spare` as the one before it.
    fn keep_floors(&mut self) {
        // What was read before a zeroing is no floor for what comes after.
        let uncertain = self.zeroed_in_tick || self.events.lost_changes();
        if uncertain {
            return self.floors.clear();
        }
        if !matches!(self.mode, Mode::Live | Mode::Events(_)) {
            return;
        }
        let mut floors = Floors::default();
        let now = &self.window_began;
        for (index, (service, destinations)) in self.snapshot.iter().enumerate() {
            let published = self.fresh_service(index, service, now);
            floors.note(service.key, None, &published.stats, &service.stats);
            for destination in destinations {
                let published = self.fresh_destination(service, destination, now);
                let key = Some(destination.key);
                floors.note(service.key, key, &published.stats, &destination.stats);
            }
        }
        floors.drop_set_back(&self.spare);
        self.floors = floors;
    }

    /// There is nothing to look at for a while.
    pub(super) fn wait(&mut self, reason: &'static str) {
        self.forget_probe();
        self.snapshot.clear();
        self.floors.clear();
        self.enter(Mode::Waiting(reason), None);
    }

    /// The kernel's functions are gone, and with them all that was counted.
    fn forget_probe(&mut self) {
        self.probe = None;
        self.events.ipvs_ended();
        self.ledger.clear();
        self.forget_slots();
    }

    /// Slots have another meaning from now on.
    fn forget_slots(&mut self) {
        self.readings.clear();
        self.arrivals.clear();
        self.crosscheck.clear();
    }

    /// Goes where the chosen network namespace leads now.
    pub(super) fn follow_namespace(&mut self) {
        match self.namespace.follow() {
            Change::None => {}
            Change::Gone => {
                self.netlink = None;
                self.wait("the network namespace is gone");
            }
            Change::Replaced => {
                self.netlink = None;
                self.wait("the network namespace was replaced");
            }
        }
        if self.netlink.is_none() && self.namespace.exists() {
            match open_netlink(&self.namespace) {
                Ok(netlink) => self.netlink = Some(netlink),
                Err(_) => self.wait("the network namespace cannot be entered"),
            }
        }
    }

    /// How many slots the last dump's services and destinations take.
    fn objects(&self) -> usize {
        self.snapshot.services.len() + self.snapshot.destinations.len()
    }
}

/// Now, in ns of a clock that is never set.
fn monotonic() -> u64 {
    u64::try_from(Moment::now().monotonic).unwrap_or(0)
}
