//! The few system calls for which no safe wrapper is at hand.
#![expect(
    unsafe_code,
    reason = "fork, clone, seccomp and keyctl have no safe wrappers"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use rustix::process::Pid;
use vss_model::confinement::seccomp::SockFilter;

/// Forks; `None` in the child.
///
/// The child of a process with several threads may only make system calls, allocate nothing and
/// end with [`exit`]; the child of one with a single thread may do anything, and ends with
/// [`exit`] or an exec.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    if is_ignored(libc::SIGCHLD) {
        // as whoever started this program may have left it: nobody could wait for the child
        // SAFETY: no handler is installed
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    }
    // SAFETY: both callers are in this crate and keep to the above: `run` checks the number of
    // threads, the child in `connect` makes three system calls
    pid(unsafe { libc::fork() })
}

/// Forks a process whose parent is the parent of this one: whoever forked this process can wait
/// for it.
pub(crate) fn fork_sibling() -> io::Result<Option<Pid>> {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: without CLONE_VM this is a fork; it skips glibc's handlers, which this process (one
    // thread, about to execute a program) has no need of
    let result = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    pid(i32::try_from(result).unwrap_or(-1))
}

fn pid(result: i32) -> io::Result<Option<Pid>> {
    match result {
        0 => Ok(None),
        _ => Pid::from_raw(result)
            .filter(|_| result > 0)
            .map(Some)
            .ok_or_else(io::Error::last_os_error),
    }
}

/// Ends the process without running anything of the parent's that was copied with it.
pub(crate) fn exit(status: u8) -> ! {
    // SAFETY: _exit has no preconditions
    unsafe { libc::_exit(i32::from(status)) }
}

/// Makes `fd` the descriptor number `number`, open across an exec.
pub(crate) fn place(fd: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    // SAFETY: used for the numbers 0 to 2 in a forked child, where no owned descriptor has them
    result(unsafe { libc::dup2(fd.as_raw_fd(), number) })
}

/// Closes every descriptor from 3 on that isn't in `keep`.
pub(crate) fn close_others(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut numbers: Vec<u32> = keep
        .iter()
        .filter_map(|fd| u32::try_from(fd.as_raw_fd()).ok())
        .filter(|n| *n > 2)
        .collect();
    numbers.sort_unstable();
    let mut first = 3;
    for number in numbers {
        if number > first {
            close_range(first, number - 1)?;
        }
        first = number + 1;
    }
    close_range(first, u32::MAX)
}

/// The same for one descriptor, the standard streams closed too, and without allocating.
pub(crate) fn close_all_but(keep: BorrowedFd<'_>) -> io::Result<()> {
    let number = u32::try_from(keep.as_raw_fd()).map_err(|_| io::ErrorKind::InvalidInput)?;
    if number > 0 {
        close_range(0, number - 1)?;
    }
    close_range(number + 1, u32::MAX)
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: in a forked child that never drops the owners of what is closed: it leaves by exec
    // or by _exit
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Sets every signal to its default and blocks none.
pub(crate) fn default_signals() -> io::Result<()> {
    // the kernel's struct sigaction (handler, flags, restorer, mask), all zero: SIG_DFL
    const DEFAULT: [u64; 4] = [0; 4];
    for signal in 1..=64 {
        // SAFETY: the kernel only reads, and no handler is installed; KILL and STOP fail, and are
        // at their default anyway. glibc's function would leave out the two that it keeps to
        // itself, and a caller may have been started with those ignored
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                DEFAULT.as_ptr(),
                std::ptr::null_mut::<u64>(),
                size_of::<u64>(),
            )
        };
    }
    let none = nix::sys::signal::SigSet::empty();
    nix::sys::signal::sigprocmask(nix::sys::signal::SigmaskHow::SIG_SETMASK, Some(&none), None)?;
    Ok(())
}

/// Whether this process ignores a signal.
pub(crate) fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: nothing is set, and what is there is written into a sigaction, for which all zero is
    // a value too
    let action = unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

/// Sends a signal by number: rustix has no safe way to name a real-time signal.
pub(crate) fn send_signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open, and no siginfo is passed
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_fd().as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if sent == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Leaves the session keyring of whoever called, for a new one.
pub(crate) fn new_session_keyring() -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: i32 = 1;
    // SAFETY: a null name makes an anonymous keyring
    let id = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<u8>(),
        )
    };
    if id >= 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Filters the system calls of this process and all that come of it.
pub(crate) fn load_filter(program: &[SockFilter]) -> io::Result<()> {
    const _: () = assert!(size_of::<SockFilter>() == size_of::<libc::sock_filter>());
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut(),
    };
    // SAFETY: SockFilter is laid out as sock_filter is, the pointer is good for `len` of them, and
    // the kernel only reads
    let done = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn result(value: i32) -> io::Result<()> {
    if value >= 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
