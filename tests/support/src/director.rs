//! The director: what it balances, as ipvsadm configures it.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    sync::Once,
};

use super::{network, sh, traffic};

/// Makes the network once, and starts each test with an empty IPVS table.
pub fn ready() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        network::set_up();
        traffic::serve();
    });
    sh("modprobe -a ip_vs ip_vs_rr ip_vs_wrr ip_vs_wlc ip_vs_lc ip_vs_sh");
    // A client's port may come again while an old connection to a deleted destination is remembered:
    // packets would be dropped until that is forgotten.
    sh("sysctl -q -w net.ipv4.vs.expire_nodest_conn=1");
    sh("ipvsadm -C");
    traffic::resolve_neighbours();
}

/// `ipvsadm` with arguments.
#[track_caller]
pub fn ipvsadm(arguments: &str) {
    sh(&format!("ipvsadm {arguments}"));
}

/// Many changes at once: a line each, as `ipvsadm --save` writes them.
#[track_caller]
pub fn restore(script: &str) {
    let mut child = Command::new("ipvsadm")
        .arg("-R")
        .stdin(Stdio::piped())
        .spawn()
        .expect("ipvsadm");
    let mut stdin = child.stdin.take().expect("a pipe");
    for line in script.lines() {
        writeln!(stdin, "{}", line.trim()).expect("writing");
    }
    drop(stdin);
    let status = child.wait().expect("waiting");
    assert!(status.success(), "{script}");
}

/// [`ready`], then `ipvsadm` with each line of a script.
#[track_caller]
pub fn configure(script: &str) {
    ready();
    script.lines().for_each(ipvsadm);
}

/// [`ready`], then a [`service`] on port 80.
#[track_caller]
pub fn serve(destinations: impl IntoIterator<Item = u8>) {
    ready();
    service(80, destinations);
}

/// Adds a service of TCP by `rr` to 10.0.0.1, with a destination 10.1.0.N:80 for each number, in their order.
#[track_caller]
pub fn service(port: u16, destinations: impl IntoIterator<Item = u8>) {
    ipvsadm(&format!("-A -t 10.0.0.1:{port} -s rr"));
    for number in destinations {
        ipvsadm(&format!("-a -t 10.0.0.1:{port} -r 10.1.0.{number}:80 -m"));
    }
}

/// Services of TCP, UDP and IPv6, with destinations that no other configuration here has.
#[track_caller]
pub fn mixed() {
    configure(
        "-A -t 10.0.0.1:80 -s wrr
        -a -t 10.0.0.1:80 -r 10.1.0.41:80 -m -w 3
        -a -t 10.0.0.1:80 -r 10.1.0.42:80 -m -w 1
        -A -u 10.0.0.1:56 -s rr -o
        -a -u 10.0.0.1:56 -r 10.1.0.43:53 -m
        -A -t [fd00::1]:80 -s wlc
        -a -t [fd00::1]:80 -r [fd00:1::1]:80 -m
        -a -t [fd00::1]:80 -r [fd00:1::2]:80 -m",
    );
}

/// A script for [`restore`]: firewall marks from 1 on, each with this many destinations that nobody connects to.
pub fn marks(count: usize, each: usize) -> String {
    let mut script = String::new();
    for mark in 1..=count {
        script.push_str(&format!("-A -f {mark} -s rr\n"));
        for n in 0..each {
            let (high, low) = (n / 250, n % 250);
            script.push_str(&format!("-a -f {mark} -r 10.3.{high}.{low}:80 -g\n"));
        }
    }
    script
}
