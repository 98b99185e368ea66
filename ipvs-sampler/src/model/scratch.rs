//! Memory for sorting.

use super::service::{Destination, DestinationKey, Service, ServiceKey};

/// Memory that [`Snapshot::sort`] uses again and again; empty in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scratch {
    pub(super) service_order: Vec<(ServiceKey, u32)>,
    pub(super) services: Vec<Service>,
    pub(super) destination_order: Vec<(DestinationKey, u32)>,
    pub(super) destinations: Vec<Destination>,
}
