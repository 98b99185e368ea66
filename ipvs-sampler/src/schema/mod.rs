//! The metrics: Telegraf's `ipvs` input (plugins/inputs/ipvs/ipvs.go), one table per measurement.
//!
//! The only place that knows the name of a measurement, tag or field; the JSON of `once` has keys of
//! its own, for what IPVS itself calls things. Tags and fields are listed in the order in which
//! they are written, which is by name. Pure.

mod field;
mod measurement;
mod metric;
mod names;
pub mod prometheus;
pub mod sampler;
mod tables;
mod tag;
mod value;
pub mod words;

pub use field::{Field, Kind, Modes, Unit};
pub use measurement::Measurement;
pub use metric::Metric;
pub use names::{Owner, owner};
pub use tag::{Tag, TagStyle, TagValue};
pub use value::{FieldSet, Value};
pub use words::Netmask;

pub use crate::model::{DestinationRow, Interval, ServiceRow};
