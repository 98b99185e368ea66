//! Grafana's dashboards.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    names::{Series, measurements},
    read,
    rules::check_query,
};

const INFLUX: &str = "grafana/ipvs-sampler-influxdb.json";
const PROMETHEUS: &str = "grafana/ipvs-sampler-prometheus.json";

fn board(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap()
}

fn panels(board: &Value) -> &[Value] {
    board["panels"].as_array().unwrap()
}

/// The panels' queries, and those of the variables.
fn queries(board: &Value, key: &str) -> Vec<String> {
    let targets = panels(board)
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten()
        .map(|target| target[key].as_str().unwrap().to_owned());
    let variables = board["templating"]["list"].as_array().unwrap().iter();
    let variables = variables
        .filter(|variable| variable["type"] == "query")
        .map(|variable| variable["query"].as_str().unwrap().to_owned());
    targets.chain(variables).collect()
}

#[test]
fn each_panel_has_an_id_of_its_own_and_a_query() {
    for path in [INFLUX, PROMETHEUS] {
        let board = board(path);
        let mut ids = BTreeSet::new();
        for panel in panels(&board) {
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{path}: {}",
                panel["id"]
            );
            assert!(!panel["title"].as_str().unwrap().is_empty(), "{path}");
            if panel["type"] == "row" {
                continue;
            }
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{path}");
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{path}: {}", panel["title"]);
            let letters: BTreeSet<_> = targets
                .iter()
                .map(|target| target["refId"].as_str())
                .collect();
            assert_eq!(letters.len(), targets.len(), "{path}: {}", panel["title"]);
        }
    }
}

#[test]
fn panels_lie_in_the_grid_and_not_on_each_other() {
    for path in [INFLUX, PROMETHEUS] {
        let board = board(path);
        let mut taken = BTreeSet::new();
        for panel in panels(&board) {
            let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
            assert!(
                at("w") > 0 && at("h") > 0 && at("x") + at("w") <= 24,
                "{path}: {panel}"
            );
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(
                        taken.insert((x, y)),
                        "{path}: {} at {x}, {y}",
                        panel["title"]
                    );
                }
            }
        }
    }
}

#[test]
fn every_variable_is_defined_and_used() {
    for (path, key) in [(INFLUX, "query"), (PROMETHEUS, "expr")] {
        let board = board(path);
        let variables = board["templating"]["list"].as_array().unwrap();
        let names: Vec<_> = variables
            .iter()
            .map(|variable| variable["name"].as_str().unwrap())
            .collect();
        let text = queries(&board, key).join("\n");
        for name in names.iter().filter(|name| **name != "datasource") {
            assert!(
                text.contains(&format!("${name}")),
                "{path}: {name} is not used"
            );
        }
        for part in text.split('$').skip(1) {
            let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let used = &part[..end.unwrap_or(part.len())];
            let grafanas = used.starts_with("__") || used == "timeFilter" || used.is_empty();
            assert!(
                grafanas || names.contains(&used),
                "{path}: no variable {used}"
            );
        }
    }
}

#[test]
fn influx_queries_speak_of_what_the_schema_has() {
    let all = measurements();
    for query in queries(&board(INFLUX), "query") {
        let series = measured(&query, &all);
        for name in quoted(&query) {
            let known = name == series.name
                || series.tags.contains(&name)
                || series.fields.contains(&name)
                // What an inner query calls its result.
                || query.contains(&format!("AS \"{name}\""));
            assert!(known, "{} has no {name}: {query}", series.name);
        }
        // Only tags are compared with expressions, and grouped by.
        for (name, _) in query.match_indices(" =~ ").filter_map(|(at, _)| {
            let before = query[..at].trim_end_matches('"');
            Some((before.rsplit_once('"')?.1, at))
        }) {
            assert!(series.tags.contains(&name), "{name} is no tag: {query}");
        }
        for group in query.split("GROUP BY ").skip(1) {
            let group = group.split(" fill(").next().unwrap_or_default();
            let group = group.trim_start_matches("time($__interval)");
            let group = group.split(')').next().unwrap_or_default();
            for name in quoted(group) {
                assert!(series.tags.contains(&name), "{name} is no tag: {query}");
            }
        }
        assert_eq!(
            query.matches('(').count(),
            query.matches(')').count(),
            "{query}"
        );
    }
}

fn measured<'a>(query: &str, all: &'a [Series]) -> &'a Series {
    let mut names = query
        .split("FROM \"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap());
    let name = names.next().unwrap();
    assert!(names.next().is_none(), "more than one measurement: {query}");
    let found = all.iter().find(|series| series.name == name);
    found.unwrap_or_else(|| panic!("no measurement {name}: {query}"))
}

/// What stands in double quotes, which InfluxQL has around names.
fn quoted(query: &str) -> impl Iterator<Item = &str> {
    query.split('"').skip(1).step_by(2)
}

#[test]
fn prometheus_queries_speak_of_metrics_that_there_are() {
    for query in queries(&board(PROMETHEUS), "expr") {
        let inner = query
            .strip_prefix("label_values(")
            .and_then(|rest| rest.strip_suffix(')'));
        let query = inner.map_or(&*query, |inner| inner.rsplit_once(", ").unwrap().0);
        check_query(query);
    }
}
