//! A shell on the console, for a person.

use std::{fs::File, os::unix::process::CommandExt as _, process::Command};

use rustix::{
    process::{ioctl_tiocsctty, setsid},
    termios::{Winsize, tcsetwinsize},
};

use crate::{
    children::{pid_of, wait_for},
    error::Error,
    plan::Plan,
};

pub(crate) fn run(plan: &Plan) -> Result<i32, Error> {
    // /dev/console cannot be a controlling terminal, and without one there is no Ctrl-C.
    let console = File::options().read(true).write(true).open("/dev/ttyS0")?;
    if let (Some(ws_row), Some(ws_col)) = (plan.rows, plan.columns) {
        tcsetwinsize(
            &console,
            Winsize {
                ws_row,
                ws_col,
                ws_xpixel: 0,
                ws_ypixel: 0,
            },
        )?;
    }
    let mut command = Command::new("/bin/bash");
    command
        .args(["--norc", "-i"])
        .env("PS1", "director# ")
        .current_dir("/root")
        .stdin(console.try_clone()?)
        .stdout(console.try_clone()?)
        .stderr(console);
    // SAFETY: between fork and exec only system calls are made.
    unsafe {
        command.pre_exec(|| {
            setsid()?;
            ioctl_tiocsctty(std::io::stdin())?;
            Ok(())
        });
    }
    println!("guest: ready");
    let child = command
        .spawn()
        .map_err(|error| format!("cannot start bash: {error}"))?;
    // How the last command of a shell session ended is not a verdict on the session.
    wait_for(pid_of(&child)?)?;
    Ok(0)
}
