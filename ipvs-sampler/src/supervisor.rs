//! What a service manager is told (sd_notify(3)): when the sampler is ready, how it is doing, and that its
//! loop still turns. Nothing happens where there is none.

use std::time::Duration;

use sd_notify::{NotifyState, notify, watchdog_enabled};

use crate::clock::Moment;

/// The other side of the service manager.
pub struct Supervisor {
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
    pub fn new(now: Moment) -> Self {
        Self {
            every: watchdog_enabled().map(|allowed| allowed / 3),
            last: now,
            ready: false,
            status: String::new(),
        }
    }

    /// An interval's tick is done, and this is how things are. The first one makes the service ready.
    pub fn interval(&mut self, status: String) {
        if status == self.status && self.ready {
            return;
        }
        let news = [NotifyState::Status(&status), NotifyState::Ready];
        // Together: whoever waits for it to be ready finds the status there.
        tell(if self.ready { &news[..1] } else { &news });
        self.ready = true;
        self.status = status;
    }

    /// Waits until a sign of life is due; for ever, when nobody wants any.
    pub async fn sign_due(&self) {
        match self.every {
            Some(every) => tokio::time::sleep(every).await,
            None => std::future::pending().await,
        }
    }

    /// The loop turns: to be called from it, not from a timer of its own.
    pub fn alive(&mut self, now: Moment) {
        let due = self.every.map(|every| every.as_nanos());
        if due.is_some_and(|due| u128::from(now.since(&self.last)) >= due) {
            tell(&[NotifyState::Watchdog]);
            self.last = now;
        }
    }

    /// The configuration is read again; [`Supervisor::reloaded`] is to follow.
    pub fn reloading(&self, now: &Moment) {
        let now = i128::from(now.monotonic) / 1000;
        tell(&[NotifyState::Reloading, NotifyState::MonotonicUsec(now)]);
    }

    /// It is in effect, or the one before still is.
    pub fn reloaded(&self) {
        if self.ready {
            tell(&[NotifyState::Ready]);
        }
    }

    /// The end has begun.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = notify(state) {
        log::debug!("the service manager cannot be told: {error}");
    }
}
