//! Which slots the probe can skip, because the filter hides their objects.

use ipvs_sampler_common::Slot;

use crate::model::{Selection, Snapshot};

/// See the module. Reused.
#[derive(Debug, Default)]
pub(super) struct Muting {
    /// By slot.
    muted: Vec<bool>,
    /// What the last [`Muting::decide`] changed.
    changes: Vec<(Slot, bool)>,
    /// Which of them are asked for again.
    unmuted: Vec<Slot>,
}

impl Muting {
    /// Decides for each object of a snapshot.
    pub(super) fn decide(&mut self, snapshot: &Snapshot, selection: &Selection) {
        self.changes.clear();
        self.unmuted.clear();
        for (index, (service, destinations)) in snapshot.iter().enumerate() {
            let asked = selection.service(index);
            if let Some(slot) = service.slot {
                self.set(slot, !asked);
            }
            let first = service.first_destination as usize;
            for (destination, index) in destinations.iter().zip(first..) {
                let Some(slot) = destination.slot else {
                    continue;
                };
                // By events, a service has the connections of all its destinations.
                let muted = !asked && !selection.destination(index);
                if self.set(slot, muted) && !muted {
                    self.unmuted.push(slot);
                }
            }
        }
    }

    fn set(&mut self, slot: Slot, muted: bool) -> bool {
        let index = slot as usize;
        if index >= self.muted.len() {
            self.muted.resize(index + 1, false);
        }
        let changed = self.muted[index] != muted;
        if changed {
            self.muted[index] = muted;
            self.changes.push((slot, muted));
        }
        changed
    }

    pub(super) fn changes(&self) -> &[(Slot, bool)] {
        &self.changes
    }

    /// Slots of destinations whose counts were not told for a while.
    pub(super) fn unmuted(&self) -> &[Slot] {
        &self.unmuted
    }

    pub(super) fn is_muted(&self, slot: Slot) -> bool {
        self.muted.get(slot as usize).copied().unwrap_or(false)
    }

    /// These begin other lives, for which nothing is decided yet.
    pub(super) fn free(&mut self, slots: &[Slot]) {
        for &slot in slots {
            if let Some(muted) = self.muted.get_mut(slot as usize) {
                *muted = false;
            }
        }
    }

    /// Another probe begins, with nothing muted.
    pub(super) fn forget(&mut self) {
        self.muted.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::Muting;
    use crate::model::{Destination, Filter, Selection, Service, Snapshot};

    fn snapshot() -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.services.push(Service {
            slot: Some(0),
            destination_count: 2,
            ..Service::default()
        });
        for slot in [1, 2] {
            snapshot.destinations.push(Destination {
                slot: Some(slot),
                ..Destination::default()
            });
        }
        snapshot
    }

    #[test]
    fn what_nobody_asks_for_is_muted_once_and_told_of_again_when_somebody_does() {
        let snapshot = snapshot();
        let decide = |muting: &mut Muting, filters: Vec<Filter>| {
            let mut selection = Selection::new(filters, Vec::new());
            selection.apply(&snapshot);
            muting.decide(&snapshot, &selection);
        };
        let mut muting = Muting::default();
        decide(&mut muting, Vec::new());
        assert!(muting.changes().is_empty());
        let nothing = Filter {
            port: Some(1..=1),
            ..Filter::default()
        };
        decide(&mut muting, vec![nothing.clone()]);
        assert_eq!(muting.changes(), [(0, true), (1, true), (2, true)]);
        assert!(muting.unmuted().is_empty() && muting.is_muted(2));
        decide(&mut muting, vec![nothing]);
        assert!(muting.changes().is_empty());
        // Slot 2 is another object's by now.
        muting.free(&[2]);
        decide(&mut muting, Vec::new());
        assert_eq!(muting.changes(), [(0, false), (1, false)]);
        assert_eq!(muting.unmuted(), [1]);
    }
}
