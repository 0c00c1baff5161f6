//! The container's network interface, made while the container is being started.
//!
//! A thread ([`asked`]) listens for the init, at a socket beside the readiness socket, while the runner
//! is still in libvirt: the interface is there when the rest of the init's work is done. The socket is gone
//! once systemd inside has come up.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::pipe::{PipeFlags, pipe_with};
use vss_libvirt::Networks;
use vss_model::installed::NETWORK;
use vss_model::{DomainSpec, SandboxName, handshake};
use vss_runner::datagram;

use crate::asked::{self, Wanted};
use crate::error::{Error, at, io};
use crate::sandbox::Sandbox;

/// How long a thread may take to end that was told to. What it does takes microseconds, but for
/// closing what was sent to it, which a container could make last; an exec ends it then.
const ENDS: Duration = Duration::from_secs(5);

/// Connects the container as long as there is one of these.
pub(crate) struct Connecting {
    socket: PathBuf,
    /// Dropped to have the thread end.
    over: Option<OwnedFd>,
    done: Receiver<Result<(), vss_link::Error>>,
    thread: Option<JoinHandle<()>>,
    name: SandboxName,
    network: String,
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
        let socket = bind(sandbox, &path)?;
        let wanted = Wanted {
            name: sandbox.name().clone(),
            uuid: sandbox.config.uuid,
            interface: interface.clone(),
            bridge,
            init,
        };
        let (is_over, over) = pipe_with(PipeFlags::CLOEXEC).map_err(io("make a pipe"))?;
        let (tell, done) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("network".to_owned())
            .spawn(move || {
                let _ = tell.send(asked::serve(&socket, &is_over, wanted));
            })
            .map_err(io("begin a thread"))?;
        Ok(Some(Self {
            socket: path,
            over: Some(over),
            done,
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
        // what can't be removed is replaced by the next start
        let _ = std::fs::remove_file(&self.socket);
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        let Ok(done) = self.done.recv_timeout(ENDS) else {
            return Ok(());
        };
        // it has nothing left to do
        let _ = thread.join();
        done
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// The socket has its owner and mode before it has its name: an init that a reboot brought looks for
/// it all the time.
fn bind(sandbox: &Sandbox, path: &Path) -> Result<OwnedFd, Error> {
    let new = path.with_extension("new");
    let socket = datagram::bind(&new).map_err(at("listen at", &new))?;
    sandbox.lend_socket(&new)?;
    std::fs::rename(&new, path).map_err(at("listen at", path))?;
    Ok(socket)
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
