//! InfluxDB 1 has every point with every field in its type.

use std::{collections::BTreeMap, fs, time::Duration};

use ipvs_sampler::sink::{LineCounts, Sinks};
use serde_json::Value;

use support::rows::{self, Point, Typed};

use crate::server::{self, Server, encoded, free_port};

const TIMESTAMP: i64 = 1_700_000_000_123_456_789;

fn start() -> Server {
    Server::start("influxd", "/ping", |command, port, data| {
        let folder = |name: &str| data.join(name).display().to_string();
        let configuration = format!(
            "reporting-disabled = true\nbind-address = \"127.0.0.1:{}\"\n\
             [meta]\ndir = \"{}\"\n[data]\ndir = \"{}\"\nwal-dir = \"{}\"\n\
             [http]\nbind-address = \"127.0.0.1:{port}\"\n[monitor]\nstore-enabled = false\n",
            free_port(),
            folder("meta"),
            folder("data"),
            folder("wal"),
        );
        let path = data.join("influxdb.conf");
        fs::write(&path, configuration).expect("writing");
        command.arg("-config").arg(path);
    })
}

/// The series that a query has for an answer.
fn query(server: &Server, database: &str, query: &str) -> Vec<Value> {
    let path = format!("/query?epoch=ns&db={database}&q={}", encoded(query));
    let answer: Value = serde_json::from_str(&server.get(&path)).expect("JSON");
    let result = &answer["results"][0];
    assert!(result["error"].is_null(), "{query}: {result}");
    result["series"].as_array().cloned().unwrap_or_default()
}

/// Everything in a database.
fn points(server: &Server, database: &str) -> BTreeMap<Point, BTreeMap<String, Typed>> {
    let mut points = BTreeMap::new();
    for series in query(server, database, "SELECT * FROM /.*/ GROUP BY *") {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let tags = series["tags"].as_object().expect("tags");
        // Of another measurement, these are empty.
        let tags: BTreeMap<_, _> = tags
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let columns: Vec<_> = series["columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect();
        for row in series["values"].as_array().expect("rows") {
            let mut timestamp = None;
            let mut fields = BTreeMap::new();
            for (name, value) in columns.iter().zip(row.as_array().expect("a row")) {
                match value {
                    Value::Null => {}
                    _ if name == "time" => timestamp = value.as_i64(),
                    Value::Number(number) => {
                        let number = number.as_i64().expect("an integer");
                        fields.insert(name.clone(), Typed::Integer(number));
                    }
                    other => {
                        fields.insert(name.clone(), Typed::Text(text(other)));
                    }
                }
            }
            let point = (
                text(&series["name"]),
                tags.clone(),
                timestamp.expect("a time"),
            );
            assert!(points.insert(point, fields).is_none(), "a point twice");
        }
    }
    points
}

/// The types of all fields of a measurement.
fn types(server: &Server, database: &str, measurement: &str) -> BTreeMap<String, String> {
    let series = query(
        server,
        database,
        &format!("SHOW FIELD KEYS FROM \"{measurement}\""),
    );
    let rows = series[0]["values"].as_array().expect("rows").iter();
    rows.map(|row| {
        let word = |place: usize| row[place].as_str().expect("text").to_owned();
        (word(0), word(1))
    })
    .collect()
}

#[test]
fn every_point_arrives_with_every_type_compressed_or_not() {
    let server = start();
    // The largest of ours are clipped to the largest that it has.
    let snapshot = rows::director(u64::MAX - 9);
    let lines = rows::lines(&snapshot, TIMESTAMP);
    let written = rows::points(&lines);
    assert_eq!(written.len(), 6 + 18 + 2);
    for gzip in ["on", "off"] {
        let database = format!("lb_{gzip}");
        create(&server, &database);
        let target = format!(
            "influx+http://127.0.0.1:{}/?db={database}&gzip={gzip}",
            server.port
        );
        assert_eq!(server::taken(&target, &lines), written.len() as u64);
        assert_eq!(points(&server, &database), written, "gzip={gzip}");
        for (measurement, _, _) in written.keys() {
            let found = types(&server, &database, measurement);
            let mut expected = BTreeMap::new();
            for ((other, _, _), fields) in &written {
                if other == measurement {
                    expected.extend(fields.iter().map(|(name, value)| {
                        let kind = match value {
                            Typed::Integer(_) => "integer",
                            Typed::Text(_) => "string",
                        };
                        (name.clone(), kind.to_owned())
                    }));
                }
            }
            assert_eq!(found, expected, "{measurement}");
        }
    }
}

/// Sends lines to a database with this name; what became of them.
fn send(server: &Server, database: &str, lines: &str) -> LineCounts {
    let target = format!("influx+http://127.0.0.1:{}/?db={database}", server.port);
    let sinks = Sinks::open(&[target.parse().expect("an output")], usize::MAX).expect("opening");
    sinks.push(&mut lines.as_bytes().to_vec());
    sinks.close(Duration::from_secs(60)).expect("closing");
    let report = sinks.reports().next().expect("a report");
    report.counts
}

fn create(server: &Server, database: &str) {
    let create = format!("CREATE DATABASE {database}");
    server.post(&format!("/query?q={}", encoded(&create)));
}

#[test]
fn what_it_rejects_is_counted_as_it_says_and_stored_otherwise() {
    let server = start();
    create(&server, "lb");
    let counts = send(&server, "lb", "m,t=a v=1i 1\n");
    assert_eq!((counts.written, counts.settled()), (1, 1));
    // Another type in two of four lines.
    let conflict = "m,t=a v=2i 2\nm,t=a v=\"a lines_dropped=0i, dropped=7\" 3\nm,t=a v=\"b\" 4\nm,t=a v=5i 5\n";
    let counts = send(&server, "lb", conflict);
    assert_eq!(
        (counts.written, counts.rejected, counts.uncertain),
        (2, 2, 0)
    );
    // Three of four that cannot be parsed.
    let bad = "m,t=a lines_dropped=x 6\nm,t=a v= 7\nm,t v=8i 8\nm,t=a v=9i 9\n";
    let counts = send(&server, "lb", bad);
    assert_eq!(
        (counts.written, counts.rejected, counts.uncertain),
        (1, 3, 0)
    );
    // All of two.
    let counts = send(&server, "lb", "m,t=a lines_dropped=x 10\nm,t=a v= 11\n");
    assert_eq!(
        (counts.written, counts.rejected, counts.uncertain),
        (0, 2, 0)
    );
    assert_eq!(points(&server, "lb").len(), 4);
}

#[test]
fn a_database_that_is_created_later_gets_what_waited() {
    let server = start();
    let target = format!("influx+http://127.0.0.1:{}/?db=later", server.port);
    let sinks = Sinks::open(&[target.parse().expect("an output")], usize::MAX).expect("opening");
    sinks.push(&mut b"m,t=a v=1i 1\nm,t=a v=2i 2\n".to_vec());
    let counts = || sinks.reports().next().expect("a report").counts;
    server::eventually("it was refused", || (counts().retries > 0).then_some(()));
    assert_eq!(counts().settled(), 0);
    create(&server, "later");
    server::eventually("it is taken", || (counts().written == 2).then_some(()));
    assert_eq!(points(&server, "later").len(), 2);
}
