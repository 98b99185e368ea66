//! What a service manager is told (sd_notify(3)): when the sampler is ready, how it is doing, and that its
//! loop still turns. Nothing happens where there is none.

mod manager;

use std::{env, time::Duration};

use manager::Manager;

use crate::system::clock::Moment;

/// The other side of the service manager.
#[derive(Debug)]
pub(super) struct Supervisor {
    manager: Option<Manager>,
    /// The last message did not arrive: this is said once, not at each sign of life.
    deaf: bool,
    /// Time between signs of life. A third of what is allowed: the loop may turn just before one is
    /// due, and then not for as long again.
    every: Option<Duration>,
    /// The last sign.
    last: Moment,
    ready: bool,
    status: String,
}

impl Supervisor {
    /// As the environment says.
    #[must_use]
    pub(super) fn new(now: Moment) -> Self {
        let address = env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty());
        let manager = address.and_then(|address| {
            Manager::open(&address)
                .inspect_err(|error| {
                    log::warn!(
                        "cannot use NOTIFY_SOCKET {address:?}: {error}; continuing without a service manager"
                    );
                })
                .ok()
        });
        Self {
            every: manager
                .as_ref()
                .and_then(|_| watchdog())
                .map(|allowed| allowed / 3),
            manager,
            deaf: false,
            last: now,
            ready: false,
            status: String::new(),
        }
    }

    /// An interval's tick is done, and this is how things are. The first one makes the service ready.
    pub(super) fn interval(&mut self, status: &str) {
        // A line break would begin another assignment.
        let status = status.replace('\n', " ");
        if status == self.status && self.ready {
            return;
        }
        // Together: whoever waits for it to be ready finds the status there.
        let ready = if self.ready { "" } else { "READY=1\n" };
        if self.tell(&format!("STATUS={status}\n{ready}")) {
            self.ready = true;
            self.status = status;
        }
    }

    /// Waits until a sign of life is due; for ever, when nobody wants any.
    pub(super) async fn sign_due(&self) {
        match self.every {
            Some(every) => tokio::time::sleep(every).await,
            None => std::future::pending().await,
        }
    }

    /// The loop turns: to be called from it, not from a timer of its own.
    pub(super) fn alive(&mut self, now: Moment) {
        let due = self.every.map(|every| every.as_nanos());
        if due.is_some_and(|due| u128::from(now.since(&self.last)) >= due) {
            self.tell("WATCHDOG=1\n");
            self.last = now;
        }
    }

    /// The configuration is read again; [`Supervisor::reloaded`] is to follow.
    pub(super) fn reloading(&mut self, now: &Moment) {
        let microseconds = now.monotonic / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}\n"));
    }

    /// It is in effect, or the one before still is.
    pub(super) fn reloaded(&mut self) {
        if self.ready {
            self.tell("READY=1\n");
        }
    }

    /// The end has begun.
    pub(super) fn stopping(&mut self) {
        self.tell("STOPPING=1\n");
    }

    /// Whether it arrived, or there is nobody to tell.
    fn tell(&mut self, message: &str) -> bool {
        let Some(manager) = &self.manager else {
            return true;
        };
        let told = manager.tell(message);
        match &told {
            Err(error) if !self.deaf => {
                log::warn!("cannot reach the service manager at NOTIFY_SOCKET: {error}");
            }
            Ok(()) if self.deaf => log::info!("the service manager is reachable again"),
            _ => {}
        }
        self.deaf = told.is_err();
        told.is_ok()
    }
}

/// How long the loop may stand still, as sd_watchdog_enabled(3) finds out.
fn watchdog() -> Option<Duration> {
    let number = |name| env::var(name).ok()?.parse::<u64>().ok();
    let other = number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id()));
    let allowed = number("WATCHDOG_USEC").filter(|allowed| *allowed > 0 && !other)?;
    Some(Duration::from_micros(allowed))
}
