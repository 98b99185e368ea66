//! Queries of Prometheus: their metrics and labels. What is in them is found by its form, without a parser:
//! promtool, where it can be had, is one (`cargo xtask package-test`).

use yaml_rust2::{Yaml, YamlLoader};

use crate::{
    names::{is_label, metrics},
    read,
};

/// Fails when a query speaks of what there is not.
pub(crate) fn check_query(query: &str) {
    let known = metrics();
    for metric in words(query).filter(|word| word.starts_with("ipvs_")) {
        assert!(
            known.iter().any(|name| name == metric),
            "no metric {metric}: {query}"
        );
    }
    for label in labels_in(query) {
        assert!(is_label(label), "no label {label}: {query}");
    }
    for [open, close] in [['(', ')'], ['{', '}'], ['[', ']']] {
        let count = |bracket| query.matches(bracket).count();
        assert_eq!(count(open), count(close), "{query}");
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// Names before `=`, `!=`, `=~` in braces, and those listed after by, on, group_left and the like.
fn labels_in(query: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for part in query.split('{').skip(1) {
        let inside = part.split('}').next().unwrap_or_default();
        let matchers = inside.split(", ").filter(|matcher| !matcher.is_empty());
        found.extend(matchers.map(|matcher| {
            let (name, _) = matcher.split_once(['=', '!']).unwrap_or((matcher, ""));
            name.trim()
        }));
    }
    for keyword in ["by (", "on (", "group_left ("] {
        for part in query.split(keyword).skip(1) {
            let inside = part.split(')').next().unwrap_or_default();
            found.extend(
                inside
                    .split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty()),
            );
        }
    }
    found
}

#[test]
fn labels_are_found_wherever_they_stand() {
    let query = r#"sum by (a, b) (rate(m{c=~"$x", d!="y"}[5m])) / on (e) group_left () n"#;
    assert_eq!(labels_in(query), ["c", "d", "a", "b", "e"]);
}

#[test]
fn alert_rules_speak_of_metrics_that_there_are() {
    let documents = YamlLoader::load_from_str(&read("examples/prometheus-rules.yml")).unwrap();
    let mut alerts = Vec::new();
    for group in documents[0]["groups"].as_vec().unwrap() {
        for rule in group["rules"].as_vec().unwrap() {
            let alert = rule["alert"].as_str().unwrap();
            assert!(!alerts.contains(&alert), "{alert} twice");
            alerts.push(alert);
            check_query(rule["expr"].as_str().unwrap());
            assert!(rule["for"].as_str().is_some(), "{alert}");
            assert!(rule["labels"]["severity"].as_str().is_some(), "{alert}");
            for annotation in ["summary", "description"] {
                let text = rule["annotations"][annotation].as_str().unwrap();
                for part in text.split("$labels.").skip(1) {
                    let label = words(part).next().unwrap();
                    assert!(is_label(label), "no label {label}: {text}");
                }
            }
        }
    }
    assert!(alerts.len() >= 5, "{alerts:?}");
}

#[test]
fn the_scrape_configuration_names_rules_that_are_there() {
    let documents = YamlLoader::load_from_str(&read("examples/prometheus.yml")).unwrap();
    let files = documents[0]["rule_files"].as_vec().unwrap();
    for file in files.iter().filter_map(Yaml::as_str) {
        read(&format!("examples/{file}"));
    }
    let job = &documents[0]["scrape_configs"][0];
    assert_eq!(job["job_name"].as_str(), Some("ipvs-sampler"));
    let targets = job["static_configs"][0]["targets"].as_vec().unwrap();
    assert!(
        targets
            .iter()
            .filter_map(Yaml::as_str)
            .all(|target| target.ends_with(":10117"))
    );
}
