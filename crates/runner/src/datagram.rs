//! Sockets that the container writes to, in a directory that it sees read-only.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SocketAddrUnix, SocketFlags, SocketType, bind as bind_to, recvmsg, socket_with,
};

/// The longest message that is read; a longer one is refused whole.
pub const LIMIT: usize = 4096;

/// A message.
#[derive(Debug)]
pub struct Datagram {
    /// The sender's process id, as the kernel tells it.
    pub sender: Option<u32>,
    /// What it says; nothing where it was too long.
    pub bytes: Vec<u8>,
    /// What came along.
    pub descriptors: Vec<OwnedFd>,
}

/// Binds a socket for root, in place of one that an earlier runner left.
///
/// # Errors
/// Where the path is taken by something else or can't be written.
pub fn bind(path: &Path) -> io::Result<OwnedFd> {
    match rustix::fs::lstat(path) {
        Ok(found)
            if rustix::fs::FileType::from_raw_mode(found.st_mode)
                == rustix::fs::FileType::Socket =>
        {
            rustix::fs::unlink(path)?;
        }
        _ => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    set_socket_passcred(&socket, true)?;
    bind_to(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::fs::chmod(path, rustix::fs::Mode::from_raw_mode(0o600))?;
    Ok(socket)
}

/// Who sent the next message, which stays; `None` where there is none now.
pub fn next_sender(socket: impl AsFd) -> Option<Option<u32>> {
    let mut byte = [0];
    // with no room for descriptors the kernel hands none out
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::PEEK | RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        flags,
    )
    .ok()?;
    Some(control.drain().find_map(|item| sender(&item)))
}

fn sender(item: &RecvAncillaryMessage<'_>) -> Option<u32> {
    match item {
        RecvAncillaryMessage::ScmCredentials(who) => {
            u32::try_from(who.pid.as_raw_nonzero().get()).ok()
        }
        _ => None,
    }
}

/// The next message; `None` where there is none now.
pub fn receive(socket: impl AsFd) -> Option<Datagram> {
    let mut bytes = vec![0; LIMIT];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16), ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let mut into = [IoSliceMut::new(&mut bytes)];
    let received = recvmsg(socket, &mut into, &mut control, flags).ok()?;
    let (mut from, mut descriptors) = (None, Vec::new());
    for item in control.drain() {
        from = from.or_else(|| sender(&item));
        if let RecvAncillaryMessage::ScmRights(rights) = item {
            descriptors.extend(rights);
        }
    }
    let whole = !received.flags.contains(ReturnFlags::TRUNC);
    bytes.truncate(if whole { received.bytes } else { 0 });
    Some(Datagram {
        sender: from,
        bytes,
        descriptors,
    })
}
