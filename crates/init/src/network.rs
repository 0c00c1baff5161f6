//! The container's interface, which the runner makes.
//!
//! The runner is asked at a socket of its own, and gets two descriptors: an rtnetlink socket
//! (rtnetlink(7)) of this network namespace, by which it gives the interface its address without
//! entering, and the end of a pipe, where it says that all is done. The rest of the set-up goes on
//! meanwhile; systemd begins with its network there.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use rustix::io::{Errno, read};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socket_with,
};
use rustix::pipe::{PipeFlags, pipe_with};
use vss_model::handshake;

use crate::failure::{Failure, Stage};

/// A runner that has not come by then does not come.
const LONGEST: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(2);

/// What was asked of the runner.
pub(crate) struct Request {
    answer: OwnedFd,
}

/// Asks for the interface. This process keeps no end of the pipe that the answer could come from: it
/// ends when the runner does.
pub(crate) fn ask() -> Result<Request, Failure> {
    let fail = Failure::io(Stage::Network, "asking for the interface");
    let (answer, reply) = match pipe_with(PipeFlags::CLOEXEC) {
        Ok(ends) => ends,
        Err(error) => return Err(fail(error.into())),
    };
    send(&reply).map_err(fail)?;
    Ok(Request { answer })
}

fn send(reply: &OwnedFd) -> io::Result<()> {
    let runner = UnixDatagram::unbound()?;
    connect(&runner)?;
    // protocol 0, which none stands for, is NETLINK_ROUTE
    let (family, flags) = (AddressFamily::NETLINK, SocketFlags::CLOEXEC);
    let network = socket_with(family, SocketType::RAW, flags, None)?;
    let descriptors = [network.as_fd(), reply.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let text = [IoSlice::new(handshake::NETWORK.as_bytes())];
    sendmsg(&runner, &text, &mut control, SendFlags::empty())?;
    Ok(())
}

/// After a reboot libvirt may be faster than the runner, which doesn't listen while a container runs.
fn connect(runner: &UnixDatagram) -> io::Result<()> {
    let path = format!("{}/{}", handshake::DIRECTORY, handshake::SOCKET);
    let end = Instant::now() + LONGEST;
    loop {
        match runner.connect(&path) {
            Err(error) if is_too_early(&error) && Instant::now() < end => {
                std::thread::sleep(AGAIN);
            }
            done => return done,
        }
    }
}

fn is_too_early(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

impl Request {
    /// Waits until the interface is there.
    pub(crate) fn wait(self) -> Result<(), Failure> {
        let mut answer = [0];
        loop {
            match read(&self.answer, &mut answer) {
                Ok(1) if answer[0] == handshake::CONNECTED => return Ok(()),
                Ok(_) => return Err(Failure::new(Stage::Network, "the runner did not make it")),
                Err(Errno::INTR) => {}
                Err(error) => return Err(Failure::io(Stage::Network, "the answer")(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of waiting where the runner says this, and then is gone.
    fn waited(said: &[u8]) -> Result<(), Failure> {
        let (answer, reply) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        rustix::io::write(&reply, said).unwrap();
        drop(reply);
        Request { answer }.wait()
    }

    #[test]
    fn only_the_runners_answer_is_one() {
        assert!(waited(&[handshake::CONNECTED]).is_ok());
        for said in [&[][..], b"0"] {
            let failure = waited(said).unwrap_err();
            assert_eq!(failure.stage, Stage::Network);
            assert!(failure.to_string().ends_with("the runner did not make it"));
        }
    }

    #[test]
    fn a_runner_that_is_not_there_yet_is_told_from_one_that_refuses() {
        let kind = |kind: io::ErrorKind| is_too_early(&kind.into());
        assert!(kind(io::ErrorKind::NotFound) && kind(io::ErrorKind::ConnectionRefused));
        assert!(!kind(io::ErrorKind::PermissionDenied));
    }
}
