//! When slots are recycled, and when they are given up.

use super::*;

#[test]
fn a_life_that_ended_unnamed_is_unmatched_and_its_slot_is_recycled_an_interval_later() {
    let mut ledger = Ledger::default();
    ledger.restart(16, &mut Snapshot::default());
    ledger.watch(2);
    ledger.take_watched(&[4]);
    ledger.retire(2);
    assert!(!ledger.wants_dump());
    assert_eq!(expire(&mut ledger), (vec![], vec![]));
    assert_eq!((ledger.totals().held, ledger.totals().unmatched), (0, 4));
    for _ in 0..3 {
        ledger.take_watched(&[4]);
    }
    ledger.join(&Snapshot::default(), &[]);
    assert_eq!(expire(&mut ledger), (vec![2], vec![]));
}

#[test]
fn a_retired_slot_is_recycled_also_while_records_are_lost_at_every_tick() {
    let mut ledger = Ledger::default();
    ledger.restart(4, &mut Snapshot::default());
    ledger.watch(2);
    ledger.take_watched(&[4]);
    ledger.retire(2);
    expire(&mut ledger);
    for _ in 0..3 {
        ledger.take_all(&[0, 0, 4, 0], Occasion::Tick);
    }
    ledger.join(&Snapshot::default(), &[]);
    assert_eq!(expire(&mut ledger).0, [2]);
}

#[test]
fn a_retired_slot_is_not_recycled_before_a_dump_has_left_it_out() {
    let mut kernel = Kernel::default();
    kernel.add(80, 0);
    let mut ledger = Ledger::default();
    ledger.restart(4, &mut Snapshot::default());
    dump(&kernel, &mut ledger);
    ledger.retire(0);
    for _ in 0..5 {
        assert!(
            expire(&mut ledger).0.is_empty(),
            "no dump has succeeded since"
        );
    }
    // One that was under way shows it once more.
    dump(&kernel, &mut ledger);
    assert!(expire(&mut ledger).0.is_empty());
    kernel.destinations.clear();
    dump(&kernel, &mut ledger);
    assert_eq!(expire(&mut ledger).0, [0]);
}

#[test]
fn a_slot_that_no_dump_names_is_given_up_after_two_intervals() {
    let mut ledger = Ledger::default();
    ledger.restart(4, &mut Snapshot::default());
    // One that a connection took, and one that a dump took.
    ledger.watch(2);
    ledger.take_watched(&[4]);
    let none = Snapshot::default();
    ledger.join(&none, &[1, 2]);
    ledger.join(&none, &[1, 2]);
    assert_eq!(expire(&mut ledger), (vec![], vec![]), "one interval");
    assert_eq!(expire(&mut ledger), (vec![], vec![]), "without a dump");
    ledger.join(&none, &[1, 2]);
    expire(&mut ledger);
    ledger.join(&none, &[1, 2]);
    assert_eq!(expire(&mut ledger), (vec![], vec![1, 2]));
    let totals = ledger.totals();
    assert_eq!((totals.held, totals.unmatched), (0, 4));
    ledger.join(&none, &[]);
    for _ in 0..3 {
        ledger.take_all(&[0, 0, 4, 0], Occasion::Tick);
    }
    assert_eq!(expire(&mut ledger), (vec![1, 2], vec![]));
}

#[test]
fn what_only_one_dump_named_may_have_been_on_its_way_out() {
    let mut kernel = Kernel::default();
    kernel.add(80, 0);
    let mut ledger = Ledger::default();
    ledger.restart(4, &mut Snapshot::default());
    ledger.join(&kernel.snapshot(), &[0]);
    kernel.destinations.clear();
    for _ in 0..2 {
        for _ in 0..20 {
            assert!(!ledger.join(&kernel.snapshot(), &[0]).deletion);
        }
        let (free, abandoned) = expire(&mut ledger);
        assert!(free.is_empty());
        if !abandoned.is_empty() {
            assert_eq!(abandoned, [0]);
            return;
        }
    }
    panic!("its slot is given up");
}
