//! Which lines a tick has: every row as live as it is known.

use super::Sampler;
use crate::{
    clock::Moment,
    model::{Destination, Service, per_second},
    schema::{DestinationRow, FieldSet, ServiceRow},
};

impl Sampler {
    pub(super) fn print_all(&self, now: &Moment, batch: &mut Vec<u8>) {
        for (index, (service, destinations)) in self.snapshot.iter().enumerate() {
            self.print_service(index, service, now, batch);
            for destination in destinations {
                self.print_destination(service, destination, now, batch);
            }
        }
    }

    /// In [`Mode::Live`]: what has anything new to say.
    pub(super) fn print_changed(&self, now: &Moment, batch: &mut Vec<u8>) {
        for (index, (service, destinations)) in self.snapshot.iter().enumerate() {
            if self.readings.changed(service.slot) {
                self.print_service(index, service, now, batch);
            }
            for destination in destinations {
                if self.readings.changed(destination.slot) {
                    self.print_destination(service, destination, now, batch);
                }
            }
        }
    }

    /// As live as it is known: by readings, by events, by the dump.
    fn print_service(&self, index: usize, service: &Service, now: &Moment, batch: &mut Vec<u8>) {
        if let Some(live) = self.readings.service(service) {
            let row = ServiceRow::from_netlink(&live);
            return self.encoder.service(batch, &row, FieldSet::All, now.wall);
        }
        let mut row = ServiceRow::from_netlink(service);
        if let Some((connections, scheduled)) = self.ledger.service(index) {
            row.connections = connections;
            row.connections_per_second = per_second(scheduled, now.since(&self.window_began));
        }
        self.encoder.service(batch, &row, FieldSet::All, now.wall);
    }

    /// As [`Self::print_service`].
    fn print_destination(
        &self,
        service: &Service,
        destination: &Destination,
        now: &Moment,
        batch: &mut Vec<u8>,
    ) {
        if let Some(live) = self.readings.destination(destination) {
            let row = DestinationRow::from_netlink(service, &live);
            return self
                .encoder
                .destination(batch, &row, FieldSet::All, now.wall);
        }
        let mut row = DestinationRow::from_netlink(service, destination);
        if let Some(scheduled) = self.ledger.window(destination) {
            row.connections = self.ledger.connections(destination);
            row.connections_per_second = per_second(scheduled, now.since(&self.window_began));
        }
        self.encoder
            .destination(batch, &row, FieldSet::All, now.wall);
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
}
