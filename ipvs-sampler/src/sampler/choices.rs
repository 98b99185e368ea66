//! What was chosen on the command line, in the words of the model and of the schema.

use crate::{
    cli::{self, Host, Settings, Tags},
    model::Selection,
    schema::{FieldSet, TagStyle},
    sink::Target,
    source::namespace::Namespace,
};

/// What is asked for.
pub(crate) fn selection(chosen: &cli::Selection) -> Selection {
    Selection::new(chosen.include.clone(), chosen.exclude.clone())
}

/// The choices on the command line in the schema's words.
pub(crate) fn tag_style(
    tags: &Tags,
    further: Vec<(String, String)>,
    namespace: &Namespace,
) -> TagStyle {
    TagStyle {
        netmask: tags.netmask,
        netns: namespace.label().map(Into::into),
        further,
    }
}

/// The fields of lines, and pages, that have all that is known.
pub(crate) fn field_set(options: &Settings) -> FieldSet {
    options.fixed.fields
}

/// Those given, and the host's name where nobody else would add it.
pub(crate) fn further_tags(options: &Settings) -> Vec<(String, String)> {
    let mut tags = options.reloadable.tag.clone();
    let host = match &options.reloadable.host {
        Host::Name(name) => Some(name.clone()),
        Host::Off => None,
        Host::Auto
            if options
                .reloadable
                .output
                .iter()
                .any(Target::is_standard_output) =>
        {
            None
        }
        Host::Auto | Host::On => {
            let name = rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned();
            (!name.is_empty()).then_some(name)
        }
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
