//! The network namespaces that were chosen.

use crate::{
    cli::Place,
    failure::Failure,
    source::{cannot_enter, namespace::Namespace},
};

/// Those chosen, or our own.
///
/// # Errors
/// When one of them cannot be entered.
pub fn chosen(place: &Place) -> Result<Vec<Namespace>, Failure> {
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
