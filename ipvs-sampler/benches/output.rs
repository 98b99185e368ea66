//! What it costs to get lines out: 10,000 destinations at 10 Hz to a Unix socket, in CPU time of all our
//! threads; and how many bytes a line is, plain and compressed, for who has to carry or keep them.
//!
//! Prints one line per figure, which `cargo xtask bench` makes into a table.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    os::unix::net::UnixListener,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use ipvs_sampler::{
    encode::{Influx, MetricNames, Prometheus},
    model::{Snapshot, Stats},
    schema::{DestinationRow, FieldSet, ServiceRow, TagStyle},
    sink::{PageFormat, Sinks},
    source::netlink::synthetic::table,
};
use rustix::time::{ClockId, clock_gettime};

const SERVICES: u32 = 100;
const DESTINATIONS: u32 = 10_000;
const TICK: Duration = Duration::from_millis(100);
const TICKS: u32 = 100;

fn main() -> io::Result<()> {
    throughput()?;
    sizes()
}

/// Of a hundred ticks at their time, as of a sampler whose every destination changes.
fn throughput() -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("ipvs-sampler-bench-{}", std::process::id()));
    let listener = UnixListener::bind(&path)?;
    let (tell, told) = mpsc::channel();
    let reader = thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut buffer = vec![0; 1 << 20];
        let mut bytes = 0;
        loop {
            let length = stream.read(&mut buffer)?;
            bytes += length;
            if length == 0 {
                let _ = tell.send((bytes, cpu_time(ClockId::ThreadCPUTime)));
                return Ok(());
            }
        }
    });
    let target = format!("unix:{}", path.display());
    let target = target.parse().map_err(io::Error::other)?;
    let sinks = Sinks::open(&[target], 64 << 20).map_err(|(_, error)| error)?;
    let mut snapshot = table(SERVICES, DESTINATIONS / SERVICES);
    let influx = Influx::default();
    let (mut batch, mut random) = (Vec::new(), 1);
    let mut encoding = Duration::ZERO;
    let (began, before) = (Instant::now(), cpu_time(ClockId::ProcessCPUTime));
    let mut counting = Duration::ZERO;
    for tick in 1..=TICKS {
        let from = cpu_time(ClockId::ThreadCPUTime);
        count(&mut snapshot, &mut random);
        let counted = cpu_time(ClockId::ThreadCPUTime);
        lines(
            &influx,
            &snapshot,
            FieldSet::All,
            i64::from(tick),
            &mut batch,
        );
        encoding += cpu_time(ClockId::ThreadCPUTime) - counted;
        counting += counted - from;
        sinks.push(&mut batch);
        thread::sleep((began + TICK * tick).saturating_duration_since(Instant::now()));
    }
    let elapsed = began.elapsed();
    let dropped = sinks.dropped_lines();
    sinks
        .close(Duration::from_secs(10))
        .map_err(|(_, error)| error)?;
    let all = cpu_time(ClockId::ProcessCPUTime) - before;
    drop(sinks);
    let (bytes, reading) = told.recv().map_err(io::Error::other)?;
    reader
        .join()
        .map_err(|_| io::Error::other("the reader"))??;
    fs::remove_file(path)?;
    let share = |time: Duration| time.as_secs_f64() / elapsed.as_secs_f64() * 100.0;
    println!(
        "measured: {DESTINATIONS} destinations at 10 Hz to a Unix socket: encode, queue, write | \
         {:.1} % of a CPU, of which encoding {:.1} %; {:.1} MB/s, {dropped} lines dropped | |",
        share(all.saturating_sub(reading + counting)),
        share(encoding),
        bytes as f64 / elapsed.as_secs_f64() / 1e6,
    );
    Ok(())
}

/// Of lines of destinations, the average over ten seconds at 10 Hz.
fn sizes() -> io::Result<()> {
    let influx = Influx::default();
    let mut snapshot = table(SERVICES, DESTINATIONS / SERVICES);
    let (mut text, mut random) = (Vec::new(), 1);
    for (name, set) in [
        ("Telegraf's fields", FieldSet::All),
        ("extended fields", FieldSet::Extended),
    ] {
        text.clear();
        for tick in 0..10 {
            count(&mut snapshot, &mut random);
            lines(
                &influx,
                &snapshot,
                set,
                1_700_000_000_000_000_000 + tick * 100_000_000,
                &mut text,
            );
        }
        let count = text.iter().filter(|byte| **byte == b'\n').count();
        let each = |bytes: usize| bytes as f64 / count as f64;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&text)?;
        let gzip = gzip.finish()?.len();
        let zstd = zstd::bulk::compress(&text, 3)?.len();
        println!(
            "measured: bytes of a line, {name} | {:.0}; gzip {:.0}; zstd {:.0} | |",
            each(text.len()),
            each(gzip),
            each(zstd),
        );
    }
    let mut page = Prometheus::new(MetricNames::Native, FieldSet::All, &[]);
    let style = TagStyle::default();
    for (service, destinations) in snapshot.iter() {
        page.service(&ServiceRow::new(service), &style);
        for destination in destinations {
            page.destination(&DestinationRow::new(service, destination), &style);
        }
    }
    let mut out = Vec::new();
    page.write(&mut out, PageFormat::Text);
    println!(
        "measured: bytes of a destination in a page for Prometheus | {:.0} | |",
        out.len() as f64 / f64::from(DESTINATIONS)
    );
    Ok(())
}

fn lines(influx: &Influx, snapshot: &Snapshot, set: FieldSet, now: i64, batch: &mut Vec<u8>) {
    for (service, destinations) in snapshot.iter() {
        influx.service(batch, &ServiceRow::new(service), set, now);
        for destination in destinations {
            let row = DestinationRow::new(service, destination);
            influx.destination(batch, &row, set, now);
        }
    }
}

/// Everything counts on, each by an amount of its own.
fn count(snapshot: &mut Snapshot, random: &mut u64) {
    let mut add = |stats: &mut Stats| {
        *random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let more = *random >> 58;
        stats.connections += more;
        stats.packets_in += more * 6;
        stats.packets_out += more * 5;
        stats.bytes_in += more * 700 + (*random >> 50);
        stats.bytes_out += more * 9000 + (*random >> 48);
        stats.connections_per_second = more * 10;
        stats.packets_in_per_second = more * 60;
        stats.packets_out_per_second = more * 50;
    };
    for service in &mut snapshot.services {
        add(&mut service.stats);
    }
    for destination in &mut snapshot.destinations {
        add(&mut destination.stats);
    }
}

fn cpu_time(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}
