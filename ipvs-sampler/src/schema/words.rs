//! The words for the kernel's numbers, the same in every output.

use crate::model::{Forwarding, INET, INET6};

/// `inet` or `inet6`; a number without a name has none.
#[must_use]
pub const fn address_family(number: u16) -> Option<&'static str> {
    match number {
        INET => Some("inet"),
        INET6 => Some("inet6"),
        _ => None,
    }
}

/// `tcp`, `udp` or `sctp`, all that IPVS balances.
#[must_use]
pub const fn protocol(number: u16) -> Option<&'static str> {
    match number {
        6 => Some("tcp"),
        17 => Some("udp"),
        132 => Some("sctp"),
        _ => None,
    }
}

/// The forwarding method in one lower-case word, `unknown` for one this program does not know.
#[must_use]
pub const fn forwarding(method: Forwarding) -> &'static str {
    match method {
        Forwarding::Masquerade => "masq",
        Forwarding::Local => "local",
        Forwarding::Tunnel => "tunnel",
        Forwarding::Route => "route",
        Forwarding::Bypass => "bypass",
        Forwarding::Unknown(_) => "unknown",
    }
}

/// How a tunnel encapsulates (`IP_VS_CONN_F_TUNNEL_TYPE_*`, include/uapi/linux/ip_vs.h).
#[must_use]
pub const fn tunnel(kind: u8) -> &'static str {
    match kind {
        0 => "ipip",
        1 => "gue",
        2 => "gre",
        _ => "unknown",
    }
}

/// What to print for a persistence netmask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Netmask {
    /// Telegraf's way: the number of one bits of what the kernel holds. For IPv6 the kernel holds
    /// a prefix length, so /128 comes out as 1 and /96 as 2.
    #[default]
    Popcount,
    /// The prefix length for both families.
    Prefix,
}

impl Netmask {
    /// The number to print for [`crate::model::Service::netmask`].
    #[must_use]
    pub const fn number(self, family: u16, netmask: u32) -> u32 {
        match (self, family) {
            (Self::Prefix, INET6) => netmask,
            _ => netmask.count_ones(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_netmask_is_telegrafs_unless_asked_otherwise() {
        let slash_24 = u32::from_ne_bytes([255, 255, 255, 0]);
        for (style, family, netmask, number) in [
            (Netmask::Popcount, INET, slash_24, 24),
            (Netmask::Prefix, INET, slash_24, 24),
            (Netmask::Popcount, INET6, 128, 1),
            (Netmask::Popcount, INET6, 127, 7),
            (Netmask::Prefix, INET6, 128, 128),
        ] {
            assert_eq!(style.number(family, netmask), number);
        }
    }
}
