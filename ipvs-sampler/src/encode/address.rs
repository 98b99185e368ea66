//! Addresses as Go's `net.IP.String` writes them.

use super::append_number;
use crate::model::INET;

/// Appends an address: IPv4 as a dotted quad, IPv6 by RFC 5952, but an IPv4 address mapped into
/// IPv6 (`::ffff:0:0/96`) as a dotted quad too. Without the formatting machinery of the standard
/// library, which takes several times as long.
pub(super) fn append(out: &mut Vec<u8>, family: u16, bytes: &[u8; 16]) {
    match bytes {
        [a, b, c, d, ..] if family == INET => append_quad(out, [*a, *b, *c, *d]),
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => {
            append_quad(out, [*a, *b, *c, *d]);
        }
        _ => append_groups(out, bytes),
    }
}

fn append_quad(out: &mut Vec<u8>, bytes: [u8; 4]) {
    for (position, byte) in bytes.into_iter().enumerate() {
        if position > 0 {
            out.push(b'.');
        }
        append_number(out, byte);
    }
}

fn append_groups(out: &mut Vec<u8>, bytes: &[u8; 16]) {
    let mut groups = [0; 8];
    for (group, pair) in groups.iter_mut().zip(bytes.chunks_exact(2)) {
        *group = u16::from_be_bytes([pair[0], pair[1]]);
    }
    let gap = longest_gap(&groups);
    let mut position = 0;
    while position < groups.len() {
        if position == gap.start && !gap.is_empty() {
            out.extend_from_slice(b"::");
            position = gap.end;
            continue;
        }
        if position > 0 && position != gap.end {
            out.push(b':');
        }
        append_hexadecimal(out, groups[position]);
        position += 1;
    }
}

/// The first of the longest runs of zero groups; a single one is none (RFC 5952, section 4.2).
fn longest_gap(groups: &[u16; 8]) -> std::ops::Range<usize> {
    let mut longest = 0..0;
    let mut start = 0;
    for (position, &group) in groups.iter().enumerate() {
        if group != 0 {
            start = position + 1;
        } else if position + 1 - start > longest.len().max(1) {
            longest = start..position + 1;
        }
    }
    longest
}

fn append_hexadecimal(out: &mut Vec<u8>, group: u16) {
    let digits = (16 - group.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let digit = usize::from(group >> (4 * place) & 0xf);
        out.push(b"0123456789abcdef"[digit]);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::model::INET6;

    fn text(family: u16, bytes: [u8; 16]) -> String {
        let mut out = Vec::new();
        append(&mut out, family, &bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_mapped_address_is_a_quad_as_in_go() {
        let mapped: Ipv6Addr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(text(INET6, mapped.octets()), "192.0.2.1");
        // Not so the IPv4-compatible addresses of old.
        let compatible: Ipv6Addr = "::192.0.2.1".parse().unwrap();
        assert_eq!(text(INET6, compatible.octets()), "::c000:201");
    }

    #[test]
    fn an_ipv4_address_is_the_first_four_bytes() {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&[255, 0, 10, 1]);
        assert_eq!(text(INET, bytes), "255.0.10.1");
    }

    #[test]
    fn zeros_are_shortened_as_rfc_5952_says() {
        for canonical in [
            "::",
            "::1",
            "1::",
            "2001:db8::1",
            "2001:db8:0:1:1:1:1:1",
            "2001:0:0:1::1",
            "2001:db8::1:0:0:1",
            "1:2:3:4:5:6::",
            "::3:4:5:6:7:8",
            "fd00:abcd:ef01:2345:6789:abcd:ef01:2345",
        ] {
            let parsed: Ipv6Addr = canonical.parse().unwrap();
            assert_eq!(text(INET6, parsed.octets()), canonical);
        }
    }

    proptest! {
        #[test]
        fn ipv6_is_what_the_standard_library_writes(
            groups in any::<[u16; 8]>(),
            zero in any::<[bool; 8]>(),
        ) {
            let mut groups = groups;
            for (group, zero) in groups.iter_mut().zip(zero) {
                if zero {
                    *group = 0;
                }
            }
            let address = Ipv6Addr::from(groups);
            prop_assume!(address.to_ipv4_mapped().is_none());
            prop_assert_eq!(text(INET6, address.octets()), address.to_string());
        }
    }
}
