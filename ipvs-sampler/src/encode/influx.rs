//! InfluxDB line protocol, as Telegraf's influx serializer writes it
//! (plugins/serializers/influx/influx.go and escape.go), with the fields in order.

use super::{address, append_number};
use crate::schema::{DestinationRow, FieldSet, Measurement, ServiceRow, TagStyle, TagValue, Value};

/// Largest integer of a field: Telegraf clips unsigned ones to it.
const LARGEST: u64 = i64::MAX.unsigned_abs();

/// Writes lines; each ends with a newline. Timestamps are nanoseconds since 1970.
#[derive(Clone, Debug, Default)]
pub struct Influx {
    /// What tags show.
    pub style: TagStyle,
}

impl Influx {
    /// Appends one line of `ipvs_virtual_server`.
    pub fn service(
        &self,
        out: &mut Vec<u8>,
        row: &ServiceRow<'_>,
        set: FieldSet,
        timestamp_ns: i64,
    ) {
        self.line(out, &ServiceRow::MEASUREMENT, row, set, timestamp_ns);
    }

    /// Appends one line of `ipvs_real_server`.
    pub fn destination(
        &self,
        out: &mut Vec<u8>,
        row: &DestinationRow<'_>,
        set: FieldSet,
        timestamp_ns: i64,
    ) {
        self.line(out, &DestinationRow::MEASUREMENT, row, set, timestamp_ns);
    }

    /// Appends one line, or nothing when there is no field. Tags have to be sorted by name;
    /// `measurement` and names must not be empty.
    pub fn fields(
        &self,
        out: &mut Vec<u8>,
        measurement: &str,
        tags: &[(&str, TagValue<'_>)],
        fields: &[(&str, Value<'_>)],
        timestamp_ns: i64,
    ) {
        if fields.is_empty() {
            return;
        }
        append_escaped(out, measurement, b" ,");
        self.tags(out, tags.iter().copied());
        let mut separator = b' ';
        for (name, value) in fields {
            append_field(out, &mut separator, name, *value);
        }
        append_timestamp(out, timestamp_ns);
    }

    fn line<Row>(
        &self,
        out: &mut Vec<u8>,
        measurement: &Measurement<'_, Row>,
        row: &Row,
        set: FieldSet,
        timestamp_ns: i64,
    ) {
        out.extend_from_slice(measurement.name.as_bytes());
        let tags = measurement.tags.iter();
        self.tags(
            out,
            tags.map(|tag| (tag.name, (tag.value)(row, &self.style))),
        );
        let mut separator = b' ';
        for field in measurement.fields {
            if set >= field.set {
                append_field(out, &mut separator, field.name, (field.value)(row));
            }
        }
        append_timestamp(out, timestamp_ns);
    }

    /// A line's own tags and the further ones, in the order of their names.
    fn tags<'a>(&self, out: &mut Vec<u8>, own: impl Iterator<Item = (&'a str, TagValue<'a>)>) {
        let mut further = self.style.further.iter().peekable();
        for (name, value) in own {
            while let Some((name, value)) = further.next_if(|(other, _)| other.as_str() < name) {
                append_tag(out, name, TagValue::Text(value));
            }
            append_tag(out, name, value);
        }
        for (name, value) in further {
            append_tag(out, name, TagValue::Text(value));
        }
    }
}

fn append_field(out: &mut Vec<u8>, separator: &mut u8, name: &str, value: Value<'_>) {
    if value == Value::Absent {
        return;
    }
    out.push(*separator);
    *separator = b',';
    append_escaped(out, name, b" ,=");
    out.push(b'=');
    match value {
        Value::Absent => {}
        Value::Integer(number) => append_integer(out, number),
        Value::Unsigned(number) => append_integer(out, number.min(LARGEST)),
        Value::Text(text) => {
            out.push(b'"');
            append_escaped(out, text, b"\"\\");
            out.push(b'"');
        }
    }
}

fn append_tag(out: &mut Vec<u8>, name: &str, value: TagValue<'_>) {
    // Line protocol has no way to write an empty tag value or one that ends with a backslash.
    let value = match value {
        TagValue::Text(text) => TagValue::Text(text.trim_end_matches('\\')),
        other => other,
    };
    if matches!(value, TagValue::Absent | TagValue::Text("")) {
        return;
    }
    out.push(b',');
    append_escaped(out, name, b" ,=");
    out.push(b'=');
    match value {
        TagValue::Absent => {}
        TagValue::Text(text) => append_escaped(out, text, b" ,="),
        TagValue::Number(number) => append_number(out, number),
        TagValue::Address { family, bytes } => address::append(out, family, bytes),
    }
}

/// Appends text with a backslash before each byte of `special`. Control characters that would end
/// a line or a token become two characters, as in Telegraf. A backslash is otherwise literal.
fn append_escaped(out: &mut Vec<u8>, text: &str, special: &[u8]) {
    for byte in text.bytes() {
        match byte {
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\x0c' => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => {
                if special.contains(&byte) {
                    out.push(b'\\');
                }
                out.push(byte);
            }
        }
    }
}

fn append_integer(out: &mut Vec<u8>, number: impl itoa::Integer) {
    append_number(out, number);
    out.push(b'i');
}

fn append_timestamp(out: &mut Vec<u8>, timestamp_ns: i64) {
    out.push(b' ');
    append_number(out, timestamp_ns);
    out.push(b'\n');
}
