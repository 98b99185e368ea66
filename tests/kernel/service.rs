//! A service manager outside of the guest that the sampler runs in, as sd_notify(3) has it.

use std::{fs::File, io::Read as _, os::fd::OwnedFd, process::Command};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept,
    addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque},
    bind, listen, socket_with,
};

use support::{
    director,
    sampler::{self, Sampler},
};

/// `VMADDR_CID_LOCAL` (include/uapi/linux/vm_sockets.h): this machine itself.
const HERE: u32 = 1;
const PORT: u32 = 9999;

/// `struct sockaddr_vm`, of include/uapi/linux/vm_sockets.h, with any machine's address.
#[repr(C)]
struct Anywhere {
    family: u16,
    reserved: u16,
    port: u32,
    machine: u32,
    rest: [u8; 4],
}

// SAFETY: `f` gets a pointer to an address that lives until it returns, and its size.
unsafe impl SocketAddrArg for Anywhere {
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        f(
            (&raw const *self).cast(),
            size_of::<Self>() as SocketAddrLen,
        )
    }
}

/// `None` on a kernel that has no such sockets.
fn manager(kind: SocketType) -> Option<OwnedFd> {
    let loaded = Command::new("modprobe").arg("vsock_loopback").status();
    assert!(loaded.expect("modprobe").success());
    let socket = socket_with(AddressFamily::VSOCK, kind, SocketFlags::CLOEXEC, None).ok()?;
    let address = Anywhere {
        family: AddressFamily::VSOCK.as_raw(),
        reserved: 0,
        port: PORT,
        machine: u32::MAX,
        rest: [0; 4],
    };
    bind(&socket, &address).expect("a port");
    listen(&socket, 8).expect("listening");
    Some(socket)
}

fn next(manager: &OwnedFd) -> String {
    let mut text = Vec::new();
    let mut connection = File::from(accept(manager).expect("a connection"));
    // Large: of a packet, what does not fit is lost.
    let mut buffer = [0; 4096];
    loop {
        match connection.read(&mut buffer).expect("a message") {
            0 => return String::from_utf8(text).expect("text"),
            length => text.extend_from_slice(&buffer[..length]),
        }
    }
}

#[test]
fn a_service_manager_outside_of_the_guest_is_told() {
    director::serve([]);
    for (scheme, kind) in [
        ("vsock-stream", SocketType::STREAM),
        ("vsock-seqpacket", SocketType::SEQPACKET),
        // There are no datagrams to this machine itself, nor to the host of one in QEMU.
        ("vsock", SocketType::SEQPACKET),
    ] {
        let Some(manager) = manager(kind) else {
            println!("this kernel has no {scheme}");
            continue;
        };
        let mut command = sampler::command("run --interval 1h --ebpf off");
        command.env("NOTIFY_SOCKET", format!("{scheme}:{HERE}:{PORT}"));
        let sampler = Sampler::spawn(command);
        let first = next(&manager);
        assert!(
            first.starts_with("STATUS=") && first.ends_with("\nREADY=1\n"),
            "{scheme}: {first}"
        );
        let ended = sampler.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.messages);
        assert_eq!(next(&manager), "STOPPING=1\n", "{scheme}");
        assert!(!ended.messages.contains("manager"), "{}", ended.messages);
    }
}
