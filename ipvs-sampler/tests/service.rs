//! The binary under a service manager, on any machine: with IPVS or without.

use std::{
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    process::{Command, Stdio},
    time::Duration,
};

#[test]
fn the_service_manager_is_told() {
    let path = std::env::temp_dir().join(format!("ipvs-sampler-notify-{}", std::process::id()));
    let socket = UnixDatagram::bind(&path).unwrap();
    told(&socket, path.to_str().unwrap());
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_service_manager_with_an_abstract_socket_is_told() {
    let name = format!("ipvs-sampler-notify-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    told(
        &UnixDatagram::bind_addr(&address).unwrap(),
        &format!("@{name}"),
    );
}

/// Looks at everything that comes out of `socket`, whose address is `address`.
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
fn told(socket: &UnixDatagram, address: &str) {
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ipvs-sampler"))
        .args(["run", "--interval", "1h", "--ebpf", "off"])
        .env("NOTIFY_SOCKET", address)
        .env("WATCHDOG_USEC", "200000")
        .env_remove("WATCHDOG_PID")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let next = || {
        let mut buffer = [0; 1000];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec())
            .unwrap()
            .trim()
            .to_owned()
    };
    let first = next();
    assert!(
        first.starts_with("STATUS=") && first.ends_with("\nREADY=1"),
        "{first}"
    );
    // An interval is an hour, and yet it is alive.
    assert_eq!((next(), next()), ("WATCHDOG=1".into(), "WATCHDOG=1".into()));
    let pid = i32::try_from(child.id()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let last = std::iter::repeat_with(next).find(|message| message != "WATCHDOG=1");
    assert_eq!(last.as_deref(), Some("STOPPING=1"));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_service_manager_that_cannot_be_told_is_one_message() {
    for (address, said) in [
        ("relative/path", "expected /PATH, @NAME, or vsock:CID:PORT"),
        ("/nowhere/notify", "cannot reach the service manager"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_ipvs-sampler"))
            .args([
                "run",
                "--interval",
                "10ms",
                "--ebpf",
                "off",
                "--for",
                "500ms",
            ])
            .env("NOTIFY_SOCKET", address)
            .env("WATCHDOG_USEC", "30000")
            .env_remove("WATCHDOG_PID")
            .stdout(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
        let messages = String::from_utf8(output.stderr).unwrap();
        let about = messages
            .lines()
            .filter(|line| line.contains("service manager"));
        let about: Vec<_> = about.collect();
        assert_eq!(about.len(), 1, "{messages}");
        assert!(about[0].contains(said), "{messages}");
    }
}

/// Nobody reads standard error: the sampler goes on, and ends when it is told to.
#[test]
fn messages_that_nobody_reads_stop_nothing() {
    // More than a pipe holds.
    const HANG_UPS: usize = 2500;
    let path = std::env::temp_dir().join(format!("ipvs-sampler-unread-{}", std::process::id()));
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_ipvs-sampler"))
        .args(["run", "--interval", "1h", "--ebpf", "off"])
        .env("NOTIFY_SOCKET", &path)
        .env_remove("WATCHDOG_USEC")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let until_ready = || {
        let mut buffer = [0; 1000];
        loop {
            let length = socket.recv(&mut buffer).unwrap();
            if buffer[..length].ends_with(b"READY=1\n") {
                break;
            }
        }
    };
    until_ready();
    let pid = i32::try_from(child.id()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    for _ in 0..HANG_UPS {
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
        until_ready();
    }
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let messages = String::from_utf8(output.stderr).unwrap();
    let written = messages.lines().count();
    assert!((100..HANG_UPS).contains(&written), "{written}");
    assert!(
        messages
            .lines()
            .all(|line| line.starts_with("ipvs-sampler: "))
    );
    std::fs::remove_file(path).unwrap();
}
