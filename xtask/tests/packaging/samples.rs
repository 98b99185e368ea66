//! Configurations of those who read the lines, and of the service.

use toml::{Table, Value};

use crate::{check_command_line, names::measurements, read};

fn table(path: &str) -> Table {
    read(path)
        .parse()
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The one table of `[[first.second]]`.
fn plugin<'a>(table: &'a Table, first: &str, second: &str) -> &'a Table {
    let plugins = table[first][second].as_array().unwrap();
    assert_eq!(plugins.len(), 1, "{first}.{second}");
    plugins[0].as_table().unwrap()
}

const TELEGRAF: [(&str, &str); 2] = [
    ("examples/telegraf-execd.conf", "execd"),
    ("examples/telegraf-socket.conf", "socket_listener"),
];

#[test]
fn telegraf_keeps_ten_seconds_of_a_high_rate_and_rounds_no_time() {
    for (path, input) in TELEGRAF {
        let table = table(path);
        let input = plugin(&table, "inputs", input);
        assert_eq!(input["data_format"].as_str(), Some("influx"), "{path}");
        assert!(!input.contains_key("precision"), "{path}");
        let output = plugin(&table, "outputs", "influxdb");
        let limit = output["metric_buffer_limit"].as_integer().unwrap();
        // 1000 destinations at 10 Hz.
        assert!(limit >= 10 * 10_000, "{path}");
        assert!(
            output["metric_batch_size"].as_integer().unwrap() <= limit,
            "{path}"
        );
        assert_eq!(output["flush_interval"].as_str(), Some("1s"), "{path}");
        let prefix = output["namepass"][0]
            .as_str()
            .unwrap()
            .trim_end_matches('*');
        let all = measurements();
        assert!(
            all.iter().all(|series| series.name.starts_with(prefix)),
            "{path}"
        );
    }
}

#[test]
fn telegraf_starts_the_sampler_with_options_that_it_has() {
    let table = table(TELEGRAF[0].0);
    let input = plugin(&table, "inputs", "execd");
    let command = input["command"].as_array().unwrap();
    let mut command = command.iter().map(|word| word.as_str().unwrap());
    assert_eq!(command.next(), Some("/usr/bin/ipvs-sampler"));
    check_command_line(command);
    assert_eq!(input["signal"].as_str(), Some("none"));
}

#[test]
fn options_in_comments_and_in_the_services_defaults_are_options() {
    let mut seen = 0;
    for path in [
        "debian/default",
        "examples/telegraf-socket.conf",
        "examples/vector.toml",
    ] {
        let text = read(path);
        for line in text.lines() {
            let Some((_, rest)) = line.split_once("IPVS_SAMPLER_OPTIONS=") else {
                continue;
            };
            let options = rest.trim_matches('"');
            check_command_line(["run"].into_iter().chain(options.split_whitespace()));
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn telegraf_and_vector_listen_where_the_sampler_writes() {
    let text = read(TELEGRAF[1].0);
    let table = table(TELEGRAF[1].0);
    let address = plugin(&table, "inputs", "socket_listener")["service_address"]
        .as_str()
        .unwrap();
    assert!(text.contains(&format!("--output {address}")), "{address}");
    let text = read("examples/vector.toml");
    let vector: Table = text.parse().unwrap();
    let source = &vector["sources"]["ipvs"];
    let address = source["address"].as_str().unwrap();
    assert!(
        text.contains(&format!("--output tcp://{address}")),
        "{address}"
    );
    assert_eq!(
        vector["sinks"]["influxdb"]["inputs"][0],
        Value::from("ipvs")
    );
}

#[test]
fn keys_of_the_configuration_file_are_options_of_run() {
    for (key, value) in table("examples/config.toml") {
        let one = |value: &Value| format!("--{key}={}", value.as_str().unwrap());
        let options = match &value {
            Value::Array(values) => values.iter().map(one).collect(),
            value => vec![one(value)],
        };
        check_command_line(
            ["run"]
                .into_iter()
                .chain(options.iter().map(String::as_str)),
        );
    }
}

#[test]
fn the_unit_runs_a_command_that_there_is() {
    let unit = read("ipvs-sampler.service");
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    assert_eq!(line, "/usr/bin/ipvs-sampler run $IPVS_SAMPLER_OPTIONS");
    let default = "Environment=IPVS_SAMPLER_OPTIONS=";
    let options = unit
        .lines()
        .find_map(|line| line.strip_prefix(default))
        .unwrap();
    check_command_line(["run", options]);
}
