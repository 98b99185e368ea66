//! A client and real servers in network namespaces of their own, the director in ours.

use std::{fs::File, os::fd::AsFd as _, thread};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::sh;

/// Where clients are.
pub const CLIENT: &str = "client";
/// Where real servers are: 10.1.0.1 to 10.1.0.191, fd00:1::1 and fd00:1::2.
pub const REAL: &str = "real";
const CLIENT_SIDE: &str = include_str!("client.ip");
const REAL_SIDE: &str = "\
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
    sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.vs.conntrack=0";

/// Makes both.
pub(crate) fn set_up() {
    for line in CLIENT_SIDE.lines().chain(REAL_SIDE.lines()) {
        sh(line);
    }
}

/// Runs something in a network namespace, on a thread of its own.
pub fn inside<T: Send + 'static>(
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
