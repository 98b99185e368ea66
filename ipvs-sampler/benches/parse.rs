//! A recorded dump of 10,000 destinations into a sorted snapshot, as each dump does it.
//!
//! Target: 1.5 ms. The recording comes from a booted kernel; without it the bench says so and
//! measures bytes made up in the same form.

use std::hint::black_box;
use std::io::Read;

use criterion::{Criterion, criterion_group, criterion_main};
use ipvs_sampler::model::Snapshot;
use ipvs_sampler::source::netlink::{replay, synthetic};

const RECORDING: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/data/dump-10000.bin.gz"
);

fn recorded() -> std::io::Result<Vec<u8>> {
    let mut capture = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(RECORDING)?).read_to_end(&mut capture)?;
    Ok(capture)
}

fn parse(criterion: &mut Criterion) {
    let mut snapshot = Snapshot::default();
    match recorded() {
        Ok(capture) => {
            criterion.bench_function("parse/recorded-10000", |bencher| {
                bencher.iter(|| replay(black_box(&capture), &mut snapshot));
            });
            if let Err(error) = replay(&capture, &mut snapshot) {
                eprintln!("{RECORDING}: {error}: the figure above is of no use");
            }
        }
        Err(error) => eprintln!(
            "no recording of a real kernel, only made-up bytes are measured: {RECORDING}: {error}\n\
             (the kernel test that captures a dump writes it)"
        ),
    }

    for (name, services, each) in [("100x100", 100, 100), ("1x10000", 1, 10_000)] {
        let mut table = synthetic::table(services, each);
        let capture = synthetic::capture(&table);
        criterion.bench_function(&format!("parse/synthetic-{name}"), |bencher| {
            bencher.iter(|| replay(black_box(&capture), &mut snapshot));
        });
        assert_eq!(snapshot.destinations.len(), 10_000);

        // The kernel lists the newest first, in whatever order they were configured.
        for group in table.destinations.chunks_mut(each as usize) {
            group.sort_by_key(|entry| entry.stats.connections.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        let capture = synthetic::capture(&table);
        criterion.bench_function(&format!("parse/synthetic-{name}-shuffled"), |bencher| {
            bencher.iter(|| replay(black_box(&capture), &mut snapshot));
        });
        assert_eq!(snapshot.destinations.len(), 10_000);
    }
}

criterion_group!(benches, parse);
criterion_main!(benches);
