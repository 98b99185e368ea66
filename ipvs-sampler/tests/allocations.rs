//! The path of every tick allocates nothing once its buffers have grown.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ipvs_sampler::encode::{Influx, MetricNames, Prometheus};
use ipvs_sampler::model::{Expired, Ledger, Occasion, Snapshot};
use ipvs_sampler::schema::TagStyle;
use ipvs_sampler::schema::{DestinationRow, FieldSet, ServiceRow, Value};
use ipvs_sampler::sink::{PageFormat, Pages};
use ipvs_sampler::source::netlink::{replay, synthetic};

thread_local! {
    /// Allocations of this thread, so that tests at the same time do not count each other's.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn count() {
    // During the end of a thread the counter is gone, and nobody reads it any more.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

#[test]
fn the_second_dump_allocates_nothing() {
    let capture = synthetic::capture(&synthetic::table(10, 1000));
    let mut snapshot = Snapshot::default();
    let mut parse = || replay(&capture, &mut snapshot).unwrap();
    assert!(allocations(&mut parse) > 0);
    assert_eq!(allocations(&mut parse), 0);
    assert_eq!(snapshot.destinations.len(), 10_000);
}

#[test]
fn the_second_output_allocates_nothing() {
    let snapshot = synthetic::table(10, 1000);
    let mut out = Vec::new();
    let mut encode = || {
        out.clear();
        let influx = Influx::default();
        for set in [FieldSet::Extended, FieldSet::Scheduled] {
            for (service, destinations) in snapshot.iter() {
                influx.service(&mut out, &ServiceRow::new(service), set, 1);
                for destination in destinations {
                    let row = DestinationRow::new(service, destination);
                    influx.destination(&mut out, &row, set, 1);
                }
            }
        }
        let fields = [
            ("dumps", Value::Unsigned(1)),
            ("mode", Value::Text("netlink")),
        ];
        Influx::default().fields(&mut out, "ipvs_sampler", &[], &fields, 1);
    };
    assert!(allocations(&mut encode) > 0);
    assert_eq!(allocations(&mut encode), 0);
}

#[test]
fn the_third_page_allocates_nothing_and_a_tick_without_one_never_does() {
    let snapshot = synthetic::table(10, 1000);
    for names in [MetricNames::Native, MetricNames::Node] {
        let pages = Pages::default();
        let mut page = Prometheus::new(names, FieldSet::Extended, &[]);
        let style = TagStyle::default();
        let mut length = 0;
        let mut tick = |interval| {
            let Some(wanted) = pages.wanted(interval) else {
                return;
            };
            page.clear();
            for (service, destinations) in snapshot.iter() {
                page.service(&ServiceRow::new(service), &style);
                for destination in destinations {
                    page.destination(&DestinationRow::new(service, destination), &style);
                }
            }
            pages.publish(wanted, |out, format| {
                assert_eq!(format, PageFormat::Text);
                let samples = page.write(out, format);
                length = out.len();
                samples
            });
        };
        assert_eq!(allocations(|| tick(false)), 0);
        // Two to grow: pages take turns.
        tick(true);
        tick(true);
        assert_eq!(allocations(|| tick(true)), 0);
        assert!(length > 1_000_000);
    }
}

#[test]
fn the_second_tick_of_the_ledger_allocates_nothing() {
    let mut snapshot = synthetic::table(10, 1000);
    for (slot, destination) in (0..).zip(&mut snapshot.destinations) {
        destination.slot = Some(slot);
    }
    let mut ledger = Ledger::default();
    ledger.restart(16_384, &mut Snapshot::default());
    let taken: Vec<_> = (0..10_000).collect();
    ledger.join(&snapshot, &taken);
    let counts = |count| vec![count; 16_384];
    let [one, two, three, four, five, six] = [1, 2, 3, 4, 5, 6].map(counts);
    let mut places = Vec::new();
    let mut expired = Expired::default();
    let mut tick = |watched: &[u64], all: &[u64]| {
        for slot in (0..10_000).step_by(7) {
            ledger.watch(slot);
        }
        ledger.take_watched(watched);
        ledger.scheduled(&mut places);
        ledger.end_window(1);
        ledger.take_all(all, Occasion::Dump);
        ledger.join(&snapshot, &taken);
        ledger.expire(&mut expired);
    };
    // Two to grow: a dump's buffers take turns.
    tick(&one, &two);
    tick(&three, &four);
    assert_eq!(allocations(|| tick(&five, &six)), 0);
    assert!(places.len() >= 10_000 / 7);
}
