//! Where options come from: the command line before the environment before a file.
//!
//! Options are defined once, for clap (`cli.rs`). What the environment and the file say takes the place
//! of clap's defaults, so every value goes through the same checks, wherever it stands.

mod choices;
mod file;
mod options;
mod redacted;
mod show;
mod sources;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use choices::{choices, field_set, further_tags, prefix, selection, tag_style};
pub use show::show;
pub use sources::{Configuration, Problem, Sources, Values};
