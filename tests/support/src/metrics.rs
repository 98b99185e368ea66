//! Scrapes the sampler and reads the page with a reader of its own, as strict as Prometheus' formats are.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::eventually;

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// Samples by metric and labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Each value as it is written.
    pub samples: BTreeMap<(String, Labels), String>,
    /// By the name that samples have.
    pub kinds: BTreeMap<String, String>,
}

/// Scrapes until the page is of a tick that began after this call: a machine may be too slow for the first.
pub fn scrape(port: u16) -> Page {
    let asked = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock")
        .as_secs_f64();
    eventually("a fresh page", || {
        let page = Page::parse(&get(port, "text/plain").1);
        let ticks = page.of("ipvs_sampler_tick_timestamp_seconds");
        let fresh = !ticks.is_empty()
            && ticks.iter().all(|(_, moment)| {
                let moment: f64 = moment.parse().expect("a number");
                moment >= asked
            });
        fresh.then_some(page)
    })
}

/// A page; the head and the body of the answer.
pub fn get(port: u16, accept: &str) -> (String, String) {
    let (head, body) = ask(port, "/metrics", accept);
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    (head, body)
}

/// One request; the head and the body of the answer.
pub fn ask(port: u16, path: &str, accept: &str) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connecting");
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("a limit");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    )
    .expect("asking");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

impl Page {
    /// Reads the text format 0.0.4.
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line ends");
        let mut page = Self::default();
        let mut helped = BTreeSet::new();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a help");
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a type");
                assert!(helped.contains(name), "help comes first: {line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                let before = page.kinds.insert(name.into(), kind.into());
                assert!(before.is_none(), "its samples are apart: {line}");
                current = name.into();
            } else {
                let (name, labels, value) = sample(line);
                assert_eq!(name, current, "{line}");
                let before = page.samples.insert((name, labels), value);
                assert!(before.is_none(), "twice: {line}");
            }
        }
        page
    }

    /// All samples of a metric.
    pub fn of(&self, name: &str) -> Vec<(&Labels, &str)> {
        let samples = self.samples.iter();
        samples
            .filter(|((other, _), _)| other == name)
            .map(|((_, labels), value)| (labels, value.as_str()))
            .collect()
    }

    /// The sum over all samples of a metric.
    pub fn sum(&self, name: &str) -> u64 {
        let numbers = self.of(name).into_iter();
        numbers
            .map(|(_, value)| value.parse::<u64>().expect("a whole number"))
            .sum()
    }
}

/// `name{label="value",...} number`
#[track_caller]
fn sample(line: &str) -> (String, Labels, String) {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    value.parse::<f64>().expect("a number");
    let Some((name, rest)) = series.split_once('{') else {
        return (series.into(), Labels::new(), value.into());
    };
    let mut rest = rest.strip_suffix('}').expect("the end of the labels");
    let mut labels = Labels::new();
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").expect("a label");
        let mut text = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next().expect("the end of a label") {
                (end, '"') => break end,
                (_, '\\') => match characters.next().expect("what is escaped").1 {
                    'n' => text.push('\n'),
                    other @ ('\\' | '"') => text.push(other),
                    other => panic!("\\{other} in {line}"),
                },
                (_, other) => text.push(other),
            }
        };
        assert!(labels.insert(label.into(), text).is_none(), "{line}");
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    (name.into(), labels, value.into())
}
