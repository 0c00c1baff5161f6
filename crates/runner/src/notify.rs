//! Readiness messages from inside (sd_notify(3)).
//!
//! The socket is in a directory that the container sees read-only, and whoever is inside can write
//! to it. Believed is what the container's PID 1 says, by the credentials that the kernel attaches;
//! of that, the state, a text, and how it goes down. Descriptors that come along are closed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use crate::outcome::Claim;
use crate::{datagram, sys};

/// The longest text that is passed on.
const STATUS_LIMIT: usize = 512;

/// How a text of the init's begins, on the console too: it says why the container can't be set up.
pub const INIT_SAYS: &str = "virt-sandbox-init: ";

/// What a message says, of all that it may say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// `READY=1`.
    pub ready: bool,
    /// `STATUS=`, as it came: to be sanitised.
    pub status: Option<String>,
    /// `X_SYSTEMD_SHUTDOWN=`: systemd's last message (systemd(1), since 256).
    pub shutdown: Option<Claim>,
}

impl Message {
    /// Reads the lines of a message; what isn't known or isn't UTF-8 is left out.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut message = Self::default();
        for line in bytes.split(|byte| *byte == b'\n') {
            if line == b"READY=1" {
                message.ready = true;
            } else if let Some(kind) = line.strip_prefix(b"X_SYSTEMD_SHUTDOWN=") {
                message.shutdown = std::str::from_utf8(kind).ok().and_then(|k| k.parse().ok());
            } else if let Some(text) = line.strip_prefix(b"STATUS=")
                && let Ok(text) = std::str::from_utf8(text)
            {
                message.status = Some(text.chars().take(STATUS_LIMIT).collect());
            }
        }
        message
    }
}

/// The socket that the container's PID 1 writes to.
#[derive(Debug)]
pub struct Inbox(OwnedFd);

impl Inbox {
    /// Binds the socket, in place of one that an earlier runner left.
    ///
    /// # Errors
    /// Where the path is taken by something else or can't be written.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let socket = datagram::bind(path)?;
        // an older kernel takes them, and they are closed
        let _ = sys::refuse_descriptors(socket.as_fd());
        Ok(Self(socket))
    }

    /// Takes over a socket that came through an exec.
    #[must_use]
    pub fn adopt(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// The next message of the process `init`, other senders' being thrown away; at most `budget`
    /// datagrams are read, which is counted down. `None` where there is none now.
    ///
    /// Where `init` has ended, which `has_ended` tells, the next process of another number may be the first
    /// of a container that was rebooted: what it says is left for who waits on that.
    pub fn next(
        &self,
        init: u32,
        has_ended: impl Fn() -> bool,
        budget: &mut u32,
    ) -> Option<Message> {
        while *budget > 0 {
            // in this order: as long as the one lives there is no other
            if datagram::next_sender(self)? != Some(init) && has_ended() {
                return None;
            }
            let received = datagram::receive(self)?;
            *budget -= 1;
            if received.sender == Some(init) {
                return Some(Message::parse(&received.bytes));
            }
        }
        None
    }

    /// The next text that anybody sent, for the report of a container that ended before its PID 1
    /// was known.
    #[must_use]
    pub fn any_status(&self) -> Option<String> {
        while let Some(received) = datagram::receive(self) {
            let message = Message::parse(&received.bytes);
            if message.status.is_some() {
                return message.status;
            }
        }
        None
    }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn state_and_text_are_read_and_nothing_else() {
        let message = Message::parse(b"MAINPID=1\nREADY=1\nSTATUS=up\nFDSTORE=1\nREADY=0");
        assert!(message.ready);
        assert_eq!(message.shutdown, None);
        assert_eq!(message.status.as_deref(), Some("up"));
        for other in [
            &b"READY=1x"[..],
            b"XREADY=1",
            b"ready=1",
            b"",
            b"STATUS=\xff",
        ] {
            assert_eq!(Message::parse(other), Message::default());
        }
        let long = format!("STATUS={}", "x".repeat(4000));
        let status = Message::parse(long.as_bytes()).status.unwrap();
        assert_eq!(status.len(), STATUS_LIMIT);
    }

    #[test]
    fn only_the_containers_first_process_is_believed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let inbox = Inbox::bind(&path).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        let me = std::process::id();
        sender.send_to(b"READY=1", &path).unwrap();
        assert_eq!(inbox.next(me + 1, || false, &mut 8), None);
        sender.send_to(b"READY=1", &path).unwrap();
        assert!(inbox.next(me, || false, &mut 8).unwrap().ready);
        assert_eq!(inbox.next(me, || false, &mut 8), None);
    }

    #[test]
    fn what_the_next_first_process_says_is_left_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let inbox = Inbox::bind(&path).unwrap();
        let me = std::process::id();
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to(b"READY=1", &path).unwrap();
        for _ in 0..2 {
            assert_eq!(inbox.next(me + 1, || true, &mut 8), None);
        }
        assert!(inbox.next(me, || false, &mut 8).unwrap().ready);
    }

    #[test]
    fn systemd_s_last_message_says_how_it_goes_down() {
        let parse = |text: &str| Message::parse(text.as_bytes()).shutdown;
        for kind in ["poweroff", "halt", "exit"] {
            let text = format!("EXIT_STATUS=0\nX_SYSTEMD_SHUTDOWN={kind}");
            assert_eq!(parse(&text), Some(Claim::PowerOff), "{kind}");
        }
        for kind in ["reboot", "kexec"] {
            let text = format!("EXIT_STATUS=0\nX_SYSTEMD_SHUTDOWN={kind}");
            assert_eq!(parse(&text), Some(Claim::Reboot), "{kind}");
        }
        assert_eq!(parse("X_SYSTEMD_SHUTDOWN=x"), None);
    }

    #[test]
    fn a_flood_is_read_within_the_budget() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let inbox = Inbox::bind(&path).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        for _ in 0..5 {
            sender.send_to(b"READY=1", &path).unwrap();
        }
        let mut budget = 3;
        assert_eq!(
            inbox.next(std::process::id() + 1, || false, &mut budget),
            None
        );
        assert_eq!(budget, 0);
        assert!(inbox.next(std::process::id(), || false, &mut 8).is_some());
    }

    #[test]
    fn descriptors_that_come_along_are_refused_or_closed_and_long_messages_refused() {
        use std::mem::MaybeUninit;

        use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let inbox = Inbox::bind(&path).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect(&path).unwrap();
        let next = || inbox.next(std::process::id(), || false, &mut 8);
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let rights = [theirs.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&rights)));
        let text = [io::IoSlice::new(b"READY=1\nFDSTORE=1")];
        match sendmsg(&sender, &text, &mut control, SendFlags::empty()) {
            Ok(_) => assert!(next().unwrap().ready),
            // Linux 6.16 and later
            Err(error) => assert_eq!(error, rustix::io::Errno::PERM),
        }
        drop(theirs);
        // The other end is closed everywhere: nobody is left to send to.
        assert!(ours.send(b"x").is_err());
        let long = [b"READY=1\n".as_slice(), &[b'x'; datagram::LIMIT]].concat();
        sender.send(&long).unwrap();
        assert!(!next().unwrap().ready);
    }
}
