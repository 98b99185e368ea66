//! `once`: what the kernel tells, once.

use crate::{
    cli::{Format, Once},
    encode::{Influx, json, table},
    model::{Selection, Snapshot},
    schema::{DestinationRow, FieldSet, ServiceRow},
    settings::{selection, tag_style},
    source::{chosen_namespaces, namespace::Namespace, open_netlink},
    system::{clock::Moment, failure::Failure, stdout::print},
};

/// `once`: one dump of each network namespace, as the kernel tells it.
///
/// # Errors
/// When IPVS is not there, privileges are missing, or standard output fails.
pub fn once(options: &Once) -> Result<(), Failure> {
    let mut text = Vec::new();
    for namespace in chosen_namespaces(&options.place.netns)? {
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
