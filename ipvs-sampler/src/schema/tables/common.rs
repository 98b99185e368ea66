//! The fields that services and destinations have in common: counters and rates.

use std::marker::PhantomData;

use crate::{
    model::{Peak, Stats},
    schema::{
        DestinationRow, Field,
        FieldSet::{All, Extended, Scheduled},
        Interval,
        Metric::{Counter, Left},
        ServiceRow, Value,
        Value::Unsigned,
        optional,
        prometheus::{INTERVAL, RATE},
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

/// The fields of a row.
pub(super) struct Common<Row>(PhantomData<Row>);

impl<Row: Counted> Common<Row> {
    pub(super) const BYTES_IN: Field<Row> = Field {
        name: "bytes_in",
        help: "bytes towards real servers since creation or zeroing",
        set: All,
        metric: Counter("bytes_in"),
        value: |row| Unsigned(row.stats().bytes_in),
    };

    pub(super) const BYTES_OUT: Field<Row> = Field {
        name: "bytes_out",
        help: "bytes back since creation or zeroing",
        set: All,
        metric: Counter("bytes_out"),
        value: |row| Unsigned(row.stats().bytes_out),
    };

    pub(super) const BYTES_PER_SECOND_IN: Field<Row> = Field {
        name: "bytes_per_second_in",
        help: "bytes towards real servers per second",
        set: Extended,
        metric: Left(RATE),
        value: |row| Unsigned(row.stats().bytes_in_per_second),
    };

    pub(super) const BYTES_PER_SECOND_OUT: Field<Row> = Field {
        name: "bytes_per_second_out",
        help: "bytes back per second",
        set: Extended,
        metric: Left(RATE),
        value: |row| Unsigned(row.stats().bytes_out_per_second),
    };

    pub(super) const CONNECTIONS: Field<Row> = Field {
        name: "connections",
        help: "connections scheduled since creation or zeroing",
        set: Scheduled,
        metric: Counter("connections"),
        value: |row| Unsigned(row.stats().connections),
    };

    pub(super) const CPS: Field<Row> = Field {
        name: "cps",
        help: "connections scheduled per second",
        set: Scheduled,
        metric: Left(RATE),
        value: |row| Unsigned(row.stats().connections_per_second),
    };

    pub(super) const CPS_MAX: Field<Row> = Field {
        name: "cps_max",
        help: "highest connections per second of any tick since the last complete snapshot",
        set: Extended,
        metric: Left(INTERVAL),
        value: |row| row.peak(|peak| Some(peak.connections)),
    };

    pub(super) const PKTS_IN: Field<Row> = Field {
        name: "pkts_in",
        help: "packets towards real servers since creation or zeroing",
        set: All,
        metric: Counter("packets_in"),
        value: |row| Unsigned(row.stats().packets_in),
    };

    pub(super) const PKTS_OUT: Field<Row> = Field {
        name: "pkts_out",
        help: "packets back since creation or zeroing",
        set: All,
        metric: Counter("packets_out"),
        value: |row| Unsigned(row.stats().packets_out),
    };

    pub(super) const PPS_IN: Field<Row> = Field {
        name: "pps_in",
        help: "packets towards real servers per second",
        set: All,
        metric: Left(RATE),
        value: |row| Unsigned(row.stats().packets_in_per_second),
    };

    pub(super) const PPS_IN_MAX: Field<Row> = Field {
        name: "pps_in_max",
        help: "highest pps_in of any tick since the last complete snapshot; in mode live",
        set: Extended,
        metric: Left(INTERVAL),
        value: |row| row.peak(|peak| peak.packets_in),
    };

    pub(super) const PPS_OUT: Field<Row> = Field {
        name: "pps_out",
        help: "packets back per second",
        set: All,
        metric: Left(RATE),
        value: |row| Unsigned(row.stats().packets_out_per_second),
    };

    pub(super) const PPS_OUT_MAX: Field<Row> = Field {
        name: "pps_out_max",
        help: "highest pps_out of any tick since the last complete snapshot; in mode live",
        set: Extended,
        metric: Left(INTERVAL),
        value: |row| row.peak(|peak| peak.packets_out),
    };
}
