//! The subcommands: what they open, when they tick, how they end.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cli::{Doctor, Format, Once, Place, Run},
    clock::{Due, Moment, Schedule, Timer, Wake},
    doctor,
    encode::{Influx, json, table},
    failure::Failure,
    heap,
    model::Snapshot,
    requests::{Request, Requests},
    sampler::{DUMP_LIMIT, Sampler, cannot_enter, further_tags, tag_style, within},
    schema::{self, DestinationRow, FieldSet, ServiceRow, TagStyle, TagValue},
    sink::Sinks,
    source::{namespace::Namespace, netlink::Netlink},
    supervisor::Supervisor,
};

/// How long the output may take to write what waits when the program ends.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// `once`: one dump of each network namespace, as the kernel tells it.
///
/// # Errors
/// When IPVS is not there, privileges are missing, or standard output fails.
pub fn once(options: &Once) -> Result<(), Failure> {
    let mut text = Vec::new();
    for namespace in namespaces(&options.place)? {
        let mut snapshot = Snapshot::default();
        within(&namespace, || Netlink::open(DUMP_LIMIT))??.dump(&mut snapshot, &mut ())?;
        append(&mut text, options, &namespace, &snapshot);
    }
    print(&text)
}

fn append(text: &mut Vec<u8>, options: &Once, namespace: &Namespace, snapshot: &Snapshot) {
    let now = Moment::now().wall;
    match options.format {
        Format::Influx => {
            let encoder = Influx {
                style: tag_style(&options.tags, Vec::new(), namespace),
            };
            for (service, destinations) in snapshot.iter() {
                encoder.service(text, &ServiceRow::new(service), FieldSet::All, now);
                for destination in destinations {
                    let row = DestinationRow::new(service, destination);
                    encoder.destination(text, &row, FieldSet::All, now);
                }
            }
        }
        Format::Json => json(text, snapshot, namespace.label(), now),
        Format::Table => {
            if let Some(label) = namespace.label() {
                text.extend_from_slice(format!("Network namespace {label}\n").as_bytes());
            }
            table(text, snapshot);
        }
    }
}

/// Those chosen, or our own.
fn namespaces(place: &Place) -> Result<Vec<Namespace>, Failure> {
    if place.netns.is_empty() {
        return Ok(vec![Namespace::own()]);
    }
    let mut labels = place.netns.clone();
    labels.sort_unstable();
    labels.dedup();
    labels
        .iter()
        .map(|label| Namespace::open(label).map_err(|error| cannot_enter(label, &error)))
        .collect()
}

/// `doctor`: what can be known here.
///
/// # Errors
/// When nothing can be sampled, or standard output fails.
pub fn doctor(options: &Doctor) -> Result<(), Failure> {
    let mut failure = None;
    for namespace in namespaces(&options.place)? {
        let findings = doctor::examine(&namespace)?;
        print(findings.text.as_bytes())?;
        failure = failure.or(findings.failure);
    }
    failure.map_or(Ok(()), Err)
}

pub(crate) fn print(text: &[u8]) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    let written = output.write_all(text).and_then(|()| output.flush());
    ended(written, "standard output")
}

/// `run`: samples until a signal, the given time or the given count ends it.
///
/// # Errors
/// When the sources cannot be opened, or the output fails.
pub fn run(options: Run) -> Result<(), Failure> {
    heap::keep_large_apart();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| Failure::Unavailable(format!("cannot start: {error}")))?;
    runtime.block_on(sample(options))
}

async fn sample(options: Run) -> Result<(), Failure> {
    let failed = |(target, error)| Failure::Output { target, error };
    let sinks = Sinks::open(&options.output).map_err(failed)?;
    let outcome = drive(options, &sinks).await;
    // Whatever happened, what is queued goes out; the first failure is the one to tell.
    let written = match sinks.close(DRAIN_LIMIT) {
        Ok(()) => Ok(()),
        Err((target, error)) => ended(Err(error), &target),
    };
    outcome.and(written)
}

/// Ticks until something ends it.
async fn drive(options: Run, sinks: &Sinks) -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(refused)?;
    let timer = Timer::new().map_err(refused)?;
    let mut end = std::pin::pin!(end(options.for_));
    let mut left = options.count;
    let interval = options.interval;

    let encoder = Influx {
        style: TagStyle {
            further: further_tags(&options),
            ..TagStyle::default()
        },
    };
    let mut supervisor = Supervisor::new(Moment::now());
    let requests = options
        .telegraf_execd
        .map(Requests::listen)
        .transpose()
        .map_err(refused)?;
    let mut samplers = namespaces(&options.place)?
        .into_iter()
        .map(|namespace| Sampler::start(options.clone(), namespace))
        .collect::<Result<Vec<_>, _>>()?;
    let resolution = |samplers: &[Sampler]| samplers.iter().find_map(Sampler::resolution);
    let mut batch = Vec::new();
    let mut deadline = Moment::now().wall;
    let mut schedule = Schedule::new(interval, resolution(&samplers), deadline);
    let mut due = Due::Interval;
    let mut waited_from = Moment::now();
    'ticks: loop {
        let dropped = sinks.dropped_lines();
        let ticked = tick_all(&mut samplers, due, deadline, dropped, &mut batch);
        if due == Due::Interval {
            let status: Vec<_> = samplers.iter().map(Sampler::status).collect();
            supervisor.interval(status.join("; "));
            report_outputs(sinks, &encoder, &mut batch);
        }
        supervisor.alive(Moment::now());
        sinks.push(&mut batch);
        if ticked? && let Some(left) = &mut left {
            *left -= 1;
            if *left == 0 {
                return Ok(());
            }
        }
        let now = Moment::now();
        let missed = schedule.missed(deadline, now.wall, now.since(&waited_from));
        waited_from = now;
        for sampler in &mut samplers {
            sampler.missed(missed);
        }
        schedule.set_resolution(resolution(&samplers));
        deadline = schedule.next(now.wall);
        loop {
            tokio::select! {
                biased;
                _ = interrupt.recv() => break 'ticks,
                _ = terminate.recv() => break 'ticks,
                () = &mut end => break 'ticks,
                () = sinks.failed() => return Ok(()),
                _ = hang_up.recv() => {
                    sinks.reopen();
                    continue;
                }
                () = supervisor.sign_due() => {
                    supervisor.alive(Moment::now());
                    continue;
                }
                request = Requests::next(&requests) => {
                    if request == Request::End {
                        break 'ticks;
                    }
                    deadline = Moment::now().wall;
                    due = Due::Interval;
                    continue 'ticks;
                }
                woken = timer.wait(deadline, schedule.furthest()) => {
                    if woken.map_err(refused)? == Wake::ClockSet {
                        deadline = Moment::now().wall;
                    }
                    break;
                }
            }
        }
        due = schedule.due(Moment::now().wall);
    }
    supervisor.stopping();
    // Interrupted: the last word is a complete one.
    let now = Moment::now().wall;
    let dropped = sinks.dropped_lines();
    let ticked = tick_all(&mut samplers, Due::Interval, now, dropped, &mut batch);
    sinks.push(&mut batch);
    ticked.map(drop)
}

/// A tick of each network namespace; whether all are complete. What was written before a failure
/// stays in `batch`.
fn tick_all(
    samplers: &mut [Sampler],
    due: Due,
    deadline: i64,
    dropped: u64,
    batch: &mut Vec<u8>,
) -> Result<bool, Failure> {
    let mut complete = true;
    for sampler in samplers {
        sampler.dropped(dropped);
        complete &= sampler.tick(due, deadline, batch)?;
    }
    Ok(complete)
}

/// A line for each output, how it is doing.
fn report_outputs(sinks: &Sinks, encoder: &Influx, batch: &mut Vec<u8>) {
    let now = Moment::now().wall;
    for report in sinks.reports() {
        encoder.fields(
            batch,
            schema::sampler::OUTPUT_MEASUREMENT,
            &[(schema::sampler::OUTPUT_TAG, TagValue::Text(&report.label))],
            &schema::sampler::output_fields(&report),
            now,
        );
    }
}

fn refused(error: io::Error) -> Failure {
    Failure::Unavailable(format!(
        "the system refused a timer or a signal handler: {error}"
    ))
}

async fn end(after: Option<Duration>) {
    match after {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// A reader that went away is a normal end; any other failure is not.
fn ended(result: io::Result<()>, target: &str) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::Output {
            target: target.into(),
            error,
        }),
        Ok(()) => Ok(()),
    }
}
