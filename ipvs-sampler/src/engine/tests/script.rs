//! The miniature kernel as a feed. Between any two answers something may happen.

use std::{cell::RefCell, rc::Rc};

use ipvs_sampler_common::{Arrival, COUNTERS, Reading, Slot, State};

use super::world::{Probe, Told, World};
use crate::{
    model::{DumpCheck, ReadTable, Snapshot},
    source::feed::{
        Changes, Conditions, Counted, DumpError, Dumped, Feed, Followed, Layout, NoDump, NoProbe,
        Order, ProbeOrder, Reason, Slots, Started, Unavailable, WhichTotals,
    },
    system::clock::Moment,
};

/// See the module.
pub(super) struct Script {
    pub(super) world: Rc<RefCell<World>>,
    /// Whether probes read live.
    pub(super) live: bool,
}

impl Script {
    fn after<T>(&mut self, answer: impl FnOnce(&mut World) -> T) -> T {
        let world = &mut *self.world.borrow_mut();
        world.go_on();
        let answer = answer(world);
        world.go_on();
        answer
    }
}

impl Feed for Script {
    fn now(&mut self) -> Moment {
        self.after(|world| {
            world.let_time_pass(1000);
            Moment {
                wall: world.wall,
                monotonic: world.monotonic,
            }
        })
    }

    fn follow(&mut self) -> Followed {
        Followed::Same
    }

    fn conditions(&mut self) -> Conditions {
        Conditions::default()
    }

    fn totals(&mut self, _: WhichTotals) -> Option<[u64; COUNTERS]> {
        self.after(|world| world.loaded.then_some(world.totals))
    }

    fn dump(&mut self, into: &mut Snapshot) -> Result<Dumped, NoDump> {
        self.after(|world| {
            into.clear();
            let chances = world.chances;
            if world.happens(chances.sources) || !world.loaded && world.draw(3) == 0 {
                world.reload();
            }
            if !world.loaded {
                return Err(NoDump::Failed(DumpError::NotLoaded));
            }
            if world.happens(chances.dumps) {
                return Err(NoDump::Failed(DumpError::Deadline));
            }
            let lost = world.happens(chances.dumps);
            world.snapshot(into);
            let addresses: Vec<_> = world
                .objects
                .iter()
                .map(|(key, it)| (*key, it.address))
                .collect();
            let Some(probe) = &mut world.probe else {
                return Ok(Dumped {
                    family: Some(world.family),
                    ..Dumped::default()
                });
            };
            let (mut service, mut destination) = (0, 0);
            for ((_, is_destination), address) in addresses {
                let slot = probe.of(address).filter(|_| !lost);
                if is_destination.is_some() {
                    into.destinations[destination].slot = slot;
                    destination += 1;
                } else {
                    into.services[service].slot = slot;
                    service += 1;
                }
            }
            Ok(Dumped {
                family: Some(world.family),
                seen: true,
                destinations_seen: true,
                check: DumpCheck::default(),
            })
        })
    }

    fn start_probe(&mut self, order: &ProbeOrder) -> Result<Started, NoProbe> {
        let live = self.live;
        self.after(|world| {
            let chances = world.chances;
            if world.happens(10 * chances.sources) {
                let reason = [Reason::NoFunction, Reason::NoMemory, Reason::Refused];
                let which = world.draw(3) as usize;
                return Err(NoProbe::Unavailable(reason[which].into()));
            }
            // Small, so that slots become scarce.
            let slots = order.room.least;
            world.probe = Some(Probe::new(slots, live));
            world.probes_started += 1;
            world.believe_again();
            let live = if live {
                Ok(Layout::Known)
            } else {
                Err(Reason::NoSymbols.into())
            };
            Ok(Started { slots, live })
        })
    }

    fn stop_probe(&mut self) {
        self.after(|world| world.probe = None);
    }

    fn confirm(&mut self) -> Result<bool, Unavailable> {
        Ok(false)
    }

    fn drain(&mut self, into: &mut Changes) -> Counted {
        self.after(|world| {
            if let Some(probe) = &mut world.probe {
                probe.received += probe.records.len() as u64;
                for told in probe.records.drain(..) {
                    match told {
                        Told::Counted(slot) => into.active.push(slot),
                        Told::Retired(slot) => into.retired.push(slot),
                        Told::Zeroed(Some(slot)) => into.zeroed.push(slot),
                        Told::Zeroed(None) => into.zeroed_elsewhere += 1,
                    }
                }
            }
        });
        self.counted()
    }

    fn counted(&mut self) -> Counted {
        self.after(|world| {
            let probe = world.probe.as_ref();
            probe.map_or_else(Counted::default, |probe| Counted {
                tally: probe.tally,
                received: probe.received,
            })
        })
    }

    fn connections(&mut self, of: Slots<'_>, into: &mut Vec<u64>) {
        self.after(|world| {
            into.clear();
            let Some(probe) = &world.probe else { return };
            match of {
                Slots::Of(slots) => {
                    into.extend(slots.iter().map(|slot| probe.cells[*slot as usize]));
                }
                Slots::All => into.extend(&probe.cells),
            }
        });
    }

    fn objects(&mut self, into: &mut Vec<Slot>) {
        self.after(|world| {
            into.clear();
            let Some(probe) = &world.probe else { return };
            into.extend((0..probe.slots).filter(|slot| probe.objects[*slot as usize] != 0));
        });
    }

    fn readings(&mut self, end: Slot, into: &mut ReadTable) -> Result<(), Unavailable> {
        self.after(|world| {
            let chances = world.chances;
            into.readings.clear();
            if world.happens(chances.sources) {
                return Err(Reason::ReadingStalled.into());
            }
            let Some(probe) = world.probe.as_ref().filter(|probe| probe.live) else {
                return Ok(());
            };
            let reading = |slot: usize| {
                let address = probe.objects[slot];
                let object = world.objects.values().find(|it| it.address == address);
                let Some(object) = object.filter(|_| !probe.muted[slot]) else {
                    return Reading {
                        address,
                        ..Reading::default()
                    };
                };
                let counters = &object.counters;
                Reading {
                    counted: counters.counted,
                    estimated: counters.estimated,
                    zero: counters.zero,
                    address,
                    state: State {
                        weight: object.weight,
                        ..State::NONE
                    },
                    refused: 0,
                    run: 1,
                }
            };
            into.readings.extend((0..end as usize).map(reading));
            let objects = world.objects.iter();
            world.at_reading = objects
                .map(|(key, it)| (*key, it.counters.truth()))
                .collect();
            Ok(())
        })
    }

    fn arrivals(&mut self, into: &mut Vec<Arrival>) -> u64 {
        into.append(&mut self.world.borrow_mut().arrivals);
        0
    }

    fn tell(&mut self, order: Order<'_>) {
        self.after(|world| {
            let Some(probe) = &mut world.probe else {
                return;
            };
            match order {
                Order::Mute(slots) => {
                    for &(slot, muted) in slots {
                        probe.muted[slot as usize] = muted;
                    }
                }
                Order::Free(slots) => {
                    for &slot in slots {
                        assert_eq!(probe.objects[slot as usize], 0, "slot {slot} has an object");
                        assert!(!probe.free.contains(&slot), "slot {slot} is free already");
                        probe.cells[slot as usize] = 0;
                        probe.muted[slot as usize] = false;
                        probe.free.push(slot);
                    }
                }
                Order::Abandon(slots) => {
                    for &slot in slots {
                        probe.objects[slot as usize] = 0;
                    }
                }
                Order::Resolution(_) => {}
            }
        });
    }

    fn is_permitted(&mut self) -> bool {
        true
    }
}
