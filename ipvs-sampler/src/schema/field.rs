//! What is known of a field, all in one place: its name, unit, kind and help, when a line has it, where its value
//! comes from, and what it is for Prometheus.

use super::{
    metric::{INTERVAL, Metric},
    value::{
        FieldSet::{self, All, Extended},
        Value,
    },
};

/// When fields about an interval are there.
pub(super) const COMPLETE: &str = "in complete snapshots";

/// A field of a measurement.
#[derive(Debug)]
pub struct Field<Row> {
    /// Its name.
    pub name: &'static str,
    /// What it counts, for the documentation.
    pub help: &'static str,
    /// Of what it is a number.
    pub unit: Unit,
    /// How its value changes.
    pub kind: Kind,
    /// The smallest set that has it.
    pub set: FieldSet,
    /// In which modes it has a value.
    pub modes: Modes,
    /// What else has to hold for a line to have it; empty where nothing has to.
    pub when: &'static str,
    /// What it is for Prometheus.
    pub metric: Metric,
    /// Its value for a row.
    pub value: fn(&Row) -> Value<'static>,
}

/// Of what a field is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Of nothing: a text, a flag, a weight.
    None,
    /// Of these.
    Of(&'static str),
    /// Of these in a second.
    PerSecond(&'static str),
    /// Of time.
    Nanoseconds,
    /// Of time.
    Seconds,
}

/// How a field's value changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only rises, but for a reset.
    Counter,
    /// It rises and falls.
    Gauge,
    /// It describes: a text, or bits.
    Property,
}

/// In which modes a field has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modes {
    /// In all.
    All,
    /// In `live` and `events`.
    Probe,
    /// In `live`.
    Live,
}

/// Fields that every line has in every mode, with a metric of the same name. What differs is added.
impl<Row> Field<Row> {
    pub(super) const fn counter(
        name: &'static str,
        unit: Unit,
        help: &'static str,
        value: fn(&Row) -> Value<'static>,
    ) -> Self {
        Self::new(
            name,
            unit,
            help,
            Kind::Counter,
            Metric::Counter(name),
            value,
        )
    }

    pub(super) const fn gauge(
        name: &'static str,
        unit: Unit,
        help: &'static str,
        value: fn(&Row) -> Value<'static>,
    ) -> Self {
        Self::new(
            name,
            unit,
            help,
            Kind::Gauge,
            Metric::Gauge(name, All),
            value,
        )
    }

    /// A label of the `_info` metric.
    pub(super) const fn property(
        name: &'static str,
        help: &'static str,
        value: fn(&Row) -> Value<'static>,
    ) -> Self {
        Self::new(
            name,
            Unit::None,
            help,
            Kind::Property,
            Metric::Label(name),
            value,
        )
    }

    /// A time of the last interval, which is a metric in seconds under another name.
    pub(super) const fn time(
        name: &'static str,
        metric: &'static str,
        help: &'static str,
        value: fn(&Row) -> Value<'static>,
    ) -> Self {
        let metric = Metric::Seconds(metric);
        Self::new(name, Unit::Nanoseconds, help, Kind::Gauge, metric, value)
    }

    const fn new(
        name: &'static str,
        unit: Unit,
        help: &'static str,
        kind: Kind,
        metric: Metric,
        value: fn(&Row) -> Value<'static>,
    ) -> Self {
        Self {
            name,
            help,
            unit,
            kind,
            set: All,
            modes: Modes::All,
            when: "",
            metric,
            value,
        }
    }

    /// Also of lines that only tell what scheduling events do.
    pub(super) const fn scheduled(mut self) -> Self {
        self.set = FieldSet::Scheduled;
        self
    }

    /// Only of lines, and pages, with extended fields.
    pub(super) const fn extended(mut self) -> Self {
        self.set = Extended;
        if let Metric::Gauge(name, _) = self.metric {
            self.metric = Metric::Gauge(name, Extended);
        }
        self
    }

    /// Only in these modes.
    pub(super) const fn modes(mut self, modes: Modes) -> Self {
        self.modes = modes;
        self
    }

    /// Only when this holds.
    pub(super) const fn when(mut self, when: &'static str) -> Self {
        self.when = when;
        self
    }

    /// Only of lines with what an interval knows, which are those of complete snapshots with extended fields.
    pub(super) const fn interval(self) -> Self {
        let field = self.extended().metric(Metric::Left(INTERVAL));
        field.when(COMPLETE)
    }

    /// Something else for Prometheus.
    pub(super) const fn metric(mut self, metric: Metric) -> Self {
        self.metric = metric;
        self
    }
}
