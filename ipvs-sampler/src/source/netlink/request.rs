//! Builds netlink messages in a reused buffer. Pure.

use neli::consts::genl::CtrlCmd;
use neli::consts::nl::{GenlId, NlmF};

use super::attribute::{append, append_nest};
use super::message::Request;
use super::uapi::{FAMILY_VERSION, command, service, top};
use crate::model::{ServiceKey, VirtualAddress};

/// Number of the family that knows all families (`GENL_ID_CTRL`).
pub(super) fn controller() -> u16 {
    GenlId::Ctrl.into()
}

/// Asks for all registered families. Asking for one by name would make the kernel load the module
/// that has it (`ctrl_getfamily`, net/netlink/genetlink.c), and a sampler only looks.
pub(super) fn families(buffer: &mut Vec<u8>, request: &Request) {
    dump(buffer, request, CtrlCmd::Getfamily.into(), 1, |_| {});
}

/// Asks for all services.
pub(super) fn services(buffer: &mut Vec<u8>, request: &Request) {
    dump(
        buffer,
        request,
        command::GET_SERVICE,
        FAMILY_VERSION,
        |_| {},
    );
}

/// Asks for the destinations of one service. A service unknown by now gives an empty dump
/// (`ip_vs_genl_dump_dests`, ip_vs_ctl.c).
pub(super) fn destinations(buffer: &mut Vec<u8>, request: &Request, key: &ServiceKey) {
    dump(
        buffer,
        request,
        command::GET_DEST,
        FAMILY_VERSION,
        |message| append_nest(message, top::SERVICE, |nest| append_key(nest, key)),
    );
}

/// What the kernel needs to find a service (`ip_vs_genl_parse_service`, ip_vs_ctl.c).
pub(super) fn append_key(buffer: &mut Vec<u8>, key: &ServiceKey) {
    append(buffer, service::AF, &key.family.to_ne_bytes());
    match key.address {
        VirtualAddress::Fwmark(mark) => append(buffer, service::FWMARK, &mark.to_ne_bytes()),
        VirtualAddress::Socket {
            protocol,
            address,
            port,
        } => {
            append(buffer, service::PROTOCOL, &protocol.to_ne_bytes());
            append(buffer, service::ADDR, &address);
            append(buffer, service::PORT, &port.to_be_bytes());
        }
    }
}

fn dump(
    buffer: &mut Vec<u8>,
    request: &Request,
    command: u8,
    version: u8,
    attributes: impl FnOnce(&mut Vec<u8>),
) {
    buffer.clear();
    let flags = (NlmF::REQUEST | NlmF::DUMP).bits();
    let start = open(
        buffer,
        request.family,
        flags,
        request.sequence,
        request.port,
    );
    buffer.extend_from_slice(&[command, version, 0, 0]);
    attributes(buffer);
    close(buffer, start);
}

/// Appends a message header and returns where the message begins, for [`close`].
pub(super) fn open(buffer: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32, port: u32) -> usize {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&kind.to_ne_bytes());
    buffer.extend_from_slice(&flags.to_ne_bytes());
    buffer.extend_from_slice(&sequence.to_ne_bytes());
    buffer.extend_from_slice(&port.to_ne_bytes());
    start
}

/// Writes the length of the message that began at `start` and pads it.
pub(super) fn close(buffer: &mut Vec<u8>, start: usize) {
    let length = u32::try_from(buffer.len() - start).unwrap_or(u32::MAX);
    buffer[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    buffer.resize(super::uapi::aligned(buffer.len()), 0);
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;
    use crate::model::{INET, INET6};

    const REQUEST: Request = Request {
        what: "list",
        family: 0x1e,
        sequence: 7,
        port: 0x0102_0304,
    };

    #[test]
    fn a_request_for_services_is_a_bare_dump() {
        let mut buffer = vec![0xaa; 3];
        services(&mut buffer, &REQUEST);
        assert_eq!(
            buffer,
            [
                20, 0, 0, 0, 0x1e, 0, 1, 3, 7, 0, 0, 0, 4, 3, 2, 1, // nlmsghdr
                4, 1, 0, 0, // GET_SERVICE, version 1
            ]
        );
    }

    #[test]
    fn families_are_listed_not_looked_up() {
        let mut buffer = Vec::new();
        let request = Request {
            family: controller(),
            ..REQUEST
        };
        families(&mut buffer, &request);
        assert_eq!(
            buffer,
            [
                20, 0, 0, 0, 0x10, 0, 1, 3, 7, 0, 0, 0, 4, 3, 2,
                1, // NLM_F_REQUEST | NLM_F_DUMP
                3, 1, 0, 0, // CTRL_CMD_GETFAMILY and no name
            ]
        );
    }

    #[test]
    fn a_service_is_named_by_its_socket() {
        let mut buffer = Vec::new();
        let mut address = [0; 16];
        address[..4].copy_from_slice(&[10, 0, 0, 1]);
        let key = ServiceKey {
            address: VirtualAddress::Socket {
                protocol: 6,
                address,
                port: 80,
            },
            family: INET,
        };
        destinations(&mut buffer, &REQUEST, &key);
        assert_eq!(
            buffer,
            [
                68, 0, 0, 0, 0x1e, 0, 1, 3, 7, 0, 0, 0, 4, 3, 2, 1, // nlmsghdr
                8, 1, 0, 0, // GET_DEST, version 1
                48, 0, 1, 0x80, // SERVICE nest
                6, 0, 1, 0, 2, 0, 0, 0, // AF
                6, 0, 2, 0, 6, 0, 0, 0, // PROTOCOL
                20, 0, 3, 0, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // ADDR
                6, 0, 4, 0, 0, 80, 0, 0, // PORT, network order
            ]
        );
    }

    #[test]
    fn a_service_is_named_by_its_firewall_mark() {
        let mut buffer = Vec::new();
        let key = ServiceKey {
            address: VirtualAddress::Fwmark(47),
            family: INET6,
        };
        destinations(&mut buffer, &REQUEST, &key);
        assert_eq!(
            buffer[20..],
            [
                20, 0, 1, 0x80, // SERVICE nest
                6, 0, 1, 0, 10, 0, 0, 0, // AF
                8, 0, 5, 0, 47, 0, 0, 0, // FWMARK
            ]
        );
    }
}
