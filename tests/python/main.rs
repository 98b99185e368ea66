//! Every line that we write is understood by a strict parser in Python, as it was meant.
//!
//! `cargo xtask test` fetches the package line-protocol-parser of PyPI, which reads as InfluxDB 1.2 did, and
//! Debian's Python, and runs these on the host.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking, helpers included"
)]

mod parser;

use std::collections::BTreeMap;

use ipvs_sampler::{
    encode::Influx,
    schema::{DestinationRow, FieldSet, ServiceRow, TagStyle, TagValue, Value},
};
use support::{rows, rows::Typed};

const TIMESTAMP: i64 = 1_700_000_000_123_456_789;

/// Text with all that means something in line protocol, alone, beside a backslash and at both ends.
const NASTY: [&str; 26] = [
    " ",
    ",",
    "=",
    "\"",
    "#",
    " a ",
    ",a,",
    "=a=",
    "\"a\"",
    "#a",
    "a b,c=d\"e\"",
    "a  b,,c==d",
    r"\a",
    r"a\b",
    r"a\\b",
    r"a\ b",
    r"a\,b",
    r"a\=b",
    r#"a\"b"#,
    r"a\\ b",
    r"C:\new\temp",
    "1i",
    "true",
    "größer, 漢字 = 🦀",
    "e\u{301} \u{a0}\u{2028}",
    "\u{feff}a\u{7f}",
];

/// What line protocol cannot hold, and what stands in its place.
const REPLACED: [(&str, &str); 6] = [
    ("a\tb", r"a\tb"),
    ("a\nb", r"a\nb"),
    ("a\r\nb", r"a\r\nb"),
    ("a\x0cb", r"a\fb"),
    ("a\\", "a"),
    ("a, \\\\", "a, "),
];

/// A service and a destination with one further tag.
fn lines_with_tag(name: &str, value: &str) -> Vec<u8> {
    let encoder = Influx {
        style: TagStyle {
            further: vec![(name.to_owned(), value.to_owned())],
            ..TagStyle::default()
        },
    };
    let snapshot = rows::director(1);
    let (service, destinations) = snapshot.iter().next().unwrap();
    let mut out = Vec::new();
    let set = FieldSet::Extended;
    encoder.service(&mut out, &ServiceRow::new(service), set, TIMESTAMP);
    let row = DestinationRow::new(service, &destinations[0]);
    encoder.destination(&mut out, &row, set, TIMESTAMP);
    out
}

#[test]
fn every_line_of_a_snapshot_says_the_same_to_two_parsers() {
    let lines = rows::lines(&rows::director(u64::MAX - 9), TIMESTAMP);
    let parsed = parser::parse(&lines);
    assert_eq!(parsed.len(), 6 + 18 + 2);
    let parsed: BTreeMap<_, _> = parsed.into_iter().map(Result::unwrap).collect();
    assert_eq!(parsed, rows::points(&lines));
    let mut measurements: Vec<_> = parsed.keys().map(|(name, _, _)| name.as_str()).collect();
    measurements.dedup();
    assert_eq!(
        measurements,
        [
            "ipvs_real_server",
            "ipvs_sampler",
            "ipvs_sampler_output",
            "ipvs_virtual_server"
        ]
    );
}

#[test]
fn any_further_tag_is_read_as_it_was_given() {
    let own: Vec<_> = parser::parse(&lines_with_tag("rack", "7"))
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(own[0].0.1["address"], "192.0.2.1");
    let unchanged = NASTY.map(|text| (text, text, text));
    let replaced = REPLACED.map(|(given, read)| ("rack", given, read));
    let mut lines = Vec::new();
    let mut expected = Vec::new();
    for (name, given, read) in unchanged.into_iter().chain(replaced) {
        lines.extend(lines_with_tag(name, given));
        for ((measurement, tags, timestamp), fields) in &own {
            let mut tags = tags.clone();
            tags.remove("rack");
            tags.insert(name.into(), read.into());
            expected.push(((measurement.clone(), tags, *timestamp), fields.clone()));
        }
    }
    let parsed = parser::parse(&lines);
    assert_eq!(parsed.len(), expected.len());
    for (parsed, expected) in parsed.into_iter().zip(&expected) {
        assert_eq!(parsed.as_ref(), Ok(expected));
    }
}

#[test]
fn any_text_and_any_number_is_read_as_it_was_given() {
    let control = REPLACED[..4].iter().copied();
    let texts = NASTY.map(|text| (text, text)).into_iter().chain(control);
    // The end of a text is marked, so a backslash may stand there.
    let texts: Vec<_> = texts
        .chain([("", ""), ("a\\", "a\\"), ("\\", "\\")])
        .collect();
    let numbers = [
        (Value::Integer(0), 0),
        (Value::Integer(-1), -1),
        (Value::Integer(i64::MAX), i64::MAX),
        (Value::Integer(i64::MIN), i64::MIN),
        (Value::Unsigned(0), 0),
        (Value::Unsigned(1 << 53), 1 << 53),
        // It has no larger one.
        (Value::Unsigned(u64::MAX), i64::MAX),
    ];
    let given = texts.iter().map(|(given, _)| Value::Text(given));
    let read = texts.iter().map(|(_, read)| Typed::Text((*read).into()));
    let given = given.chain(numbers.iter().map(|(given, _)| *given));
    let read = read.chain(numbers.iter().map(|(_, read)| Typed::Integer(*read)));
    let mut lines = Vec::new();
    let mut expected = Vec::new();
    for (given, read) in given.zip(read) {
        let tags = [("netns", TagValue::Text("blue"))];
        let fields = [("before", Value::Integer(1)), ("field", given)];
        Influx::default().fields(&mut lines, "ipvs_sampler", &tags, &fields, TIMESTAMP);
        let tags = BTreeMap::from([("netns".to_owned(), "blue".to_owned())]);
        let point = ("ipvs_sampler".to_owned(), tags, TIMESTAMP);
        let fields = [("before", Typed::Integer(1)), ("field", read)];
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        expected.push((point, BTreeMap::from(fields)));
    }
    let parsed = parser::parse(&lines);
    assert_eq!(parsed.len(), expected.len());
    for (parsed, expected) in parsed.into_iter().zip(&expected) {
        assert_eq!(parsed.as_ref(), Ok(expected));
    }
}

/// Otherwise the tests above would mean little.
#[test]
fn spoiled_lines_are_refused() {
    let tags = [("path", TagValue::Text("a b,c=d"))];
    let fields = [
        ("reason", Value::Text(r#"it said "no""#)),
        ("ticks", Value::Unsigned(77)),
    ];
    let mut line = Vec::new();
    Influx::default().fields(&mut line, "ipvs_sampler", &tags, &fields, 1_700_000_000);
    let line = String::from_utf8(line).unwrap();
    assert!(parser::parse(line.as_bytes())[0].is_ok(), "{line}");
    let spoiled = [
        ("a space in a tag without its escape", r"\ ", " "),
        ("a comma in a tag without its escape", r"\,", ","),
        ("an equals sign in a tag without its escape", r"\=", "="),
        ("a tag without a value", r"a\ b\,c\=d", ""),
        ("a tag without a name", ",path=", ",="),
        ("a tag that ends with a backslash", r"\=d ", r"\=d\ "),
        ("a tag twice", ",path=", ",path=x,path="),
        ("no measurement", "ipvs_sampler,", ","),
        ("a quotation mark without its escape", r#"\""#, "\""),
        ("a text without its end", r#"\"","#, r#"\","#),
        ("a text without its beginning", "=\"it", "=it"),
        ("a field without a value", "=77i", "="),
        ("a field without a name", "ticks=", "="),
        ("a comma after the last field", "77i", "77i,"),
        ("an integer of two types", "77i", "77ii"),
        ("an integer without its type", "77i", "77"),
        ("a number that is too large", "77i", "9223372036854775808i"),
        ("a timestamp that is none", "1700000000", "170000000x"),
        ("a fraction of a nanosecond", "1700000000", "1700000000.5"),
        ("two timestamps", "1700000000", "1700000000 1"),
        ("no timestamp", " 1700000000", ""),
    ];
    let lines = spoiled.map(|(what, from, to)| {
        assert!(line.contains(from), "{what}: {line}");
        line.replacen(from, to, 1)
    });
    let parsed = parser::parse(lines.concat().as_bytes());
    for (((what, _, _), line), parsed) in spoiled.iter().zip(&lines).zip(parsed) {
        assert!(parsed.is_err(), "{what}: {line}{parsed:?}");
    }
}
