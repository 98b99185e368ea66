//! The fields that services and destinations have in common: counters and rates.

use crate::{
    model::{Peak, Stats},
    schema::{
        DestinationRow, Field, Interval,
        Metric::{Counter, Left},
        Modes, ServiceRow,
        Unit::{Of, PerSecond},
        Value,
        Value::Unsigned,
        metric::RATE,
        value::optional,
    },
};

/// What they are read from.
pub(super) trait Counted {
    fn stats(&self) -> &Stats;
    fn interval(&self) -> &Interval;

    fn peak(&self, of: fn(&Peak) -> Option<u64>) -> Value<'static> {
        optional(self.interval().peak.as_ref().and_then(of))
    }
}

impl Counted for ServiceRow<'_> {
    fn stats(&self) -> &Stats {
        &self.service.stats
    }

    fn interval(&self) -> &Interval {
        &self.interval
    }
}

impl Counted for DestinationRow<'_> {
    fn stats(&self) -> &Stats {
        &self.destination.stats
    }

    fn interval(&self) -> &Interval {
        &self.interval
    }
}

pub(super) const fn bytes_in<Row: Counted>() -> Field<Row> {
    Field::<Row>::counter(
        "bytes_in",
        Of("bytes"),
        "Bytes sent to real servers since creation or the last zeroing",
        |row| Unsigned(row.stats().bytes_in),
    )
}

pub(super) const fn bytes_out<Row: Counted>() -> Field<Row> {
    Field::<Row>::counter(
        "bytes_out",
        Of("bytes"),
        "Bytes sent back to clients since creation or the last zeroing",
        |row| Unsigned(row.stats().bytes_out),
    )
}

pub(super) const fn bytes_per_second_in<Row: Counted>() -> Field<Row> {
    Field::<Row>::gauge(
        "bytes_per_second_in",
        PerSecond("bytes"),
        "Bytes per second sent to real servers",
        |row| Unsigned(row.stats().bytes_in_per_second),
    )
    .extended()
    .metric(Left(RATE))
}

pub(super) const fn bytes_per_second_out<Row: Counted>() -> Field<Row> {
    Field::<Row>::gauge(
        "bytes_per_second_out",
        PerSecond("bytes"),
        "Bytes per second sent back to clients",
        |row| Unsigned(row.stats().bytes_out_per_second),
    )
    .extended()
    .metric(Left(RATE))
}

pub(super) const fn connections<Row: Counted>() -> Field<Row> {
    Field::<Row>::counter(
        "connections",
        Of("connections"),
        "Connections scheduled since creation or the last zeroing",
        |row| Unsigned(row.stats().connections),
    )
    .scheduled()
}

pub(super) const fn cps<Row: Counted>() -> Field<Row> {
    Field::<Row>::gauge(
        "cps",
        PerSecond("connections"),
        "Connections scheduled per second",
        |row| Unsigned(row.stats().connections_per_second),
    )
    .scheduled()
    .metric(Left(RATE))
}

pub(super) const fn cps_max<Row: Counted>() -> Field<Row> {
    Field::<Row>::gauge(
        "cps_max",
        PerSecond("connections"),
        "Highest cps of any tick since the previous complete snapshot",
        |row| row.peak(|peak| Some(peak.connections)),
    )
    .interval()
    .modes(Modes::Probe)
}

pub(super) const fn pkts_in<Row: Counted>() -> Field<Row> {
    Field::<Row>::counter(
        "pkts_in",
        Of("packets"),
        "Packets sent to real servers since creation or the last zeroing",
        |row| Unsigned(row.stats().packets_in),
    )
    .metric(Counter("packets_in"))
}

pub(super) const fn pkts_out<Row: Counted>() -> Field<Row> {
    Field::<Row>::counter(
        "pkts_out",
        Of("packets"),
        "Packets sent back to clients since creation or the last zeroing",
        |row| Unsigned(row.stats().packets_out),
    )
    .metric(Counter("packets_out"))
}

pub(super) const fn pps_in<Row: Counted>() -> Field<Row> {
    Field::<Row>::gauge(
        "pps_in",
        PerSecond("packets"),
        "Packets per second sent to real servers",
        |row| Unsigned(row.stats().packets_in_per_second),
    )
    .metric(Left(RATE))
}

pub(super) const fn pps_in_max<Row: Counted>() -> Field<Row> {
    Field::<Row>::gauge(
        "pps_in_max",
        PerSecond("packets"),
        "Highest pps_in of any tick since the previous complete snapshot",
        |row| row.peak(|peak| peak.packets_in),
    )
    .interval()
    .modes(Modes::Live)
}

pub(super) const fn pps_out<Row: Counted>() -> Field<Row> {
    Field::<Row>::gauge(
        "pps_out",
        PerSecond("packets"),
        "Packets per second sent back to clients",
        |row| Unsigned(row.stats().packets_out_per_second),
    )
    .metric(Left(RATE))
}

pub(super) const fn pps_out_max<Row: Counted>() -> Field<Row> {
    Field::<Row>::gauge(
        "pps_out_max",
        PerSecond("packets"),
        "Highest pps_out of any tick since the previous complete snapshot",
        |row| row.peak(|peak| peak.packets_out),
    )
    .interval()
    .modes(Modes::Live)
}
