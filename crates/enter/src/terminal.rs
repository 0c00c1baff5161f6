//! The caller's own terminal: raw for the time of a session, and as it was after it, whatever
//! happens.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, Once, PoisonError};

use nix::sys::signal::{SIGTTOU, SigSet, SigmaskHow, sigprocmask};
use rustix::process::Signal;
use rustix::termios::{OptionalActions, OutputModes, Termios, Winsize};

/// What the terminal was before, for the panic hook: a release build aborts on a panic and drops
/// nothing.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// Standard input as a terminal in raw mode, for as long as this lives.
#[derive(Debug)]
pub(crate) struct RawMode {
    interactive: bool,
}

impl RawMode {
    /// `None` where standard input is no terminal. A session that isn't `interactive` leaves what
    /// is typed to this side, so that `^C` ends it; only what is shown is the other side's.
    pub(crate) fn enter(interactive: bool) -> std::io::Result<Option<Self>> {
        let input = rustix::stdio::stdin();
        if !rustix::termios::isatty(input) {
            return Ok(None);
        }
        HOOK.call_once(|| {
            let next = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore();
                next(info);
            }));
        });
        if is_in_background(input) {
            // as the kernel does when one sets it, but before it is read: the shell's own modes are
            // not those to go back to
            rustix::process::kill_current_process_group(Signal::TTOU)?;
        }
        let before = rustix::termios::tcgetattr(input)?;
        let mut raw = before.clone();
        if interactive {
            raw.make_raw();
        } else {
            raw.output_modes.remove(OutputModes::OPOST);
        }
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        let mode = Self { interactive };
        rustix::termios::tcsetattr(input, OptionalActions::Now, &raw)?;
        Ok(Some(mode))
    }

    /// What [`enter`](Self::enter) was told.
    pub(crate) fn is_interactive(&self) -> bool {
        self.interactive
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    // a panic while the lock is held must not wait for itself
    let Ok(mut before) = BEFORE.try_lock() else {
        return;
    };
    let input = rustix::stdio::stdin();
    // in the background it is another's, who has set it as needed
    if let Some(before) = before.take()
        && !is_in_background(input)
    {
        // blocked, it can't stop this process on its way out
        let mut mask = SigSet::empty();
        let stop = SigSet::from_iter([SIGTTOU]);
        let blocked = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&stop), Some(&mut mask));
        // a terminal that is gone needs no restoring
        let _ = rustix::termios::tcsetattr(input, OptionalActions::Now, &before);
        if blocked.is_ok() {
            let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None);
        }
    }
}

/// Whether this process's terminal is in another group's hands.
fn is_in_background(input: BorrowedFd<'_>) -> bool {
    rustix::termios::tcgetpgrp(input).is_ok_and(|group| group != rustix::process::getpgrp())
}

/// The size of the caller's terminal, by whichever standard stream is one; 80x24 without.
pub(crate) fn size() -> Winsize {
    let streams = [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ];
    let known = streams.into_iter().filter(|fd| rustix::termios::isatty(fd));
    let mut sizes = known.filter_map(|fd| rustix::termios::tcgetwinsize(fd).ok());
    sizes
        .find(|size| size.ws_col > 0 && size.ws_row > 0)
        .unwrap_or(Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        })
}

/// Gives the terminal inside the size of the caller's.
pub(crate) fn follow(master: BorrowedFd<'_>) {
    // a size that can't be set is a nuisance, no more
    let _ = rustix::termios::tcsetwinsize(master.as_fd(), size());
}
