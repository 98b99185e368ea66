//! One line about each output: what became of its lines since the start.

use crate::{
    schema::{
        Field, Measurement, Tag, TagValue,
        Unit::Of,
        Value::Unsigned,
        sampler::{OUTPUT_FIELDS, OUTPUT_MEASUREMENT, OUTPUT_TAG},
        value::optional,
    },
    sink::OutputReport,
};

const ROTATES: &str = "the output is a file that rotates";
const SCRAPED: &str = "the output is one that others come to";

impl<'a> OutputReport<'a> {
    /// `ipvs_sampler_output`.
    pub const MEASUREMENT: Measurement<'a, Self> = Measurement {
        name: OUTPUT_MEASUREMENT,
        tags: &[Tag {
            name: OUTPUT_TAG,
            help: "the output, as it was given",
            series: true,
            value: |output, _| TagValue::Text(output.label),
        }],
        fields: &Self::FIELDS,
    };

    /// Sorted by name.
    pub(in crate::schema) const FIELDS: [Field<Self>; OUTPUT_FIELDS] = [
        Field::<Self>::counter(
            "bytes_deleted",
            Of("bytes"),
            "bytes of former files that rotation deleted",
            |output| optional(output.counts.deleted.map(|deleted| deleted.bytes)),
        )
        .when(ROTATES),
        Field::<Self>::gauge(
            "bytes_waiting",
            Of("bytes"),
            "bytes in the queue",
            |output| Unsigned(output.waiting as u64),
        ),
        Field::<Self>::counter(
            "files_deleted",
            Of("files"),
            "former files that rotation deleted",
            |output| optional(output.counts.deleted.map(|deleted| deleted.files)),
        )
        .when(ROTATES),
        Field::<Self>::counter(
            "lines_dropped",
            Of("lines"),
            "lines given up: nobody took them in time",
            |output| Unsigned(output.counts.dropped),
        ),
        Field::<Self>::counter(
            "lines_queued",
            Of("lines"),
            "lines, or samples of a page, that were handed over to the output",
            |output| Unsigned(output.counts.queued),
        ),
        Field::<Self>::counter(
            "lines_rejected",
            Of("lines"),
            "lines that the other side refused for good",
            |output| Unsigned(output.counts.rejected),
        ),
        Field::<Self>::counter(
            "lines_uncertain",
            Of("lines"),
            "lines that the other side took or refused: its answer does not say which",
            |output| Unsigned(output.counts.uncertain),
        ),
        Field::<Self>::counter(
            "lines_written",
            Of("lines"),
            "lines, or samples of a page, that the other side has taken",
            |output| Unsigned(output.counts.written),
        ),
        Field::<Self>::counter(
            "requests_abandoned",
            Of("requests"),
            "requests whose client left before it had the whole page",
            |output| optional(output.counts.requests.map(|requests| requests.abandoned)),
        )
        .when(SCRAPED),
        Field::<Self>::counter(
            "requests_refused",
            Of("requests"),
            "connections and requests that were refused",
            |output| optional(output.counts.requests.map(|requests| requests.refused)),
        )
        .when(SCRAPED),
        Field::<Self>::counter(
            "retries",
            Of("retries"),
            "connections made again and requests repeated",
            |output| Unsigned(output.counts.retries),
        ),
    ];
}
