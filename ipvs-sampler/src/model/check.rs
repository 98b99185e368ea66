//! Live readings held against netlink: wrong offsets into the kernel's memory do not pass.

use ipvs_sampler_common::{COUNTERS, Reading, Slot, State};
use thiserror::Error;

use super::{Destination, Snapshot, Stats, readings::slots};

/// Live readings that cannot be of the objects they are taken for.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Mismatch {
    /// The kernel refused to read some of it.
    #[error("the kernel refused {refused} reads of {what}")]
    Refused {
        /// `a service` or `a destination`.
        what: &'static str,
        /// How many.
        refused: u32,
    },
    /// Less was counted than had been counted before.
    #[error("{what} counted {counted}, less than the {copied} that the estimator had before")]
    Counted {
        /// As above.
        what: &'static str,
        /// By the CPUs, together.
        counted: u64,
        /// By the estimator, or when it was zeroed.
        copied: u64,
    },
    /// All objects together have counted more than there was.
    #[error("{what} add up to {sum}, more than the {total} of all IPVS")]
    Total {
        /// `services` or `destinations`.
        what: &'static str,
        /// Of one counter.
        sum: u64,
        /// From /proc/net/ip_vs_stats_percpu.
        total: u64,
    },
    /// An object lives and was not read.
    #[error("a service or destination was not read")]
    Unread,
    /// Less is read live than netlink said before.
    #[error("{what} went back: netlink {netlink}, then live {live}")]
    Behind {
        /// `connections`, `packets in` and so on.
        what: &'static str,
        /// From the dump.
        netlink: u64,
        /// Read after it.
        live: u64,
    },
    /// An object's memory says something else than the message about it.
    #[error("netlink and kernel memory disagree on {what}: {netlink} and {live}")]
    Message {
        /// `active connections`, `weight` and so on.
        what: &'static str,
        /// From the dump.
        netlink: u64,
        /// Read in the same moment.
        live: u64,
    },
}

const SERVICE: &str = "a service";
const DESTINATION: &str = "a destination";

/// Holds readings against each other, against the dump before them, and against the `totals` of the
/// network namespace, read after them.
///
/// # Errors
/// The first that does not fit.
pub fn check_readings(
    snapshot: &Snapshot,
    totals: Option<&[u64; COUNTERS]>,
    read: impl Fn(Slot) -> Option<Reading>,
) -> Result<(), Mismatch> {
    let services = snapshot.services.iter();
    let services = services.filter_map(|service| Some((&service.stats, read(service.slot?)?)));
    check(SERVICE, services, totals)?;
    let destinations = snapshot.destinations.iter();
    let destinations =
        destinations.filter_map(|destination| Some((&destination.stats, read(destination.slot?)?)));
    check(DESTINATION, destinations, totals)
}

fn check<'a>(
    what: &'static str,
    readings: impl Iterator<Item = (&'a Stats, Reading)>,
    totals: Option<&[u64; COUNTERS]>,
) -> Result<(), Mismatch> {
    let mut sums = [0_u64; COUNTERS];
    for (dumped, reading) in readings {
        let Reading {
            counted,
            estimated,
            zero,
            refused,
            ..
        } = reading;
        if refused > 0 {
            return Err(Mismatch::Refused { what, refused });
        }
        for index in 0..COUNTERS {
            let (counted, copied) = (counted[index], estimated[index].max(zero[index]));
            if counted < copied {
                return Err(Mismatch::Counted {
                    what,
                    counted,
                    copied,
                });
            }
            sums[index] = sums[index].saturating_add(counted);
        }
        for (index, netlink) in dumped.counters().into_iter().enumerate() {
            let live = counted[index].wrapping_sub(zero[index]);
            if live < netlink {
                return Err(Mismatch::Behind {
                    what: COUNTER[index],
                    netlink,
                    live,
                });
            }
        }
    }
    let totals = totals.into_iter().flatten();
    match sums
        .into_iter()
        .zip(totals)
        .find(|(sum, total)| sum > total)
    {
        Some((sum, &total)) => Err(Mismatch::Total {
            what: if what == SERVICE {
                "services"
            } else {
                "destinations"
            },
            sum,
            total,
        }),
        None => Ok(()),
    }
}

/// Whether each of the snapshot's objects that lives was read.
///
/// # Errors
/// When one was left out.
pub fn check_complete(
    snapshot: &Snapshot,
    left_out: impl Fn(Slot) -> bool,
) -> Result<(), Mismatch> {
    if slots(snapshot).any(left_out) {
        return Err(Mismatch::Unread);
    }
    Ok(())
}

/// The messages of one dump against the memory of their objects, read in the moment before the kernel
/// wrote them. A connection may come in that moment, so single differences are no proof: a wrong
/// offset shows in many at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DumpCheck {
    counters: [Member; COUNTERS],
    state: [Member; STATE.len()],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Member {
    /// Objects of which one side at least is not 0.
    compared: u32,
    /// Of them, how many differ.
    different: u32,
    /// One that differs: netlink's side and the memory's.
    example: (u64, u64),
}

const COUNTER: [&str; COUNTERS] = [
    "connections",
    "packets in",
    "packets out",
    "bytes in",
    "bytes out",
];

const STATE: [&str; 4] = [
    "active connections",
    "inactive connections",
    "persistent connections",
    WEIGHT,
];

/// Nothing but an edit changes it.
const WEIGHT: &str = "weight";

impl DumpCheck {
    /// Begins with the next dump.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Compares what an object's memory said that netlink was to show with what it did.
    pub fn add_counters(&mut self, live: &[u64; COUNTERS], netlink: &Stats) {
        let pairs = netlink.counters().into_iter().zip(*live);
        for (field, pair) in self.counters.iter_mut().zip(pairs) {
            field.add(pair);
        }
    }

    /// Compares a destination's memory with the message about it.
    pub fn add_state(&mut self, live: &State, netlink: &Destination) {
        let pairs = [
            (netlink.active_connections, live.active),
            (netlink.inactive_connections, live.inactive),
            (netlink.persistent_connections, live.persistent),
            (netlink.weight, live.weight),
        ];
        for (field, (netlink, live)) in self.state.iter_mut().zip(pairs) {
            field.add((netlink.into(), live.into()));
        }
    }

    /// Whether the memory is what it is taken for.
    ///
    /// # Errors
    /// When one destination differs in its weight, or more than one object of sixteen in anything
    /// else.
    pub fn verdict(&self) -> Result<(), Mismatch> {
        let names = COUNTER.into_iter().chain(STATE);
        for (field, what) in self.counters.iter().chain(&self.state).zip(names) {
            let tolerated = if what == WEIGHT {
                0
            } else {
                field.compared / 16
            };
            if field.different > tolerated {
                let (netlink, live) = field.example;
                return Err(Mismatch::Message {
                    what,
                    netlink,
                    live,
                });
            }
        }
        Ok(())
    }
}

impl Member {
    fn add(&mut self, pair: (u64, u64)) {
        if pair == (0, 0) {
            return;
        }
        self.compared += 1;
        if pair.0 != pair.1 {
            self.different += 1;
            self.example = pair;
        }
    }
}

#[cfg(test)]
mod tests {
    use ipvs_sampler_common::{Reading, State};

    use super::{DumpCheck, Mismatch, check_complete, check_readings};
    use crate::model::{Destination, Service, Snapshot, Stats};

    /// A service that has counted 12 connections, of which 4 were zeroed and 9 estimated.
    fn check(total: u64, spoil: fn(&mut Reading)) -> Result<(), Mismatch> {
        let mut snapshot = Snapshot::default();
        snapshot.services.push(Service {
            slot: Some(3),
            ..Service::default()
        });
        check_readings(&snapshot, Some(&[total, 0, 0, 0, 0]), |slot| {
            let mut reading = Reading {
                address: 64,
                ..Reading::default()
            };
            reading.counted[0] = 12;
            reading.estimated[0] = 9;
            reading.zero[0] = 4;
            spoil(&mut reading);
            (slot == 3).then_some(reading)
        })
    }

    #[test]
    fn readings_that_stand_still_do_not_pass() {
        let mut snapshot = Snapshot::default();
        snapshot.services.push(Service {
            slot: Some(3),
            ..Service::default()
        });
        snapshot.services[0].stats.packets_in = 7;
        let check = |counted: u64| {
            check_readings(&snapshot, None, |_| {
                let mut reading = Reading::default();
                reading.counted[1] = counted;
                Some(reading)
            })
        };
        assert_eq!(check(7), Ok(()));
        let behind = Mismatch::Behind {
            what: "packets in",
            netlink: 7,
            live: 6,
        };
        assert_eq!(check(6), Err(behind));
        assert_eq!(check_complete(&snapshot, |_| false), Ok(()));
        assert_eq!(
            check_complete(&snapshot, |slot| slot == 3),
            Err(Mismatch::Unread)
        );
    }

    #[test]
    fn counters_from_the_wrong_place_do_not_pass() {
        assert_eq!(check(12, |_| {}), Ok(()));
        assert!(check(12, |reading| reading.estimated[0] = 13).is_err());
        assert!(check(12, |reading| reading.zero[0] = 13).is_err());
        assert!(check(12, |reading| reading.refused = 1).is_err());
        assert!(check(11, |_| {}).is_err(), "more than there was");
    }

    fn destination(active: u32) -> Destination {
        Destination {
            active_connections: active,
            weight: 1,
            ..Destination::default()
        }
    }

    fn state(active: u32) -> State {
        State {
            active,
            weight: 1,
            ..State::default()
        }
    }

    #[test]
    fn one_connection_in_between_is_no_proof_and_a_wrong_offset_is() {
        let mut check = DumpCheck::default();
        check.add_state(&state(5), &destination(6));
        for _ in 0..15 {
            check.add_state(&state(2), &destination(2));
        }
        assert_eq!(check.verdict(), Ok(()));
        check.add_state(&state(0), &destination(7));
        let mismatch = Mismatch::Message {
            what: "active connections",
            netlink: 7,
            live: 0,
        };
        assert_eq!(check.verdict(), Err(mismatch));
        check.clear();
        assert_eq!(check.verdict(), Ok(()));
    }

    #[test]
    fn a_weight_has_to_fit_everywhere() {
        let mut check = DumpCheck::default();
        for _ in 0..100 {
            check.add_state(&state(0), &destination(0));
        }
        assert_eq!(check.verdict(), Ok(()));
        check.add_state(&State::default(), &destination(0));
        assert!(check.verdict().is_err());
    }

    #[test]
    fn where_both_say_nothing_nothing_is_compared() {
        let mut check = DumpCheck::default();
        for _ in 0..100 {
            check.add_counters(&[0; 5], &Stats::default());
        }
        check.add_counters(&[0, 0, 0, 0, 1], &Stats::default());
        assert!(check.verdict().is_err());
    }
}
