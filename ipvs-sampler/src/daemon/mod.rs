//! `run`: when ticks are due, and what else happens between them.

mod execd;
mod schedule;
mod supervisor;
mod timer;

use std::{future::Future, io, pin::Pin, time::Duration};

use rustix::thread::CapabilitySet;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    cli::{Command, Ebpf, Privileges, Reloadable, Settings},
    encode::{Influx, Prometheus},
    engine::{Due, Sampler},
    publish::{Lines, add_to_page},
    schema::{self, TagStyle, TagValue},
    settings::{Problem, Sources, Values},
    settings::{choices, field_set, further_tags, prefix, tag_style},
    sink::{Sinks, Target},
    source::{Director, chosen_namespaces, conditions, kernel, namespace::Namespace},
    system::clock::Moment,
    system::failure::{Failure, Refused},
    system::privileges::{self, Keep, User},
};

use execd::{ExecdInput, ExecdSignal};
use schedule::Schedule;
use supervisor::Supervisor;
use timer::{Timer, Wake};

/// How long the outputs may take to write what waits when the program ends.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// Everything that runs.
pub struct Daemon {
    options: Settings,
    sources: Sources,
    /// What the sources said of what is in effect.
    values: Values,
    /// One for each network namespace.
    watched: Vec<Watched>,
    sinks: Sinks,
    /// For what is said of outputs.
    encoder: Influx,
    supervisor: Supervisor,
    schedule: Schedule,
    /// What a tick writes to: lines, and metrics when somebody wants a page of them.
    batch: Vec<u8>,
    page: Prometheus,
}

/// A network namespace, and how what is sampled there is written.
struct Watched {
    /// Its label, where it was chosen.
    label: Option<String>,
    sampler: Sampler,
    lines: Lines,
}

/// What ends a wait.
enum Event {
    End,
    /// An output failed for good.
    Failed,
    Tick,
    /// A complete snapshot is wanted now.
    Sample,
}

/// Signals that mean something to us from the moment on when this exists, and before that end the process.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// # Errors
    /// When the system refuses to have them handled, or there is no tokio runtime with I/O.
    pub fn handle() -> Result<Self, Failure> {
        let handle = |kind| signal(kind).map_err(refused);
        Ok(Self {
            interrupt: handle(SignalKind::interrupt())?,
            terminate: handle(SignalKind::terminate())?,
            hang_up: handle(SignalKind::hangup())?,
        })
    }
}

/// What is waited for.
struct Events {
    signals: Signals,
    timer: Timer,
    execd: Option<ExecdInput>,
    end: Pin<Box<dyn Future<Output = ()>>>,
}

impl Daemon {
    /// Opens the sources, gives up what privileges that takes, and opens the outputs.
    ///
    /// # Errors
    /// When something cannot be opened, or given up.
    pub fn start(
        options: Settings,
        user: Option<&User>,
        sources: Sources,
        values: Values,
    ) -> Result<Self, Failure> {
        // While it is permitted, also for a probe that is started later.
        privileges::lift_memory_limit();
        let mut watched = chosen_namespaces(&options.fixed.place.netns)?
            .into_iter()
            .map(|namespace| Watched::open(namespace, &options))
            .collect::<Result<Vec<_>, _>>()?;
        // Before there is another thread: privileges belong to threads.
        give_up_privileges(&options, user, &mut watched)?;
        let sinks = Sinks::open(&options.reloadable.output, options.fixed.output_queue)
            .map_err(|(target, source)| Failure::Output { target, source })?;
        let now = Moment::now();
        Ok(Self {
            encoder: encoder(&options),
            page: page(&options),
            supervisor: Supervisor::new(now),
            schedule: Schedule::new(
                options.reloadable.interval,
                resolution(&watched, &options),
                now.wall,
            ),
            options,
            sources,
            values,
            watched,
            sinks,
            batch: Vec::new(),
        })
    }

    /// Samples until something ends it.
    ///
    /// # Errors
    /// When sources or outputs fail for good.
    pub async fn run(mut self, signals: Signals) -> Result<(), Failure> {
        let outcome = match Events::new(signals, &self.options) {
            Ok(mut events) => self.sample(&mut events).await,
            Err(error) => Err(refused(error)),
        };
        // Whatever happened, what is queued goes out; the first failure is the one to tell.
        let written = match self.sinks.close(DRAIN_LIMIT) {
            Ok(()) => Ok(()),
            Err((target, error)) => Failure::of_output(Err(error), &target),
        };
        outcome.and(written)
    }

    /// Ticks until something ends it.
    async fn sample(&mut self, events: &mut Events) -> Result<(), Failure> {
        let mut left = self.options.fixed.count;
        let mut deadline = Moment::now().wall;
        let mut due = Due::Interval;
        let mut waited_from = Moment::now();
        loop {
            if self.tick(due, deadline)?
                && let Some(left) = &mut left
            {
                *left -= 1;
                if *left == 0 {
                    return Ok(());
                }
            }
            let now = Moment::now();
            let elapsed = now.since(&waited_from);
            let missed = self.schedule.missed(deadline, now.wall, elapsed);
            waited_from = now;
            for watched in &mut self.watched {
                watched.sampler.missed(missed);
            }
            let resolution = resolution(&self.watched, &self.options);
            self.schedule.set_resolution(resolution);
            let period = resolution.unwrap_or(self.options.reloadable.interval);
            let modes = self.watched.iter();
            let modes = modes.map(|watched| watched.sampler.mode_name());
            self.sinks.ticked(period, modes);
            deadline = self.schedule.next(now.wall);
            match self.wait(events, &mut deadline).await? {
                Event::Tick => due = self.schedule.due(Moment::now().wall),
                Event::Sample => {
                    deadline = Moment::now().wall;
                    due = Due::Interval;
                }
                Event::Failed => return Ok(()),
                Event::End => break,
            }
        }
        self.supervisor.stopping();
        // Interrupted: the last word is a complete one.
        self.tick(Due::Interval, Moment::now().wall).map(drop)
    }

    /// Serves whatever comes before a tick.
    async fn wait(&mut self, events: &mut Events, deadline: &mut i64) -> Result<Event, Failure> {
        loop {
            tokio::select! {
                biased;
                _ = events.signals.interrupt.recv() => return Ok(Event::End),
                _ = events.signals.terminate.recv() => return Ok(Event::End),
                () = &mut events.end => return Ok(Event::End),
                () = self.sinks.failed() => return Ok(Event::Failed),
                () = self.supervisor.sign_due() => self.supervisor.alive(Moment::now()),
                signal = ExecdInput::next(&events.execd) => {
                    return Ok(match signal {
                        ExecdSignal::Sample => Event::Sample,
                        ExecdSignal::End => Event::End,
                    });
                }
                woken = events.timer.wait(*deadline, self.schedule.furthest()) => {
                    if woken.map_err(refused)? == Wake::ClockSet {
                        *deadline = Moment::now().wall;
                    }
                    return Ok(Event::Tick);
                }
                // After the timer: however many come, ticks go on.
                _ = events.signals.hang_up.recv() => {
                    self.reload();
                    *deadline = self.schedule.next_from(*deadline, Moment::now().wall);
                }
            }
        }
    }

    /// A tick of each network namespace; whether all are complete. What was written before a
    /// failure goes out.
    fn tick(&mut self, due: Due, deadline: i64) -> Result<bool, Failure> {
        if due == Due::Interval {
            report_outputs(&self.sinks, &self.encoder, &mut self.batch);
        }
        let pages = self.sinks.pages();
        let wanted = pages.and_then(|pages| pages.wanted(due == Due::Interval));
        self.page.clear();
        let dropped = self.sinks.dropped_lines();
        let mut complete = Ok(true);
        for watched in &mut self.watched {
            watched.sampler.dropped(dropped);
            let page = wanted.is_some().then_some(&mut self.page);
            match watched.tick(due, deadline, &mut self.batch, page) {
                Ok(ticked) => complete = complete.map(|all| all && ticked),
                Err(failure) => {
                    complete = Err(failure);
                    break;
                }
            }
        }
        if due == Due::Interval {
            let status = self.watched.iter().map(|watched| watched.sampler.status());
            let status: Vec<_> = status.collect();
            self.supervisor.interval(&status.join("; "));
        }
        if let (Some(wanted), Some(pages), Ok(_)) = (wanted, self.sinks.pages(), &complete) {
            for report in self.sinks.reports() {
                self.page.output(&report);
            }
            pages.publish(wanted, |out, format| self.page.write(out, format));
        }
        self.supervisor.alive(Moment::now());
        self.sinks.push(&mut self.batch);
        complete
    }

    /// Reopens files and reads the configuration again. A wrong one changes nothing.
    fn reload(&mut self) {
        self.supervisor.reloading(&Moment::now());
        self.sinks.reopen();
        if let Err(why) = self.reconfigure() {
            log::error!("reload failed, keeping the current configuration: {why}");
        }
        self.supervisor.reloaded();
    }

    fn reconfigure(&mut self) -> Result<(), String> {
        let configuration = self.sources.read().map_err(|problem| match problem {
            Problem::Usage(usage) => usage.to_string(),
            Problem::Wrong(why) => why,
        })?;
        let values = configuration.values();
        let Command::Run(run) = configuration.cli.command else {
            return Err("this is not a configuration of run".into());
        };
        let reloadable = run.settings.reloadable;
        self.sinks
            .change_to(&reloadable.output)
            .map_err(|(target, error)| format!("cannot write to {target}: {error}"))?;
        let keys = Reloadable::keys();
        let is_reloadable = |key: &&str| keys.iter().any(|known| known == key);
        let (changed, waiting): (Vec<_>, Vec<_>) =
            values.differences(&self.values).partition(is_reloadable);
        self.options.reloadable = reloadable;
        self.encoder = encoder(&self.options);
        self.page = page(&self.options);
        for watched in &mut self.watched {
            watched.reconfigure(&self.options);
        }
        let now = Moment::now().wall;
        self.schedule
            .set_interval(self.options.reloadable.interval, now);
        self.schedule
            .set_resolution(resolution(&self.watched, &self.options));
        match changed[..] {
            [] => log::info!("configuration reloaded, nothing changed"),
            _ => log::info!("configuration reloaded, changed: {}", changed.join(", ")),
        }
        if !waiting.is_empty() {
            log::warn!("changed, but needs a restart: {}", waiting.join(", "));
        }
        self.values.take_over(&values, &keys);
        Ok(())
    }
}

impl Watched {
    fn open(namespace: Namespace, options: &Settings) -> Result<Self, Failure> {
        let label = namespace.label().map(Into::into);
        let prefix = prefix(&namespace);
        let mut director = Director::new(namespace);
        director.connect()?;
        Ok(Self {
            lines: lines(options, label.as_deref()),
            sampler: Sampler::start(Box::new(director), choices(options), prefix)?,
            label,
        })
    }

    fn reconfigure(&mut self, options: &Settings) {
        self.lines = lines(options, self.label.as_deref());
        self.sampler.reconfigure(choices(options));
    }

    /// One tick, and what it says: appended to `batch`, and added to `page` when there is one to be made.
    /// Whether a complete snapshot is among the lines.
    fn tick(
        &mut self,
        due: Due,
        deadline: i64,
        batch: &mut Vec<u8>,
        page: Option<&mut Prometheus>,
    ) -> Result<bool, Failure> {
        let ticked = self.sampler.tick(due, deadline);
        // Also where it failed: destinations that were gone before have their last lines.
        self.lines.rows(&self.sampler.sample(), batch);
        let complete = ticked?;
        self.sampler.end_tick();
        if due == Due::Interval {
            self.lines.status(&self.sampler.sample(), batch);
        }
        if let Some(page) = page {
            add_to_page(&mut self.sampler, self.lines.style(), page);
        }
        Ok(complete)
    }
}

fn lines(options: &Settings, label: Option<&str>) -> Lines {
    let style = tag_style(&options.reloadable.tags, tags(options), label);
    Lines::new(style, field_set(options))
}

impl Events {
    fn new(signals: Signals, options: &Settings) -> io::Result<Self> {
        let end: Pin<Box<dyn Future<Output = ()>>> = match options.fixed.for_ {
            Some(duration) => Box::pin(tokio::time::sleep(duration)),
            None => Box::pin(std::future::pending()),
        };
        Ok(Self {
            signals,
            timer: Timer::new()?,
            execd: options
                .fixed
                .telegraf_execd
                .map(ExecdInput::listen)
                .transpose()?,
            end,
        })
    }
}

/// The tags that every line has.
fn tags(options: &Settings) -> Vec<(String, String)> {
    further_tags(options, kernel::host_name)
}

fn encoder(options: &Settings) -> Influx {
    Influx {
        style: TagStyle {
            further: tags(options),
            ..TagStyle::default()
        },
    }
}

fn page(options: &Settings) -> Prometheus {
    let names = options.reloadable.prometheus_compat;
    Prometheus::new(names, field_set(options), &tags(options))
}

/// Time between ticks for what was scheduled to; `None` when nothing can tell.
fn resolution(watched: &[Watched], options: &Settings) -> Option<Duration> {
    let news = watched.iter().any(|watched| watched.sampler.has_news());
    news.then_some(options.reloadable.resolution)
}

/// Keeps what the rest of the run takes.
fn give_up_privileges(
    options: &Settings,
    user: Option<&User>,
    watched: &mut [Watched],
) -> Result<(), Failure> {
    let mut always = privileges::DUMPING;
    if !options.fixed.place.netns.is_empty() {
        always |= privileges::ENTERING;
    }
    if user.is_none() && options.reloadable.output.iter().any(Target::has_path) {
        always |= privileges::OPENING;
    }
    let steps: &[CapabilitySet] = match (options.fixed.ebpf, options.fixed.privileges) {
        (Ebpf::Off, _) => &[],
        (_, Privileges::Least) => privileges::RUNNING,
        (_, Privileges::Reattach) => {
            always |= privileges::ATTACHING;
            let paranoid = conditions::now().perf_event_paranoid();
            if paranoid.is_some_and(|level| level > 2) {
                always |= privileges::ATTACHING_PARANOID;
            }
            &[]
        }
    };
    let keep = Keep {
        always,
        steps,
        tell: user.is_some() || options.fixed.privileges == Privileges::Least,
    };
    privileges::drop_others(user, keep, || {
        watched
            .iter_mut()
            .all(|watched| watched.sampler.is_permitted())
    })?;
    for watched in watched {
        let sealed = options.fixed.privileges == Privileges::Least;
        watched.sampler.gave_up_privileges(sealed);
    }
    Ok(())
}

/// A line for each output, how it is doing.
fn report_outputs(sinks: &Sinks, encoder: &Influx, batch: &mut Vec<u8>) {
    let now = Moment::now().wall;
    for report in sinks.reports() {
        encoder.fields(
            batch,
            schema::sampler::OUTPUT_MEASUREMENT,
            &[(schema::sampler::OUTPUT_TAG, TagValue::Text(report.label))],
            &schema::sampler::output_fields(&report),
            now,
        );
    }
}

fn refused(error: io::Error) -> Failure {
    let what = "the system refused a timer or a signal handler";
    Failure::Unavailable(Refused::to(what)(error))
}
