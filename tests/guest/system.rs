//! Makes the initramfs into a system that programs can run in, and ends it.

use std::{fs, io::ErrorKind, path::Path, process::Command};

use rustix::{
    mount::{MountFlags, mount},
    process::{Resource, Rlimit, setrlimit},
    system::{RebootCommand, reboot, sethostname},
};

use crate::error::Error;

/// Programs first, busybox's applets last: its `ip` must not hide iproute2's.
const PATH: &str = "/bin:/sbin:/usr/bin:/usr/sbin:/usr/libexec/busybox";

/// Source, target, type, options; required unless optional.
const MOUNTS: [(&str, &str, &str, bool); 10] = [
    ("proc", "/proc", "proc", true),
    ("sysfs", "/sys", "sysfs", true),
    ("devtmpfs", "/dev", "devtmpfs", true),
    ("devpts", "/dev/pts", "devpts", true),
    ("tmpfs", "/tmp", "tmpfs", true),
    ("tmpfs", "/run", "tmpfs", true),
    ("bpf", "/sys/fs/bpf", "bpf", true),
    ("cgroup2", "/sys/fs/cgroup", "cgroup2", true),
    ("debugfs", "/sys/kernel/debug", "debugfs", false),
    ("tracefs", "/sys/kernel/tracing", "tracefs", false),
];

pub(crate) fn prepare() -> Result<(), Error> {
    for (source, target, kind, required) in MOUNTS {
        let outcome = directory(target).and_then(|()| {
            Ok(mount(
                source,
                target,
                kind,
                MountFlags::empty(),
                None::<&std::ffi::CStr>,
            )?)
        });
        match outcome {
            Ok(()) => {}
            Err(error) if required => return Err(format!("cannot mount {target}: {error}").into()),
            Err(error) => println!("guest: cannot mount {target}: {error}"),
        }
    }
    // SAFETY: pid 1 has one thread here.
    unsafe {
        std::env::set_var("PATH", PATH);
        std::env::set_var("HOME", "/root");
        std::env::set_var("TERM", "linux");
    }
    sethostname(b"director")?;
    // A netlink dump of many services, ring buffers and thousands of connections' sockets.
    let limit = Some(1 << 16);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit,
            maximum: limit,
        },
    )?;
    command("ip link set lo up")
}

fn directory(path: &str) -> std::io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // sysfs offers the mount points that the kernel supports, and makes no others.
        Err(_) if Path::new(path).is_dir() => Ok(()),
        other => other,
    }
}

/// Runs a command, its words separated by white space; quiet unless it fails.
pub(crate) fn command(line: &str) -> Result<(), Error> {
    let mut words = line.split_whitespace();
    let program = words.next().ok_or("an empty command")?;
    let output = Command::new(program)
        .args(words)
        .output()
        .map_err(|error| format!("cannot start `{line}`: {error}"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{line}` failed ({}): {}", output.status, words.trim()).into());
    }
    Ok(())
}

pub(crate) fn power_off() -> ! {
    // The console's last words must have left before the power does.
    let _ = rustix::termios::tcdrain(std::io::stdout());
    rustix::fs::sync();
    let _ = reboot(RebootCommand::PowerOff);
    // A pid 1 that returns would make the kernel panic: say what happened instead.
    println!("guest: the machine does not switch off");
    loop {
        std::thread::park();
    }
}
