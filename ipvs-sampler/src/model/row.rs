//! What is known of a service or a destination at a moment, joined.

use super::{ArrivalSummary, Destination, Peak, Service};

/// A virtual service.
#[derive(Clone, Copy, Debug)]
pub struct ServiceRow<'a> {
    /// The service, as fresh as it is known.
    pub service: &'a Service,
    /// What more is known of the time since the last complete snapshot.
    pub interval: Interval,
}

/// A destination.
#[derive(Clone, Copy, Debug)]
pub struct DestinationRow<'a> {
    /// The service it belongs to.
    pub service: &'a Service,
    /// The destination, as fresh as it is known.
    pub destination: &'a Destination,
    /// What more is known of the time since the last complete snapshot.
    pub interval: Interval,
}

/// What was between two complete snapshots; `None` where nobody knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interval {
    /// The highest rates.
    pub peak: Option<Peak>,
    /// How connections arrived.
    pub arrivals: Option<ArrivalSummary>,
}

impl<'a> ServiceRow<'a> {
    /// With nothing about an interval.
    #[must_use]
    pub fn new(service: &'a Service) -> Self {
        Self {
            service,
            interval: Interval::default(),
        }
    }
}

impl<'a> DestinationRow<'a> {
    /// With nothing about an interval.
    #[must_use]
    pub fn new(service: &'a Service, destination: &'a Destination) -> Self {
        Self {
            service,
            destination,
            interval: Interval::default(),
        }
    }
}
