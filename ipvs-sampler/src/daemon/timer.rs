//! What the loop waits for between ticks.

use std::{io, os::fd::OwnedFd};

use rustix::{
    io::Errno,
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::system::clock::Moment;

const NANOSECONDS: i64 = 1_000_000_000;

/// A timer on the wall clock.
pub(super) struct Timer {
    timer: AsyncFd<OwnedFd>,
}

/// Why [`Timer::wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// The deadline is here.
    Due,
    /// The wall clock was set: deadlines have to be thought over.
    ClockSet,
}

impl Timer {
    /// # Errors
    /// When the system is out of file descriptors or has no tokio runtime with I/O.
    pub(super) fn new() -> io::Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Realtime,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        // SAFETY: an `OwnedFd` is one open file descriptor for as long as it lives, and `AsyncFd`
        // takes it over.
        let timer = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) };
        Ok(Self {
            timer: timer.map_err(|refused| refused.into_parts().1)?,
        })
    }

    /// Waits until `deadline`, in ns since 1970, which was not further away than `furthest` ns when
    /// it was thought of.
    ///
    /// # Errors
    /// When the kernel refuses the timer.
    pub(super) async fn wait(&self, deadline: i64, furthest: i64) -> io::Result<Wake> {
        let at = Timespec {
            tv_sec: deadline.div_euclid(NANOSECONDS),
            tv_nsec: deadline.rem_euclid(NANOSECONDS),
        };
        let once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let armed = timerfd_settime(
            self.timer.get_ref(),
            TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET,
            &Itimerspec {
                it_interval: once,
                it_value: at,
            },
        );
        match armed {
            Ok(_) => {}
            // timerfd_setup (fs/timerfd.c) says so when the clock was set since the last wait.
            Err(Errno::CANCELED) => return Ok(Wake::ClockSet),
            Err(error) => return Err(error.into()),
        }
        // Nobody tells when the clock was set back after the deadline was thought of and before the
        // first wait.
        if deadline - Moment::now().wall > furthest {
            return Ok(Wake::ClockSet);
        }
        loop {
            let mut ready = self.timer.readable().await?;
            let mut expirations = [0; 8];
            match ready.try_io(|timer| Ok(rustix::io::read(timer, &mut expirations)?)) {
                Ok(Ok(_)) => return Ok(Wake::Due),
                // timerfd_read (fs/timerfd.c) says so when the clock was set.
                Ok(Err(error)) if Errno::from_io_error(&error) == Some(Errno::CANCELED) => {
                    return Ok(Wake::ClockSet);
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Moment, Timer, Wake};

    const MS: i64 = 1_000_000;

    #[test]
    fn a_clock_that_was_set_back_before_the_wait_does_not_stop_the_timer() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        let wait = |ahead: i64| {
            runtime.block_on(async {
                let deadline = Moment::now().wall + ahead;
                Timer::new()?.wait(deadline, 1000 * MS).await
            })
        };
        assert_eq!(wait(3600 * 1000 * MS).unwrap(), Wake::ClockSet);
        assert_eq!(wait(MS).unwrap(), Wake::Due);
    }
}
