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

const ROTATES: &str = "only for a file output that rotates";
const SCRAPED: &str = "only for prometheus:// outputs";

impl<'a> OutputReport<'a> {
    /// `ipvs_sampler_output`.
    pub const MEASUREMENT: Measurement<'a, Self> = Measurement {
        name: OUTPUT_MEASUREMENT,
        tags: &[Tag {
            name: OUTPUT_TAG,
            help: "The output, as configured",
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
            "Bytes in rotated files that were deleted",
            |output| optional(output.counts.deleted.map(|deleted| deleted.bytes)),
        )
        .when(ROTATES),
        Field::<Self>::gauge(
            "bytes_waiting",
            Of("bytes"),
            "Bytes waiting in the queue",
            |output| Unsigned(output.waiting as u64),
        ),
        Field::<Self>::counter(
            "files_deleted",
            Of("files"),
            "Rotated files that were deleted",
            |output| optional(output.counts.deleted.map(|deleted| deleted.files)),
        )
        .when(ROTATES),
        Field::<Self>::counter(
            "lines_dropped",
            Of("lines"),
            "Lines dropped: queue or disk full, datagram not accepted, or shutdown",
            |output| Unsigned(output.counts.dropped),
        ),
        Field::<Self>::counter(
            "lines_queued",
            Of("lines"),
            "Lines, or samples of a page, handed to the output",
            |output| Unsigned(output.counts.queued),
        ),
        Field::<Self>::counter(
            "lines_rejected",
            Of("lines"),
            "Lines that the server rejected",
            |output| Unsigned(output.counts.rejected),
        ),
        Field::<Self>::counter(
            "lines_uncertain",
            Of("lines"),
            "Lines that the server either accepted or rejected: its answer does not say which",
            |output| Unsigned(output.counts.uncertain),
        ),
        Field::<Self>::counter(
            "lines_written",
            Of("lines"),
            "Lines, or samples of a page, accepted by the other side",
            |output| Unsigned(output.counts.written),
        ),
        Field::<Self>::counter(
            "requests_abandoned",
            Of("requests"),
            "Requests whose client left before it had the whole page",
            |output| optional(output.counts.requests.map(|requests| requests.abandoned)),
        )
        .when(SCRAPED),
        Field::<Self>::counter(
            "requests_refused",
            Of("requests"),
            "Connections and requests that got no page",
            |output| optional(output.counts.requests.map(|requests| requests.refused)),
        )
        .when(SCRAPED),
        Field::<Self>::counter(
            "retries",
            Of("retries"),
            "Reconnections and repeated requests",
            |output| Unsigned(output.counts.retries),
        ),
    ];
}
