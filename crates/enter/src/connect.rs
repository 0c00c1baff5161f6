//! A socket in a container, reached from outside.
//!
//! The path is resolved by a process that is in the container's mount namespace and nothing else,
//! so that no link leads to the host (A10). The socket itself is the caller's: what the child
//! connects is connected for both.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::thread::ThreadNameSpaceType;

use crate::Result;
use crate::container::{Container, wait_readable};
use crate::error::Error;
use crate::process::{Child, Ended};
use crate::sys;

/// How long whoever listens may take: systemd with its hands full answers within seconds.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Container {
    /// Connects to a stream socket in the container. What comes out of it is hostile.
    ///
    /// May be called from a process with several threads.
    ///
    /// # Errors
    /// Where there is no such socket, nobody listens, or nobody answers within ten seconds.
    pub fn connect(&self, path: &Path) -> Result<UnixStream> {
        self.connect_within(path, TIMEOUT)
    }

    /// The same within another time.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_within(&self, path: &Path, timeout: Duration) -> Result<UnixStream> {
        let fail = |source: io::Error| Error::Connect {
            path: path.to_owned(),
            source,
        };
        let address = SocketAddrUnix::new(path).map_err(|error| fail(error.into()))?;
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|error| fail(error.into()))?;
        let Some(pid) = sys::fork().map_err(fail)? else {
            // system calls only: the caller may have other threads
            let connected = rustix::thread::move_into_thread_name_spaces(
                self.process.as_fd(),
                ThreadNameSpaceType::MOUNT,
            )
            .and_then(|()| rustix::net::connect(&socket, &address));
            let status = connected.map_or_else(|error| error.raw_os_error(), |()| 0);
            sys::exit(u8::try_from(status).unwrap_or(u8::MAX));
        };
        let child = Child::new(pid).map_err(fail)?;
        if !wait_readable(child.fd(), Some(timeout)).map_err(fail)? {
            return Err(fail(io::ErrorKind::TimedOut.into()));
        }
        match child.wait().map_err(fail)? {
            Ended::Exited(0) => Ok(UnixStream::from(socket)),
            Ended::Exited(errno) => Err(fail(io::Error::from_raw_os_error(i32::from(errno)))),
            Ended::Killed(_) => Err(fail(io::ErrorKind::Interrupted.into())),
        }
    }
}
