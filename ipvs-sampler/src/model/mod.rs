//! What IPVS has, in its own words. Pure: no clock, no file descriptor, no metric name.

#[cfg(test)]
pub(crate) mod arbitrary;
mod arrivals;
mod check;
mod crosscheck;
mod filter;
mod floor;
mod ledger;
mod name;
mod patience;
mod readings;
mod row;
mod scratch;
mod service;
mod sight;
mod snapshot;
mod sort;
mod status;

pub use arrivals::{ArrivalSummary, Arrivals, Gaps};
pub use check::{DumpCheck, Mismatch, check_complete, check_readings};
pub use crosscheck::{Around, Crosscheck, Differences};
pub use filter::{Filter, Selection};
pub use floor::{Floors, ObjectKey};
pub use ledger::{Expired, Ledger, Occasion, Totals};
pub use name::Name;
pub use patience::Patience;
pub use readings::{Peak, ReadTable, Readings, per_second, slots_end};
pub use row::{DestinationRow, Interval, ServiceRow};
pub use service::{
    Destination, DestinationKey, Forwarding, INET, INET6, Service, ServiceKey, Stats, Tunnel,
    VirtualAddress,
};
pub use sight::{Sight, Untold};
pub use snapshot::Snapshot;
pub use status::{Counts, Health, Mode, Report};
