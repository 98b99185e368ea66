//! Whole pages of one made-up director, and what holds for every page.

use super::{MetricNames, Moments, Prometheus};
use crate::{
    encode::tests::director,
    model::{Counts, Health, Mode, Report, Snapshot, Totals, VirtualAddress},
    schema::{DestinationRow, FieldSet, ServiceRow, TagStyle, sampler},
    sink::{self, PageFormat},
};

fn add(page: &mut Prometheus, snapshot: &Snapshot, netns: Option<&str>) {
    let style = TagStyle {
        netns: netns.map(Into::into),
        ..TagStyle::default()
    };
    for (service, destinations) in snapshot.iter() {
        page.service(&ServiceRow::new(service), &style);
        for destination in destinations {
            page.destination(&DestinationRow::new(service, destination), &style);
        }
    }
    page.totals(&[1, 2, 3, 4, u64::MAX], &style);
}

fn text(page: &Prometheus, format: PageFormat) -> String {
    let mut out = Vec::new();
    let samples = page.write(&mut out, format);
    let text = String::from_utf8(out).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.count() as u64, samples);
    text
}

/// The director, how its sampler is doing, and two outputs.
fn page(names: MetricNames, set: FieldSet, further: &[(String, String)]) -> Prometheus {
    let mut page = Prometheus::new(names, set, further);
    add(&mut page, &director(), None);
    let mut health = Health {
        ticks: 7,
        ..Health::default()
    };
    health.ended.work.p50 = 1_250_000;
    health.ended.work.longest = 2_000_000_000;
    let mode = Mode::Events("it says \"no\"");
    let report = Report {
        mode: &mode,
        services: 3,
        destinations: 3,
        uncounted: 0,
        events: Counts::default(),
        totals: Totals::default(),
        differences: None,
    };
    let moments = Moments {
        snapshot: Some(1_700_000_000_123_456_789),
        tick: Some(1_700_000_001_500_000_000),
    };
    let style = TagStyle::default();
    page.sampler(&sampler::fields(&health, &report), moments, &style);
    let counts = sink::LineCounts {
        written: 5,
        ..sink::LineCounts::default()
    };
    page.output(&sink::OutputReport {
        label: "stdout",
        counts,
        waiting: 42,
    });
    let requests = Some(sink::RequestCounts {
        refused: 3,
        abandoned: 2,
    });
    page.output(&sink::OutputReport {
        label: "prometheus://:10117",
        counts: sink::LineCounts { requests, ..counts },
        waiting: 0,
    });
    page
}

fn rack() -> [(String, String); 1] {
    [("rack".into(), "a \"b\"\\\n".into())]
}

fn expected(text: &str) -> String {
    text.replace("VERSION", env!("CARGO_PKG_VERSION"))
}

#[test]
fn the_text_format_as_a_whole() {
    let page = page(MetricNames::Native, FieldSet::Extended, &rack());
    let expected = expected(include_str!("tests/extended.txt"));
    assert_eq!(text(&page, PageFormat::Text), expected);
}

#[test]
fn open_metrics_as_a_whole() {
    let page = page(MetricNames::Native, FieldSet::All, &[]);
    let expected = expected(include_str!("tests/openmetrics.txt"));
    assert_eq!(text(&page, PageFormat::OpenMetrics), expected);
}

#[test]
fn node_exporters_names_as_a_whole() {
    let page = page(MetricNames::Node, FieldSet::All, &[]);
    let expected = expected(include_str!("tests/node.txt"));
    assert_eq!(text(&page, PageFormat::Text), expected);
}

#[test]
fn samples_of_a_metric_are_together_over_network_namespaces() {
    for names in [MetricNames::Native, MetricNames::Node] {
        let mut page = Prometheus::new(names, FieldSet::Extended, &rack());
        for netns in ["blue", "green"] {
            add(&mut page, &director(), Some(netns));
        }
        let text = text(&page, PageFormat::Text);
        let mut seen: Vec<&str> = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            if seen.last() != Some(&name) {
                assert!(!seen.contains(&name), "{name} comes twice");
                seen.push(name);
            }
            let known = line.contains("netns=\"") || name == "ipvs_sampler_build_info";
            assert!(known, "{line}");
        }
        let mut series: Vec<_> = text.lines().map(|line| line.rsplit_once(' ')).collect();
        let all = series.len();
        series.sort_unstable();
        series.dedup();
        assert_eq!(series.len(), all);
    }
}

#[test]
fn a_page_has_only_what_was_added_since_it_was_cleared() {
    let mut page = page(MetricNames::Native, FieldSet::All, &[]);
    page.clear();
    let mut snapshot = director();
    snapshot.services.truncate(1);
    add(&mut page, &snapshot, None);
    let text = text(&page, PageFormat::Text);
    assert!(text.contains("10.0.0.1") && !text.contains("198.51.100.7"));
    assert!(!text.contains("ipvs_sampler_ticks"), "{text}");
}

#[test]
fn a_mark_of_both_families_has_no_series_twice() {
    let mut snapshot = director();
    let tunnel = snapshot.destinations[2];
    let other = snapshot.services[2];
    assert_eq!(other.key.address, VirtualAddress::Fwmark(47));
    snapshot.services[1] = other;
    snapshot.services[1].key.family = crate::model::INET;
    snapshot.destinations.push(tunnel);
    snapshot.services[1].first_destination = 2;
    snapshot.services[2].first_destination = 3;
    let weights = |names| {
        let mut page = Prometheus::new(names, FieldSet::All, &[]);
        add(&mut page, &snapshot, None);
        let text = text(&page, PageFormat::Text);
        let lines = text
            .lines()
            .filter(|line| line.contains("weight{") && line.contains("198.51.100.7"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let native = weights(MetricNames::Native);
    assert_eq!(native.len(), 2);
    assert_ne!(native[0], native[1]);
    let node = weights(MetricNames::Node);
    assert!(node.len() == 1 && node[0].ends_with("} 2"), "{node:?}");
}

#[test]
fn further_tags_become_labels_with_names_that_fit() {
    let tags = ["-_name__", "9x", "a-b", "a_b", "mode", "proto"];
    let further = tags.map(|name| (name.to_owned(), "v".to_owned()));
    let page = Prometheus::new(MetricNames::Native, FieldSet::All, &further);
    let text = text(&page, PageFormat::Text);
    let expected = r#",_name__="v",_x="v",a_b="v",a_b_="v",mode_="v",proto_="v"} 1"#;
    assert!(text.contains(expected), "{text}");
}

#[test]
fn seconds_are_exact() {
    let column = super::Column::new("", "x", "", super::MetricKind::Seconds);
    for (nanoseconds, seconds) in [
        (0, "0"),
        (1, "0.000000001"),
        (1_500_000_000, "1.5"),
        (12_000_000_000, "12"),
        (u64::MAX, "18446744073.709551615"),
    ] {
        let mut out = Vec::new();
        column.sample(&mut out, b"", nanoseconds);
        assert_eq!(out, format!("x {seconds}\n").into_bytes());
    }
}
