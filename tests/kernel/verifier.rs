//! Whether this kernel's verifier follows the program that reads live, for machines that nobody tests
//! on: it walks through every step of the loop over CPUs.

use ipvs_sampler::{model::ReadTable, source::probe::synthetic::Table};

#[test]
fn live_counters_are_summed_over_any_number_of_cpus() {
    const OBJECTS: u32 = 20;
    for cpus in [1, 2, 3, 16, 64, 512, 2048] {
        let mut objects = Table::new(1, OBJECTS - 1, cpus)
            .unwrap_or_else(|error| panic!("not loaded for {cpus} CPUs: {error}"));
        objects.count();
        let mut readings = ReadTable::default();
        objects.read(&mut readings).expect("a run");
        for slot in 0..OBJECTS {
            let reading = readings.get(slot).expect("a reading");
            // As `Table::count` counts.
            let once: u64 = (0..cpus).map(|cpu| u64::from(1 + slot + cpu)).sum();
            let expected = [1, 2, 3, 4, 5].map(|times| once * times);
            assert_eq!(reading.counted, expected, "slot {slot}, {cpus} CPUs");
            assert_eq!(reading.refused, 0, "slot {slot}, {cpus} CPUs");
        }
    }
}
