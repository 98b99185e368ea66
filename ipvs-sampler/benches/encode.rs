//! 10,000 real servers into line protocol, and into a page for Prometheus. Target of line protocol: 4 ms.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ipvs_sampler::encode::{Influx, MetricNames, Prometheus};
use ipvs_sampler::schema::{DestinationRow, FieldSet, ServiceRow, TagStyle};
use ipvs_sampler::sink::PageFormat;
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

fn page(criterion: &mut Criterion) {
    let snapshot = synthetic::table(100, 100);
    let style = TagStyle::default();
    let mut page = Prometheus::new(MetricNames::Native, FieldSet::All, &[]);
    let mut out = Vec::new();
    criterion.bench_function("encode/page-10000", |bencher| {
        bencher.iter(|| {
            page.clear();
            for (service, destinations) in black_box(&snapshot).iter() {
                page.service(&ServiceRow::new(service), &style);
                for destination in destinations {
                    page.destination(&DestinationRow::new(service, destination), &style);
                }
            }
            out.clear();
            page.write(&mut out, PageFormat::Text)
        });
    });
    eprintln!("a page has {} bytes", out.len());
}

criterion_group!(benches, encode, page);
criterion_main!(benches);
