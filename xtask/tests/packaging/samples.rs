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

/// Each key of a configuration as the option that it stands for.
fn check_configuration(configuration: Table) {
    for (key, value) in configuration {
        let one = |value: &Value| format!("--{key}={}", value.as_str().unwrap());
        let options: Vec<_> = match &value {
            Value::Array(values) => values.iter().map(one).collect(),
            Value::Table(values) => {
                let pair = |(name, value): (&String, &Value)| {
                    format!("--{key}={name}={}", value.as_str().unwrap())
                };
                values.iter().map(pair).collect()
            }
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
fn configurations_and_those_in_comments_have_keys_and_values_that_there_are() {
    check_configuration(table("config.toml"));
    check_configuration(table("examples/config.toml"));
    let mut seen = 0;
    for path in [
        "config.toml",
        "examples/telegraf-socket.conf",
        "examples/vector.toml",
        "examples/prometheus.yml",
    ] {
        let text = read(path);
        // Of three spaces, and no more.
        let lines = text.lines().filter_map(|line| line.strip_prefix("#   "));
        for line in lines.filter(|line| line.contains(" = ") && !line.starts_with(' ')) {
            check_configuration(line.parse().unwrap());
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen}");
}

#[test]
fn telegraf_and_vector_listen_where_the_sampler_writes() {
    let text = read(TELEGRAF[1].0);
    let table = table(TELEGRAF[1].0);
    let address = plugin(&table, "inputs", "socket_listener")["service_address"]
        .as_str()
        .unwrap();
    assert!(
        text.contains(&format!("output = [\"{address}\"]")),
        "{address}"
    );
    let text = read("examples/vector.toml");
    let vector: Table = text.parse().unwrap();
    let source = &vector["sources"]["ipvs"];
    let address = source["address"].as_str().unwrap();
    assert!(
        text.contains(&format!("output = [\"tcp://{address}\"]")),
        "{address}"
    );
    assert_eq!(
        vector["sinks"]["influxdb"]["inputs"][0],
        Value::from("ipvs")
    );
}

#[test]
fn the_unit_runs_a_command_that_there_is() {
    let unit = read("ipvs-sampler.service");
    let mut lines = unit.lines();
    let line = lines.find_map(|line| line.strip_prefix("ExecStart=/usr/bin/ipvs-sampler "));
    check_command_line(line.unwrap().split_whitespace());
}
