//! The lab: a client, a director and three real servers, each in its network namespace, and
//! traffic from one to the others.
//!
//! The director is the root namespace. Its virtual addresses are on a dummy device, the real
//! servers on a bridge; their default route leads back through the director, as masquerading
//! wants it.

use std::process::{Command, Stdio};

use crate::{error::Error, system::command, traffic};

const SERVERS: [u8; 3] = [1, 2, 3];

/// Per service: how it is named, its scheduler, and the real servers' port.
const SERVICES: [(&str, &str, u16); 4] = [
    ("-t 10.0.0.1:80", "wrr", 80),
    ("-u 10.0.0.1:53", "rr", 53),
    ("-t [fd00::1]:80", "wlc", 80),
    // What the firewall has marked; see FIREWALL.
    ("-f 7", "wlc", 8080),
];

/// The virtual addresses and the client, as the tests have them.
const CLIENT_SIDE: &str = include_str!("../support/src/client.ip");

const DIRECTOR: &str = "\
    ip link add real type bridge
    ip link set real up
    ip addr add 10.1.0.254/24 dev real
    ip addr add fd00:1::fe/64 dev real nodad
    sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1";

const SERVER: &str = "\
    ip netns add rsN
    ip link add rsN type veth peer name eth0 netns rsN
    ip link set rsN master real up
    ip -n rsN link set lo up
    ip -n rsN link set eth0 up
    ip -n rsN addr add 10.1.0.N/24 dev eth0
    ip -n rsN addr add fd00:1::N/64 dev eth0 nodad
    ip -n rsN route add default via 10.1.0.254
    ip -n rsN route add default via fd00:1::fe";

const FIREWALL: &str =
    "iptables -t mangle -A PREROUTING -d 10.0.0.1 -p tcp --dport 8080 -j MARK --set-mark 7";

/// Configures everything and starts the traffic.
pub(crate) fn set_up() -> Result<(), Error> {
    println!("guest: configuring the director");
    let servers = SERVERS.map(|n| SERVER.replace('N', &n.to_string()));
    for line in CLIENT_SIDE
        .lines()
        .chain(DIRECTOR.lines())
        .chain(servers.iter().flat_map(|text| text.lines()))
    {
        command(line)?;
    }
    command(FIREWALL)?;
    for (service, scheduler, port) in SERVICES {
        command(&format!("ipvsadm -A {service} -s {scheduler}"))?;
        for n in SERVERS {
            let address = if service.contains("fd00") {
                format!("[fd00:1::{n}]")
            } else {
                format!("10.1.0.{n}")
            };
            let weight = 4 - n;
            command(&format!(
                "ipvsadm -a {service} -r {address}:{port} -m -w {weight}"
            ))?;
        }
    }
    println!("guest: starting traffic");
    for n in SERVERS {
        start(&format!("rs{n}"), traffic::SERVE)?;
    }
    start("client", traffic::CONNECT)
}

/// Starts this program in a namespace, out of the way of everything that is printed.
fn start(namespace: &str, what: &str) -> Result<(), Error> {
    Command::new("ip")
        .args(["netns", "exec", namespace, "/init", what])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot start traffic in {namespace}: {error}"))?;
    Ok(())
}
