//! What goes into every form in which the program is handed out.

use std::path::PathBuf;

/// What all forms of the program are made from.
pub(super) struct Inputs {
    pub(super) workspace: PathBuf,
    /// Stripped.
    pub(super) binary: PathBuf,
    /// The bill of materials.
    pub(super) bill: PathBuf,
    /// Licenses of what is inside.
    pub(super) notices: String,
    pub(super) version: String,
    /// Seconds since 1970 that every file gets.
    pub(super) epoch: u64,
}
