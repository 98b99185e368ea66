//! The ledger against a kernel in miniature.

mod slots;

use proptest::prelude::*;

use super::{Expired, Ledger, Occasion};
use crate::model::{Destination, DestinationKey, Service, ServiceKey, Snapshot, VirtualAddress};

/// A kernel in miniature: one service, whose destinations count live and show what they
/// counted when the estimator last ran.
#[derive(Clone, Debug, Default)]
struct Kernel {
    destinations: Vec<Real>,
    next_slot: u32,
}

#[derive(Clone, Debug, Default)]
struct Real {
    port: u16,
    slot: u32,
    /// Before the probe began.
    before: u64,
    counted: u64,
    estimated: u64,
    zero: u64,
}

impl Real {
    fn truth(&self) -> u64 {
        self.before + self.counted - self.zero
    }

    fn shown(&self) -> u64 {
        self.estimated - self.zero
    }
}

impl Kernel {
    fn add(&mut self, port: u16, before: u64) {
        let slot = self.next_slot;
        self.next_slot += 1;
        self.destinations.push(Real {
            port,
            slot,
            before,
            ..Real::default()
        });
    }

    fn snapshot(&self) -> Snapshot {
        let service = Service {
            key: ServiceKey {
                address: VirtualAddress::Fwmark(1),
                family: 2,
            },
            destination_count: u32::try_from(self.destinations.len()).unwrap(),
            ..Service::default()
        };
        let mut snapshot = Snapshot::default();
        snapshot.services.push(service);
        let mut destinations: Vec<_> = self.destinations.iter().collect();
        destinations.sort_by_key(|real| real.port);
        for real in destinations {
            let mut destination = Destination {
                key: DestinationKey {
                    port: real.port,
                    ..DestinationKey::default()
                },
                slot: Some(real.slot),
                ..Destination::default()
            };
            destination.stats.connections = real.shown();
            snapshot.destinations.push(destination);
        }
        snapshot
    }

    fn read(&self, slot: u32) -> u64 {
        self.destinations
            .iter()
            .find(|real| real.slot == slot)
            .map_or(0, |real| real.counted)
    }

    fn of(&mut self, which: usize) -> Option<&mut Real> {
        let count = self.destinations.len();
        (count > 0).then(|| &mut self.destinations[which % count])
    }
}

fn dump(kernel: &Kernel, ledger: &mut Ledger) -> Snapshot {
    let snapshot = kernel.snapshot();
    ledger.dump_begins();
    read_all(kernel, ledger);
    ledger.join(&snapshot, &[]);
    snapshot
}

fn read_all(kernel: &Kernel, ledger: &mut Ledger) {
    let counts: Vec<_> = (0..256).map(|slot| kernel.read(slot)).collect();
    ledger.take_all(&counts, Occasion::Dump);
}

fn tick(kernel: &Kernel, ledger: &mut Ledger) {
    let watched = ledger.watched().iter();
    let counts: Vec<_> = watched.map(|&slot| kernel.read(slot)).collect();
    ledger.take_watched(&counts);
}

/// The slots that an interval's end frees, and those it gives up.
fn expire(ledger: &mut Ledger) -> (Vec<u32>, Vec<u32>) {
    let mut expired = Expired::default();
    ledger.expire(&mut expired);
    (expired.free, expired.abandoned)
}

#[test]
fn what_is_scheduled_shows_at_once_and_what_was_before_comes_with_the_estimator() {
    let mut kernel = Kernel::default();
    kernel.add(80, 7);
    let mut ledger = Ledger::default();
    ledger.restart(16, &mut Snapshot::default());
    let snapshot = dump(&kernel, &mut ledger);
    assert_eq!(ledger.connections(&snapshot.destinations[0]), 0);

    kernel.destinations[0].counted = 5;
    ledger.watch(0);
    tick(&kernel, &mut ledger);
    assert_eq!(ledger.connections(&snapshot.destinations[0]), 5);
    assert_eq!(ledger.window(&snapshot.destinations[0]), Some(5));

    kernel.destinations[0].estimated = 12;
    let snapshot = dump(&kernel, &mut ledger);
    assert_eq!(ledger.connections(&snapshot.destinations[0]), 12);
    assert_eq!(ledger.totals().ahead, 0);
}

#[test]
fn what_was_counted_while_nobody_asked_is_in_no_window() {
    let mut kernel = Kernel::default();
    kernel.add(80, 0);
    let mut ledger = Ledger::default();
    ledger.restart(16, &mut Snapshot::default());
    let snapshot = dump(&kernel, &mut ledger);
    kernel.destinations[0].counted = 5;
    ledger.catch_up(0, 5);
    kernel.destinations[0].counted = 7;
    ledger.watch(0);
    tick(&kernel, &mut ledger);
    let destination = &snapshot.destinations[0];
    assert_eq!(ledger.connections(destination), 7);
    assert_eq!(ledger.window(destination), Some(2));
    assert_eq!(ledger.service(0), Some((7, 2)));
    ledger.end_window(1_000_000_000);
    assert_eq!(ledger.peak(destination), Some(2));
    assert_eq!(ledger.service_peak(0), Some(2));
}

#[test]
fn an_unknown_destination_is_held_until_a_dump_names_it() {
    let mut kernel = Kernel::default();
    let mut ledger = Ledger::default();
    ledger.restart(16, &mut Snapshot::default());
    dump(&kernel, &mut ledger);
    kernel.add(80, 0);
    kernel.destinations[0].counted = 3;
    ledger.watch(0);
    tick(&kernel, &mut ledger);
    assert!(ledger.wants_dump());
    assert_eq!((ledger.totals().held, ledger.totals().published), (3, 0));

    let snapshot = dump(&kernel, &mut ledger);
    assert!(!ledger.wants_dump());
    assert_eq!((ledger.totals().held, ledger.totals().published), (0, 3));
    assert_eq!(ledger.connections(&snapshot.destinations[0]), 3);
}

#[test]
fn only_what_counted_is_read_at_the_ticks_after_a_dump() {
    let mut kernel = Kernel::default();
    kernel.add(80, 0);
    kernel.add(81, 0);
    let mut ledger = Ledger::default();
    ledger.restart(4, &mut Snapshot::default());
    kernel.destinations[1].counted = 1;
    dump(&kernel, &mut ledger);
    assert_eq!(ledger.watched(), [1]);
}

#[test]
fn a_zeroing_before_the_first_name_is_not_lost() {
    let mut kernel = Kernel::default();
    kernel.add(80, 0);
    let mut ledger = Ledger::default();
    ledger.restart(4, &mut Snapshot::default());
    kernel.destinations[0].counted = 5;
    ledger.watch(0);
    tick(&kernel, &mut ledger);
    ledger.zero(0, kernel.read(0));
    kernel.destinations[0].counted = 7;
    // The kernel shows neither: its estimator has not run.
    let snapshot = dump(&kernel, &mut ledger);
    assert_eq!(ledger.connections(&snapshot.destinations[0]), 2);
    assert_eq!(ledger.service(0), Some((2, 7)));
}

#[test]
fn a_dump_that_was_under_way_says_nothing_of_what_was_zeroed_meanwhile() {
    let mut kernel = Kernel::default();
    kernel.add(80, 0);
    kernel.destinations[0].counted = 4;
    kernel.destinations[0].estimated = 4;
    let mut ledger = Ledger::default();
    ledger.restart(4, &mut Snapshot::default());
    dump(&kernel, &mut ledger);
    let before = kernel.snapshot();
    ledger.dump_begins();
    ledger.zero(0, kernel.read(0));
    kernel.destinations[0].zero = 4;
    ledger.join(&before, &[]);
    assert_eq!(ledger.connections(&before.destinations[0]), 0);
    kernel.destinations[0].counted = 6;
    let after = dump(&kernel, &mut ledger);
    assert_eq!(ledger.connections(&after.destinations[0]), 2);
}

#[test]
fn a_service_that_was_created_anew_has_another_account() {
    let mut kernel = Kernel::default();
    let mut ledger = Ledger::default();
    ledger.restart(16, &mut Snapshot::default());
    let join = |kernel: &Kernel, ledger: &mut Ledger, slot, connections| {
        let mut snapshot = kernel.snapshot();
        snapshot.services[0].slot = Some(slot);
        snapshot.services[0].stats.connections = connections;
        read_all(kernel, ledger);
        ledger.join(&snapshot, &[]);
    };
    // No destination, and five connections of those it had.
    join(&kernel, &mut ledger, 9, 5);
    assert_eq!(ledger.service(0), Some((5, 0)));
    kernel.add(80, 0);
    kernel.destinations[0].counted = 10;
    join(&kernel, &mut ledger, 9, 5);
    assert_eq!(ledger.service(0), Some((15, 10)));
    ledger.retire(9);
    kernel.destinations.clear();
    kernel.add(80, 0);
    kernel.destinations[0].counted = 3;
    join(&kernel, &mut ledger, 10, 0);
    assert_eq!(ledger.service(0), Some((3, 3)));
}

#[test]
fn a_restarted_probe_does_not_set_connections_back() {
    let mut kernel = Kernel::default();
    kernel.add(80, 0);
    let mut ledger = Ledger::default();
    ledger.restart(16, &mut Snapshot::default());
    let mut first = dump(&kernel, &mut ledger);
    kernel.destinations[0].counted = 9;
    ledger.watch(0);
    tick(&kernel, &mut ledger);
    first.services[0].slot = Some(9);
    ledger.restart(16, &mut first);
    assert_eq!(
        (first.services[0].slot, first.destinations[0].slot),
        (None, None)
    );

    // The new probe counts from 0; the kernel's estimator has not run yet.
    kernel.destinations[0].counted = 0;
    let snapshot = dump(&kernel, &mut ledger);
    assert_eq!(ledger.connections(&snapshot.destinations[0]), 9);
}

#[derive(Clone, Debug)]
enum Step {
    Schedule(usize, u64),
    Estimate,
    Tick,
    Dump,
    Zero(usize),
    Delete(usize),
    Add(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..4, 1_u64..50).prop_map(|(which, count)| Step::Schedule(which, count)),
        2 => Just(Step::Estimate),
        3 => Just(Step::Tick),
        2 => Just(Step::Dump),
        1 => (0_usize..4).prop_map(Step::Zero),
        1 => (0_usize..4).prop_map(Step::Delete),
        1 => (0_u16..4).prop_map(Step::Add),
    ]
}

proptest! {
    /// Whatever happens: never above the truth, never back but for a reset, the sums reconcile,
    /// and once the estimator has run after the last connection all is exact.
    #[test]
    fn connections_are_a_lower_bound_that_becomes_exact(
        before in prop::collection::vec(0_u64..100, 0..4),
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut kernel = Kernel::default();
        for (port, before) in (0..).zip(&before) {
            kernel.add(port, *before);
        }
        let mut ledger = Ledger::default();
        ledger.restart(256, &mut Snapshot::default());
        let mut snapshot = dump(&kernel, &mut ledger);
        let mut last: Vec<(u32, u64)> = Vec::new();
        let mut counted = 0;
        for step in steps {
            match step {
                Step::Schedule(which, count) => {
                    if let Some(real) = kernel.of(which) {
                        real.counted += count;
                        counted += count;
                        let slot = real.slot;
                        ledger.watch(slot);
                    }
                }
                Step::Estimate => {
                    for real in &mut kernel.destinations {
                        real.estimated = real.before + real.counted;
                    }
                }
                Step::Tick => {
                    tick(&kernel, &mut ledger);
                    ledger.end_window(1);
                }
                Step::Dump => snapshot = dump(&kernel, &mut ledger),
                Step::Zero(which) => {
                    if let Some(real) = kernel.of(which) {
                        real.zero = real.estimated;
                        let slot = real.slot;
                        tick(&kernel, &mut ledger);
                        ledger.zero(slot, kernel.read(slot));
                        last.retain(|(other, _)| *other != slot);
                    }
                }
                Step::Delete(which) => {
                    tick(&kernel, &mut ledger);
                    if let Some(real) = kernel.of(which) {
                        let slot = real.slot;
                        ledger.retire(slot);
                        kernel.destinations.retain(|real| real.slot != slot);
                        last.retain(|(other, _)| *other != slot);
                    }
                }
                Step::Add(port) => {
                    if kernel.destinations.iter().all(|real| real.port != port) {
                        kernel.add(port, 0);
                    }
                }
            }
            for destination in &snapshot.destinations {
                let slot = destination.slot.unwrap();
                let Some(real) = kernel.destinations.iter().find(|real| real.slot == slot)
                else { continue };
                let now = ledger.connections(destination);
                prop_assert!(now <= real.truth(), "{now} of {}", real.truth());
                if let Some((_, before)) = last.iter_mut().find(|(other, _)| *other == slot) {
                    prop_assert!(now >= *before, "{now} after {before}");
                    *before = now;
                } else {
                    last.push((slot, now));
                }
            }
        }
        for real in &mut kernel.destinations {
            real.estimated = real.before + real.counted;
        }
        snapshot = dump(&kernel, &mut ledger);
        for destination in &snapshot.destinations {
            prop_assert_eq!(ledger.connections(destination), destination.stats.connections);
        }
        let totals = ledger.totals();
        prop_assert_eq!(totals.ahead, 0);
        prop_assert_eq!(totals.published + totals.held + totals.unmatched, counted);
    }
}

#[test]
fn a_dump_that_could_not_be_matched_keeps_the_slots_that_are_known() {
    let mut kernel = Kernel::default();
    kernel.add(80, 0);
    kernel.add(81, 0);
    let mut ledger = Ledger::default();
    ledger.restart(16, &mut Snapshot::default());
    let first = dump(&kernel, &mut ledger);
    kernel.destinations[0].counted = 3;
    ledger.watch(0);
    tick(&kernel, &mut ledger);
    ledger.retire(1);
    let mut first = first;
    first.services[0].slot = Some(9);

    let mut second = kernel.snapshot();
    second.forget_slots();
    ledger.keep_slots(&mut second, &first);
    assert_eq!(second.services[0].slot, Some(9));
    ledger.join(&second, &[]);
    assert_eq!(ledger.connections(&second.destinations[0]), 3);
    assert_eq!(second.destinations[1].slot, None, "its life has ended");
    assert_eq!(second.uncounted(), 1);
}

#[test]
fn a_service_is_not_told_twice_of_what_a_dump_told_first() {
    let mut kernel = Kernel::default();
    kernel.add(80, 0);
    let mut ledger = Ledger::default();
    ledger.restart(16, &mut Snapshot::default());
    kernel.destinations[0].counted = 7;
    kernel.destinations[0].estimated = 7;
    ledger.watch(0);
    // The service's counter has the seven, but its destination was not matched.
    let mut unmatched = kernel.snapshot();
    unmatched.destinations[0].slot = None;
    unmatched.services[0].stats.connections = 7;
    read_all(&kernel, &mut ledger);
    ledger.join(&unmatched, &[]);
    assert_eq!(ledger.service(0), Some((7, 0)));
    let mut matched = kernel.snapshot();
    matched.services[0].stats.connections = 7;
    ledger.join(&matched, &[]);
    assert_eq!(ledger.service(0), Some((7, 7)));
}

#[test]
fn a_deletion_that_nobody_reported_shows_after_ten_dumps() {
    let mut kernel = Kernel::default();
    kernel.add(80, 0);
    kernel.add(81, 0);
    let mut ledger = Ledger::default();
    ledger.restart(4, &mut Snapshot::default());
    ledger.join(&kernel.snapshot(), &[]);
    // Named twice: one dump may have met it while it was being deleted.
    ledger.join(&kernel.snapshot(), &[]);
    kernel.destinations.pop();
    let deletion = |ledger: &mut Ledger| ledger.join(&kernel.snapshot(), &[]).deletion;
    let untold: Vec<_> = (0..10).map(|_| deletion(&mut ledger)).collect();
    let expected: Vec<_> = (1..=10).map(|dump| dump == 10).collect();
    assert_eq!(untold, expected);
    ledger.retire(1);
    assert!(!deletion(&mut ledger), "it was reported");
}

#[test]
fn a_counter_that_went_back_unreported_is_noticed_once() {
    let mut kernel = Kernel::default();
    kernel.add(80, 0);
    kernel.destinations[0].estimated = 7;
    let mut ledger = Ledger::default();
    ledger.restart(4, &mut Snapshot::default());
    assert!(
        !ledger.join(&kernel.snapshot(), &[]).zeroing,
        "its first name"
    );
    kernel.destinations[0].estimated = 3;
    assert!(ledger.join(&kernel.snapshot(), &[]).zeroing);
    assert!(!ledger.join(&kernel.snapshot(), &[]).zeroing);
    // One that was reported is not a surprise.
    ledger.zero(0, kernel.read(0));
    ledger.dump_begins();
    kernel.destinations[0].estimated = 0;
    assert!(!ledger.join(&kernel.snapshot(), &[]).zeroing);
}
