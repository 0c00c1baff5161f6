//! SIGINT, SIGTERM and SIGHUP ask a verb that changes something to stop; they do not kill.
//!
//! The first one sets a flag, which the manager polls between and within the steps of a change; a
//! create then undoes what it did. System calls are restarted (`SA_RESTART`), so that a rollback itself
//! is not cut short by an impatient second Ctrl-C.

#![expect(unsafe_code, reason = "sigaction(2) has no safe wrapper")]

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use nix::libc::c_int;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static CANCELLED: AtomicBool = AtomicBool::new(false);
static CAUGHT: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: c_int) {
    CAUGHT.store(signal, Ordering::Relaxed);
    CANCELLED.store(true, Ordering::Relaxed);
}

/// Installs the handlers. A signal that the parent process made ignored stays ignored, as nohup(1)
/// and background jobs expect.
pub(crate) fn install() {
    let action = SigAction::new(
        SigHandler::Handler(note),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler only stores to atomics, which is async-signal-safe.
        let before = unsafe { sigaction(signal, &action) };
        if let Ok(before) = before
            && matches!(before.handler(), SigHandler::SigIgn)
        {
            // SAFETY: this puts back the disposition that was there.
            let _ = unsafe { sigaction(signal, &before) };
        }
    }
}

/// Has children waited for, as is usual: who ignores their ends, as some daemons that run others do,
/// hands that on over exec(2), and the kernel then tells nobody how they ended (wait(2)).
pub(crate) fn hear_of_children() {
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default disposition runs no code of this program.
    let _ = unsafe { sigaction(Signal::SIGCHLD, &action) };
}

/// The flag that long operations poll.
pub(crate) fn cancelled() -> &'static AtomicBool {
    &CANCELLED
}

/// The last signal that asked to stop.
pub(crate) fn caught() -> Option<i32> {
    Some(CAUGHT.load(Ordering::Relaxed)).filter(|&s| s != 0)
}
