//! What is known of each service and destination, joined: by readings, by events, by the dump.

use ipvs_sampler_common::Slot;

use crate::model::{
    Arrivals, Crosscheck, Destination, Floors, Interval, Ledger, Peak, Readings, Selection,
    Service, Snapshot, Stats, per_second,
};

/// See the module.
#[derive(Default)]
pub(super) struct Known {
    /// The last dump.
    pub(super) snapshot: Snapshot,
    /// Memory for the next one.
    pub(super) spare: Snapshot,
    /// Which of the snapshot's objects are asked for.
    pub(super) selection: Selection,
    pub(super) ledger: Ledger,
    /// While all counters are read live.
    pub(super) readings: Readings,
    pub(super) crosscheck: Crosscheck,
    /// With extended fields.
    pub(super) arrivals: Arrivals,
    /// Below them no counter falls when a source is lost.
    pub(super) floors: Floors,
}

/// How long the current window is, and whose rates are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowRates {
    pub(super) window_ns: u64,
    /// The kernel's instead of those of the window.
    pub(super) kernel: bool,
}

impl Known {
    /// As live as it is known.
    pub(super) fn service(&self, index: usize, service: &Service, rates: WindowRates) -> Service {
        let mut fresh = self.readings.service(service).unwrap_or_else(|| {
            let mut joined = *service;
            if let Some((connections, scheduled)) = self.ledger.service(index) {
                join_events(&mut joined.stats, connections, scheduled, rates);
            }
            self.floors.raise(service.key, None, &mut joined.stats);
            joined
        });
        fresh.stats = rates.chosen(fresh.stats, &service.stats);
        fresh
    }

    /// As [`Known::service`].
    pub(super) fn destination(
        &self,
        service: &Service,
        destination: &Destination,
        rates: WindowRates,
    ) -> Destination {
        let live = self.readings.destination(destination);
        let mut fresh = live.unwrap_or_else(|| {
            let mut joined = *destination;
            if let Some(scheduled) = self.ledger.window(destination) {
                let connections = self.ledger.connections(destination);
                join_events(&mut joined.stats, connections, scheduled, rates);
            }
            let key = Some(destination.key);
            self.floors.raise(service.key, key, &mut joined.stats);
            joined
        });
        fresh.stats = rates.chosen(fresh.stats, &destination.stats);
        fresh
    }

    /// What an interval knows of a service.
    pub(super) fn service_interval(&self, index: usize, service: &Service) -> Interval {
        let events = || self.ledger.service_peak(index).map(Peak::of_connections);
        Interval {
            peak: self.readings.peak(service.slot).or_else(events),
            arrivals: None,
        }
    }

    /// What an interval knows of a destination.
    pub(super) fn destination_interval(&self, destination: &Destination) -> Interval {
        let events = || self.ledger.peak(destination).map(Peak::of_connections);
        Interval {
            peak: self.readings.peak(destination.slot).or_else(events),
            arrivals: self.arrivals.summary(destination.slot),
        }
    }

    /// Notes what is published, where netlink is behind it: a source is about to be lost. `dumped`: there
    /// was a dump since that was published, and `spare` is the one before it.
    pub(super) fn keep_floors(&mut self, dumped: bool) {
        let rates = WindowRates {
            window_ns: 0,
            kernel: false,
        };
        let mut floors = Floors::default();
        for (index, (service, destinations)) in self.snapshot.iter().enumerate() {
            let published = self.service(index, service, rates);
            floors.note(service.key, None, &published.stats, &service.stats);
            for destination in destinations {
                let published = self.destination(service, destination, rates);
                let key = Some(destination.key);
                floors.note(service.key, key, &published.stats, &destination.stats);
            }
        }
        if dumped {
            floors.drop_set_back(&self.spare);
        }
        self.floors = floors;
    }

    /// Slots have another meaning from now on.
    pub(super) fn forget_slots(&mut self) {
        self.readings.clear();
        self.arrivals.clear();
        self.crosscheck.clear();
    }

    /// Nothing counts in these slots any more.
    pub(super) fn forget(&mut self, slots: &[Slot]) {
        for &slot in slots {
            self.arrivals.forget(slot);
            self.crosscheck.forget(slot);
        }
    }

    /// How many slots the last dump's services and destinations take.
    pub(super) fn objects(&self) -> usize {
        self.snapshot.services.len() + self.snapshot.destinations.len()
    }
}

fn join_events(stats: &mut Stats, connections: u64, scheduled: u64, rates: WindowRates) {
    stats.connections = connections;
    stats.connections_per_second = per_second(scheduled, rates.window_ns);
}

impl WindowRates {
    fn chosen(self, fresh: Stats, dumped: &Stats) -> Stats {
        if self.kernel {
            fresh.with_rates_of(dumped)
        } else {
            fresh
        }
    }
}
