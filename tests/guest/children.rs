//! Waits as pid 1 has to: every orphan in the system becomes its child.

use rustix::process::{Pid, WaitOptions, wait};

use crate::error::Error;

/// Reaps whatever ends until `pid` does; its exit code, or 128 and the signal's number.
pub(crate) fn wait_for(pid: Pid) -> Result<i32, Error> {
    loop {
        let Some((ended, status)) = wait(WaitOptions::empty())? else {
            continue;
        };
        if ended == pid {
            let signal = status.terminating_signal().map(|signal| 128 + signal);
            return Ok(status.exit_status().or(signal).unwrap_or(-1));
        }
    }
}

/// The pid of a child that std has started.
pub(crate) fn pid_of(child: &std::process::Child) -> Result<Pid, Error> {
    Ok(i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or("a child without a pid")?)
}
