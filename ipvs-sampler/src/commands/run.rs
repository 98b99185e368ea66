//! `run`: samples until something ends it.

use crate::{
    cli::Settings,
    daemon::{Daemon, Signals},
    settings::{Sources, Values},
    system::{
        failure::{Failure, Refused},
        heap, messages,
        privileges::User,
    },
};

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
