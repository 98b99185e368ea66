//! A tick in mode live over made-up objects, in CPU time of this thread: the machine may be shared.
//! Targets: 35 ns per object and CPU for the reading alone, 100 µs for a tick over 100 destinations.
//!
//! Prints one line per figure, which `cargo xtask bench` makes into a table. Not criterion, which
//! takes the time of the clock on the wall.

use std::{
    fs::File,
    hint::black_box,
    io::{self, Write as _},
    time::Duration,
};

use ipvs_sampler::{
    encode::Influx,
    model::{ReadTable, Readings, Snapshot},
    schema::{DestinationRow, FieldSet, ServiceRow},
    source::{feed::Unavailable, netlink::synthetic::table, probe::synthetic::Table},
};
use rustix::time::{ClockId, clock_gettime};

const RUNS: usize = 1001;

fn main() -> io::Result<()> {
    match measure() {
        Err(Failure::Unavailable(unavailable)) => {
            println!("skipped: {unavailable}");
            Ok(())
        }
        Err(Failure::Output(error)) => Err(error),
        Ok(()) => Ok(()),
    }
}

enum Failure {
    Unavailable(Unavailable),
    Output(io::Error),
}

impl From<Unavailable> for Failure {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn measure() -> Result<(), Failure> {
    for (objects, cpus) in [(100, 2), (100, 16), (100, 64), (1000, 16)] {
        let time = reading(objects, cpus)?;
        let each = time.as_nanos() as f64 / f64::from(objects * cpus);
        println!(
            "measured: live reading of {objects} objects on {cpus} CPUs, per object and CPU | {each:.1} ns | 35 ns"
        );
    }
    for cpus in [2, 16] {
        let [reading, all] = tick(cpus)?.map(|time| time.as_nanos() as f64 / 1e3);
        println!(
            "measured: tick of 10 services and 100 destinations on {cpus} CPUs, all changed | {all:.1} µs, of which reading {reading:.1} µs | 100 µs"
        );
    }
    Ok(())
}

/// The median of many readings, all objects counting in between.
fn reading(objects: u32, cpus: u32) -> Result<Duration, Failure> {
    let mut objects = Table::new(0, objects, cpus)?;
    let mut readings = ReadTable::default();
    let mut times = Vec::new();
    for _ in 0..RUNS {
        objects.count();
        let began = cpu_time();
        objects.read(&mut readings)?;
        times.push(cpu_time() - began);
    }
    Ok(median(times))
}

/// The median of the reading, and of all that a tick with nothing but live readings does with it, in
/// the order of `Sampler::tick`.
fn tick(cpus: u32) -> Result<[Duration; 2], Failure> {
    const SERVICES: u32 = 10;
    const EACH: u32 = 10;
    const WINDOW: u64 = 10_000_000;
    let mut objects = Table::new(SERVICES, SERVICES * EACH, cpus)?;
    let mut snapshot = table(SERVICES, EACH);
    for (service, slot) in snapshot.services.iter_mut().zip(0..) {
        service.slot = Some(slot);
    }
    for (destination, slot) in snapshot.destinations.iter_mut().zip(SERVICES..) {
        destination.slot = Some(slot);
    }
    let influx = Influx::default();
    let mut readings = Readings::default();
    let mut out = File::create("/dev/null")?;
    let mut batch = Vec::new();
    let (mut parts, mut wholes) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        objects.count();
        let began = cpu_time();
        objects.read(readings.coming())?;
        parts.push(cpu_time() - began);
        readings.turn(&snapshot, WINDOW);
        batch.clear();
        print_changed(&influx, &snapshot, &readings, &mut batch);
        out.write_all(black_box(&batch))?;
        wholes.push(cpu_time() - began);
    }
    let lines = batch.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines, snapshot.services.len() + snapshot.destinations.len());
    Ok([median(parts), median(wholes)])
}

fn print_changed(influx: &Influx, snapshot: &Snapshot, readings: &Readings, batch: &mut Vec<u8>) {
    const NOW: i64 = 1_700_000_000_123_456_789;
    for (service, destinations) in snapshot.iter() {
        if readings.changed(service.slot)
            && let Some(fresh) = readings.service(service)
        {
            influx.service(batch, &ServiceRow::new(&fresh), FieldSet::All, NOW);
        }
        for destination in destinations {
            if readings.changed(destination.slot)
                && let Some(fresh) = readings.destination(destination)
            {
                let row = DestinationRow::new(service, &fresh);
                influx.destination(batch, &row, FieldSet::All, NOW);
            }
        }
    }
}

/// Of this thread.
fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
