//! A client and real servers in network namespaces of their own, the director in ours.

use std::{
    fs::File,
    io::Write as _,
    os::fd::AsFd as _,
    process::{Command, Stdio},
    sync::Once,
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{sh, traffic};

/// Where clients are.
pub(crate) const CLIENT: &str = "client";
/// Where real servers are: 10.1.0.1 to 10.1.0.191, fd00:1::1 and fd00:1::2.
pub(crate) const REAL: &str = "real";
const SET_UP: &str = "\
    ip link add vip type dummy
    ip link set vip up
    ip addr add 10.0.0.1/32 dev vip
    ip addr add fd00::1/128 dev vip nodad
    ip netns add client
    ip link add clients type veth peer name eth0 netns client
    ip link set clients up
    ip addr add 10.2.0.254/24 dev clients
    ip addr add fd00:2::fe/64 dev clients nodad
    ip -n client link set lo up
    ip -n client link set eth0 up
    ip -n client addr add 10.2.0.1/24 dev eth0
    ip -n client addr add fd00:2::1/64 dev eth0 nodad
    ip -n client route add default via 10.2.0.254
    ip -n client route add default via fd00:2::fe
    ip netns add real
    ip link add reals type veth peer name eth0 netns real
    ip link set reals up
    ip addr add 10.1.0.254/24 dev reals
    ip addr add fd00:1::fe/64 dev reals nodad
    ip -n real link set lo up
    ip -n real link set eth0 up
    ip -n real route add local 10.1.0.0/25 dev lo
    ip -n real route add local 10.1.0.128/26 dev lo
    ip -n real addr add 10.1.0.1/24 dev eth0
    ip -n real addr add fd00:1::1/64 dev eth0 nodad
    ip -n real addr add fd00:1::2/64 dev eth0 nodad
    ip -n real route add default via 10.1.0.254
    ip -n real route add default via fd00:1::fe
    sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.vs.conntrack=0
    modprobe -a ip_vs ip_vs_rr ip_vs_wrr ip_vs_wlc ip_vs_lc ip_vs_sh";

/// Makes the network once, and starts each test with an empty IPVS table.
pub(crate) fn ready() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for line in SET_UP.lines() {
            sh(line);
        }
        traffic::serve();
    });
    sh("modprobe -a ip_vs ip_vs_rr ip_vs_wrr ip_vs_wlc ip_vs_lc ip_vs_sh");
    sh("ipvsadm -C");
    traffic::resolve_neighbours();
}

/// Runs something in a network namespace, on a thread of its own.
pub(crate) fn inside<T: Send + 'static>(
    namespace: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let path = format!("/run/netns/{namespace}");
    thread::spawn(move || {
        let file = File::open(&path).unwrap_or_else(|error| panic!("cannot open {path}: {error}"));
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("entering a network namespace");
        work()
    })
}

/// `ipvsadm` with arguments.
#[track_caller]
pub(crate) fn ipvsadm(arguments: &str) {
    sh(&format!("ipvsadm {arguments}"));
}

/// `ipvsadm -R`.
pub(crate) fn restore(rules: &str) {
    let mut child = Command::new("ipvsadm")
        .arg("-R")
        .stdin(Stdio::piped())
        .spawn()
        .expect("ipvsadm");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(rules.as_bytes())
        .expect("rules");
    assert!(child.wait().expect("ipvsadm").success());
}
