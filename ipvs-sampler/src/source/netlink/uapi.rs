//! The kernel's own numbers for generic netlink and for its `IPVS` family.
//!
//! Everything here is copied from include/uapi/linux/ip_vs.h, netlink.h and genetlink.h. The set
//! of IPVS attributes is the same in every kernel from 5.10 to 7.2.

/// Name under which ip_vs registers itself (`IPVS_GENL_NAME`).
pub(super) const FAMILY_NAME: &[u8] = b"IPVS";
/// Version of its interface (`IPVS_GENL_VERSION`).
pub(super) const FAMILY_VERSION: u8 = 1;

/// Bytes of `struct nlmsghdr`: length u32, type u16, flags u16, sequence u32, port u32.
pub(super) const MESSAGE_HEADER: usize = 16;
/// Bytes of `struct genlmsghdr`: command u8, version u8, two reserved.
pub(super) const GENERIC_HEADER: usize = 4;
/// Bytes of `struct nlattr`: length u16, type u16.
pub(super) const ATTRIBUTE_HEADER: usize = 4;
/// The type of an attribute without its two flag bits (`NLA_TYPE_MASK`).
pub(super) const ATTRIBUTE_TYPE_MASK: u16 = 0x3fff;
/// The attribute holds attributes (`NLA_F_NESTED`). ip_vs does not set it in its replies.
pub(super) const NESTED: u16 = 0x8000;

/// Rounds a length up to the four bytes to which messages and attributes are padded
/// (`NLMSG_ALIGN`, `NLA_ALIGN`).
pub(super) const fn aligned(length: usize) -> usize {
    (length + 3) & !3
}

/// `IPVS_CMD_*`: what a request asks and a reply answers.
pub(super) mod command {
    /// Reply of [`GET_SERVICE`].
    pub(in super::super) const NEW_SERVICE: u8 = 1;
    /// Dump of all services of the socket's network namespace.
    pub(in super::super) const GET_SERVICE: u8 = 4;
    /// Reply of [`GET_DEST`].
    pub(in super::super) const NEW_DEST: u8 = 5;
    /// Dump of the destinations of one service; exists as a dump only.
    pub(in super::super) const GET_DEST: u8 = 8;
}

/// `IPVS_CMD_ATTR_*`: attributes of a message.
pub(super) mod top {
    /// Nest of [`super::service`] attributes.
    pub(in super::super) const SERVICE: u16 = 1;
    /// Nest of [`super::destination`] attributes.
    pub(in super::super) const DEST: u16 = 2;
}

/// `IPVS_SVC_ATTR_*`: attributes of a service (`ip_vs_genl_fill_service`, ip_vs_ctl.c).
pub(super) mod service {
    /// Address family, u16.
    pub(in super::super) const AF: u16 = 1;
    /// IP protocol, u16. Absent from a firewall-mark service, as are address and port.
    pub(in super::super) const PROTOCOL: u16 = 2;
    /// Address, always 16 bytes.
    pub(in super::super) const ADDR: u16 = 3;
    /// Port, u16 in network order.
    pub(in super::super) const PORT: u16 = 4;
    /// Firewall mark, u32; absent from a service by address.
    pub(in super::super) const FWMARK: u16 = 5;
    /// Scheduler, text with a final NUL.
    pub(in super::super) const SCHED_NAME: u16 = 6;
    /// `struct ip_vs_flags`: flags u32, mask u32.
    pub(in super::super) const FLAGS: u16 = 7;
    /// Persistence timeout, u32, seconds.
    pub(in super::super) const TIMEOUT: u16 = 8;
    /// IPv4 mask in network order, or IPv6 prefix length in host order.
    pub(in super::super) const NETMASK: u16 = 9;
    /// Nest of [`super::stats`], most of them cut to 32 bits.
    pub(in super::super) const STATS: u16 = 10;
    /// Persistence engine, text; only when there is one.
    pub(in super::super) const PE_NAME: u16 = 11;
    /// Nest of [`super::stats`], all 64 bits wide; since Linux 4.1.
    pub(in super::super) const STATS64: u16 = 12;
}

/// `IPVS_DEST_ATTR_*`: attributes of a destination (`ip_vs_genl_fill_dest`, ip_vs_ctl.c).
pub(super) mod destination {
    /// Address, always 16 bytes.
    pub(in super::super) const ADDR: u16 = 1;
    /// Port, u16 in network order.
    pub(in super::super) const PORT: u16 = 2;
    /// Connection flags, u32; the low bits ([`super::FORWARDING_MASK`]) are the method.
    pub(in super::super) const FWD_METHOD: u16 = 3;
    /// Weight, u32.
    pub(in super::super) const WEIGHT: u16 = 4;
    /// Upper connection threshold, u32.
    pub(in super::super) const U_THRESH: u16 = 5;
    /// Lower connection threshold, u32.
    pub(in super::super) const L_THRESH: u16 = 6;
    /// Active connections, u32, live.
    pub(in super::super) const ACTIVE_CONNS: u16 = 7;
    /// Inactive connections, u32, live.
    pub(in super::super) const INACT_CONNS: u16 = 8;
    /// Persistent connections, u32, live.
    pub(in super::super) const PERSIST_CONNS: u16 = 9;
    /// Nest of [`super::stats`], most of them cut to 32 bits.
    pub(in super::super) const STATS: u16 = 10;
    /// Address family, u16; missing before Linux 3.18, when it was always the service's.
    pub(in super::super) const ADDR_FAMILY: u16 = 11;
    /// Nest of [`super::stats`], all 64 bits wide; since Linux 4.1.
    pub(in super::super) const STATS64: u16 = 12;
    /// Encapsulation, u8; since Linux 5.2.
    pub(in super::super) const TUN_TYPE: u16 = 13;
    /// UDP port of the encapsulation, u16 in network order.
    pub(in super::super) const TUN_PORT: u16 = 14;
    /// Flags of the encapsulation, u16.
    pub(in super::super) const TUN_FLAGS: u16 = 15;
}

/// `IPVS_STATS_ATTR_*`: attributes of both nests of statistics (`ip_vs_genl_fill_stats` and
/// `ip_vs_genl_fill_stats64`, ip_vs_ctl.c). In the older nest all but the bytes are u32.
pub(super) mod stats {
    /// Connections scheduled.
    pub(in super::super) const CONNS: u16 = 1;
    /// Packets in.
    pub(in super::super) const INPKTS: u16 = 2;
    /// Packets out.
    pub(in super::super) const OUTPKTS: u16 = 3;
    /// Bytes in.
    pub(in super::super) const INBYTES: u16 = 4;
    /// Bytes out.
    pub(in super::super) const OUTBYTES: u16 = 5;
    /// Connections per second.
    pub(in super::super) const CPS: u16 = 6;
    /// Packets in per second.
    pub(in super::super) const INPPS: u16 = 7;
    /// Packets out per second.
    pub(in super::super) const OUTPPS: u16 = 8;
    /// Bytes (not bits) in per second.
    pub(in super::super) const INBPS: u16 = 9;
    /// Bytes (not bits) out per second.
    pub(in super::super) const OUTBPS: u16 = 10;
}

/// The bits of the connection flags that hold the forwarding method (`IP_VS_CONN_F_FWD_MASK`).
pub(super) const FORWARDING_MASK: u32 = 7;
