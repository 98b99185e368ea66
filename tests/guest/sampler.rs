//! Runs ipvs-sampler in the lab, its output on the second serial port.

use std::{
    io::{self, Read as _},
    process::{Command, Stdio},
    thread,
};

use rustix::{
    process::{Signal, kill_process},
    termios::tcdrain,
};

use crate::{
    children::{pid_of, wait_for},
    error::Error,
    plan::Plan,
    serial,
};

pub(crate) fn run(plan: &Plan) -> Result<i32, Error> {
    let mut port = serial::open()?;
    // Through a pipe, so that the sampler sees no terminal: its output is data here.
    let mut child = Command::new("/bin/ipvs-sampler")
        .args(&plan.args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start ipvs-sampler: {error}"))?;
    println!("guest: ready");
    let pid = pid_of(&child)?;
    let mut stdout = child
        .stdout
        .take()
        .ok_or("the sampler has no standard output")?;
    let mut requests = port.try_clone()?;
    thread::spawn(move || {
        // Whatever the host sends, it means the end, the same way as Ctrl-C.
        if let Ok(1..) = requests.read(&mut [0]) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::INT);
        }
    });
    let copier = thread::spawn(move || {
        // The host's side closes with the machine: then nobody misses the rest.
        let _ = io::copy(&mut stdout, &mut port);
        let _ = tcdrain(&port);
    });
    let code = wait_for(pid)?;
    let _ = copier.join();
    Ok(code)
}
