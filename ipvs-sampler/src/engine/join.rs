//! A dump is made, and joined with what the probe counts.

use super::{ladder::NOT_LOADED, rows::Departed, sample::Sample, sampler::Sampler};
use crate::{
    model::{Around, Mode, Occasion, slots_end},
    source::feed::{Changes, DumpError, NoDump, Order, Slots},
    system::clock::Moment,
    system::failure::Failure,
};

impl Sampler {
    /// Dumps and joins. Whether it succeeded. Its moment is [`Dumps::ended`].
    pub(super) fn dump(&mut self) -> Result<bool, Failure> {
        let began = self.feed.now();
        self.dumps.zeroed = false;
        self.tick.dumped = true;
        self.known.ledger.dump_begins();
        let result = self.feed.dump(&mut self.known.spare);
        self.dumps.ended = self.feed.now();
        let dumped = match result {
            Ok(dumped) => dumped,
            Err(NoDump::Nowhere) => return Ok(false),
            Err(NoDump::Failed(DumpError::NotLoaded)) => {
                self.wait(NOT_LOADED);
                return Ok(false);
            }
            Err(NoDump::Failed(error @ DumpError::NotPermitted)) => return Err(error.into()),
            Err(NoDump::Failed(error)) => {
                self.dump_failed(error.to_string());
                return Ok(false);
            }
        };
        if self.dumps.failure.take().is_some() {
            log::info!("{}netlink dump succeeded again", self.prefix);
        }
        self.known.floors.take_in(&self.known.spare);
        let ended = self.dumps.ended;
        self.dumps.succeeded = Some(ended.wall);
        self.dumps.family = dumped.family;
        self.dumps.last = dumped;
        self.health.dumps += 1;
        self.health.dump_ns.record(ended.since(&began));
        self.health.dump_repeats += self.known.spare.repeated;
        self.join();
        Ok(true)
    }

    fn dump_failed(&mut self, error: String) {
        self.health.dump_failures += 1;
        if self.dumps.failure.as_ref() != Some(&error) {
            log::warn!("{}netlink dump failed: {error}", self.prefix);
            self.dumps.failure = Some(error);
        }
    }

    /// Puts the new dump in place of the last one, and the probe's counts to its names.
    fn join(&mut self) {
        if self.ladder.running().is_some() {
            self.count(Occasion::Dump);
            if *self.ladder.mode() != Mode::Live && self.choices.rows {
                self.keep_departed();
            }
            self.feed.objects(&mut self.memory.slots);
            let ledger = &mut self.known.ledger;
            ledger.keep_slots(&mut self.known.spare, &self.known.snapshot);
            let untold = ledger.join(&self.known.spare, &self.memory.slots);
            self.books.sight.dumped(untold);
        }
        std::mem::swap(&mut self.known.snapshot, &mut self.known.spare);
        self.select();
    }

    /// Takes in what records say, and what slots have counted.
    ///
    /// Counts are read after the records: a record of an end has all of its life before it. But what was zeroed
    /// while they were read would be published once more, so the ring is emptied again. Zeroings that came
    /// meanwhile are taken in at once, all else the next time.
    pub(super) fn count(&mut self, occasion: Occasion) {
        let lost = self.drain();
        let Changes {
            active, retired, ..
        } = &self.memory.changes;
        let (active, retired) = (active.len(), retired.len());
        let ledger = &mut self.known.ledger;
        for slot in self.memory.changes.active.drain(..active) {
            ledger.watch(slot);
        }
        if lost || occasion == Occasion::Dump {
            // Any slot may have counted.
            self.feed.connections(Slots::All, &mut self.memory.counts);
            ledger.take_all(&self.memory.counts, occasion);
        } else {
            let watched = Slots::Of(ledger.watched());
            self.feed.connections(watched, &mut self.memory.counts);
            ledger.take_watched(&self.memory.counts);
        }
        self.memory.lost = self.drain();
        self.take_zeroings();
        let known = &mut self.known;
        for slot in self.memory.changes.retired.drain(..retired) {
            if let Some(key) = known.ledger.key(slot, &known.snapshot) {
                self.tick.zeroed.add_ended(key);
            }
            known.ledger.retire(slot);
        }
        self.tick.zeroed.reach(&mut known.floors);
    }

    /// Takes all records out of the ring; whether records of counts were lost.
    fn drain(&mut self) -> bool {
        let counted = self.feed.drain(&mut self.memory.changes);
        let lost = std::mem::take(&mut self.memory.lost);
        self.books.update(counted) || lost
    }

    fn take_zeroings(&mut self) {
        let changes = &mut self.memory.changes;
        if !changes.has_zeroings() {
            return;
        }
        self.dumps.zeroed |= !changes.zeroed.is_empty();
        self.books.sight.zeroing_reported();
        if changes.zeroed_elsewhere > 0 {
            self.tick.zeroed.add_unlearned(&self.known.snapshot);
        }
        self.feed
            .connections(Slots::Of(&changes.zeroed), &mut self.memory.counts);
        let known = &mut self.known;
        for (slot, &counted) in changes.zeroed.drain(..).zip(&self.memory.counts) {
            if let Some((service, _)) = known.ledger.key(slot, &known.snapshot) {
                self.tick.zeroed.add_service(service);
            }
            known.ledger.zero(slot, counted);
        }
        changes.zeroed_elsewhere = 0;
    }

    /// Destinations that are gone have a last word: the next dump will not have them. It is
    /// stamped just before the tick, at which a new destination of that name may have its first.
    fn keep_departed(&mut self) {
        let mut departed = std::mem::take(&mut self.tick.departed);
        self.known.ledger.departed(&mut self.tick.places);
        let wall = self.dumps.ended.wall - 1;
        let window_ns = self.dumps.ended.since(&self.window_began);
        Sample::within(self, window_ns).places(&self.tick.places, |service, destination| {
            departed.push(Departed {
                service: *service,
                destination: *destination,
                wall,
            });
        });
        self.tick.departed = departed;
    }

    /// Applies the filter to the snapshot, and tells the probe what it hides.
    pub(super) fn select(&mut self) {
        self.known.selection.apply(&self.known.snapshot);
        if self.ladder.running().is_none() {
            return;
        }
        self.muting
            .decide(&self.known.snapshot, &self.known.selection);
        if self.muting.changes().is_empty() {
            return;
        }
        self.feed.tell(Order::Mute(self.muting.changes()));
        let unmuted = self.muting.unmuted();
        self.feed
            .connections(Slots::Of(unmuted), &mut self.memory.counts);
        for (&slot, &counted) in unmuted.iter().zip(&self.memory.counts) {
            self.known.ledger.catch_up(slot, counted);
        }
    }

    /// Compares events with live counters. The ledger has the events of the tick before.
    pub(super) fn cross_check(&mut self, now: &Moment) {
        if *self.ladder.mode() != Mode::Live {
            return;
        }
        let end = slots_end(&self.known.snapshot);
        let read = self.feed.readings(end, self.known.readings.aside());
        if let Err(unavailable) = read {
            self.ladder.set_live(Err(unavailable));
            return self.settle_mode();
        }
        self.feed.connections(Slots::All, &mut self.memory.counts);
        let known = &mut self.known;
        let readings = known.readings.set_aside();
        let counts = &self.memory.counts;
        let events = |slot| Around {
            before: known.ledger.counted(slot),
            after: counts.get(slot as usize).copied().unwrap_or(0),
        };
        known.crosscheck.observe(
            &known.snapshot,
            u64::try_from(now.monotonic).unwrap_or(0),
            |slot| readings.get(slot).copied(),
            events,
        );
    }

    /// Compares the dump just made with readings and events after it.
    pub(super) fn compare_dump(&mut self) {
        self.feed.connections(Slots::All, &mut self.memory.counts);
        let known = &mut self.known;
        let readings = known.readings.set_aside();
        let counts = &self.memory.counts;
        known.crosscheck.compare_dump(
            &known.snapshot,
            |slot| readings.get(slot).copied(),
            |slot| counts.get(slot as usize).copied().unwrap_or(0),
        );
    }
}
