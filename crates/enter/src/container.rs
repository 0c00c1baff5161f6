//! A running container, held by its first process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use crate::Result;
use crate::error::Error;
use crate::procfs::ProcessDir;
use crate::sys;

/// A signal for the first process of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(i32);

impl Signal {
    /// systemd as PID 1: a clean power-off (`SIGRTMIN+4`, systemd(1)); glibc counts from 34.
    pub const POWER_OFF: Self = Self(34 + 4);
    /// systemd as PID 1: a clean reboot (`SIGRTMIN+5`).
    pub const REBOOT: Self = Self(34 + 5);
    /// `SIGTERM`: systemd as PID 1 executes itself anew.
    pub const TERM: Self = Self(libc::SIGTERM);
    /// `SIGKILL`: the container is gone at once.
    pub const KILL: Self = Self(libc::SIGKILL);

    /// The signal of a number, 1 to 64.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        (1..=64).contains(&number).then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }
}

/// When a process started, in clock ticks since boot (`starttime` of proc_pid_stat(5)): with its
/// number this names a process for ever.
///
/// # Errors
/// [`Error::Gone`] where there is no such process.
pub fn start_time(pid: u32) -> Result<u64> {
    ProcessDir::open(pid)?.start_time()
}

/// A running container, held by a pidfd of its first process.
#[derive(Debug)]
pub struct Container {
    pub(crate) pid: u32,
    pub(crate) process: OwnedFd,
    pub(crate) directory: ProcessDir,
}

impl Container {
    /// Takes hold of the container whose PID 1 is process `pid` of the host, started at
    /// `start_time` ([`start_time`]).
    ///
    /// # Errors
    /// [`Error::Gone`] where there is no such process or it is another.
    pub fn open(pid: u32, start_time: u64) -> Result<Self> {
        let gone = || Error::Gone { pid };
        let number = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(gone)?;
        let process = rustix::process::pidfd_open(number, PidfdFlags::empty()).map_err(
            |error| match error {
                Errno::SRCH | Errno::INVAL => gone(),
                error => Error::Caller {
                    action: "take hold of the container",
                    source: error.into(),
                },
            },
        )?;
        let directory = ProcessDir::open(pid)?;
        if directory.start_time()? != start_time {
            return Err(gone());
        }
        let container = Self {
            pid,
            process,
            directory,
        };
        // as long as the pidfd's process lives its number is its own, so the directory that was
        // opened meanwhile is of the same process
        if container.wait(Some(Duration::ZERO))? {
            return Err(gone());
        }
        Ok(container)
    }

    /// The number of its first process on the host.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// A pidfd of its first process: readable when that is gone.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }

    /// Sends a signal to its first process.
    ///
    /// # Errors
    /// [`Error::Gone`] where that is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        // one that has ended and was not waited for takes signals without a word
        if self.wait(Some(Duration::ZERO))? {
            return Err(Error::Gone { pid: self.pid });
        }
        sys::send_signal(self.fd(), signal.0).map_err(|source| {
            if source.raw_os_error() == Some(libc::ESRCH) {
                Error::Gone { pid: self.pid }
            } else {
                Error::Caller {
                    action: "send a signal to the container",
                    source,
                }
            }
        })
    }

    /// Waits until the container is gone, at most this long; `true` if it is.
    ///
    /// # Errors
    /// Where waiting fails; a signal that comes meanwhile is [`io::ErrorKind::Interrupted`].
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool> {
        wait_readable(self.fd(), timeout).map_err(|source| Error::Caller {
            action: "wait for the container",
            source,
        })
    }
}

/// Waits until a descriptor is readable; `false` when the time is over.
pub(crate) fn wait_readable(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<bool> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    loop {
        let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        match rustix::event::poll(&mut fds, left.as_ref()) {
            Ok(0) if deadline.is_some_and(|end| Instant::now() < end) => {}
            Ok(ready) => return Ok(ready > 0),
            Err(error) => return Err(error.into()),
        }
    }
}
