//! VictoriaMetrics takes every line, and has every number.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use support::rows::{self, Typed};

use crate::server::{self, Server, encoded, eventually};

fn start() -> Server {
    Server::start("victoria-metrics", "/health", |command, port, data| {
        command
            .arg(format!("-storageDataPath={}", data.join("data").display()))
            .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
            .arg("-retentionPeriod=100y");
    })
}

/// Metric and labels.
type Series = BTreeMap<String, String>;

/// Everything that it has of a database, with timestamps in ms.
fn exported(server: &Server, database: &str) -> BTreeMap<(Series, i64), u64> {
    let all = encoded(&format!("{{db=\"{database}\"}}"));
    let mut samples = BTreeMap::new();
    for line in server
        .get(&format!("/api/v1/export?match%5B%5D={all}"))
        .lines()
    {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let metric = line["metric"].as_object().expect("labels");
        let series: Series = metric
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()))
            .filter(|(name, _)| name != "db")
            .collect();
        let of = |key: &str| line[key].as_array().expect("samples").clone();
        for (value, timestamp) in of("values").iter().zip(of("timestamps")) {
            let timestamp = timestamp.as_i64().expect("a time");
            let number = value.as_u64().expect("a whole number");
            let before = samples.insert((series.clone(), timestamp), number);
            assert!(before.is_none(), "a sample twice: {line}");
        }
    }
    samples
}

fn invalid_rows(server: &Server) -> u64 {
    let metrics = server.get("/metrics");
    let prefix = "vm_rows_invalid_total{type=\"influx\"} ";
    let number = metrics.lines().find_map(|line| line.strip_prefix(prefix));
    number.expect("its own metrics").parse().expect("a number")
}

#[test]
fn every_number_arrives_and_no_row_is_invalid_compressed_or_not() {
    let server = start();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    let timestamp = i64::try_from(now.as_nanos()).expect("a time");
    // It keeps numbers of 64 bits as floating point: only up to 2^53 they are exact.
    let snapshot = rows::director((1 << 53) - 10);
    let lines = rows::lines(&snapshot, timestamp);
    let mut expected = BTreeMap::new();
    for ((measurement, tags, timestamp), fields) in rows::points(&lines) {
        for (field, value) in fields {
            let mut series = tags.clone();
            series.insert("__name__".into(), format!("{measurement}_{field}"));
            // Text has no place in it: it is there as 0.
            let number = match value {
                Typed::Integer(number) => u64::try_from(number).expect("not negative"),
                Typed::Text(_) => 0,
            };
            expected.insert((series, timestamp / 1_000_000), number);
        }
    }
    for gzip in ["on", "off"] {
        let database = format!("lb_{gzip}");
        let target = format!(
            "influx+http://127.0.0.1:{}/?db={database}&gzip={gzip}",
            server.port
        );
        assert_eq!(server::taken(&target, &lines), 26);
        eventually("all samples can be read", || {
            server.get("/internal/force_flush");
            (exported(&server, &database).len() >= expected.len()).then_some(())
        });
        assert!(exported(&server, &database) == expected, "gzip={gzip}");
    }
    assert_eq!(invalid_rows(&server), 0);
}
