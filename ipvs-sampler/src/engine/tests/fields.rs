//! Which fields lines have, mode by mode: what the tables say.

use std::collections::BTreeSet;

use ipvs_sampler_common::Arrival;

use super::{Run, choices, world::Chances};
use crate::{
    engine::{Choices, Due, ProbeUse},
    publish::Lines,
    schema::{
        DestinationRow, FieldSet, Measurement, Modes, ServiceRow, TagStyle, Value,
        sampler::SamplerRow,
    },
    sink,
};

/// What a line is about, beside its measurement.
#[derive(Clone, Copy, Debug)]
struct Line {
    mode: &'static str,
    /// Of a complete snapshot.
    complete: bool,
    /// A connection followed an earlier one.
    pair: bool,
}

/// The fields that the table gives such a line.
fn expected<Row>(table: &Measurement<'_, Row>, line: Line) -> BTreeSet<String> {
    let in_between = !line.complete && line.mode == "events";
    let fields = table.fields.iter().filter(|field| {
        let in_mode = match field.modes {
            Modes::All => true,
            Modes::Probe => matches!(line.mode, "live" | "events"),
            Modes::Live => line.mode == "live",
        };
        let now = match field.when {
            "" => true,
            "in complete snapshots" => line.complete,
            "in complete snapshots, when a connection followed an earlier one" => {
                line.complete && line.pair
            }
            unknown => panic!("{}: {unknown}", field.name),
        };
        in_mode && now && (!in_between || field.set == FieldSet::Scheduled)
    });
    fields.map(|field| field.name.to_owned()).collect()
}

/// Holds each line of a tick against the tables, and says how many lines there were of each measurement.
fn check(text: &[u8], mode: &'static str, complete: bool, pair: bool) -> [usize; 3] {
    let text = std::str::from_utf8(text).unwrap();
    let mut seen = [0; 3];
    for parsed in influxdb_line_protocol::parse_lines(text) {
        let parsed = parsed.unwrap();
        let line = Line {
            mode,
            complete,
            pair,
        };
        let (index, expected) = match parsed.series.measurement.as_str() {
            "ipvs_virtual_server" => (0, expected(&ServiceRow::MEASUREMENT, line)),
            "ipvs_real_server" => (1, expected(&DestinationRow::MEASUREMENT, line)),
            _ => (2, expected(&SamplerRow::MEASUREMENT, line)),
        };
        let fields = parsed.field_set.iter();
        let found: BTreeSet<_> = fields.map(|(name, _)| name.to_string()).collect();
        assert_eq!(found, expected, "{line:?}: {parsed}");
        seen[index] += 1;
    }
    seen
}

fn run(probe: ProbeUse, live: bool) -> Run {
    let choices = Choices {
        probe,
        ..choices(live)
    };
    Run::with(7, Chances::default(), live, choices)
}

fn tick(run: &mut Run, due: Due) -> Vec<u8> {
    run.tick(due).unwrap();
    std::mem::take(&mut run.text)
}

#[test]
fn lines_have_the_fields_that_the_tables_say() {
    for (mode, probe, live) in [
        ("live", ProbeUse::Wanted, true),
        ("events", ProbeUse::Wanted, false),
        ("netlink", ProbeUse::Off, false),
    ] {
        let mut run = run(probe, live);
        // The first complete snapshot is like any other.
        let (mut complete, mut between) = ([0; 3], [0; 3]);
        for _ in 0..6 {
            add(
                &mut complete,
                check(&tick(&mut run, Due::Interval), mode, true, false),
            );
            assert_eq!(run.sampler.ladder.mode().name(), mode);
            for _ in 0..20 {
                add(
                    &mut between,
                    check(&tick(&mut run, Due::Window), mode, false, false),
                );
            }
        }
        assert!(
            complete.iter().all(|count| *count > 0),
            "{mode}: {complete:?}"
        );
        assert_eq!(between[0] > 0, mode == "live", "{mode}: {between:?}");
        assert_eq!(between[1] > 0, mode != "netlink", "{mode}: {between:?}");
    }
}

#[test]
fn without_extended_fields_lines_have_the_others() {
    fn default<Row>(table: &Measurement<'_, Row>) -> BTreeSet<String> {
        let fields = table.fields.iter();
        let fields = fields.filter(|field| field.set != FieldSet::Extended);
        fields.map(|field| field.name.to_owned()).collect()
    }
    let mut run = run(ProbeUse::Wanted, true);
    run.lines = Lines::new(TagStyle::default(), FieldSet::All);
    let text = String::from_utf8(tick(&mut run, Due::Interval)).unwrap();
    let mut seen = 0;
    for parsed in influxdb_line_protocol::parse_lines(&text) {
        let parsed = parsed.unwrap();
        let expected = match parsed.series.measurement.as_str() {
            "ipvs_virtual_server" => default(&ServiceRow::MEASUREMENT),
            "ipvs_real_server" => default(&DestinationRow::MEASUREMENT),
            _ => continue,
        };
        let fields = parsed.field_set.iter();
        let found: BTreeSet<_> = fields.map(|(name, _)| name.to_string()).collect();
        assert_eq!(found, expected, "{parsed}");
        seen += 1;
    }
    assert!(seen > 0, "{text}");
}

fn add(sums: &mut [usize; 3], more: [usize; 3]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum += more;
    }
}

#[test]
fn interarrival_times_are_there_when_a_connection_followed_an_earlier_one() {
    for (mode, live) in [("live", true), ("events", false)] {
        let mut run = run(ProbeUse::Wanted, live);
        check(&tick(&mut run, Due::Interval), mode, true, false);
        // So that no destination goes away.
        run.world.borrow_mut().quiet = true;
        {
            let mut world = run.world.borrow_mut();
            let mut objects = world.objects.iter();
            let (_, object) = objects.find(|(key, _)| key.1.is_some()).unwrap();
            let probe = world.probe.as_ref().unwrap();
            let slot = probe.slot(object.address).unwrap();
            let now = u64::try_from(world.monotonic).unwrap();
            world.arrivals.extend([0, 1000].map(|later| Arrival {
                slot,
                reserved: 0,
                time_ns: now + later,
            }));
        }
        tick(&mut run, Due::Window);
        let text = tick(&mut run, Due::Interval);
        let text = String::from_utf8(text).unwrap();
        let with: Vec<_> = text
            .lines()
            .filter(|line| line.contains("interarrival"))
            .collect();
        assert_eq!(with.len(), 1, "{text}");
        check(with[0].as_bytes(), mode, true, true);
    }
}

#[test]
fn the_line_about_the_sampler_is_the_same_while_it_waits() {
    let mut run = run(ProbeUse::Wanted, true);
    run.world.borrow_mut().quiet = true;
    run.world.borrow_mut().reload();
    assert!(!run.world.borrow().loaded);
    for _ in 0..3 {
        let text = tick(&mut run, Due::Interval);
        let mode = run.sampler.ladder.mode().name();
        // The script loads the module again, sooner or later.
        if mode == "waiting" {
            assert_eq!(check(&text, mode, true, false)[2], 1);
            return;
        }
    }
    panic!("it never waited");
}

#[test]
fn a_line_about_an_output_has_what_the_output_counts() {
    let counts = sink::LineCounts::default();
    for (label, counts, more) in [
        ("stdout", counts, ""),
        (
            "file:/a?rotate-size=1MiB",
            sink::LineCounts {
                deleted: Some(sink::Deleted::default()),
                ..counts
            },
            "only for a file output that rotates",
        ),
        (
            "prometheus://:10117",
            sink::LineCounts {
                requests: Some(sink::RequestCounts::default()),
                ..counts
            },
            "only for prometheus:// outputs",
        ),
    ] {
        let report = sink::OutputReport {
            label,
            counts,
            waiting: 0,
        };
        for field in sink::OutputReport::MEASUREMENT.fields {
            let is_there = (field.value)(&report) != Value::Absent;
            assert_eq!(
                is_there,
                field.when.is_empty() || field.when == more,
                "{label}: {}",
                field.name
            );
        }
    }
}
