//! The metrics: Telegraf's `ipvs` input (plugins/inputs/ipvs/ipvs.go), one table per measurement.
//!
//! The only place that knows the name of a measurement, tag or field; the JSON of `once` has keys of
//! its own, for what IPVS itself calls things. Tags and fields are listed in the order in which
//! they are written, which is by name. Pure.

mod field;
mod names;
pub mod prometheus;
pub mod sampler;
mod tables;
pub mod words;

pub use field::{Field, Kind, Modes, Unit};
pub use names::{Owner, owner};
pub use prometheus::Metric;
pub use words::Netmask;

use crate::model::{ArrivalSummary, Destination, Gaps, Peak, Service};

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

    fn arrivals(&self, of: fn(&ArrivalSummary) -> Option<u64>) -> Value<'static> {
        optional(self.interval.arrivals.as_ref().and_then(of))
    }

    fn gaps(&self, of: fn(&Gaps) -> u64) -> Value<'static> {
        let arrivals = self.interval.arrivals.as_ref();
        optional(arrivals.and_then(|arrivals| arrivals.gaps.as_ref()).map(of))
    }
}

fn optional(number: Option<u64>) -> Value<'static> {
    number.map_or(Value::Absent, Value::Unsigned)
}

/// Which fields a line has; each set has those of the sets before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldSet {
    /// Only what scheduling events tell: a line in between.
    Scheduled,
    /// Every field of Telegraf's input.
    All,
    /// What that leaves out, too.
    Extended,
}

/// Choices about tags.
#[derive(Clone, Debug, Default)]
pub struct TagStyle {
    /// What the `netmask` tag shows.
    pub netmask: Netmask,
    /// The network namespace, when one was chosen.
    pub netns: Option<String>,
    /// Further tags of every line, sorted by name; none has the name of another.
    pub further: Vec<(String, String)>,
}

impl TagStyle {
    fn netmask(&self, service: &Service) -> TagValue<'static> {
        TagValue::Number(self.netmask.number(service.key.family, service.netmask))
    }

    /// The value of the tag `netns`.
    #[must_use]
    pub fn netns(&self) -> TagValue<'_> {
        self.netns
            .as_deref()
            .map_or(TagValue::Absent, TagValue::Text)
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
    /// Not known: the line has no such field.
    Absent,
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
    /// Whether it tells one row from another. The others are no labels of Prometheus' metrics: when they
    /// change, series would end.
    pub series: bool,
    /// Its value for a row.
    pub value: for<'row> fn(&'row Row, &'row TagStyle) -> TagValue<'row>,
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
