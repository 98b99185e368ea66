//! Reads the sampler's output with a parser that is not ours, and holds it against the schema as
//! Telegraf's documentation of the `ipvs` input lists it.

use std::collections::BTreeMap;

use influxdb_line_protocol::{FieldValue, parse_lines};

const SERVICE_FIELDS: &str = "bytes_in bytes_out connections cps pkts_in pkts_out pps_in pps_out";
const DESTINATION_FIELDS: &str = "active_connections bytes_in bytes_out connections cps \
                                  inactive_connections pkts_in pkts_out pps_in pps_out";
/// Besides these, with `--fields extended`.
const EXTENDED_FIELDS: &str = "bytes_per_second_in bytes_per_second_out connections_10ms_max \
                               connections_1ms_max cps_max flags interarrival_ns_max \
                               interarrival_ns_p50 interarrival_ns_p99 interarrival_ns_p999 \
                               lower_threshold overloaded persistent_connections pps_in_max \
                               pps_out_max timeout upper_threshold weight";

/// Fields of both that never go back.
pub const COUNTERS: [&str; 5] = [
    "connections",
    "pkts_in",
    "pkts_out",
    "bytes_in",
    "bytes_out",
];

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its measurement.
    pub measurement: String,
    /// Its tags by name.
    pub tags: BTreeMap<String, String>,
    /// Fields that are integers, by name.
    pub numbers: BTreeMap<String, i64>,
    /// Fields that are strings, by name.
    pub texts: BTreeMap<String, String>,
    /// Nanoseconds since 1970.
    pub timestamp: i64,
}

impl Line {
    /// Parses and checks one line.
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let mut parsed = parse_lines(text);
        let line = parsed
            .next()
            .unwrap_or_else(|| panic!("no line: {text:?}"))
            .unwrap_or_else(|error| panic!("{error}: {text:?}"));
        assert!(parsed.next().is_none(), "two lines: {text:?}");
        let tags = line.series.tag_set.iter().flatten();
        let mut numbers = BTreeMap::new();
        let mut texts = BTreeMap::new();
        for (name, value) in &line.field_set {
            match value {
                FieldValue::I64(number) => {
                    assert!(*number >= 0, "negative: {text}");
                    numbers.insert(name.to_string(), *number);
                }
                FieldValue::String(value) => {
                    texts.insert(name.to_string(), value.to_string());
                }
                other => panic!("a field of another type: {other:?} in {text}"),
            }
        }
        let line = Self {
            measurement: line.series.measurement.to_string(),
            tags: tags
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            numbers,
            texts,
            timestamp: line
                .timestamp
                .unwrap_or_else(|| panic!("no timestamp: {text}")),
        };
        line.check(text);
        line
    }

    /// Exactly Telegraf's tags and fields, in order.
    #[track_caller]
    fn check(&self, text: &str) {
        let keys = |map: Vec<&String>| map.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(" ");
        // Those that a test has asked for.
        let further = |name: &&String| ["netns", "host", "rack"].contains(&name.as_str());
        let extended = |name: &&String| EXTENDED_FIELDS.split(' ').any(|field| field == *name);
        let tags = keys(self.tags.keys().filter(|name| !further(name)).collect());
        let fields = keys(self.numbers.keys().filter(|name| !extended(name)).collect());
        match self.measurement.as_str() {
            "ipvs_virtual_server" => {
                assert!(
                    tags == "address address_family netmask port protocol sched"
                        || tags == "address_family fwmark netmask sched",
                    "tags: {text}"
                );
                assert_eq!(fields, SERVICE_FIELDS, "{text}");
            }
            "ipvs_real_server" => {
                assert!(
                    tags == "address address_family port virtual_address virtual_port virtual_protocol"
                        || tags == "address address_family port virtual_fwmark",
                    "tags: {text}"
                );
                assert!(
                    fields == DESTINATION_FIELDS || fields == "connections cps",
                    "{text}"
                );
            }
            "ipvs_sampler" => assert!(tags.is_empty(), "{text}"),
            "ipvs_sampler_output" => {
                assert_eq!(tags, "output", "{text}");
                // Only an output that takes requests, or rotates files, has something to say of them.
                let fields = fields
                    .replace("requests_abandoned requests_refused ", "")
                    .replace("bytes_deleted ", "")
                    .replace("files_deleted ", "");
                let expected = "bytes_waiting lines_dropped lines_queued lines_rejected \
                                lines_uncertain lines_written retries";
                assert_eq!(fields, expected, "{text}");
            }
            other => panic!("unknown measurement {other}: {text}"),
        }
        // Sorted, as the schema has it; the maps above would hide another order.
        let (key, rest) = text.split_once(' ').expect("fields");
        let sorted = |names: &mut dyn Iterator<Item = &str>| {
            let names: Vec<_> = names
                .map(|pair| pair.split('=').next().unwrap_or(""))
                .collect();
            names.is_sorted()
        };
        assert!(sorted(&mut key.split(',').skip(1)), "unsorted tags: {text}");
        if self.texts.is_empty() {
            assert!(sorted(&mut rest.split(',')), "unsorted fields: {text}");
        }
    }

    /// A number that must be there.
    #[track_caller]
    pub fn number(&self, field: &str) -> u64 {
        let number = self
            .numbers
            .get(field)
            .unwrap_or_else(|| panic!("no {field} in {self:?}"));
        u64::try_from(*number).expect("not negative")
    }

    /// Whether it is about everything, not about one window.
    pub fn is_full(&self) -> bool {
        self.numbers.len() > 2
    }

    /// A tag, empty when it is not there.
    pub fn tag(&self, name: &str) -> &str {
        self.tags.get(name).map_or("", String::as_str)
    }

    /// `TCP 10.0.0.1:80` or `FWM 7` for the service that a line is about, as [`super::ipvsadm`]
    /// names it; a firewall mark's family is not in a destination's line.
    pub fn service(&self) -> String {
        let prefix = if self.measurement == "ipvs_virtual_server" {
            ""
        } else {
            "virtual_"
        };
        let tag = |name: &str| self.tag(&format!("{prefix}{name}"));
        if tag("fwmark").is_empty() {
            let socket = socket(tag("address"), tag("port"));
            format!("{} {socket}", tag("protocol").to_uppercase())
        } else {
            format!("FWM {}", tag("fwmark"))
        }
    }

    /// `10.1.0.1:80` or `[fd00:1::1]:80` for the destination.
    pub fn destination(&self) -> String {
        socket(self.tag("address"), self.tag("port"))
    }
}

fn socket(address: &str, port: &str) -> String {
    if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}

/// Lines about one destination of one service.
pub fn about<'a>(
    lines: &'a [Line],
    service: &'a str,
    destination: &'a str,
) -> impl DoubleEndedIterator<Item = &'a Line> {
    lines.iter().filter(move |line| {
        line.measurement == "ipvs_real_server"
            && line.service() == service
            && line.destination() == destination
    })
}
