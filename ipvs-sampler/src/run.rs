//! The subcommands: what they open, how they end.

use crate::{
    choices::{selection, tag_style},
    cli::{Doctor, Format, Once, Settings},
    clock::Moment,
    config::{self, Configuration, Sources, Values},
    daemon::{Daemon, Signals},
    doctor,
    encode::{Influx, json, table},
    failure::{Failure, Refused},
    heap, messages,
    model::{Selection, Snapshot},
    namespaces,
    privileges::User,
    schema::{DestinationRow, FieldSet, ServiceRow},
    source::{namespace::Namespace, open_netlink},
    stdout::print,
};

/// `once`: one dump of each network namespace, as the kernel tells it.
///
/// # Errors
/// When IPVS is not there, privileges are missing, or standard output fails.
pub fn once(options: &Once) -> Result<(), Failure> {
    let mut text = Vec::new();
    for namespace in namespaces::chosen(&options.place)? {
        let mut snapshot = Snapshot::default();
        open_netlink(&namespace)?.dump(&mut snapshot, &mut ())?;
        let mut selection = selection(&options.selection);
        selection.apply(&snapshot);
        append(&mut text, options, &namespace, &snapshot, &selection);
    }
    print(&text)
}

fn append(
    text: &mut Vec<u8>,
    options: &Once,
    namespace: &Namespace,
    snapshot: &Snapshot,
    selection: &Selection,
) {
    let now = Moment::now().wall;
    match options.format {
        Format::Influx => {
            let encoder = Influx {
                style: tag_style(&options.tags, Vec::new(), namespace.label()),
            };
            for (index, (service, destinations)) in snapshot.iter().enumerate() {
                if selection.service(index) {
                    encoder.service(text, &ServiceRow::new(service), FieldSet::All, now);
                }
                for destination in selection.of(service, destinations) {
                    let row = DestinationRow::new(service, destination);
                    encoder.destination(text, &row, FieldSet::All, now);
                }
            }
        }
        Format::Json => json(text, &selection.reduced(snapshot), namespace.label(), now),
        Format::Table => {
            if let Some(label) = namespace.label() {
                text.extend_from_slice(format!("Network namespace {label}\n").as_bytes());
            }
            table(text, &selection.reduced(snapshot));
        }
    }
}

/// `doctor`: what can be known here.
///
/// # Errors
/// When nothing can be sampled, or standard output fails.
pub fn doctor(options: &Doctor) -> Result<(), Failure> {
    let mut failure = None;
    for namespace in namespaces::chosen(&options.place)? {
        let findings = doctor::examine(namespace)?;
        print(findings.text.as_bytes())?;
        failure = failure.or(findings.failure);
    }
    failure.map_or(Ok(()), Err)
}

/// `run`: samples until a signal, the given time or the given count ends it.
///
/// # Errors
/// When the sources cannot be opened, or the output fails.
pub fn run(
    options: Settings,
    user: Option<&User>,
    sources: Sources,
    values: Values,
) -> Result<(), Failure> {
    let format = match options.fixed.telegraf_execd {
        Some(_) => messages::Format::Telegraf,
        None => messages::Format::Text,
    };
    messages::set_format(options.fixed.log_format.unwrap_or(format));
    heap::keep_large_apart();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| Failure::Unavailable(Refused::to("cannot start")(error)))?;
    runtime.block_on(async {
        // First: a hang-up while the sources are opened shall not end it.
        let signals = Signals::handle()?;
        Daemon::start(options, user, sources, values)?
            .run(signals)
            .await
    })
}

/// `config check`: whether the configuration is right, as far as that can be seen without IPVS.
///
/// # Errors
/// Which output's secret or certificate is not to be had.
pub fn check(options: &Settings, sources: &Sources) -> Result<(), Failure> {
    for name in sources.unknown_variables() {
        log::warn!("{name} in the environment is no option");
    }
    for target in &options.reloadable.output {
        target
            .check()
            .map_err(|error| Failure::Configuration(format!("{target}: {error}")))?;
    }
    print(b"the configuration is right\n")
}

/// `config show`.
///
/// # Errors
/// When standard output fails.
pub fn show(configuration: &Configuration) -> Result<(), Failure> {
    print(config::show(configuration).as_bytes())
}
