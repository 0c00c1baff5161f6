//! How the processes on the way in tell the caller how it goes: one message per datagram, the
//! terminal's descriptor with it, and the end of the channel when the command is executed. The
//! caller says one thing: that it may be.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg,
};
use rustix::process::Pid;

use crate::error::{Error, Stage};

/// The most bytes of a message; an object's name is cut to fit.
const LIMIT: usize = 1024;

/// What is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// The terminal's master end.
    Terminal(OwnedFd),
    /// The process that will execute the command.
    Born(Pid),
    /// The caller has hold of that process: it may execute the command.
    Go,
    /// It can't be.
    Failed(Failure),
}

/// A failure on the way in, as plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) what: Failed,
    /// `errno`, 0 where there is none.
    pub(crate) errno: i32,
    /// A path, a user, a program.
    pub(crate) object: String,
}

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    Stage(Stage),
    User,
    Group,
    NotFound,
    NotExecutable,
}

impl Failure {
    pub(crate) fn at(stage: Stage, object: &str, source: &io::Error) -> Self {
        Self {
            what: Failed::Stage(stage),
            errno: source.raw_os_error().unwrap_or(libc::EINVAL),
            object: object.to_owned(),
        }
    }

    pub(crate) fn named(what: Failed, object: &str, errno: i32) -> Self {
        Self {
            what,
            errno,
            object: object.to_owned(),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let Failure {
            what,
            errno,
            object,
        } = failure;
        let source = io::Error::from_raw_os_error(errno);
        match what {
            Failed::Stage(stage) => Self::Inside {
                stage,
                object,
                source,
            },
            Failed::User => Self::User(object),
            Failed::Group => Self::Group(object),
            Failed::NotFound => Self::NotFound(object),
            Failed::NotExecutable => Self::NotExecutable {
                program: object,
                source,
            },
        }
    }
}

/// One end of the channel.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

impl Channel {
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self(a), Self(b)))
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub(crate) fn send(&self, message: &Message) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut descriptor = None;
        match message {
            Message::Terminal(fd) => {
                bytes.push(b'T');
                descriptor = Some([fd.as_fd()]);
            }
            Message::Born(pid) => {
                bytes.push(b'B');
                bytes.extend(pid.as_raw_nonzero().get().to_ne_bytes());
            }
            Message::Go => bytes.push(b'G'),
            Message::Failed(failure) => {
                let (kind, stage) = match failure.what {
                    Failed::Stage(stage) => (b'S', stage as u8),
                    Failed::User => (b'U', 0),
                    Failed::Group => (b'G', 0),
                    Failed::NotFound => (b'N', 0),
                    Failed::NotExecutable => (b'X', 0),
                };
                bytes.extend([b'F', kind, stage]);
                bytes.extend(failure.errno.to_ne_bytes());
                bytes.extend(failure.object.bytes().take(LIMIT / 2));
            }
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if let Some(fds) = &descriptor {
            control.push(SendAncillaryMessage::ScmRights(fds));
        }
        sendmsg(
            &self.0,
            &[IoSlice::new(&bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        )?;
        Ok(())
    }

    /// The next message; `None` at the end.
    pub(crate) fn receive(&self) -> io::Result<Option<Message>> {
        let mut bytes = [0; LIMIT];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            &self.0,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        let mut descriptor = None;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(mut fds) = message {
                descriptor = fds.next();
            }
        }
        if received.bytes == 0 {
            return Ok(None);
        }
        decode(&bytes[..received.bytes], descriptor)
            .map(Some)
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

fn decode(bytes: &[u8], descriptor: Option<OwnedFd>) -> Option<Message> {
    match bytes {
        [b'T'] => descriptor.map(Message::Terminal),
        [b'B', pid @ ..] => {
            let pid = i32::from_ne_bytes(pid.try_into().ok()?);
            Pid::from_raw(pid).filter(|_| pid > 0).map(Message::Born)
        }
        [b'G'] => Some(Message::Go),
        [b'F', kind, stage, rest @ ..] => {
            let (errno, object) = rest.split_first_chunk()?;
            let what = match kind {
                b'S' => Failed::Stage(*Stage::ALL.get(usize::from(*stage))?),
                b'U' => Failed::User,
                b'G' => Failed::Group,
                b'N' => Failed::NotFound,
                b'X' => Failed::NotExecutable,
                _ => return None,
            };
            let object = String::from_utf8_lossy(object).into_owned();
            Some(Message::Failed(Failure {
                what,
                errno: i32::from_ne_bytes(*errno),
                object,
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_through_and_then_the_end() {
        let (here, there) = Channel::pair().unwrap();
        let (read, _write) = rustix::pipe::pipe().unwrap();
        there.send(&Message::Terminal(read)).unwrap();
        there
            .send(&Message::Born(Pid::from_raw(77).unwrap()))
            .unwrap();
        there.send(&Message::Go).unwrap();
        for stage in Stage::ALL {
            let failure = Failure::at(stage, "/x", &io::Error::from_raw_os_error(libc::EPERM));
            there.send(&Message::Failed(failure)).unwrap();
        }
        let long = Failure::named(Failed::NotFound, &"x".repeat(5000), 2);
        there.send(&Message::Failed(long)).unwrap();
        drop(there);
        assert!(matches!(
            here.receive().unwrap(),
            Some(Message::Terminal(_))
        ));
        assert!(
            matches!(here.receive().unwrap(), Some(Message::Born(pid)) if pid.as_raw_nonzero().get() == 77)
        );
        assert!(matches!(here.receive().unwrap(), Some(Message::Go)));
        for stage in Stage::ALL {
            match here.receive().unwrap() {
                Some(Message::Failed(failure)) => {
                    assert_eq!(failure.what, Failed::Stage(stage));
                    assert_eq!(
                        (failure.errno, failure.object.as_str()),
                        (libc::EPERM, "/x")
                    );
                }
                other => panic!("{other:?}"),
            }
        }
        match here.receive().unwrap() {
            Some(Message::Failed(failure)) => assert_eq!(failure.object.len(), LIMIT / 2),
            other => panic!("{other:?}"),
        }
        assert!(here.receive().unwrap().is_none());
        assert!(decode(b"F", None).is_none() && decode(b"T", None).is_none());
    }
}
