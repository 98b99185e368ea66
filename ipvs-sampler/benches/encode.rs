//! 10,000 real servers into line protocol. Target: 4 ms.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ipvs_sampler::encode::Influx;
use ipvs_sampler::schema::{DestinationRow, FieldSet, ServiceRow};
use ipvs_sampler::source::netlink::synthetic;

fn encode(criterion: &mut Criterion) {
    let snapshot = synthetic::table(100, 100);
    let influx = Influx::default();
    let mut out = Vec::new();
    for (name, set) in [("all", FieldSet::All), ("scheduled", FieldSet::Scheduled)] {
        criterion.bench_function(&format!("encode/{name}-10000"), |bencher| {
            bencher.iter(|| {
                out.clear();
                for (service, destinations) in black_box(&snapshot).iter() {
                    let row = ServiceRow::new(service);
                    influx.service(&mut out, &row, set, 1_700_000_000_123_456_789);
                    for destination in destinations {
                        let row = DestinationRow::new(service, destination);
                        influx.destination(&mut out, &row, set, 1_700_000_000_123_456_789);
                    }
                }
                out.len()
            });
        });
    }
}

criterion_group!(benches, encode);
criterion_main!(benches);
