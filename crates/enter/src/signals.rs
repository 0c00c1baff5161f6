//! The caller's signals, as something to poll for.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::sys;

/// Signals that end a program, or tell it something, and are meant for the command inside.
const FORWARDED: [Signal; 6] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// What a signal means to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// One for the command.
    Forward(i32),
    /// The terminal has another size.
    Resized,
    /// The session is to be stopped, and to go on later.
    Suspend,
}

/// While this lives the signals wait to be read; after that things are as they were.
#[derive(Debug)]
pub(crate) struct Signals {
    fd: SignalFd,
    before: SigSet,
}

impl Signals {
    /// `terminal`: whether the caller's terminal is in this process's hands.
    pub(crate) fn hold(terminal: bool) -> io::Result<Self> {
        let mut set: SigSet = FORWARDED.into_iter().collect();
        if terminal {
            set.add(Signal::SIGWINCH);
            set.add(Signal::SIGTSTP);
        }
        // what the caller is deaf to (nohup) is not for the command either
        let set: SigSet = set
            .iter()
            .filter(|signal| !sys::is_ignored(*signal as i32))
            .collect();
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut before))?;
        Ok(Self { fd, before })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The next one that came; `None` where none did.
    pub(crate) fn next(&self) -> io::Result<Option<Event>> {
        let Some(info) = self.fd.read_signal()? else {
            return Ok(None);
        };
        let number = i32::try_from(info.ssi_signo).unwrap_or_default();
        Ok(Some(match number {
            libc::SIGWINCH => Event::Resized,
            libc::SIGTSTP => Event::Suspend,
            number => Event::Forward(number),
        }))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // it can fail for no set that the kernel gave
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}
