//! What Telegraf's `execd` input says on standard input: sample now, or end.

use std::{
    io::{self, Read as _},
    sync::Arc,
    thread,
};

use tokio::sync::Notify;

use crate::cli::Execd;

/// Listens on a separate thread.
pub(super) struct ExecdInput {
    sample: Arc<Notify>,
    end: Arc<Notify>,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExecdSignal {
    /// A complete snapshot, now.
    Sample,
    /// The end: nobody listens any more.
    End,
}

impl ExecdInput {
    /// Begins to listen. Only with [`Execd::Stdin`] a line asks for a snapshot.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn listen(execd: Execd) -> io::Result<Self> {
        let input = Self {
            sample: Arc::default(),
            end: Arc::default(),
        };
        let (sample, end) = (Arc::clone(&input.sample), Arc::clone(&input.end));
        thread::Builder::new().name("input".into()).spawn(move || {
            let mut buffer = [0; 256];
            while let Ok(1..) = io::stdin().read(&mut buffer).map_err(drop) {
                if execd == Execd::Stdin {
                    // Several that wait are one.
                    sample.notify_one();
                }
            }
            end.notify_one();
        })?;
        Ok(input)
    }

    /// The next signal; never, when nobody listens.
    pub(super) async fn next(input: &Option<Self>) -> ExecdSignal {
        let Some(input) = input else {
            return std::future::pending().await;
        };
        tokio::select! {
            () = input.end.notified() => ExecdSignal::End,
            () = input.sample.notified() => ExecdSignal::Sample,
        }
    }
}
