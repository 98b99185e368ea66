//! Virtual services, destinations and their statistics, as a netlink dump tells them.

use ipvs_sampler_common::COUNTERS;

use super::Name;

/// Address family of IPv4 as netlink carries it (`AF_INET`).
pub const INET: u16 = 2;
/// Address family of IPv6 as netlink carries it (`AF_INET6`).
pub const INET6: u16 = 10;

/// What names a virtual service within one network namespace. The order of the fields is the sort
/// order of every snapshot: services by address before those by firewall mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// By address and port, or by firewall mark.
    pub address: VirtualAddress,
    /// `INET` or `INET6`. A firewall mark can name one service of each.
    pub family: u16,
}

/// The two ways to select packets for a virtual service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VirtualAddress {
    /// Protocol, address and port of the packet.
    Socket {
        /// IP protocol number: 6 TCP, 17 UDP, 132 SCTP.
        protocol: u16,
        /// Network order; an IPv4 address fills the first four bytes, the rest is zero.
        address: [u8; 16],
        /// Host order.
        port: u16,
    },
    /// The packet's firewall mark, never 0.
    Fwmark(u32),
}

impl Default for ServiceKey {
    fn default() -> Self {
        Self {
            address: VirtualAddress::Fwmark(0),
            family: 0,
        }
    }
}

/// What names a destination (real server) within its service
/// (`ip_vs_lookup_dest`, net/netfilter/ipvs/ip_vs_ctl.c).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationKey {
    /// Family of the real server: other than the service's only for tunnels.
    pub family: u16,
    /// Network order; an IPv4 address fills the first four bytes, the rest is zero.
    pub address: [u8; 16],
    /// Host order; 0 means the port of the connection.
    pub port: u16,
}

/// A virtual service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Which service.
    pub key: ServiceKey,
    /// Scheduler, `none` when it has none.
    pub scheduler: Name,
    /// `IP_VS_SVC_F_*` bits: 1 persistent, 2 hashed (internal), 4 one-packet, 8.. scheduler's own.
    pub flags: u32,
    /// Persistence timeout in seconds.
    pub timeout: u32,
    /// Persistence granularity: an IPv4 mask in network order read as a native integer (as the
    /// kernel and Telegraf's library hold it), or an IPv6 prefix length.
    pub netmask: u32,
    /// Persistence engine, empty when it has none.
    pub persistence_engine: Name,
    /// Counters of the service, deleted destinations included.
    pub stats: Stats,
    /// First of its destinations in [`super::Snapshot::destinations`].
    pub first_destination: u32,
    /// How many follow.
    pub destination_count: u32,
    /// The probe's slot for this life of the service in the kernel, when it was learned.
    pub slot: Option<u32>,
}

impl Service {
    /// `IP_VS_SVC_F_PERSISTENT`.
    pub const PERSISTENT: u32 = 1;
    /// `IP_VS_SVC_F_ONEPACKET`.
    pub const ONE_PACKET: u32 = 4;
}

/// A destination (real server) of one service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// Which destination within its service.
    pub key: DestinationKey,
    /// How packets reach it.
    pub forwarding: Forwarding,
    /// Weight; 0 means no new connections.
    pub weight: u32,
    /// No new connections above this many; 0 means no limit.
    pub upper_threshold: u32,
    /// New connections again below this many.
    pub lower_threshold: u32,
    /// Connections in an active state, now.
    pub active_connections: u32,
    /// Connections in any other state, now.
    pub inactive_connections: u32,
    /// Persistence templates, now.
    pub persistent_connections: u32,
    /// Whether it has reached its upper threshold and not come down to the lower one; netlink does
    /// not tell.
    pub overloaded: Option<bool>,
    /// How a tunnel encapsulates; all zero (IPIP) otherwise.
    pub tunnel: Tunnel,
    /// Counters.
    pub stats: Stats,
    /// The probe's slot for this life of the destination in the kernel, when it was learned.
    pub slot: Option<u32>,
}

impl Destination {
    /// `IP_VS_DEST_F_OVERLOAD` (include/net/ip_vs.h).
    pub const OVERLOADED: u32 = 2;
}

/// Forwarding method: the low bits of the connection flags (`IP_VS_CONN_F_FWD_MASK`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forwarding {
    /// Masquerading (NAT).
    #[default]
    Masquerade,
    /// A local process of the director.
    Local,
    /// Tunnel.
    Tunnel,
    /// Direct routing.
    Route,
    /// Cache bypass.
    Bypass,
    /// A value this program does not know.
    Unknown(u32),
}

/// Encapsulation of a tunnelled destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tunnel {
    /// 0 IPIP, 1 GUE, 2 GRE (`IP_VS_CONN_F_TUNNEL_TYPE_*`).
    pub kind: u8,
    /// UDP port of GUE, host order.
    pub port: u16,
    /// `IP_VS_TUNNEL_ENCAP_FLAG_*`.
    pub flags: u16,
}

/// Statistics of a service or a destination, as of the kernel's last estimator run (at most 2 s
/// old while it runs, frozen under `run_estimation=0`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections scheduled since creation or zeroing.
    pub connections: u64,
    /// Packets towards the real server.
    pub packets_in: u64,
    /// Packets back.
    pub packets_out: u64,
    /// Bytes towards the real server.
    pub bytes_in: u64,
    /// Bytes back.
    pub bytes_out: u64,
    /// Connections per second, the kernel's moving average.
    pub connections_per_second: u64,
    /// Packets in per second, the kernel's moving average.
    pub packets_in_per_second: u64,
    /// Packets out per second, the kernel's moving average.
    pub packets_out_per_second: u64,
    /// Bytes in per second, the kernel's moving average.
    pub bytes_in_per_second: u64,
    /// Bytes out per second, the kernel's moving average.
    pub bytes_out_per_second: u64,
}

impl Stats {
    /// The same counters with the rates of `other`.
    #[must_use]
    pub const fn with_rates_of(self, other: &Self) -> Self {
        Self {
            connections: self.connections,
            packets_in: self.packets_in,
            packets_out: self.packets_out,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            ..*other
        }
    }

    /// The counters, in the order in which IPVS keeps them (`struct ip_vs_counters`).
    #[must_use]
    pub const fn counters(&self) -> [u64; COUNTERS] {
        [
            self.connections,
            self.packets_in,
            self.packets_out,
            self.bytes_in,
            self.bytes_out,
        ]
    }

    /// Takes over counters in that order.
    pub(super) const fn set_counters(&mut self, counters: [u64; COUNTERS]) {
        [
            self.connections,
            self.packets_in,
            self.packets_out,
            self.bytes_in,
            self.bytes_out,
        ] = counters;
    }
}
