//! Prometheus finds nothing to complain about in a page, scrapes it, and has every number.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use ipvs_sampler::{
    encode::{MetricNames, Moments, Prometheus},
    schema::{DestinationRow, FieldSet, ServiceRow, TagStyle, sampler},
    sink::{PageFormat, Sinks},
};
use serde_json::Value;

use support::rows;

use crate::server::{Server, encoded, eventually, free_port, program};

/// Labels, the metric's name among them, and the number.
type Samples = BTreeMap<BTreeMap<String, String>, f64>;

fn page(names: MetricNames) -> Prometheus {
    let mut page = Prometheus::new(names, FieldSet::Extended, &rows::tags());
    // Numbers are floating point to Prometheus: only up to 2^53 they are exact.
    let snapshot = rows::director((1 << 53) - 10);
    for netns in [None, Some("green \"two\"\\")] {
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
        page.totals(&[1, 2, 3, 4, 5], &style);
        let moments = Moments {
            snapshot: Some(1_700_000_000_123_456_789),
            tick: Some(1_700_000_001_000_000_000),
        };
        rows::with_report(|health, report| {
            page.sampler(&sampler::fields(health, report), moments, &style);
        });
    }
    page.output(&rows::output());
    page
}

fn text(page: &Prometheus, format: PageFormat) -> Vec<u8> {
    let mut out = Vec::new();
    page.write(&mut out, format);
    out
}

#[test]
fn promtool_has_no_complaint() {
    for names in [MetricNames::Native, MetricNames::Node] {
        let text = text(&page(names), PageFormat::Text);
        let mut child = program("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool");
        child
            .stdin
            .take()
            .expect("a pipe")
            .write_all(&text)
            .expect("writing");
        let output = child.wait_with_output().expect("waiting");
        let said = [output.stdout, output.stderr].concat();
        assert_eq!(String::from_utf8_lossy(&said), "", "{names:?}");
        assert_eq!(output.status.code(), Some(0), "{names:?}");
    }
}

/// Serves a page for as long as `work` takes, as ticks of 50 ms do.
fn serving<T>(page: &Prometheus, work: impl FnOnce(u16) -> T) -> T {
    let port = free_port();
    let target = format!("prometheus://:{port}");
    let sinks = Sinks::open(&[target.parse().expect("an output")], usize::MAX).expect("opening");
    let pages = sinks.pages().expect("an output for pages");
    pages.set_period(Duration::from_millis(50));
    let done = AtomicBool::new(false);
    /// Also when the work panics: the scope waits for the thread.
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if let Some(wanted) = pages.wanted(false) {
                    pages.publish(wanted, |out, format| page.write(out, format));
                }
                thread::sleep(Duration::from_millis(50));
            }
        });
        let _done = Done(&done);
        work(port)
    })
}

/// What is written, read by the rules of the text format.
fn samples(text: &[u8]) -> Samples {
    let mut samples = Samples::new();
    for line in str::from_utf8(text).unwrap().lines() {
        if line.starts_with('#') {
            continue;
        }
        let (series, number) = line.rsplit_once(' ').expect("a number");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let mut all = BTreeMap::from([("__name__".to_owned(), name.to_owned())]);
        let mut rest = labels.strip_suffix('}').expect("the end of the labels");
        while let Some((label, after)) = rest.split_once("=\"") {
            // A quotation mark after an even number of backslashes.
            let bytes = after.as_bytes();
            let escaped = |end: usize| {
                bytes[..end]
                    .iter()
                    .rev()
                    .take_while(|b| **b == b'\\')
                    .count()
                    % 2
                    == 1
            };
            let end = (0..bytes.len()).find(|end| bytes[*end] == b'"' && !escaped(*end));
            let end = end.expect("the end of a label");
            let value = after[..end].replace("\\\\", "\0").replace("\\\"", "\"");
            let value = value.replace("\\n", "\n").replace('\0', "\\");
            // An empty label is none.
            if !value.is_empty() {
                all.insert(label.into(), value);
            }
            rest = after[end + 1..].trim_start_matches(',');
        }
        let before = samples.insert(all, number.parse().expect("a number"));
        assert!(before.is_none(), "twice: {line}");
    }
    samples
}

/// What Prometheus has of the job.
fn query(server: &Server, query: &str) -> Samples {
    let answer = server.get(&format!("/api/v1/query?query={}", encoded(query)));
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["status"], "success", "{answer}");
    let series = answer["data"]["result"].as_array().expect("series").iter();
    series
        .map(|series| {
            let labels = series["metric"].as_object().expect("labels");
            let labels = labels
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()))
                .filter(|(name, _)| name != "job" && name != "instance")
                .collect();
            let number = series["value"][1].as_str().expect("a number");
            (labels, number.parse().expect("a number"))
        })
        .collect()
}

#[test]
fn a_running_prometheus_has_every_number() {
    for names in [MetricNames::Native, MetricNames::Node] {
        let page = page(names);
        let expected = samples(&text(&page, PageFormat::Text));
        assert!(expected.len() > 80);
        serving(&page, |port| {
            let server = Server::start("prometheus", "/-/ready", |command, own, data| {
                let configuration = format!(
                    "global: {{scrape_interval: 1s}}\n\
                     scrape_configs: [{{job_name: ipvs, static_configs: [{{targets: \
                     ['127.0.0.1:{port}']}}]}}]\n"
                );
                let path = data.join("prometheus.yml");
                fs::write(&path, configuration).expect("writing");
                command
                    .arg(format!("--config.file={}", path.display()))
                    .arg(format!(
                        "--storage.tsdb.path={}",
                        data.join("data").display()
                    ))
                    .arg(format!("--web.listen-address=127.0.0.1:{own}"));
            });
            let up = eventually("a scrape", || {
                query(&server, "up{job='ipvs'}").into_values().next()
            });
            assert_eq!(up, 1.0, "{}", server.get("/api/v1/targets"));
            // Its own metrics about the scrape aside.
            let all = "{job='ipvs',__name__=~'ipvs_.+|node_.+'}";
            let found = query(&server, all);
            for (series, number) in &expected {
                assert_eq!(found.get(series), Some(number), "{series:?}");
            }
            assert_eq!(found.len(), expected.len());
            let scraped = query(&server, "scrape_samples_scraped{job='ipvs'}");
            assert_eq!(scraped.into_values().next(), Some(expected.len() as f64));
        });
    }
}

#[test]
fn prometheus_prefers_openmetrics_and_gets_it() {
    let page = page(MetricNames::Native);
    serving(&page, |port| {
        let ask = |accept: &str| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connecting");
            write!(
                stream,
                "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
            )
            .expect("asking");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).expect("an answer");
            answer
        };
        // As Prometheus 2.42 asks.
        let answer = ask(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
             version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        );
        assert!(answer.ends_with(&text(&page, PageFormat::OpenMetrics)));
        assert!(ask("*/*").ends_with(&text(&page, PageFormat::Text)));
    });
}
