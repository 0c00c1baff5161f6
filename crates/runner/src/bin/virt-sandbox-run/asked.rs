//! What the init asks of the runner, and what may be asked.
//!
//! The first to ask is the init: nothing of the container runs before it is answered. As long as it
//! lives nobody else is heard. Where the container was found running, its first process is known and the
//! only one to be heard, be it the init still or a systemd that was taken over since: it could only have
//! its own container's interface made again.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::fcntl_getpipe_size;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use vss_link::Plug;
use vss_model::{Interface, SandboxName, Uuid, handshake};
use vss_runner::datagram::{self, Datagram};
use vss_runner::sys;

/// What is to be connected.
pub(crate) struct Wanted {
    pub(crate) name: SandboxName,
    pub(crate) uuid: Uuid,
    pub(crate) interface: Interface,
    pub(crate) bridge: String,
    /// The container's first process, where it is known.
    pub(crate) init: Option<u32>,
}

/// Answers until it is told that all is over, whatever else comes in.
pub(crate) fn serve(
    socket: &OwnedFd,
    is_over: &OwnedFd,
    wanted: Wanted,
) -> Result<(), vss_link::Error> {
    let mut asked = Asked {
        wanted,
        holder: None,
        last: Ok(()),
    };
    loop {
        let mut fds = [
            PollFd::new(socket, PollFlags::IN),
            PollFd::new(is_over, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            // with nothing to wait for, the init is told by its pipe's end
            Err(_) => return asked.last,
        }
        if !fds[1].revents().is_empty() {
            return asked.last;
        }
        if let Some(message) = datagram::receive(socket) {
            asked.hear(message);
        }
    }
}

/// What was asked so far.
struct Asked {
    wanted: Wanted,
    /// Whoever was answered last.
    holder: Option<OwnedFd>,
    /// What came of that. libvirt may start a domain more than once before it stays.
    last: Result<(), vss_link::Error>,
}

impl Asked {
    /// Connects whoever asks, if it may.
    fn hear(&mut self, message: Datagram) {
        if message.bytes != handshake::NETWORK.as_bytes() {
            return;
        }
        let Some((init, holder)) = message.sender.and_then(|init| Some((init, hold(init)?))) else {
            return;
        };
        if self.wanted.init.is_some_and(|known| known != init)
            || self.holder.as_ref().is_some_and(lives)
        {
            return;
        }
        let mut descriptors = message.descriptors;
        let done = self.connect(init, &mut descriptors);
        // as long as it can hope for an answer it does not end for the want of one
        if lives(&holder) {
            self.last = done;
        } else {
            // It had its own reasons to end, which others tell. Whoever has its number now is not meant.
            let _ = vss_link::unplug(self.wanted.uuid);
            self.last = Ok(());
        }
        self.holder = Some(holder);
    }

    /// The answer is sent when this returns. Where there is none, the pipe for it is still open.
    fn connect(&self, init: u32, descriptors: &mut Vec<OwnedFd>) -> Result<(), vss_link::Error> {
        if descriptors.len() != 2 {
            return Err(vss_link::Error::Request);
        }
        // a pipe, whose end can be told without waiting
        fcntl_getpipe_size(&descriptors[1]).map_err(|_| vss_link::Error::Request)?;
        fcntl_setfl(&descriptors[1], OFlags::NONBLOCK).map_err(|_| vss_link::Error::Request)?;
        let inside = descriptors.remove(0);
        let reply = &descriptors[0];
        let plug = Plug {
            name: &self.wanted.name,
            uuid: self.wanted.uuid,
            bridge: &self.wanted.bridge,
            interface: &self.wanted.interface,
            init,
        };
        vss_link::plug(&plug, inside)?;
        // one that doesn't read is noticed by who waits for the container
        let _ = rustix::io::write(reply, &[handshake::CONNECTED]);
        Ok(())
    }
}

/// Takes hold of a process; `None` where it is gone.
fn hold(process: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(process).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

fn lives(process: &OwnedFd) -> bool {
    !sys::has_ended(process.as_fd())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    fn asked(init: Option<u32>) -> Asked {
        let interface = Interface {
            network: "n".to_owned(),
            mac: "52:54:00:00:00:01".parse().unwrap(),
            address: [192, 0, 2, 2].into(),
            prefix: 24,
            gateway: [192, 0, 2, 1].into(),
            device: "eth0".to_owned(),
            isolated: true,
            bridge: None,
        };
        Asked {
            wanted: Wanted {
                name: "web1".parse().unwrap(),
                uuid: Uuid::from_u128(1 << 96),
                interface,
                bridge: "vss-no-bridge".to_owned(),
                init,
            },
            holder: None,
            last: Ok(()),
        }
    }

    /// A request with an rtnetlink socket and the writing end of a pipe, and its reading end.
    fn request(sender: u32, text: &str) -> (Datagram, File) {
        use rustix::net::{AddressFamily, SocketType, socket};
        let (answer, reply) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let inside = socket(AddressFamily::NETLINK, SocketType::RAW, None).unwrap();
        let message = Datagram {
            sender: Some(sender),
            bytes: text.as_bytes().to_vec(),
            descriptors: vec![inside, reply],
        };
        (message, answer.into())
    }

    /// What is told of the outcome, and what the asker heard.
    fn heard(asked: &mut Asked, message: Datagram, mut answer: File) -> (String, Vec<u8>) {
        asked.hear(message);
        let mut said = Vec::new();
        answer.read_to_end(&mut said).unwrap();
        let last = std::mem::replace(&mut asked.last, Ok(()));
        (
            last.map_or_else(|e| e.to_string(), |()| String::new()),
            said,
        )
    }

    const NO_BRIDGE: &str = "there is no bridge vss-no-bridge";

    #[test]
    fn an_init_that_cant_be_connected_hears_nothing_and_the_reason_is_kept() {
        let (message, answer) = request(std::process::id(), handshake::NETWORK);
        let told = heard(&mut asked(None), message, answer);
        assert_eq!(told, (NO_BRIDGE.to_owned(), vec![]));
    }

    #[test]
    fn what_is_no_request_of_the_first_process_is_dropped() {
        let own = std::process::id();
        for (init, text) in [(own + 1, handshake::NETWORK), (own, "NETWORK=2")] {
            let (message, answer) = request(own, text);
            let told = heard(&mut asked(Some(init)), message, answer);
            assert_eq!(told, (String::new(), vec![]), "{text}");
        }
        let (message, answer) = request(own, handshake::NETWORK);
        let told = heard(&mut asked(Some(own)), message, answer);
        assert_eq!(told.0, NO_BRIDGE);
    }

    #[test]
    fn a_request_with_other_descriptors_is_told_and_none_is_written_to() {
        let wrong = vss_link::Error::Request.to_string();
        let none = |message: &mut Datagram| message.descriptors.clear();
        let more = |message: &mut Datagram| {
            let copy = message.descriptors[0].try_clone().unwrap();
            message.descriptors.push(copy);
        };
        let swapped = |message: &mut Datagram| message.descriptors.reverse();
        for change in [&none as &dyn Fn(&mut Datagram), &more, &swapped] {
            let (mut message, answer) = request(std::process::id(), handshake::NETWORK);
            change(&mut message);
            let told = heard(&mut asked(None), message, answer);
            assert_eq!(told, (wrong.clone(), vec![]));
        }
        let (mut message, answer) = request(std::process::id(), handshake::NETWORK);
        let file = tempfile::tempfile().unwrap();
        message.descriptors[1] = file.try_clone().unwrap().into();
        assert_eq!(heard(&mut asked(None), message, answer).0, wrong);
        assert_eq!(file.metadata().unwrap().len(), 0);
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a process that ends for the want of an answer"
    )]
    fn an_init_that_ends_as_it_is_not_connected_had_no_other_reason() {
        for _ in 0..50 {
            let (mut message, answer) = request(0, handshake::NETWORK);
            let mut init = std::process::Command::new("cat")
                .stdin(answer)
                .spawn()
                .unwrap();
            message.sender = Some(init.id());
            let mut asked = asked(None);
            asked.hear(message);
            assert_eq!(asked.last.unwrap_err().to_string(), NO_BRIDGE);
            init.wait().unwrap();
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a process that lives and dies")]
    fn nobody_else_is_heard_while_the_first_lives() {
        let mut first = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap();
        let own = std::process::id();
        let mut asked = asked(None);
        for (sender, told) in [(first.id(), NO_BRIDGE), (own, ""), (first.id(), "")] {
            let (message, answer) = request(sender, handshake::NETWORK);
            assert_eq!(heard(&mut asked, message, answer).0, told);
        }
        first.kill().unwrap();
        first.wait().unwrap();
        let (message, answer) = request(own, handshake::NETWORK);
        assert_eq!(heard(&mut asked, message, answer).0, NO_BRIDGE);
    }

    #[test]
    fn a_flood_does_not_keep_it_from_its_end() {
        use std::os::unix::net::UnixDatagram;
        use std::sync::atomic::{AtomicBool, Ordering};
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("network");
        let socket = datagram::bind(&path).unwrap();
        let (is_over, over) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let wanted = asked(None).wanted;
        let dry = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let sender = UnixDatagram::unbound().unwrap();
                    while !dry.load(Ordering::Relaxed) {
                        let _ = sender.send_to(b"x", &path);
                    }
                });
            }
            let server = scope.spawn(|| serve(&socket, &is_over, wanted).is_ok());
            std::thread::sleep(std::time::Duration::from_millis(50));
            drop(over);
            assert!(server.join().unwrap());
            dry.store(true, Ordering::Relaxed);
            // whoever waits for room in the queue
            while datagram::receive(&socket).is_some() {}
        });
    }
}
