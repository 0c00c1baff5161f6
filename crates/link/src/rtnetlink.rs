//! Requests to the kernel, one at a time (rtnetlink(7)).

use std::io;
use std::os::fd::OwnedFd;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use rustix::io::Errno;
use rustix::net::sockopt::{socket_domain, socket_protocol};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

/// An answer repeats the request that it is about.
const ANSWER: usize = 8192;

/// A socket to the kernel's side of one network namespace.
#[derive(Debug)]
pub(crate) struct Rtnetlink(OwnedFd);

impl Rtnetlink {
    /// In the network namespace of this thread.
    pub(crate) fn open() -> io::Result<Self> {
        // protocol 0, which none stands for, is NETLINK_ROUTE
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        Ok(Self(socket))
    }

    /// In the network namespace of whoever opened it.
    ///
    /// # Errors
    /// Where it is no such socket.
    pub(crate) fn adopt(socket: OwnedFd) -> io::Result<Self> {
        let is_netlink = socket_domain(&socket)? == AddressFamily::NETLINK;
        // NETLINK_ROUTE is protocol 0
        if is_netlink && socket_protocol(&socket)?.is_none() {
            return Ok(Self(socket));
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no rtnetlink socket",
        ))
    }

    /// The number of the device of this name; `None` where there is none.
    pub(crate) fn index(&self, device: &str) -> io::Result<Option<u32>> {
        match rustix::net::netdevice::name_to_index(&self.0, device) {
            Ok(index) => Ok(Some(index)),
            Err(Errno::NODEV) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Has the kernel carry a request out, which it does within the call that sends it: the answer is
    /// there, and never waited for.
    pub(crate) fn ask(&self, request: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        send(&self.0, &bytes, SendFlags::DONTWAIT)?;
        let mut answer = vec![0; ANSWER];
        let (length, _) = recv(&self.0, &mut answer, RecvFlags::DONTWAIT)?;
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer[..length])
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        match answer.payload {
            NetlinkPayload::Error(answer) => match answer.code {
                None => Ok(()),
                Some(_) => Err(answer.to_io()),
            },
            other => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("no answer to the request: {other:?}"),
            )),
        }
    }
}
