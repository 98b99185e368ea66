//! Text out: one file per format. Pure: each encoder appends to the caller's buffer.

mod address;
mod influx;
mod json;
mod prometheus;
mod table;
#[cfg(test)]
mod tests;

pub use influx::Influx;
pub use json::json;
pub use prometheus::{MetricNames, Moments, Prometheus};
pub use table::table;

use crate::system::json::append_number;
