//! The sampler's own measurements: names and values of their fields, from their tables.

use super::Value;
use crate::{
    model::{Health, Report},
    sink,
};

/// Its name. It has no tags but `netns`, when one was chosen.
pub const MEASUREMENT: &str = "ipvs_sampler";

/// How many fields it has.
pub const FIELDS: usize = 38;

/// What its fields are read from.
#[derive(Clone, Copy)]
pub struct SamplerRow<'a> {
    /// Counts and times of the sampler.
    pub health: &'a Health,
    /// What is known from elsewhere.
    pub report: &'a Report<'a>,
}

/// The fields, sorted by name.
#[must_use]
pub fn fields(health: &Health, report: &Report<'_>) -> [(&'static str, Value<'static>); FIELDS] {
    let row = SamplerRow { health, report };
    SamplerRow::FIELDS.map(|field| (field.name, (field.value)(&row)))
}

/// The measurement about one output.
pub const OUTPUT_MEASUREMENT: &str = "ipvs_sampler_output";

/// Its tag.
pub const OUTPUT_TAG: &str = "output";

/// How many fields it has.
pub const OUTPUT_FIELDS: usize = 11;

/// The fields about one output, sorted by name. Counts are since the start.
#[must_use]
pub fn output_fields(
    report: &sink::OutputReport<'_>,
) -> [(&'static str, Value<'static>); OUTPUT_FIELDS] {
    sink::OutputReport::FIELDS.map(|field| (field.name, (field.value)(report)))
}

#[cfg(test)]
mod tests {
    use ipvs_sampler_common::Tally;

    use super::fields;
    use crate::{
        model::{Counts, Health, Mode, Report, Totals},
        schema::Value,
    };

    fn report(mode: &Mode) -> Report<'_> {
        Report {
            mode,
            services: 1,
            destinations: 2,
            uncounted: 0,
            events: Counts {
                tally: Tally {
                    counted: 5,
                    no_slot: 1,
                    ..Tally::default()
                },
                ..Counts::default()
            },
            totals: Totals::default(),
            differences: None,
        }
    }

    #[test]
    fn what_found_no_slot_was_seen_all_the_same() {
        let fields = fields(&Health::default(), &report(&Mode::Waiting("no IPVS")));
        let seen = fields
            .iter()
            .find(|(name, _)| *name == "events_seen")
            .unwrap();
        assert_eq!(seen.1, Value::Unsigned(6));
    }
}
