//! The names of everything that may be asked for, from the schema's tables.

use ipvs_sampler::schema::{
    DestinationRow, FieldSet, Measurement, Metric, ServiceRow, prometheus, sampler::SamplerRow,
};
use ipvs_sampler::sink;

/// A measurement: its name, tags and fields.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) tags: Vec<&'static str>,
    pub(crate) fields: Vec<&'static str>,
}

/// Whoever takes the lines, or the sampler itself, adds it.
const HOST: &str = "host";

/// What goes out as lines.
pub(crate) fn measurements() -> Vec<Series> {
    fn of<Row>(measurement: &Measurement<'_, Row>) -> Series {
        let tags = measurement.tags.iter().map(|tag| tag.name);
        Series {
            name: measurement.name,
            tags: tags.chain([HOST]).collect(),
            fields: measurement.fields.iter().map(|field| field.name).collect(),
        }
    }
    vec![
        of(&ServiceRow::MEASUREMENT),
        of(&DestinationRow::MEASUREMENT),
        of(&SamplerRow::MEASUREMENT),
        of(&sink::OutputReport::MEASUREMENT),
    ]
}

/// The names of what the output `prometheus://` has, in its own form.
pub(crate) fn metrics() -> Vec<String> {
    fn of<Row>(
        measurement: &Measurement<'_, Row>,
        more: impl Iterator<Item = Metric>,
    ) -> Vec<String> {
        let fields = measurement.fields.iter().map(|field| field.metric);
        named(measurement.name, fields.chain(more))
    }
    let info = |name| Metric::Gauge(name, FieldSet::All);
    let moments = prometheus::MOMENTS.iter().map(|(metric, _)| *metric);
    let infos = [prometheus::MODE_INFO.0, prometheus::BUILD_INFO.0].map(info);
    let configured = || [info(prometheus::INFO.0)].into_iter();
    [
        of(&ServiceRow::MEASUREMENT, configured()),
        of(&DestinationRow::MEASUREMENT, configured()),
        of(&SamplerRow::MEASUREMENT, moments.chain(infos)),
        of(&sink::OutputReport::MEASUREMENT, [].into_iter()),
    ]
    .concat()
}

fn named(measurement: &str, metrics: impl Iterator<Item = Metric>) -> Vec<String> {
    metrics
        .filter_map(|metric| match metric {
            Metric::Counter(name) => Some(format!("{measurement}_{name}_total")),
            Metric::Gauge(name, _) | Metric::Seconds(name) => Some(format!("{measurement}_{name}")),
            Metric::Label(_) | Metric::Left(_) => None,
        })
        .collect()
}

/// Whether a metric has a label of this name, or Prometheus adds it.
pub(crate) fn is_label(name: &str) -> bool {
    prometheus::is_label(name) || ["instance", "job", HOST].contains(&name)
}
