//! The container's network interface, made while the container is being started.
//!
//! A thread listens for the init, at a socket beside the readiness socket, while the runner is still
//! in libvirt: the interface is there when the rest of the init's work is done. The first to ask is the
//! init, as nothing else of the container runs before it is answered, and as long as it lives nobody
//! else is heard. The socket is gone once systemd inside has come up.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use vss_libvirt::Networks;
use vss_link::Plug;
use vss_model::installed::NETWORK;
use vss_model::{DomainSpec, Interface, SandboxName, Uuid, handshake};
use vss_runner::datagram::{self, Datagram};

use crate::error::{Error, at, io};
use crate::sandbox::Sandbox;

/// Connects the container as long as there is one of these.
pub(crate) struct Connecting {
    socket: PathBuf,
    /// Dropped to have the thread end.
    over: Option<OwnedFd>,
    thread: Option<JoinHandle<Result<(), vss_link::Error>>>,
    name: SandboxName,
    network: String,
}

/// What the thread needs to know.
struct Wanted {
    name: SandboxName,
    uuid: Uuid,
    interface: Interface,
    bridge: String,
    /// The container's first process, where it is known.
    init: Option<u32>,
}

impl Connecting {
    /// Listens for the init of this domain; `None` where the domain's interface is not the runner's
    /// to make. Signals have to be blocked by now.
    pub(crate) fn begin(
        sandbox: &Sandbox,
        domain: &DomainSpec,
        init: Option<u32>,
    ) -> Result<Option<Self>, Error> {
        let Some((interface, bridge)) = domain
            .interfaces
            .iter()
            .find_map(|interface| Some((interface, interface.bridge.clone()?)))
        else {
            return Ok(None);
        };
        let path = sandbox.host_directory().join(handshake::SOCKET);
        let socket = datagram::bind(&path).map_err(at("listen at", &path))?;
        sandbox.lend_socket(&path)?;
        let wanted = Wanted {
            name: sandbox.name().clone(),
            uuid: sandbox.config.uuid,
            interface: interface.clone(),
            bridge,
            init,
        };
        let (is_over, over) = pipe_with(PipeFlags::CLOEXEC).map_err(io("make a pipe"))?;
        let thread = std::thread::Builder::new()
            .name("network".to_owned())
            .spawn(move || serve(&socket, &is_over, wanted))
            .map_err(io("begin a thread"))?;
        Ok(Some(Self {
            socket: path,
            over: Some(over),
            thread: Some(thread),
            name: sandbox.name().clone(),
            network: interface.network.clone(),
        }))
    }

    /// Ends it, with what came of it.
    pub(crate) fn end(mut self) -> Result<(), Error> {
        self.stop().map_err(|source| Error::Connect {
            name: self.name.clone(),
            network: self.network.clone(),
            source,
        })
    }

    fn stop(&mut self) -> Result<(), vss_link::Error> {
        drop(self.over.take());
        let done = self.thread.take().map(JoinHandle::join);
        // what can't be removed is replaced by the next start
        let _ = std::fs::remove_file(&self.socket);
        // a thread that panicked ends the whole program
        done.and_then(Result::ok).unwrap_or(Ok(()))
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// The bridge for the runner to connect the container to; `None` where there is no network, or
/// libvirt makes the interface. The network is up then.
pub(crate) fn bridge(sandbox: &Sandbox) -> Result<Option<String>, Error> {
    match &sandbox.config.network {
        Some(network) => Ok(sandbox
            .libvirt()?
            .ensure(&network.network, Path::new(NETWORK))?),
        None => Ok(None),
    }
}

/// Answers until it is told that all is over.
fn serve(socket: &OwnedFd, is_over: &OwnedFd, wanted: Wanted) -> Result<(), vss_link::Error> {
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
        while let Some(message) = datagram::receive(socket) {
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
    /// Connects whoever asks, if it may; says whether it was a request, and one to be heard.
    fn hear(&mut self, message: Datagram) -> bool {
        let Some(init) = message.sender else {
            return false;
        };
        if message.bytes != handshake::NETWORK.as_bytes()
            || self.wanted.init.is_some_and(|known| known != init)
            || self.holder.as_ref().is_some_and(lives)
        {
            return false;
        }
        let Ok([inside, reply]) = <[OwnedFd; 2]>::try_from(message.descriptors) else {
            return false;
        };
        let Some(holder) = hold(init) else {
            return false;
        };
        self.holder = Some(holder);
        let plug = Plug {
            name: &self.wanted.name,
            uuid: self.wanted.uuid,
            bridge: &self.wanted.bridge,
            interface: &self.wanted.interface,
            init,
        };
        self.last = vss_link::plug(&plug, inside);
        if self.last.is_ok() {
            // one that is gone by now is noticed by who waits for the container
            let _ = rustix::io::write(reply, &[handshake::CONNECTED]);
        }
        true
    }
}

/// Takes hold of a process; `None` where it is gone.
fn hold(process: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(process).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

fn lives(process: &OwnedFd) -> bool {
    let at_once = Timespec::default();
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&at_once)), Ok(0))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

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

    /// A request with the writing end of a pipe that often, and the reading end.
    fn request(sender: u32, text: &str, descriptors: usize) -> (Datagram, File) {
        let (answer, reply) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let copies = (0..descriptors).map(|_| reply.try_clone().unwrap());
        let message = Datagram {
            sender: Some(sender),
            bytes: text.as_bytes().to_vec(),
            descriptors: copies.collect(),
        };
        (message, answer.into())
    }

    fn said(mut answer: File) -> Vec<u8> {
        let mut said = Vec::new();
        answer.read_to_end(&mut said).unwrap();
        said
    }

    #[test]
    fn an_init_that_cant_be_connected_hears_nothing_and_the_reason_is_kept() {
        let mut asked = asked(None);
        let (message, answer) = request(std::process::id(), handshake::NETWORK, 2);
        assert!(asked.hear(message));
        assert!(said(answer).is_empty());
        let error = asked.last.unwrap_err();
        assert_eq!(error.to_string(), "there is no bridge vss-no-bridge");
    }

    #[test]
    fn what_is_no_request_of_the_first_process_is_dropped() {
        let own = std::process::id();
        for (init, text, descriptors) in [
            (Some(own + 1), handshake::NETWORK, 2),
            (Some(own), "NETWORK=2", 2),
            (Some(own), handshake::NETWORK, 1),
            (Some(own), handshake::NETWORK, 3),
        ] {
            let mut asked = asked(init);
            let (message, answer) = request(own, text, descriptors);
            assert!(!asked.hear(message), "{text} {descriptors}");
            assert!(said(answer).is_empty() && asked.last.is_ok());
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
        assert!(asked.hear(request(first.id(), handshake::NETWORK, 2).0));
        assert!(!asked.hear(request(own, handshake::NETWORK, 2).0));
        assert!(!asked.hear(request(first.id(), handshake::NETWORK, 2).0));
        first.kill().unwrap();
        first.wait().unwrap();
        assert!(asked.hear(request(own, handshake::NETWORK, 2).0));
    }
}
