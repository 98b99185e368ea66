//! Text out: one file per format. Pure: each encoder appends to the caller's buffer.

mod address;
mod influx;
mod json;
mod prometheus;
mod table;
#[cfg(test)]
mod tests;

pub use influx::Influx;
pub use json::{append_json_text, json};
pub use prometheus::{MetricNames, Moments, Prometheus};
pub use table::table;

/// Appends a number in decimal.
fn append_number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}
