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
        metric::{INTERVAL, RATE},
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
        "bytes towards real servers since creation or zeroing",
        |row| Unsigned(row.stats().bytes_in),
    )
}

pub(super) const fn bytes_out<Row: Counted>() -> Field<Row> {
    Field::<Row>::counter(
        "bytes_out",
        Of("bytes"),
        "bytes back since creation or zeroing",
        |row| Unsigned(row.stats().bytes_out),
    )
}

pub(super) const fn bytes_per_second_in<Row: Counted>() -> Field<Row> {
    Field::<Row>::gauge(
        "bytes_per_second_in",
        PerSecond("bytes"),
        "bytes towards real servers per second",
        |row| Unsigned(row.stats().bytes_in_per_second),
    )
    .extended()
    .metric(Left(RATE))
}

pub(super) const fn bytes_per_second_out<Row: Counted>() -> Field<Row> {
    Field::<Row>::gauge(
        "bytes_per_second_out",
        PerSecond("bytes"),
        "bytes back per second",
        |row| Unsigned(row.stats().bytes_out_per_second),
    )
    .extended()
    .metric(Left(RATE))
}

pub(super) const fn connections<Row: Counted>() -> Field<Row> {
    Field::<Row>::counter(
        "connections",
        Of("connections"),
        "connections scheduled since creation or zeroing",
        |row| Unsigned(row.stats().connections),
    )
    .scheduled()
}

pub(super) const fn cps<Row: Counted>() -> Field<Row> {
    Field::<Row>::gauge(
        "cps",
        PerSecond("connections"),
        "connections scheduled per second",
        |row| Unsigned(row.stats().connections_per_second),
    )
    .scheduled()
    .metric(Left(RATE))
}

pub(super) const fn cps_max<Row: Counted>() -> Field<Row> {
    Field::<Row>::gauge(
        "cps_max",
        PerSecond("connections"),
        "highest connections per second of any tick since the last complete snapshot",
        |row| row.peak(|peak| Some(peak.connections)),
    )
    .extended()
    .modes(Modes::Probe)
    .metric(Left(INTERVAL))
}

pub(super) const fn pkts_in<Row: Counted>() -> Field<Row> {
    Field::<Row>::counter(
        "pkts_in",
        Of("packets"),
        "packets towards real servers since creation or zeroing",
        |row| Unsigned(row.stats().packets_in),
    )
    .metric(Counter("packets_in"))
}

pub(super) const fn pkts_out<Row: Counted>() -> Field<Row> {
    Field::<Row>::counter(
        "pkts_out",
        Of("packets"),
        "packets back since creation or zeroing",
        |row| Unsigned(row.stats().packets_out),
    )
    .metric(Counter("packets_out"))
}

pub(super) const fn pps_in<Row: Counted>() -> Field<Row> {
    Field::<Row>::gauge(
        "pps_in",
        PerSecond("packets"),
        "packets towards real servers per second",
        |row| Unsigned(row.stats().packets_in_per_second),
    )
    .metric(Left(RATE))
}

pub(super) const fn pps_in_max<Row: Counted>() -> Field<Row> {
    Field::<Row>::gauge(
        "pps_in_max",
        PerSecond("packets"),
        "highest pps_in of any tick since the last complete snapshot; in mode live",
        |row| row.peak(|peak| peak.packets_in),
    )
    .extended()
    .modes(Modes::Live)
    .metric(Left(INTERVAL))
}

pub(super) const fn pps_out<Row: Counted>() -> Field<Row> {
    Field::<Row>::gauge(
        "pps_out",
        PerSecond("packets"),
        "packets back per second",
        |row| Unsigned(row.stats().packets_out_per_second),
    )
    .metric(Left(RATE))
}

pub(super) const fn pps_out_max<Row: Counted>() -> Field<Row> {
    Field::<Row>::gauge(
        "pps_out_max",
        PerSecond("packets"),
        "highest pps_out of any tick since the last complete snapshot; in mode live",
        |row| row.peak(|peak| peak.packets_out),
    )
    .extended()
    .modes(Modes::Live)
    .metric(Left(INTERVAL))
}
