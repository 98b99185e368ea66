//! The names of everything that may be asked for: from the schema's tables, and those of Prometheus.

use ipvs_sampler::schema::{DestinationRow, Measurement, ServiceRow, sampler};

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
    use ipvs_sampler::{
        events,
        health::{Health, Mode, Report},
        model,
    };
    let report = Report {
        mode: &Mode::Live,
        services: 0,
        destinations: 0,
        uncounted: 0,
        events: events::Counts::default(),
        totals: model::Totals::default(),
        differences: None,
    };
    let fields = sampler::fields(&Health::new().unwrap(), &report);
    fields.into_iter().map(|(name, _)| name).collect()
}

fn about_outputs() -> Vec<&'static str> {
    let report = ipvs_sampler::sink::Report {
        label: String::new(),
        counts: ipvs_sampler::sink::Counts::default(),
        waiting: 0,
    };
    let fields = sampler::output_fields(&report);
    fields.into_iter().map(|(name, _)| name).collect()
}

/// What the output `prometheus://` has, kept here until the schema tells it: then this list, and
/// [`is_of_another_branch`], are to be taken from there.
pub(crate) const METRICS: [&str; 35] = [
    "ipvs_virtual_server_info",
    "ipvs_virtual_server_connections_total",
    "ipvs_virtual_server_packets_in_total",
    "ipvs_virtual_server_packets_out_total",
    "ipvs_virtual_server_bytes_in_total",
    "ipvs_virtual_server_bytes_out_total",
    "ipvs_real_server_info",
    "ipvs_real_server_connections_total",
    "ipvs_real_server_packets_in_total",
    "ipvs_real_server_packets_out_total",
    "ipvs_real_server_bytes_in_total",
    "ipvs_real_server_bytes_out_total",
    "ipvs_real_server_active_connections",
    "ipvs_real_server_inactive_connections",
    "ipvs_real_server_overloaded",
    "ipvs_real_server_weight",
    "ipvs_sampler_build_info",
    "ipvs_sampler_destinations",
    "ipvs_sampler_dump_max_seconds",
    "ipvs_sampler_dump_p50_seconds",
    "ipvs_sampler_events_missed_total",
    "ipvs_sampler_mode_info",
    "ipvs_sampler_output_bytes_waiting",
    "ipvs_sampler_output_lines_dropped_total",
    "ipvs_sampler_output_lines_rejected_total",
    "ipvs_sampler_records_lost_changes_total",
    "ipvs_sampler_records_lost_total",
    "ipvs_sampler_services",
    "ipvs_sampler_snapshot_timestamp_seconds",
    "ipvs_sampler_tick_timestamp_seconds",
    "ipvs_sampler_tick_work_max_seconds",
    "ipvs_sampler_tick_work_p50_seconds",
    "ipvs_sampler_tick_work_p99_seconds",
    "ipvs_sampler_ticks_missed_total",
    "ipvs_sampler_ticks_total",
];

/// Labels: tags of the same names, those of info metrics, and what Prometheus adds.
pub(crate) fn labels() -> Vec<&'static str> {
    let mut labels = vec!["instance", "job", "mode", "reason", "version"];
    labels.extend(measurements().into_iter().flat_map(|series| series.tags));
    labels
}

/// An argument that this branch does not know yet.
pub(crate) fn is_of_another_branch(argument: &str) -> bool {
    argument.starts_with("--output=prometheus://")
}
