//! The network namespaces that were chosen.

use crate::{
    source::{cannot_enter, namespace::Namespace},
    system::failure::Failure,
};

/// Those chosen, or our own.
///
/// # Errors
/// When one of them cannot be entered.
pub fn chosen_namespaces(labels: &[String]) -> Result<Vec<Namespace>, Failure> {
    if labels.is_empty() {
        return Ok(vec![Namespace::own()]);
    }
    let mut labels = labels.to_vec();
    labels.sort_unstable();
    labels.dedup();
    labels
        .iter()
        .map(|label| Namespace::open(label).map_err(|error| cannot_enter(label, &error)))
        .collect()
}
