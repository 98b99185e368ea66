//! Decisions, case by case: what is there, and what follows.

use super::{Again, Facts, Fallback, LEAST_SLOTS, Ladder, Running, Start, TRIES};
use crate::{
    engine::choices::{Choices, ProbeUse},
    model::{Mode, Selection},
    source::feed::{Conditions, Layout, Reason},
};

const MINUTE: u64 = 60_000_000_000;

fn choices() -> Choices {
    Choices {
        probe: ProbeUse::Wanted,
        live: true,
        kernel_rates: false,
        extended: false,
        rows: true,
        resolution_ns: 1,
        ring_bytes: 4096,
        log: None,
        selection: Selection::default(),
    }
}

fn facts(objects: usize) -> Facts {
    Facts {
        objects,
        ..Facts::default()
    }
}

fn running(slots: u32) -> Running {
    Running {
        slots,
        live: Ok(Layout::Known),
    }
}

/// A ladder with a probe of 100 slots, as its mode says.
fn with_probe(mode: Mode) -> Ladder {
    let mut ladder = Ladder::default();
    ladder.started(running(100), 100, &facts(10));
    ladder.enter(mode, &facts(10), Conditions::default);
    ladder
}

fn without_probe(mode: Mode) -> Ladder {
    let mut ladder = Ladder::default();
    ladder.enter(mode, &facts(10), Conditions::default);
    ladder
}

const EVENTS: Mode = Mode::Events("a reason");
const NETLINK: Mode = Mode::Netlink("a reason");

#[test]
fn a_probe_is_wanted_where_there_is_none_or_the_one_there_is_will_not_do() {
    let lost = Facts {
        lost_changes: true,
        ..facts(10)
    };
    let no_slot = Facts {
        no_slot_left: true,
        ..facts(10)
    };
    for (ladder, facts, expected) in [
        (
            without_probe(Mode::Waiting("")),
            facts(0),
            Some(Start::First),
        ),
        (without_probe(NETLINK), facts(10), None),
        (with_probe(Mode::Live), facts(75), None),
        (with_probe(Mode::Live), facts(76), Some(Start::Larger)),
        (with_probe(EVENTS), no_slot, Some(Start::Larger)),
        (with_probe(Mode::Live), lost, Some(Start::ChangesLost)),
    ] {
        let wants = ladder.wants_probe(&facts);
        assert_eq!(wants, expected, "{ladder:?} {facts:?}");
    }
}

#[test]
fn a_larger_probe_that_was_refused_is_wanted_again_after_a_while() {
    let mut ladder = with_probe(Mode::Live);
    let refused = |ladder: &mut Ladder, now| {
        let facts = Facts { now, ..facts(90) };
        ladder.refused(Reason::NoMemory, Start::Larger, &choices(), &facts)
    };
    assert_eq!(refused(&mut ladder, 0), Fallback::KeepSmaller { new: true });
    let wants = |ladder: &Ladder, now| ladder.wants_probe(&Facts { now, ..facts(90) });
    assert_eq!(wants(&ladder, MINUTE - 1), None);
    assert_eq!(wants(&ladder, MINUTE), Some(Start::Larger));
    let again = refused(&mut ladder, MINUTE);
    assert_eq!(again, Fallback::KeepSmaller { new: false }, "said once");
    // With privileges given up there is no point.
    ladder.gave_up_privileges(true, Conditions::default());
    assert_eq!(wants(&ladder, 100 * MINUTE), None);
}

#[test]
fn there_is_room_for_twice_what_there_is_and_for_what_found_none() {
    let no_slot = Facts {
        no_slot_left: true,
        ..facts(10)
    };
    let mut ladder = with_probe(EVENTS);
    assert_eq!(ladder.room(&facts(10)).wanted, LEAST_SLOTS);
    let room = ladder.room(&facts(10_000));
    assert_eq!((room.wanted, room.least), (20_000, 12_500));
    ladder.started(running(40_000), 40_000, &facts(10));
    assert_eq!(ladder.room(&no_slot).wanted, 80_000);
}

#[test]
fn a_refusal_leaves_what_there_is() {
    let required = Choices {
        probe: ProbeUse::Required,
        ..choices()
    };
    let [none, some] = [
        || without_probe(Mode::Waiting("")),
        || with_probe(Mode::Live),
    ];
    for (ladder, reason, why, choices, expected) in [
        (
            none(),
            Reason::NoIpvs,
            Start::First,
            &choices(),
            Fallback::Wait,
        ),
        (
            some(),
            Reason::NoIpvs,
            Start::Better,
            &choices(),
            Fallback::Wait,
        ),
        (
            some(),
            Reason::NoMemory,
            Start::Better,
            &choices(),
            Fallback::Keep,
        ),
        (
            some(),
            Reason::NoMemory,
            Start::Better,
            &required,
            Fallback::Keep,
        ),
        (
            none(),
            Reason::NoCapabilities,
            Start::First,
            &choices(),
            Fallback::Netlink,
        ),
        (
            none(),
            Reason::NoCapabilities,
            Start::First,
            &required,
            Fallback::End,
        ),
        // Nothing ran before: it is not a module on its way.
        (
            none(),
            Reason::NoFunction,
            Start::First,
            &choices(),
            Fallback::Netlink,
        ),
        (
            some(),
            Reason::NoFunction,
            Start::ChangesLost,
            &required,
            Fallback::Soon,
        ),
        (
            some(),
            Reason::NoMemory,
            Start::ChangesLost,
            &required,
            Fallback::End,
        ),
    ] {
        let mut ladder = ladder;
        let refused = ladder.refused(reason, why, choices, &facts(10));
        assert_eq!(refused, expected, "{reason:?} {why:?}");
    }
}

#[test]
fn a_module_on_its_way_is_tried_again_at_each_interval_a_few_times() {
    let mut ladder = with_probe(Mode::Live);
    ladder.stopped();
    for _ in 0..TRIES {
        let refused = ladder.refused(Reason::NoFunction, Start::First, &choices(), &facts(10));
        assert_eq!(refused, Fallback::Soon);
        ladder.enter(NETLINK, &facts(10), Conditions::default);
        assert_eq!(ladder.wants_probe(&facts(10)), None, "not at once");
        let again = ladder.again(&facts(10), &choices(), Conditions::default);
        assert_eq!(again, Again::Probe);
        assert_eq!(ladder.wants_probe(&facts(10)), Some(Start::Better));
        ladder.starting(Conditions::default());
    }
    let refused = ladder.refused(Reason::NoFunction, Start::Better, &choices(), &facts(10));
    assert_eq!(refused, Fallback::Netlink);
    let again = ladder.again(&facts(10), &choices(), Conditions::default);
    assert_eq!(again, Again::No);
}

#[test]
fn a_better_mode_is_tried_when_conditions_change_or_after_a_while() {
    let off = Choices {
        live: false,
        probe: ProbeUse::Off,
        ..choices()
    };
    let mut changed = Conditions::default();
    changed.set("kptr_restrict", "0");
    let same = Conditions::default();
    for (ladder, choices, conditions, now, expected) in [
        (
            with_probe(Mode::Live),
            choices(),
            &changed,
            MINUTE,
            Again::No,
        ),
        (with_probe(EVENTS), choices(), &same, MINUTE - 1, Again::No),
        (with_probe(EVENTS), choices(), &changed, 0, Again::Probe),
        (with_probe(EVENTS), choices(), &same, MINUTE, Again::Probe),
        (
            without_probe(NETLINK),
            choices(),
            &same,
            MINUTE,
            Again::Probe,
        ),
        (with_probe(EVENTS), off.clone(), &changed, MINUTE, Again::No),
        (without_probe(NETLINK), off, &changed, MINUTE, Again::No),
    ] {
        let mut ladder = ladder;
        let facts = Facts { now, ..facts(10) };
        let again = ladder.again(&facts, &choices, || conditions.clone());
        assert_eq!(again, expected, "{ladder:?} at {now}");
    }
}

#[test]
fn with_privileges_given_up_only_a_new_process_comes_further_and_only_from_netlink() {
    let seal = |mut ladder: Ladder| {
        ladder.worked();
        ladder.gave_up_privileges(true, Conditions::default());
        ladder
    };
    let later = Facts {
        now: MINUTE,
        ..facts(10)
    };
    let again =
        |ladder: Ladder, facts: &Facts| seal(ladder).again(facts, &choices(), Conditions::default);
    assert_eq!(again(with_probe(EVENTS), &later), Again::No);
    assert_eq!(again(without_probe(NETLINK), &facts(10)), Again::No);
    assert_eq!(again(without_probe(NETLINK), &later), Again::Process);
}

#[test]
fn the_mode_is_what_runs() {
    let off = Choices {
        live: false,
        ..choices()
    };
    let mode = |ladder: &Ladder, choices: &Choices| ladder.earned(choices).map(|(mode, _)| mode);
    assert_eq!(mode(&Ladder::default(), &choices()), None);
    let mut ladder = with_probe(Mode::Waiting(""));
    assert_eq!(mode(&ladder, &choices()), Some(Mode::Live));
    assert_eq!(mode(&ladder, &off), Some(Mode::Events("--live off")));
    for (live, reason) in [
        (Ok(Layout::ToConfirm), Reason::Unconfirmed),
        (Err(Reason::NoSymbols.into()), Reason::NoSymbols),
    ] {
        ladder.set_live(live);
        assert_eq!(mode(&ladder, &choices()), Some(Mode::Events(reason.text())));
        assert!(!ladder.reads(&choices()));
    }
}
