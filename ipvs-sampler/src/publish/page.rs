//! A page for Prometheus: everything, as live as it is known.

use crate::{
    encode::{MetricNames, Moments, Prometheus},
    engine::{RowOf, Sampler},
    schema::{self, TagStyle},
};

/// Adds all rows, and how the sampler is doing.
pub fn add_to_page(sampler: &mut Sampler, style: &TagStyle, page: &mut Prometheus) {
    if page.names() == MetricNames::Node {
        // Where there are none IPVS is not loaded, and there is nothing to say.
        if let Some(totals) = sampler.estimated_totals() {
            page.totals(&totals, style);
        }
    }
    let sample = sampler.sample();
    sample.all(|row| match &row.of {
        RowOf::Service(service) => page.service(service, style),
        RowOf::Destination(destination) => page.destination(destination, style),
    });
    let (health, report) = sample.status();
    let moments = Moments {
        snapshot: sample.snapshot_wall(),
        tick: Some(sample.wall()),
    };
    page.sampler(&schema::sampler::fields(health, &report), moments, style);
}
