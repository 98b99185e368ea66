//! What one tick has to say: rows that borrow what is known, for whoever publishes them.

use super::{
    known::{Known, WindowRates},
    rows::{DueRows, Row, RowOf},
    sampler::Sampler,
};
use crate::model::{
    Destination, DestinationRow, Health, Interval, Mode, Report, Service, ServiceRow,
};

/// A tick's rows, and how the sampler is doing.
pub struct Sample<'a> {
    sampler: &'a Sampler,
    known: &'a Known,
    rates: WindowRates,
}

impl<'a> Sample<'a> {
    fn of(sampler: &'a Sampler) -> Self {
        Self {
            known: &sampler.known,
            rates: sampler.rates(),
            sampler,
        }
    }

    /// As if the window had been this long.
    pub(super) fn within(sampler: &'a Sampler, window_ns: u64) -> Self {
        Self {
            rates: sampler.rates_of(window_ns),
            ..Self::of(sampler)
        }
    }

    /// The moment of the tick, in ns since 1970.
    #[must_use]
    pub fn wall(&self) -> i64 {
        self.sampler.tick.now.wall
    }

    /// The end of the last dump that succeeded, in ns since 1970, while there is anything to look at.
    #[must_use]
    pub fn snapshot_wall(&self) -> Option<i64> {
        let waiting = matches!(self.sampler.ladder.mode(), Mode::Waiting(_));
        self.sampler.dumps.succeeded.filter(|_| !waiting)
    }

    /// How the sampler is doing: counts, and times.
    #[must_use]
    pub fn status(&self) -> (&'a Health, Report<'a>) {
        (&self.sampler.health, self.sampler.report())
    }

    /// The rows that are due at this tick.
    pub fn due(&self, mut visit: impl FnMut(&Row<'_>)) {
        for departed in &self.sampler.tick.departed {
            visit(&Row {
                of: RowOf::Destination(DestinationRow::new(
                    &departed.service,
                    &departed.destination,
                )),
                wall: departed.wall,
                scheduled_only: true,
            });
        }
        match self.sampler.tick.rows {
            DueRows::None => {}
            DueRows::All => self.walk(|_| true, self.sampler.choices.extended, &mut visit),
            DueRows::Changed => {
                self.walk(|slot| self.known.readings.changed(slot), false, &mut visit);
            }
            DueRows::Scheduled => {
                self.places(&self.sampler.tick.places, |service, destination| {
                    visit(&Row {
                        of: RowOf::Destination(DestinationRow::new(service, destination)),
                        wall: self.wall(),
                        scheduled_only: true,
                    });
                });
            }
        }
    }

    /// All rows, whatever is due; but not those of objects that were deleted since the last dump: what that
    /// dump said of them would be a step back.
    pub fn all(&self, mut visit: impl FnMut(&Row<'_>)) {
        let live = *self.sampler.ladder.mode() == Mode::Live;
        let lives = |slot: Option<_>| !live || slot.is_none() || self.known.readings.has(slot);
        self.walk(lives, false, &mut visit);
    }

    /// In the order of their keys, each as live as it is known. `extended`: with what an interval knows.
    fn walk(
        &self,
        wanted: impl Fn(Option<u32>) -> bool,
        extended: bool,
        visit: &mut impl FnMut(&Row<'_>),
    ) {
        let Known {
            snapshot,
            selection,
            ..
        } = self.known;
        let wall = self.wall();
        for (index, (service, destinations)) in snapshot.iter().enumerate() {
            if selection.service(index) && wanted(service.slot) {
                let fresh = self.known.service(index, service, self.rates);
                let interval = if extended {
                    self.known.service_interval(index, service)
                } else {
                    Interval::default()
                };
                visit(&Row {
                    of: RowOf::Service(ServiceRow {
                        service: &fresh,
                        interval,
                    }),
                    wall,
                    scheduled_only: false,
                });
            }
            for destination in selection.of(service, destinations) {
                if !wanted(destination.slot) {
                    continue;
                }
                let fresh = self.known.destination(service, destination, self.rates);
                let interval = if extended {
                    self.known.destination_interval(destination)
                } else {
                    Interval::default()
                };
                visit(&Row {
                    of: RowOf::Destination(DestinationRow {
                        service,
                        destination: &fresh,
                        interval,
                    }),
                    wall,
                    scheduled_only: false,
                });
            }
        }
    }

    /// The destinations at these places (index of the service, index of the destination) that are asked for.
    pub(super) fn places(
        &self,
        places: &[(usize, usize)],
        mut visit: impl FnMut(&Service, &Destination),
    ) {
        let Known {
            snapshot,
            selection,
            ..
        } = self.known;
        for &(service, index) in places {
            let (Some(service), Some(destination)) = (
                snapshot.services.get(service),
                snapshot.destinations.get(index),
            ) else {
                continue;
            };
            if selection.destination(index) {
                let fresh = self.known.destination(service, destination, self.rates);
                visit(service, &fresh);
            }
        }
    }
}

impl Sampler {
    /// What the tick says.
    #[must_use]
    pub fn sample(&self) -> Sample<'_> {
        Sample::of(self)
    }
}
