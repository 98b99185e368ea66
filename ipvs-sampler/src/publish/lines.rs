//! Line protocol, tick by tick.

use crate::{
    encode::Influx,
    engine::{RowOf, Sample},
    schema::{self, FieldSet, TagStyle},
};

/// Writes samples of one network namespace as lines.
pub struct Lines {
    encoder: Influx,
    /// The fields of lines that have all that is known.
    fields: FieldSet,
}

impl Lines {
    /// With these tags and fields.
    #[must_use]
    pub fn new(style: TagStyle, fields: FieldSet) -> Self {
        Self {
            encoder: Influx { style },
            fields,
        }
    }

    /// The choices about tags.
    #[must_use]
    pub fn style(&self) -> &TagStyle {
        &self.encoder.style
    }

    /// Appends the rows that are due.
    pub fn rows(&self, sample: &Sample<'_>, batch: &mut Vec<u8>) {
        sample.due(|row| {
            let fields = if row.scheduled_only {
                FieldSet::Scheduled
            } else {
                self.fields
            };
            match &row.of {
                RowOf::Service(service) => self.encoder.service(batch, service, fields, row.wall),
                RowOf::Destination(destination) => {
                    self.encoder
                        .destination(batch, destination, fields, row.wall);
                }
            }
        });
    }

    /// Appends how the sampler is doing.
    pub fn status(&self, sample: &Sample<'_>, batch: &mut Vec<u8>) {
        let (health, report) = sample.status();
        let tags = [("netns", self.encoder.style.netns())];
        let fields = schema::sampler::fields(health, &report);
        let name = schema::sampler::MEASUREMENT;
        self.encoder
            .fields(batch, name, &tags, &fields, sample.wall());
    }
}
