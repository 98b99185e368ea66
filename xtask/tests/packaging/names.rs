//! The names of everything that may be asked for, from the schema's tables.

use ipvs_sampler::schema::{
    DestinationRow, FieldSet, Measurement, Metric, ServiceRow, prometheus, sampler,
};

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
        Series {
            name: sampler::MEASUREMENT,
            tags: vec!["netns", HOST],
            fields: about_the_sampler(),
        },
        Series {
            name: sampler::OUTPUT_MEASUREMENT,
            tags: vec![sampler::OUTPUT_TAG, HOST],
            fields: about_outputs(),
        },
    ]
}

fn about_the_sampler() -> Vec<&'static str> {
    use ipvs_sampler::model::{Counts, Health, Mode, Report, Totals};
    let report = Report {
        mode: &Mode::Live,
        services: 0,
        destinations: 0,
        uncounted: 0,
        events: Counts::default(),
        totals: Totals::default(),
        differences: None,
    };
    let fields = sampler::fields(&Health::default(), &report);
    fields.into_iter().map(|(name, _)| name).collect()
}

fn about_outputs() -> Vec<&'static str> {
    let report = ipvs_sampler::sink::Report {
        label: "",
        counts: ipvs_sampler::sink::Counts::default(),
        waiting: 0,
    };
    let fields = sampler::output_fields(&report);
    fields.into_iter().map(|(name, _)| name).collect()
}

/// The names of what the output `prometheus://` has, in its own form.
pub(crate) fn metrics() -> Vec<String> {
    fn of<Row>(measurement: &Measurement<'_, Row>) -> Vec<String> {
        let fields = measurement.fields.iter().map(|field| field.metric);
        let info = Metric::Gauge(prometheus::INFO.0, FieldSet::All);
        named(measurement.name, fields.chain([info]))
    }
    let info = |name| Metric::Gauge(name, FieldSet::All);
    let own = prometheus::SAMPLER.iter().map(|(_, metric, _)| *metric);
    let moments = prometheus::MOMENTS.iter().map(|(metric, _)| *metric);
    let infos = [prometheus::MODE_INFO.0, prometheus::BUILD_INFO.0].map(info);
    let outputs = prometheus::OUTPUT.iter().map(|(_, metric, _)| *metric);
    let mut names = of(&ServiceRow::MEASUREMENT);
    names.extend(of(&DestinationRow::MEASUREMENT));
    names.extend(named(sampler::MEASUREMENT, own.chain(moments).chain(infos)));
    names.extend(named(sampler::OUTPUT_MEASUREMENT, outputs));
    names
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
