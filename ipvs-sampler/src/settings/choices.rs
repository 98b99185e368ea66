//! What was chosen on the command line, in the words of the engine and of the schema.

use std::time::Duration;

use crate::{
    cli::{self, Ebpf, Host, Live, Rates, Settings, Tags},
    engine::{Choices, ProbeUse},
    model::Selection,
    schema::{FieldSet, TagStyle},
    sink::Target,
    source::namespace::Namespace,
};

/// What the engine is to know.
pub(crate) fn choices(settings: &Settings) -> Choices {
    let Settings { reloadable, fixed } = settings;
    Choices {
        probe: match fixed.ebpf {
            Ebpf::Off => ProbeUse::Off,
            Ebpf::Auto => ProbeUse::Wanted,
            Ebpf::Require => ProbeUse::Required,
        },
        live: fixed.live == Live::Auto,
        kernel_rates: reloadable.rates == Rates::Kernel,
        extended: fixed.fields == FieldSet::Extended,
        // Where only pages are asked for, no line is written.
        rows: reloadable.output.iter().any(Target::takes_lines),
        resolution_ns: nanoseconds(reloadable.resolution),
        ring_bytes: fixed.ebpf_ring,
        log: fixed.ebpf_log,
        selection: selection(&reloadable.selection),
    }
}

/// As the kernel takes it.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What messages begin with when there may be several network namespaces.
pub(crate) fn prefix(namespace: &Namespace) -> String {
    namespace
        .label()
        .map_or_else(String::new, |label| format!("netns {label}: "))
}

/// What is asked for.
pub(crate) fn selection(chosen: &cli::Selection) -> Selection {
    Selection::new(chosen.include.clone(), chosen.exclude.clone())
}

/// The choices on the command line in the schema's words.
pub(crate) fn tag_style(
    tags: &Tags,
    further: Vec<(String, String)>,
    label: Option<&str>,
) -> TagStyle {
    TagStyle {
        netmask: tags.netmask,
        netns: label.map(Into::into),
        further,
    }
}

/// The fields of lines, and pages, that have all that is known.
pub(crate) fn field_set(options: &Settings) -> FieldSet {
    options.fixed.fields
}

/// The tags given, and the host's name where no reader adds it. `host_name` is asked only then.
pub(crate) fn further_tags(
    options: &Settings,
    host_name: impl FnOnce() -> Option<String>,
) -> Vec<(String, String)> {
    let Settings { reloadable, .. } = options;
    let mut tags = reloadable.tag.clone();
    let host = match &reloadable.host {
        Host::Name(name) => Some(name.clone()),
        Host::Off => None,
        Host::Auto if reloadable.output.iter().any(Target::is_standard_output) => None,
        Host::Auto | Host::On => host_name(),
    };
    if !tags.iter().any(|(name, _)| name == HOST_TAG) {
        tags.extend(host.map(|name| (HOST_TAG.to_owned(), name)));
    }
    tags.sort_unstable();
    tags.dedup_by(|later, former| later.0 == former.0);
    tags
}

/// Telegraf's name for it.
const HOST_TAG: &str = "host";
