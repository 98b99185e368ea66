//! Prometheus' text format 0.0.4 and OpenMetrics 1.0. Rows go in one by one, in the order in which they
//! are known; a page comes out with all samples of a metric together, as both formats want it.

mod rows;
#[cfg(test)]
mod tests;

use rows::{Column, MetricKind, Rows};

use ipvs_sampler_common::COUNTERS;

use super::{address, append_number};
use crate::{
    model::VirtualAddress,
    schema::{
        DestinationRow, FieldSet, Measurement, Metric, ServiceRow, TagStyle, TagValue, Value,
        prometheus::{
            BUILD_INFO, INFO, MODE_INFO, MOMENTS, VIRTUAL_ADDRESS_FAMILY, is_label, node,
            node_protocol, virtual_address_family,
        },
        sampler::{self, SamplerRow},
    },
    sink::{OutputReport, PageFormat},
};

/// Whose names the metrics of IPVS have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricNames {
    /// Our own.
    #[default]
    Native,
    /// Those of node_exporter's `ipvs` collector.
    Node,
}

/// A page in the making. Reused: the second one of the same size allocates nothing.
#[derive(Debug)]
pub struct Prometheus {
    names: MetricNames,
    set: FieldSet,
    /// The further tags as labels, the same in each row.
    further: Vec<u8>,
    /// The labels of `build`.
    version: Vec<u8>,
    services: Rows,
    destinations: Rows,
    /// One for each network namespace, in node_exporter's names.
    totals: Rows,
    /// One for each network namespace.
    samplers: Rows,
    outputs: Rows,
    build: Column,
    mark: Mark,
}

/// The firewall mark whose services are being added, in node_exporter's names.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    mark: u32,
    /// Its first row.
    first: usize,
    /// Whether a destination's family was not its service's.
    crossed: bool,
}

/// When a page's numbers were true, in ns since 1970; `None` where there are none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    /// The end of the last netlink dump.
    pub snapshot: Option<i64>,
    /// The tick.
    pub tick: Option<i64>,
}

impl Prometheus {
    /// With the fields of this set, and further tags as labels of each sample. What is not a letter, digit or
    /// `_` in the name of one becomes `_`, and a name that is taken gets a `_` more.
    #[must_use]
    pub fn new(names: MetricNames, set: FieldSet, further: &[(String, String)]) -> Self {
        let own = sampler::MEASUREMENT;
        let named = |kind| move |(name, help)| Column::new("", name, help, kind);
        let (services, destinations, totals) = match names {
            MetricNames::Native => (
                fields_of(&ServiceRow::MEASUREMENT, set),
                fields_of(&DestinationRow::MEASUREMENT, set),
                Rows::default(),
            ),
            MetricNames::Node => (
                Rows::default(),
                Rows::new(node::BACKENDS.map(named(MetricKind::Gauge)).into(), None),
                Rows::new(node::TOTALS.map(named(MetricKind::Counter)).into(), None),
            ),
        };
        let about_sampler = columns(own, set, decided(&SamplerRow::MEASUREMENT).chain(MOMENTS));
        let (mode, mode_help) = MODE_INFO;
        let (build, build_help) = BUILD_INFO;
        let further_labels = further_labels(further);
        let mut version = Vec::new();
        append_text(&mut version, "version", env!("CARGO_PKG_VERSION"));
        version.extend_from_slice(&further_labels);
        Self {
            names,
            set,
            version,
            further: further_labels,
            services,
            destinations,
            mark: Mark::default(),
            totals,
            samplers: Rows::new(
                about_sampler,
                Some(Column::new(own, mode, mode_help, MetricKind::Info)),
            ),
            outputs: fields_of(&OutputReport::MEASUREMENT, set),
            build: Column::new(own, build, build_help, MetricKind::Info),
        }
    }

    /// Whose names it has.
    #[must_use]
    pub fn names(&self) -> MetricNames {
        self.names
    }

    /// Begins the next page.
    pub fn clear(&mut self) {
        for rows in [
            &mut self.services,
            &mut self.destinations,
            &mut self.totals,
            &mut self.samplers,
            &mut self.outputs,
        ] {
            rows.clear();
        }
        self.mark = Mark::default();
    }

    /// Adds a virtual service; in node_exporter's names there is none.
    pub fn service(&mut self, row: &ServiceRow<'_>, style: &TagStyle) {
        if self.names == MetricNames::Native {
            let absent = ("", TagValue::Absent);
            let measurement = &ServiceRow::MEASUREMENT;
            add(
                &mut self.services,
                measurement,
                row,
                style,
                absent,
                &self.further,
                self.set,
            );
        }
    }

    /// Adds a destination.
    pub fn destination(&mut self, row: &DestinationRow<'_>, style: &TagStyle) {
        if self.names == MetricNames::Node {
            return self.backend(row, style);
        }
        let family = (VIRTUAL_ADDRESS_FAMILY, virtual_address_family(row));
        let measurement = &DestinationRow::MEASUREMENT;
        add(
            &mut self.destinations,
            measurement,
            row,
            style,
            family,
            &self.further,
            self.set,
        );
    }

    /// Adds a destination in node_exporter's names. Where it has the labels of one before, as is possible
    /// by the same firewall mark for both families, they are added up, as node_exporter does.
    fn backend(&mut self, row: &DestinationRow<'_>, style: &TagStyle) {
        let [
            local_address,
            local_mark,
            local_port,
            proto,
            remote_address,
            remote_port,
        ] = node::LABELS;
        let (service, destination) = (&row.service.key, &row.destination.key);
        let address = |family, bytes| TagValue::Address { family, bytes };
        let rows = &mut self.destinations;
        let out = rows.labels();
        match &service.address {
            VirtualAddress::Fwmark(mark) => {
                append_text(out, local_address, "");
                append_mark(out, local_mark, *mark);
                append_label(out, local_port, TagValue::Number(0));
            }
            VirtualAddress::Socket {
                address: bytes,
                port,
                ..
            } => {
                append_label(out, local_address, address(service.family, bytes));
                append_text(out, local_mark, "");
                append_label(out, local_port, TagValue::Number((*port).into()));
            }
        }
        append_text(out, proto, node_protocol(row.service));
        append_label(
            out,
            remote_address,
            address(destination.family, &destination.address),
        );
        append_label(out, remote_port, TagValue::Number(destination.port.into()));
        append_label(out, "netns", style.netns());
        out.extend_from_slice(&self.further);
        rows.end_series();
        for number in [
            row.destination.active_connections,
            row.destination.inactive_connections,
            row.destination.weight,
        ] {
            rows.number(Some(number.into()));
        }
        rows.end();
        if let VirtualAddress::Fwmark(mark) = service.address {
            if self.mark.mark != mark {
                self.mark = Mark {
                    mark,
                    first: rows.len() - 1,
                    crossed: false,
                };
            }
            self.mark.crossed |= service.family != destination.family;
            if self.mark.crossed {
                rows.unite(self.mark.first);
            }
        }
    }

    /// Adds what the network namespace counted: connections, packets in and out, bytes in and out. Only
    /// node_exporter has names for it.
    pub fn totals(&mut self, totals: &[u64; COUNTERS], style: &TagStyle) {
        if self.names == MetricNames::Native {
            return;
        }
        let rows = &mut self.totals;
        let out = rows.labels();
        append_label(out, "netns", style.netns());
        out.extend_from_slice(&self.further);
        rows.end_series();
        for total in totals {
            rows.number(Some(*total));
        }
        rows.end();
    }

    /// Adds a sampler's own fields.
    pub fn sampler(
        &mut self,
        fields: &[(&str, Value<'_>); sampler::FIELDS],
        moments: Moments,
        style: &TagStyle,
    ) {
        let rows = &mut self.samplers;
        let out = rows.labels();
        append_label(out, "netns", style.netns());
        out.extend_from_slice(&self.further);
        rows.end_series();
        for ((_, value), field) in fields.iter().zip(SamplerRow::MEASUREMENT.fields) {
            add_value(rows, field.metric, *value, self.set, field.set);
        }
        for moment in [moments.snapshot, moments.tick] {
            rows.number(moment.and_then(|moment| u64::try_from(moment).ok()));
        }
        rows.end();
    }

    /// Adds how an output is doing.
    pub fn output(&mut self, report: &OutputReport<'_>) {
        add(
            &mut self.outputs,
            &OutputReport::MEASUREMENT,
            report,
            &TagStyle::default(),
            ("", TagValue::Absent),
            &self.further,
            self.set,
        );
    }

    /// Appends the page. How many samples it has.
    pub fn write(&self, out: &mut Vec<u8>, format: PageFormat) -> u64 {
        let Self {
            names: _,
            set: _,
            mark: _,
            further: _,
            version,
            services,
            destinations,
            totals,
            samplers,
            outputs,
            build,
        } = self;
        let all = [services, destinations, totals, samplers, outputs];
        let samples: u64 = all.iter().map(|rows| rows.write(out, format)).sum();
        build.head(out, format);
        build.sample(out, version, 1);
        if format == PageFormat::OpenMetrics {
            out.extend_from_slice(b"# EOF\n");
        }
        samples + 1
    }
}

fn fields_of<Row>(measurement: &Measurement<'_, Row>, set: FieldSet) -> Rows {
    let (tags, fields) = (measurement.tags, measurement.fields);
    let is_label = |metric| matches!(metric, Metric::Label(_));
    let says_more = tags.iter().any(|tag| !tag.series)
        || fields
            .iter()
            .any(|field| is_label(field.metric) && set >= field.set);
    let info = says_more.then(|| Column::new(measurement.name, INFO.0, INFO.1, MetricKind::Info));
    Rows::new(columns(measurement.name, set, decided(measurement)), info)
}

fn decided<Row>(
    measurement: &Measurement<'_, Row>,
) -> impl Iterator<Item = (Metric, &'static str)> {
    let fields = measurement.fields.iter();
    fields.map(|field| (field.metric, field.help))
}

fn columns(
    measurement: &str,
    set: FieldSet,
    decided: impl Iterator<Item = (Metric, &'static str)>,
) -> Vec<Column> {
    let column = |(metric, help)| {
        let (name, kind) = match metric {
            Metric::Counter(name) => (name, MetricKind::Counter),
            Metric::Seconds(name) => (name, MetricKind::Seconds),
            Metric::Gauge(name, with) if set >= with => (name, MetricKind::Gauge),
            Metric::Gauge(..) | Metric::Label(_) | Metric::Left(_) => return None,
        };
        Some(Column::new(measurement, name, help, kind))
    };
    decided.filter_map(column).collect()
}

/// Adds a row by its measurement's table, with one label more.
fn add<Row>(
    rows: &mut Rows,
    measurement: &Measurement<'_, Row>,
    row: &Row,
    style: &TagStyle,
    more: (&str, TagValue<'_>),
    further: &[u8],
    set: FieldSet,
) {
    let out = rows.labels();
    for tag in measurement.tags.iter().filter(|tag| tag.series) {
        append_label(out, tag.name, (tag.value)(row, style));
    }
    append_label(out, more.0, more.1);
    out.extend_from_slice(further);
    rows.end_series();
    let out = rows.labels();
    for tag in measurement.tags.iter().filter(|tag| !tag.series) {
        append_label(out, tag.name, (tag.value)(row, style));
    }
    for field in measurement.fields {
        add_value(rows, field.metric, (field.value)(row), set, field.set);
    }
    rows.end();
}

/// Adds the value of a field, in the order of [`columns`].
fn add_value(rows: &mut Rows, metric: Metric, value: Value<'_>, set: FieldSet, from: FieldSet) {
    let number = match value {
        Value::Unsigned(number) => Some(number),
        // None of ours is negative.
        Value::Integer(number) => u64::try_from(number).ok(),
        Value::Absent | Value::Text(_) => None,
    };
    match (metric, value) {
        (Metric::Gauge(_, with), _) if set < with => {}
        (Metric::Counter(_) | Metric::Gauge(..) | Metric::Seconds(_), _) => rows.number(number),
        (Metric::Label(name), Value::Text(text)) if set >= from => {
            append_text(rows.labels(), name, text);
        }
        (Metric::Label(name), _) if set >= from => {
            if let Some(number) = number {
                append_name(rows.labels(), name);
                append_number(rows.labels(), number);
                rows.labels().push(b'"');
            }
        }
        (Metric::Label(_) | Metric::Left(_), _) => {}
    }
}

/// Further tags as labels, with names as Prometheus has them.
fn further_labels(further: &[(String, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut taken: Vec<String> = Vec::new();
    for (name, value) in further {
        let fitting = |(place, byte): (usize, char)| match byte {
            'a'..='z' | 'A'..='Z' | '_' => byte,
            '0'..='9' if place > 0 => byte,
            _ => '_',
        };
        let mut name: String = name.chars().enumerate().map(fitting).collect();
        // Names that begin with two of them are Prometheus' own, such as `__name__`.
        if name.starts_with("__") {
            name = format!("_{}", name.trim_start_matches('_'));
        }
        while is_label(&name) || taken.contains(&name) {
            name.push('_');
        }
        append_text(&mut out, &name, value);
        taken.push(name);
    }
    out
}

/// Begins a label; a quotation mark has to end it.
fn append_name(out: &mut Vec<u8>, name: &str) {
    out.push(b',');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
}

/// A label with any text, escaped.
fn append_text(out: &mut Vec<u8>, name: &str, text: &str) {
    append_name(out, name);
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// A label; none where a tag is absent or empty, which is the same for Prometheus.
fn append_label(out: &mut Vec<u8>, name: &str, value: TagValue<'_>) {
    match value {
        TagValue::Absent | TagValue::Text("") => return,
        TagValue::Text(text) => return append_text(out, name, text),
        TagValue::Number(number) => {
            append_name(out, name);
            append_number(out, number);
        }
        TagValue::Address { family, bytes } => {
            append_name(out, name);
            address::append(out, family, bytes);
        }
    }
    out.push(b'"');
}

/// A firewall mark as /proc/net/ip_vs has it: eight hexadecimal digits.
fn append_mark(out: &mut Vec<u8>, name: &str, mark: u32) {
    append_name(out, name);
    for place in (0..8).rev() {
        let digit = mark >> (4 * place) & 0xf;
        out.push(b"0123456789ABCDEF"[digit as usize]);
    }
    out.push(b'"');
}
