//! What subcommands print.

use std::io::{self, Write as _};

use crate::system::failure::Failure;

/// Prints all of it.
///
/// # Errors
/// When standard output fails; not when its reader went away.
pub fn print(text: &[u8]) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    let written = output.write_all(text).and_then(|()| output.flush());
    Failure::of_output(written, "standard output")
}
