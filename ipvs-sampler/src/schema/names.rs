//! Which names are taken, so that a tag of the operator's gets none of them: databases refuse a line whose tag
//! is named like a field (InfluxDB 3, VictoriaMetrics), or lose one of the two.

use std::fmt;

use super::{DestinationRow, Measurement, ServiceRow, sampler::SamplerRow};
use crate::sink::OutputReport;

/// What has a name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    kind: &'static str,
    measurement: &'static str,
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a {} of {}", self.kind, self.measurement)
    }
}

/// The tag or field of any measurement that has this name.
#[must_use]
pub fn owner(name: &str) -> Option<Owner> {
    let mut all = all();
    all.find_map(|(taken, owner)| (taken == name).then_some(owner))
}

/// Whether a measurement has a tag of this name.
pub(super) fn is_tag(name: &str) -> bool {
    all().any(|(taken, owner)| taken == name && owner.kind == TAG)
}

const TAG: &str = "tag";
const FIELD: &str = "field";

/// Every tag and field there is, from the tables.
fn all() -> impl Iterator<Item = (&'static str, Owner)> {
    of_table(ServiceRow::MEASUREMENT)
        .chain(of_table(DestinationRow::MEASUREMENT))
        .chain(of_table(SamplerRow::MEASUREMENT))
        .chain(of_table(OutputReport::MEASUREMENT))
}

fn of_table<Row: 'static>(
    table: Measurement<'static, Row>,
) -> impl Iterator<Item = (&'static str, Owner)> {
    let Measurement { name, tags, fields } = table;
    let tags = tags.iter().map(|tag| tag.name);
    let fields = fields.iter().map(|field| field.name);
    of(name, TAG, tags).chain(of(name, FIELD, fields))
}

fn of(
    measurement: &'static str,
    kind: &'static str,
    names: impl Iterator<Item = &'static str>,
) -> impl Iterator<Item = (&'static str, Owner)> {
    names.map(move |name| (name, Owner { kind, measurement }))
}

#[cfg(test)]
mod tests {
    use super::{all, owner};

    #[test]
    fn every_kind_of_name_has_its_owner() {
        for (name, has) in [
            ("sched", "a tag of ipvs_virtual_server"),
            ("virtual_port", "a tag of ipvs_real_server"),
            ("cps", "a field of ipvs_virtual_server"),
            ("weight", "a field of ipvs_real_server"),
            ("mode", "a field of ipvs_sampler"),
            ("version", "a field of ipvs_sampler"),
            ("bytes_waiting", "a field of ipvs_sampler_output"),
            ("output", "a tag of ipvs_sampler_output"),
        ] {
            assert_eq!(owner(name).unwrap().to_string(), has, "{name}");
        }
        assert_eq!(owner("rack"), None);
        assert!(all().count() > 90);
    }
}
