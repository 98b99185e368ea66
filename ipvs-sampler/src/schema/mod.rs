//! The metrics: Telegraf's `ipvs` input (plugins/inputs/ipvs/ipvs.go), one table per measurement.
//!
//! The only place that knows the name of a measurement, tag or field; the JSON of `once` has keys of
//! its own, for what IPVS itself calls things. Tags and fields are listed in the order in which
//! they are written, which is by name. Pure.

pub mod sampler;
mod tables;
pub mod words;

pub use words::Netmask;

use crate::model::{Destination, Service};

/// A virtual service with the two values that may be fresher than the dump.
#[derive(Clone, Copy, Debug)]
pub struct ServiceRow<'a> {
    /// The service.
    pub service: &'a Service,
    /// Connections scheduled since creation or zeroing.
    pub connections: u64,
    /// Connections scheduled per second.
    pub connections_per_second: u64,
}

impl<'a> ServiceRow<'a> {
    /// Both values as the dump has them.
    #[must_use]
    pub const fn from_netlink(service: &'a Service) -> Self {
        Self {
            service,
            connections: service.stats.connections,
            connections_per_second: service.stats.connections_per_second,
        }
    }
}

/// A destination with the two values that may be fresher than the dump.
#[derive(Clone, Copy, Debug)]
pub struct DestinationRow<'a> {
    /// The service it belongs to.
    pub service: &'a Service,
    /// The destination.
    pub destination: &'a Destination,
    /// Connections scheduled since creation or zeroing.
    pub connections: u64,
    /// Connections scheduled per second.
    pub connections_per_second: u64,
}

impl<'a> DestinationRow<'a> {
    /// Both values as the dump has them.
    #[must_use]
    pub const fn from_netlink(service: &'a Service, destination: &'a Destination) -> Self {
        Self {
            service,
            destination,
            connections: destination.stats.connections,
            connections_per_second: destination.stats.connections_per_second,
        }
    }
}

/// Which fields a line has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldSet {
    /// Every field: a line made at a netlink dump.
    All,
    /// Only what scheduling events tell: a line in between.
    Scheduled,
}

impl FieldSet {
    /// Whether a line of this set has a field that belongs to `field`.
    #[must_use]
    pub const fn has(self, field: Self) -> bool {
        matches!((self, field), (Self::All, _) | (_, Self::Scheduled))
    }
}

/// The value of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagValue<'a> {
    /// The row has no such tag.
    Absent,
    /// As it is.
    Text(&'a str),
    /// In decimal.
    Number(u32),
    /// As an address of its family.
    Address {
        /// `INET` or `INET6`.
        family: u16,
        /// Network order; an IPv4 address fills the first four bytes.
        bytes: &'a [u8; 16],
    },
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A signed integer.
    Integer(i64),
    /// An unsigned integer; outputs that only have signed ones clip it.
    Unsigned(u64),
    /// Text.
    Text(&'a str),
}

/// A tag of a measurement.
#[derive(Debug)]
pub struct Tag<Row> {
    /// Its name.
    pub name: &'static str,
    /// What it says, for the documentation.
    pub help: &'static str,
    /// Its value for a row.
    pub value: for<'row> fn(&'row Row, Netmask) -> TagValue<'row>,
}

/// A field of a measurement, always an unsigned integer.
#[derive(Debug)]
pub struct Field<Row> {
    /// Its name.
    pub name: &'static str,
    /// What it counts and in which unit, for the documentation.
    pub help: &'static str,
    /// The smallest set that has it.
    pub set: FieldSet,
    /// Its value for a row.
    pub value: fn(&Row) -> u64,
}

/// A measurement: its tags and fields, each sorted by name.
#[derive(Debug)]
pub struct Measurement<'a, Row> {
    /// Its name.
    pub name: &'static str,
    /// Its tags.
    pub tags: &'a [Tag<Row>],
    /// Its fields.
    pub fields: &'a [Field<Row>],
}
