//! Carries out what the [`super::ladder`] decides: starts probes, and holds what they say against dumps.

use super::{
    choices::ProbeUse,
    ladder::{FEW_SLOTS, Facts, Fallback, NOT_LOADED, Running, Start},
    looks,
    sampler::Sampler,
};
use crate::{
    model::{Mode, slots_end},
    source::feed::{
        Followed, Layout, NoProbe, ProbeOrder, Reason, Room, Started, Unavailable, WhichTotals,
        cause_of,
    },
    system::failure::Failure,
};

/// So often live readings may differ from a dump before they are held to be wrong. On a busy director with
/// few destinations a connection comes in between in a few dumps of a hundred.
pub const CHECKS: u32 = 6;

/// So many dumps in a row have to be unseen before a probe is held to be blind: other programs may have kept
/// ours from running for a moment.
pub const LOOKS: u32 = 3;

/// Connections whose moments each CPU keeps between two ticks, 128 KiB.
const ARRIVALS: u32 = 8192;

impl Sampler {
    /// A dump, with a new probe where the old one will not do, and then once more; held against
    /// what is read live. Whether it succeeded.
    pub(super) fn refresh(&mut self) -> Result<bool, Failure> {
        let known = self.dumps.family;
        if !self.dump()? {
            return Ok(false);
        }
        if known.is_some() && self.dumps.family != known {
            log::warn!("{}the ip_vs module was reloaded", self.prefix);
            self.forget_probe();
            self.ladder.begin_again();
        }
        let facts = self.facts();
        if let Some(why) = self.ladder.wants_probe(&facts) {
            self.start_probe(why)?;
            if self.ladder.running().is_some() && !self.dump()? {
                return Ok(false);
            }
        }
        if self.confirm() && !self.dump()? {
            return Ok(false);
        }
        if self.ladder.running().is_some() {
            self.books.compare(&mut *self.feed);
        }
        for looks_left in (0..LOOKS).rev() {
            let Some(blind) = self.blindness() else { break };
            if looks_left == 0 {
                self.lose_sight(blind)?;
                return Ok(true);
            }
            // Other programs may have kept ours from running for a moment.
            if !self.dump()? {
                return Ok(false);
            }
        }
        let checked = self.check_live()?;
        self.settle_mode();
        Ok(checked)
    }

    /// What the ladder is to know.
    pub(super) fn facts(&mut self) -> Facts {
        Facts {
            now: monotonic(self.feed.now()),
            objects: self.known.objects(),
            lost_changes: self.books.lost_changes(),
            no_slot_left: self.books.no_slot_left(),
        }
    }

    pub(super) fn start_again(&self) -> Failure {
        Failure::StartAgain(format!(
            "{}a new probe is needed, and what starting one takes was given up \
             (--privileges least)",
            self.prefix
        ))
    }

    /// The probe's counts stay with the ledger.
    fn probe_ended(&mut self) {
        self.keep_floors();
        self.ladder.stopped();
        if self.books.lost_changes() {
            self.known.ledger.assume_zeroed();
        }
        self.books.probe_ended();
    }

    pub(super) fn start_probe(&mut self, why: Start) -> Result<(), Failure> {
        if self.choices.probe == ProbeUse::Off {
            self.enter(Mode::Netlink("--ebpf off"), None);
            return Ok(());
        }
        if self.ladder.is_sealed() {
            return Err(self.start_again());
        }
        let facts = self.facts();
        let had = self.ladder.slots();
        let room = self.ladder.room(&facts);
        self.ladder.starting(self.feed.conditions());
        // The one that runs goes on until there is another, which has to be larger where that is the point.
        let beside = Room {
            least: match why {
                Start::Larger => room.least.max(had + 1),
                _ => room.least,
            },
            ..room
        };
        let mut outcome = self.load_probe(beside)?;
        if let Err(unavailable) = &outcome
            && self.ladder.may_take_turns(unavailable.reason, why)
        {
            // There may be memory for one, and not for two; and for as much as there was.
            self.probe_ended();
            self.feed.stop_probe();
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
            Ok(started) => {
                self.take_probe(started, room, why, &facts);
                Ok(())
            }
            Err(unavailable) => self.without_probe(&unavailable, why, &facts),
        }
    }

    fn load_probe(&mut self, room: Room) -> Result<Result<Started, Unavailable>, Failure> {
        let order = ProbeOrder {
            resolution_ns: self.choices.resolution_ns,
            ring_bytes: self.choices.ring_bytes,
            room,
            arrivals: if self.choices.extended { ARRIVALS } else { 0 },
            log: self.choices.log,
        };
        match self.feed.start_probe(&order) {
            Ok(started) => Ok(Ok(started)),
            Err(NoProbe::Unavailable(unavailable)) => Ok(Err(unavailable)),
            Err(NoProbe::Closed(failure)) => Err(failure),
        }
    }

    fn take_probe(&mut self, started: Started, room: Room, why: Start, facts: &Facts) {
        let how = if self.ladder.running().is_some() {
            self.probe_ended();
            "restarted"
        } else {
            "started"
        };
        let Started { slots, live } = started;
        if why != Start::First {
            let prefix = &self.prefix;
            log::info!(
                "{prefix}probe {how}, with room for {slots} services and destinations: {why}"
            );
        }
        if self
            .ladder
            .started(Running { slots, live }, room.wanted, facts)
        {
            log::warn!(
                "{}not enough memory for a full probe: it has room for {slots} services and destinations instead \
                 of {}, and there are {}; the rest show netlink's counters",
                self.prefix,
                room.wanted,
                facts.objects,
            );
        }
        self.known.ledger.restart(slots, &mut self.known.snapshot);
        self.books.probe_began(&mut *self.feed);
        self.forget_slots();
    }

    /// No probe could be started.
    fn without_probe(
        &mut self,
        unavailable: &Unavailable,
        why: Start,
        facts: &Facts,
    ) -> Result<(), Failure> {
        if let (Some(level), Some(log)) = (self.choices.log, &unavailable.log) {
            for line in log.lines() {
                log::log!(level, "verifier: {line}");
            }
        }
        match self
            .ladder
            .refused(unavailable.reason, why, &self.choices, facts)
        {
            Fallback::Wait => self.wait(NOT_LOADED),
            Fallback::KeepSmaller { new: true } => log::warn!(
                "{}cannot load a larger probe, keeping the current one: {unavailable}",
                self.prefix
            ),
            Fallback::Keep | Fallback::KeepSmaller { new: false } => {}
            Fallback::Soon | Fallback::Netlink => self.fall_to_netlink(unavailable),
            Fallback::End => return Err(unavailable.clone().into()),
        }
        Ok(())
    }

    /// Whether the last dump has confirmed what was missing for reading live. Then another dump is due, to
    /// hold readings against.
    fn confirm(&mut self) -> bool {
        let waits = self
            .ladder
            .running()
            .is_some_and(|running| running.live == Ok(Layout::ToConfirm));
        if !waits {
            return false;
        }
        match self.feed.confirm() {
            Ok(true) => self.ladder.set_live(Ok(Layout::Known)),
            Ok(false) => return false,
            Err(unavailable) => {
                self.ladder.set_live(Err(unavailable));
                return false;
            }
        }
        true
    }

    /// Why the probe is not to be believed, if it is not.
    fn blindness(&self) -> Option<Reason> {
        self.ladder.running()?;
        let sight = self.books.sight;
        let destinations = self.known.snapshot.destinations.len();
        looks::blindness(&self.dumps.last, destinations).or_else(|| {
            if sight.misses_connections() {
                Some(Reason::ConnectionsUnseen)
            } else if sight.misses_changes() {
                Some(Reason::ChangesUnseen)
            } else {
                None
            }
        })
    }

    /// A probe that does not see is none.
    fn lose_sight(&mut self, reason: Reason) -> Result<(), Failure> {
        let unavailable = cause_of(reason, &self.feed.conditions()).into();
        if self.choices.probe == ProbeUse::Required {
            return Err(Failure::from(unavailable));
        }
        self.fall_to_netlink(&unavailable);
        Ok(())
    }

    fn fall_to_netlink(&mut self, unavailable: &Unavailable) {
        self.probe_ended();
        self.feed.stop_probe();
        self.enter(
            Mode::Netlink(unavailable.reason.text()),
            unavailable.detail.as_deref(),
        );
        self.known.ledger.clear();
        self.known.snapshot.forget_slots();
        self.forget_slots();
    }

    /// Holds what is read live against the dump just made. A difference may be a change that came
    /// between the two, so it is looked at again with another dump; one that stays ends the live
    /// mode before a line of it is written. Whether the last dump succeeded.
    fn check_live(&mut self) -> Result<bool, Failure> {
        for checks_left in (0..CHECKS).rev() {
            if !self.ladder.reads(&self.choices) {
                break;
            }
            let end = slots_end(&self.known.snapshot);
            let read = self.feed.readings(end, self.known.readings.aside());
            if let Err(unavailable) = read {
                self.ladder.set_live(Err(unavailable));
                break;
            }
            let totals = self.feed.totals(WhichTotals::Live);
            let readings = self.known.readings.set_aside();
            let muted = |slot| self.muting.is_muted(slot);
            let check = &self.dumps.last.check;
            let Err(mismatch) = looks::fits(
                check,
                &self.known.snapshot,
                readings,
                totals.as_ref(),
                muted,
            ) else {
                self.compare_dump();
                break;
            };
            if checks_left == 0 {
                self.ladder.set_live(Err(Unavailable::mismatch(&mismatch)));
            } else if !self.dump()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The mode that the probe is good for.
    pub(super) fn settle_mode(&mut self) {
        if let Some((mode, detail)) = self.ladder.earned(&self.choices) {
            self.ladder.worked();
            self.enter(mode, detail.as_deref());
        }
    }

    fn enter(&mut self, mode: Mode, detail: Option<&str>) {
        if mode == Mode::Live {
            self.known.floors.clear();
        } else {
            // One that was ended before had them noted then.
            if self.ladder.mode().is_better_than(&mode) && self.ladder.running().is_some() {
                self.keep_floors();
            }
            // Whatever was read last must not be taken for live.
            self.known.readings.clear();
        }
        let facts = self.facts();
        let feed = &mut self.feed;
        if self.ladder.enter(mode, &facts, || feed.conditions()) {
            let detail = detail.map_or_else(String::new, |detail| format!(" ({detail})"));
            log::info!("{}{mode}{detail}", self.prefix);
        }
    }

    /// Notes what is published, where netlink is behind it: a source is about to be lost.
    fn keep_floors(&mut self) {
        if self.books.lost_changes() {
            self.known.floors.clear();
        } else if matches!(self.ladder.mode(), Mode::Live | Mode::Events(_)) {
            self.known.keep_floors(self.tick.dumped);
            self.tick.zeroed.reach(&mut self.known.floors);
        }
    }

    /// There is nothing to look at for a while.
    pub(super) fn wait(&mut self, reason: &'static str) {
        self.forget_probe();
        self.known.snapshot.clear();
        self.dumps.family = None;
        self.enter(Mode::Waiting(reason), None);
    }

    /// The kernel's functions are gone, and with them all that was counted.
    fn forget_probe(&mut self) {
        self.ladder.stopped();
        self.feed.stop_probe();
        self.books.ipvs_ended();
        self.known.ledger.clear();
        self.known.floors.clear();
        self.forget_slots();
    }

    /// Slots have another meaning from now on.
    fn forget_slots(&mut self) {
        self.known.forget_slots();
        self.muting.forget();
        self.memory.changes.clear();
    }

    /// Goes where the chosen network namespace leads now.
    pub(super) fn follow_namespace(&mut self) {
        match self.feed.follow() {
            Followed::Same => {}
            Followed::Gone => self.wait("the network namespace is gone"),
            Followed::Replaced => self.wait("the network namespace was replaced"),
            Followed::Closed => self.wait("the network namespace cannot be entered"),
        }
    }
}

/// In ns of a clock that is never set.
fn monotonic(moment: crate::system::clock::Moment) -> u64 {
    u64::try_from(moment.monotonic).unwrap_or(0)
}
