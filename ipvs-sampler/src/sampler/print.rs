//! Which lines a tick has: every row as live as it is known.

use super::Sampler;
use crate::{
    cli::Rates,
    clock::Moment,
    model::{Destination, Peak, Service, Stats, per_second},
    schema::{DestinationRow, FieldSet, Interval, ServiceRow},
};

impl Sampler {
    /// The complete snapshot.
    pub(super) fn print_all(&self, now: &Moment, batch: &mut Vec<u8>) {
        for (index, (service, destinations)) in self.snapshot.iter().enumerate() {
            if self.selection.service(index) {
                let row = ServiceRow {
                    service: &self.fresh_service(index, service, now),
                    interval: self.service_interval(index, service),
                };
                self.encoder
                    .service(batch, &row, self.field_set(), now.wall);
            }
            for destination in self.selection.of(service, destinations) {
                let row = DestinationRow {
                    service,
                    destination: &self.fresh_destination(service, destination, now),
                    interval: self.destination_interval(destination),
                };
                self.encoder
                    .destination(batch, &row, self.field_set(), now.wall);
            }
        }
    }

    /// In mode live: what has anything new to say.
    pub(super) fn print_changed(&self, now: &Moment, batch: &mut Vec<u8>) {
        for (index, (service, destinations)) in self.snapshot.iter().enumerate() {
            if self.selection.service(index) && self.readings.changed(service.slot) {
                let fresh = self.fresh_service(index, service, now);
                self.encoder
                    .service(batch, &ServiceRow::new(&fresh), self.field_set(), now.wall);
            }
            for destination in self.selection.of(service, destinations) {
                if self.readings.changed(destination.slot) {
                    let fresh = self.fresh_destination(service, destination, now);
                    let row = DestinationRow::new(service, &fresh);
                    self.encoder
                        .destination(batch, &row, self.field_set(), now.wall);
                }
            }
        }
    }

    pub(super) fn print_scheduled(&mut self, now: &Moment, batch: &mut Vec<u8>) {
        self.ledger.scheduled(&mut self.places);
        self.print_places(now, batch);
    }

    /// Destinations that are gone have a last word: the next dump will not have them. It is
    /// stamped just before the tick, at which a new destination of that name may have its first.
    pub(super) fn print_departed(&mut self, batch: &mut Vec<u8>) {
        self.ledger.departed(&mut self.places);
        let before = Moment {
            wall: self.last_dump.wall - 1,
            ..self.last_dump
        };
        self.print_places(&before, batch);
    }

    fn print_places(&self, now: &Moment, batch: &mut Vec<u8>) {
        for &(service, index) in &self.places {
            let (Some(service), Some(destination)) = (
                self.snapshot.services.get(service),
                self.snapshot.destinations.get(index),
            ) else {
                continue;
            };
            if !self.selection.destination(index) {
                continue;
            }
            let fresh = self.fresh_destination(service, destination, now);
            let row = DestinationRow::new(service, &fresh);
            self.encoder
                .destination(batch, &row, FieldSet::Scheduled, now.wall);
        }
    }

    /// As live as it is known: by readings, by events, by the dump.
    pub(super) fn fresh_service(&self, index: usize, service: &Service, now: &Moment) -> Service {
        let mut fresh = self.readings.service(service).unwrap_or_else(|| {
            let mut joined = *service;
            if let Some((connections, scheduled)) = self.ledger.service(index) {
                self.join_events(&mut joined.stats, connections, scheduled, now);
            }
            self.floors.raise(service.key, None, &mut joined.stats);
            joined
        });
        fresh.stats = self.chosen_rates(fresh.stats, &service.stats);
        fresh
    }

    /// As [`Self::fresh_service`].
    pub(super) fn fresh_destination(
        &self,
        service: &Service,
        destination: &Destination,
        now: &Moment,
    ) -> Destination {
        let live = self.readings.destination(destination);
        let mut fresh = live.unwrap_or_else(|| {
            let mut joined = *destination;
            if let Some(scheduled) = self.ledger.window(destination) {
                let connections = self.ledger.connections(destination);
                self.join_events(&mut joined.stats, connections, scheduled, now);
            }
            let key = Some(destination.key);
            self.floors.raise(service.key, key, &mut joined.stats);
            joined
        });
        fresh.stats = self.chosen_rates(fresh.stats, &destination.stats);
        fresh
    }

    fn join_events(&self, stats: &mut Stats, connections: u64, scheduled: u64, now: &Moment) {
        stats.connections = connections;
        stats.connections_per_second = per_second(scheduled, now.since(&self.window_began));
    }

    fn chosen_rates(&self, fresh: Stats, dumped: &Stats) -> Stats {
        match self.options.reloadable.rates {
            Rates::Window => fresh,
            Rates::Kernel => fresh.with_rates_of(dumped),
        }
    }

    fn service_interval(&self, index: usize, service: &Service) -> Interval {
        if self.options.fixed.fields != FieldSet::Extended {
            return Interval::default();
        }
        let events = || self.ledger.service_peak(index).map(Peak::of_connections);
        Interval {
            peak: self.readings.peak(service.slot).or_else(events),
            arrivals: None,
        }
    }

    fn destination_interval(&self, destination: &Destination) -> Interval {
        if self.options.fixed.fields != FieldSet::Extended {
            return Interval::default();
        }
        let events = || self.ledger.peak(destination).map(Peak::of_connections);
        Interval {
            peak: self.readings.peak(destination.slot).or_else(events),
            arrivals: self.arrivals.summary(destination.slot),
        }
    }
}
