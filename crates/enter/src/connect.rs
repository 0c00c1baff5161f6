//! A socket in a container, reached from outside.
//!
//! The path is resolved by a process in the container's mount namespace, so that no link leads to
//! the host (A10). It is in the container's PID namespace too: systemd refuses a peer whose PID it
//! can't see (`getpeercred` gives 0 for one). The socket itself is the caller's: what a child
//! connects is connected for both.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{DumpableBehavior, Pid, PidfdFlags, Signal, WaitOptions};
use rustix::thread::ThreadNameSpaceType;

use crate::Result;
use crate::container::{Container, wait_readable};
use crate::error::Error;
use crate::level;
use crate::process::{Child, Ended};
use crate::sys;
use crate::users;

/// How long whoever listens may take: systemd with its hands full answers within seconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long after that the child outside may take to have ended the one inside.
const GRACE: Duration = Duration::from_secs(1);

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
        let mut spaces = ThreadNameSpaceType::MOUNT | ThreadNameSpaceType::PROCESS_ID;
        if self.has_own_users()? {
            spaces |= ThreadNameSpaceType::USER;
        }
        let address = SocketAddrUnix::new(path).map_err(|error| fail(error.into()))?;
        let make = || -> io::Result<OwnedFd> {
            let flags = SocketFlags::CLOEXEC;
            let kind = SocketType::STREAM;
            Ok(rustix::net::socket_with(
                AddressFamily::UNIX,
                kind,
                flags,
                None,
            )?)
        };
        let context = level::of_process(self.pid).and_then(|inside| level::at_level_of(&inside));
        let socket = match context {
            Some(context) => level::labelled_socket(&context, make)?,
            None => make(),
        }
        .map_err(fail)?;
        let Some(pid) = sys::fork().map_err(fail)? else {
            // system calls only: the caller may have other threads
            sys::exit(connect_inside(
                self.process.as_fd(),
                spaces,
                &socket,
                &address,
                timeout,
            ));
        };
        let child = Child::new(pid).map_err(fail)?;
        if !wait_readable(child.fd(), Some(timeout + GRACE)).map_err(fail)? {
            return Err(fail(io::ErrorKind::TimedOut.into()));
        }
        match child.wait().map_err(fail)? {
            Ended::Exited(0) => Ok(UnixStream::from(socket)),
            Ended::Exited(errno) => Err(fail(io::Error::from_raw_os_error(i32::from(errno)))),
            Ended::Killed(_) => Err(fail(io::ErrorKind::Interrupted.into())),
        }
    }
}

/// What the child does: joins the namespaces, and connects in a child of its own, as a process
/// changes its PID namespace only for its children. The error number, 0 for none.
///
/// systemd believes root of its own user namespace, and takes anyone of the host's for nobody.
fn connect_inside(
    container: BorrowedFd<'_>,
    spaces: ThreadNameSpaceType,
    socket: &OwnedFd,
    address: &SocketAddrUnix,
    timeout: Duration,
) -> u8 {
    let errno = |error: Errno| u8::try_from(error.raw_os_error()).unwrap_or(u8::MAX);
    // seen from inside it is not to be traced, and its program not to be reached (A09)
    let hide = || rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let joined = hide()
        .and_then(|()| rustix::thread::move_into_thread_name_spaces(container, spaces))
        .and_then(|()| match spaces.contains(ThreadNameSpaceType::USER) {
            // becoming another user may have made it dumpable again
            true => users::become_root().and_then(|()| hide()),
            false => Ok(()),
        });
    if let Err(error) = joined {
        return errno(error);
    }
    // whoever is seen from inside has nothing of the caller's but this socket
    if let Err(error) = sys::close_all_but(socket.as_fd()) {
        return u8::try_from(error.raw_os_error().unwrap_or_default()).unwrap_or(u8::MAX);
    }
    match sys::fork() {
        Ok(None) => {
            // nor is it to outlive the one outside, if that is killed
            let connected = rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
                .and_then(|()| rustix::net::connect(socket, address));
            sys::exit(connected.map_or_else(errno, |()| 0))
        }
        Ok(Some(pid)) => wait_at_most(timeout, pid).map_or_else(errno, |()| 0),
        Err(_) => errno(Errno::AGAIN),
    }
}

/// Waits for the child inside, and ends it when the time is over. Whoever is seen from inside may be
/// stopped there before its first step, and would take the socket up whenever it is let go.
fn wait_at_most(timeout: Duration, pid: Pid) -> rustix::io::Result<()> {
    let ended = rustix::process::pidfd_open(pid, PidfdFlags::empty())
        .map_err(Into::into)
        .and_then(|process| wait_readable(process.as_fd(), Some(timeout)));
    if !matches!(ended, Ok(true)) {
        rustix::process::kill_process(pid, Signal::KILL)?;
    }
    let status = match rustix::process::waitpid(Some(pid), WaitOptions::empty())? {
        Some((_, status)) => status.exit_status(),
        None => None,
    };
    match status {
        Some(0) => Ok(()),
        Some(errno) => Err(Errno::from_raw_os_error(errno)),
        None if matches!(ended, Ok(false)) => Err(Errno::TIMEDOUT),
        None => Err(Errno::INTR),
    }
}
