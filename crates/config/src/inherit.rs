//! A descriptor that came through an exec, of which only the number is known.
#![expect(
    unsafe_code,
    reason = "a number has to become a descriptor that is owned"
)]

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::FdFlags;

/// Takes over an inherited descriptor; `None` where the number is a standard stream's, or not
/// open, or was opened by this process itself (which opens everything to be closed on exec).
pub(crate) fn adopt(descriptor: RawFd) -> Option<OwnedFd> {
    if descriptor < 3 {
        return None;
    }
    // SAFETY: the borrow ends in this function; a number that is not open makes fcntl fail with
    // EBADF and does no harm
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    if !rustix::io::fcntl_getfd(borrowed).ok()?.is_empty() {
        return None;
    }
    rustix::io::fcntl_setfd(borrowed, FdFlags::CLOEXEC).ok()?;
    // SAFETY: the descriptor is open, and without close-on-exec: it was inherited, so nothing in
    // this process owns it; with the flag set now, a second call refuses the number
    Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
