//! A forked child of this process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, Signal, WaitIdOptions, WaitOptions};

/// A child that nobody has waited for, so its number is its own.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    process: OwnedFd,
    /// Whether it still has to be killed and waited for when this goes.
    unfinished: bool,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Exited(u8),
    Killed(i32),
}

impl Ended {
    /// As a shell's `$?`.
    pub(crate) fn status(self) -> u8 {
        match self {
            Self::Exited(status) => status,
            Self::Killed(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

impl Child {
    pub(crate) fn new(pid: Pid) -> io::Result<Self> {
        match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => Ok(Self {
                pid,
                process,
                unfinished: true,
            }),
            Err(error) => {
                // without a handle it can't be held: it must not run on unseen
                let _ = rustix::process::kill_process(pid, Signal::KILL);
                let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
                Err(error.into())
            }
        }
    }

    /// A pidfd: readable when the child has ended.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // the only error that can be is that it has ended already
        let _ = rustix::process::pidfd_send_signal(&self.process, signal);
    }

    /// Waits for its end, which the caller has seen coming or brought about.
    pub(crate) fn wait(mut self) -> io::Result<Ended> {
        self.unfinished = false;
        loop {
            match rustix::process::waitpid(Some(self.pid), WaitOptions::empty()) {
                Ok(Some((_, status))) => {
                    if let Some(code) = status.exit_status() {
                        return Ok(Ended::Exited(u8::try_from(code).unwrap_or(u8::MAX)));
                    }
                    if let Some(signal) = status.terminating_signal() {
                        return Ok(Ended::Killed(signal));
                    }
                }
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Leaves it to end by itself: its terminal was hung up, and who ignores that may go on.
    pub(crate) fn leave(mut self) {
        self.unfinished = false;
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let id = rustix::process::WaitId::PidFd(self.process.as_fd());
        // if it has ended it is gone now, else with the end of this process
        let _ = rustix::process::waitid(id, options);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.unfinished {
            self.signal(Signal::KILL);
            let _ = rustix::process::waitpid(Some(self.pid), WaitOptions::empty());
        }
    }
}
