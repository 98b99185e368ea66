//! What was counted since the tick before, who was scheduled to, and the highest rates of an interval.

use super::{Ledger, life::Life};
use crate::model::{Destination, per_second};

impl Ledger {
    /// Connections of a destination in the current window; `None` when the probe does not know it.
    #[must_use]
    pub fn window(&self, destination: &Destination) -> Option<u64> {
        self.named(destination).map(|life| life.window)
    }

    /// Connections of the snapshot's service at `index`, cumulative, and in the current window;
    /// `None` when no probe counts.
    #[must_use]
    pub fn service(&self, index: usize) -> Option<(u64, u64)> {
        let service = self.services.get(index)?;
        Some((service.account.connections(), service.window))
    }

    /// Puts the destinations that were scheduled to in the current window into `scheduled`, as
    /// (index of the service, index of the destination) of the snapshot, in its order.
    pub fn scheduled(&self, scheduled: &mut Vec<(usize, usize)>) {
        self.collect(scheduled, |life| life.window > 0);
    }

    /// As [`Ledger::scheduled`], but only those that have ended since: the next dump will not have
    /// them.
    pub fn departed(&self, departed: &mut Vec<(usize, usize)>) {
        self.collect(departed, |life| life.window > 0 && life.retired.is_some());
    }

    fn collect(&self, places: &mut Vec<(usize, usize)>, wanted: impl Fn(&Life) -> bool) {
        places.clear();
        places.extend(self.watched.iter().filter_map(|&slot| {
            let life = self.lives.get(slot as usize).filter(|life| wanted(life))?;
            let place = life.place?;
            Some((place.service as usize, place.destination? as usize))
        }));
        places.sort_unstable();
    }

    /// Begins the next window, after one of this many ns.
    pub fn end_window(&mut self, window_ns: u64) {
        if self.watched.is_empty() {
            return;
        }
        for &slot in &self.watched {
            let life = &mut self.lives[slot as usize];
            life.peak = life.peak.max(per_second(life.window, window_ns));
            life.window = 0;
        }
        for service in &mut self.services {
            service.peak = service.peak.max(per_second(service.window, window_ns));
            service.window = 0;
        }
    }

    /// Most connections per second of any window since [`Ledger::end_peaks`]; `None` when the probe does
    /// not know the destination.
    #[must_use]
    pub fn peak(&self, destination: &Destination) -> Option<u64> {
        self.named(destination).map(|life| life.peak)
    }

    /// As [`Ledger::peak`], of the snapshot's service at `index`.
    #[must_use]
    pub fn service_peak(&self, index: usize) -> Option<u64> {
        self.services.get(index).map(|service| service.peak)
    }

    /// Begins to look for the highest rates again.
    pub fn end_peaks(&mut self) {
        for life in &mut self.lives {
            life.peak = 0;
        }
        for service in &mut self.services {
            service.peak = 0;
        }
    }
}
