//! What a page has: everything, as live as it is known.

use super::Sampler;
use crate::{
    clock::Moment,
    encode::{MetricNames, Moments, Prometheus},
    health::Mode,
    schema::{self, DestinationRow, ServiceRow},
    source::kernel,
};

impl Sampler {
    /// Adds all rows, and how the sampler is doing.
    pub(super) fn add_to_page(&mut self, now: &Moment, page: &mut Prometheus) {
        let style = &self.encoder.style;
        for (index, (service, destinations)) in self.snapshot.iter().enumerate() {
            if self.selection.service(index) && !self.has_ended(service.slot) {
                let fresh = self.fresh_service(index, service, now);
                page.service(&ServiceRow::new(&fresh), style);
            }
            for destination in self.selection.of(service, destinations) {
                if !self.has_ended(destination.slot) {
                    let fresh = self.fresh_destination(service, destination, now);
                    page.destination(&DestinationRow::new(service, &fresh), style);
                }
            }
        }
        if page.names() == MetricNames::Node {
            // Where there are none IPVS is not loaded, and there is nothing to say.
            let text = &mut self.text;
            if let Ok(Ok(totals)) = self.namespace.within(|| kernel::estimated_totals(text)) {
                page.totals(&totals, style);
            }
        }
        let fields = schema::sampler::fields(&self.health, &self.report());
        let waiting = matches!(self.mode, Mode::Waiting(_));
        let moments = Moments {
            snapshot: self.snapshot_wall.filter(|_| !waiting),
            tick: Some(now.wall),
        };
        page.sampler(&fields, moments, style);
    }

    /// In mode live, whether an object that could be read cannot be any more: it was deleted since the last
    /// dump. What that dump said of it would be a step back.
    fn has_ended(&self, slot: Option<u32>) -> bool {
        self.mode == Mode::Live && slot.is_some() && self.readings.peak(slot).is_none()
    }
}
