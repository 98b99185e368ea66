//! What a field is for Prometheus.

use super::value::FieldSet;

/// What becomes of a field. Names lack the measurement's before, and a counter's `_total` behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// It only rises, but for a reset.
    Counter(&'static str),
    /// It rises and falls. With the smallest set of fields that has it.
    Gauge(&'static str, FieldSet),
    /// As a gauge of all sets; the field is in nanoseconds, the metric in seconds.
    Seconds(&'static str),
    /// A label of the `_info` metric.
    Label(&'static str),
    /// No metric, for this reason.
    Left(&'static str),
}

/// Of rates.
pub(super) const RATE: &str = "rate() of the counter";
/// Of what has been since the last complete snapshot.
pub(super) const INTERVAL: &str = "none: it covers one interval";
