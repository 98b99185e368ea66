//! InfluxDB 1 has every point with every field in its type.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::{
    rows::{self, Point, Typed},
    server::{self, Server, encoded, free_port},
};

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
        let create = format!("CREATE DATABASE {database}");
        server.post(&format!("/query?q={}", encoded(&create)));
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
