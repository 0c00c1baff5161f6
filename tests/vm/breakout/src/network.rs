//! Sockets that reach past the network namespace.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, VsockAddr, bind,
    connect, recv, sendto, socket,
};

use crate::facts::Facts;
use crate::outcome::{Outcome, Step, refused};
use crate::secret;

/// A socket of the host without a place in the file system, which tells a secret.
pub(crate) fn abstract_socket(_: &Facts) -> Outcome {
    let address = SocketAddr::from_abstract_name("breakout").needed("the address")?;
    let stream = UnixStream::connect_addr(&address).step("connect")?;
    secret::in_file(File::from(OwnedFd::from(stream)), "the socket")
}

/// The host by way of the hypervisor's socket, which knows no namespaces.
pub(crate) fn vsock(facts: &Facts) -> Outcome {
    const LOCAL: u32 = 1;
    let port = facts.number("vsock-port")?;
    let socket = socket(
        AddressFamily::Vsock,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .step("socket")?;
    connect(socket.as_raw_fd(), &VsockAddr::new(LOCAL, port)).step("connect")?;
    secret::in_file(File::from(socket), "the socket")
}

/// A line in the host's audit log, of a login that never was.
pub(crate) fn audit(_: &Facts) -> Outcome {
    const USER_LOGIN: u16 = 1112;
    const REQUEST_AND_ACK: u16 = 0x5;
    let protocol = SockProtocol::NetlinkAudit;
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        protocol,
    )
    .step("socket")?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0)).step("bind")?;
    let text = b"op=login acct=\"breakout\" res=success\0";
    let length = (16 + text.len()) as u32;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(USER_LOGIN.to_ne_bytes());
    message.extend(REQUEST_AND_ACK.to_ne_bytes());
    message.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    message.extend(text);
    let kernel = NetlinkAddr::new(0, 0);
    sendto(socket.as_raw_fd(), &message, &kernel, MsgFlags::empty()).step("send")?;
    answer(&socket)
}

/// The kernel answers with a negative error, or 0.
fn answer(socket: &OwnedFd) -> Outcome {
    let mut bytes = [0; 128];
    let length = recv(socket.as_fd().as_raw_fd(), &mut bytes, MsgFlags::empty()).step("receive")?;
    let code = bytes[..length].get(16..20).and_then(|b| b.try_into().ok());
    match code.map(i32::from_ne_bytes) {
        Some(0) => Ok("taken".to_owned()),
        Some(error) => refused(
            "audit",
            format!("{:?}", nix::errno::Errno::from_raw(-error)),
        ),
        None => refused("audit", "no answer"),
    }
}
