//! The second serial port: the sampler's output and nothing else.

use std::fs::File;

use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::error::Error;

/// Opens the port for bytes as they are: no echo, no line ends rewritten.
pub(crate) fn open() -> Result<File, Error> {
    const PATH: &str = "/dev/ttyS1";
    let port = File::options()
        .read(true)
        .write(true)
        .open(PATH)
        .map_err(|error| format!("{PATH}: {error}"))?;
    let mut attributes = tcgetattr(&port)?;
    attributes.make_raw();
    tcsetattr(&port, OptionalActions::Now, &attributes)?;
    Ok(port)
}
