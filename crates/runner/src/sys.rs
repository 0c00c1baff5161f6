//! The system calls that no crate wraps safely, for both programs.
#![expect(
    unsafe_code,
    reason = "signalfd, pidfd signals and exit status, execv, inherited descriptors"
)]

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::FdFlags;

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Blocks SIGTERM and SIGINT and makes them readable at a descriptor; SIGHUP is ignored. All of it
/// goes along through an exec by [`exec`], so that no signal is lost between two programs.
///
/// # Errors
/// Where the kernel has no descriptor left.
pub fn signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is made by sigemptyset before it is used, all pointers are valid, and the
    // descriptor that signalfd returns belongs to nobody else.
    unsafe {
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGTERM);
        libc::sigaddset(&raw mut set, libc::SIGINT);
        check(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()).into())?;
        let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        check(fd.into())?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Whether one of the signals has come that [`signals`] made readable. It stays there to be read.
#[must_use]
pub fn is_signalled(signals: BorrowedFd<'_>) -> bool {
    is_readable(signals)
}

/// Whether the process of a pidfd has ended (pidfd_open(2)).
#[must_use]
pub fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    is_readable(pidfd)
}

fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&Timespec::default())), Ok(1..))
}

/// Has the kernel refuse messages that bring descriptors (`SO_PASSRIGHTS`, Linux 6.16). One that is received
/// has to be closed, and a container can make that last: a TCP socket that lingers, say.
///
/// # Errors
/// Where the kernel is older.
pub fn refuse_descriptors(socket: BorrowedFd<'_>) -> io::Result<()> {
    // asm-generic/socket.h; other architectures than those that containers are confined on differ
    const SO_PASSRIGHTS: libc::c_int = 83;
    let no: libc::c_int = 0;
    // SAFETY: the value lives through the call, and its size is told.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PASSRIGHTS,
            (&raw const no).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    check(result.into()).map(drop)
}

/// systemd as PID 1: a clean power-off (systemd(1)); glibc counts real-time signals from 34.
pub const POWER_OFF: i32 = 34 + 4;

/// Sends a signal to the process of a pidfd.
///
/// # Errors
/// Where the process is gone, for one.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is read with a null siginfo.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    check(result).map(drop)
}

/// `struct pidfd_info` of `linux/pidfd.h` as of Linux 6.15.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroupid: u64,
    identity: [u32; 11],
    exit_code: i32,
}

/// `PIDFD_GET_INFO`: `_IOWR(0xff, 11, struct pidfd_info)`.
const PIDFD_GET_INFO: libc::c_ulong = 0xc040_ff0b;
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// The wait status of the process of a pidfd, once it has been waited for by its parent; Linux 6.15
/// and later tell it to whoever holds a pidfd. `None` where it isn't known.
fn exit_status(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let mut info = PidfdInfo {
        mask: PIDFD_INFO_EXIT,
        ..PidfdInfo::default()
    };
    const {
        assert!(size_of::<PidfdInfo>() == 64);
    }
    // SAFETY: the structure has the size that the request says, and lives through the call.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    (result == 0 && info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code)
}

/// Whether the kernel tells a process's exit status by its pidfd: asked of this process, it answers
/// the question at all.
fn tells_exit_status() -> bool {
    let mut info = PidfdInfo {
        mask: PIDFD_INFO_EXIT,
        ..PidfdInfo::default()
    };
    let Ok(own) = rustix::process::pidfd_open(
        rustix::process::getpid(),
        rustix::process::PidfdFlags::empty(),
    ) else {
        return false;
    };
    // SAFETY: as above.
    unsafe { libc::ioctl(own.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) == 0 }
}

/// How long a process that ended may take to be waited for by its parent, on a busy machine too.
const REAPED: Duration = Duration::from_secs(5);

/// The wait status of a process that has ended, by its pidfd. Its parent has to wait for it first.
#[must_use]
pub fn wait_status(pidfd: BorrowedFd<'_>) -> Option<i32> {
    if !tells_exit_status() {
        return None;
    }
    let end = Instant::now() + REAPED;
    loop {
        let status = exit_status(pidfd);
        if status.is_some() || Instant::now() >= end {
            return status;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Takes over a descriptor that came through an exec, and keeps it from going further.
///
/// # Errors
/// Where there is no such descriptor, or it is one of the standard streams.
pub fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    if fd <= 2 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the borrow lasts for the check alone; a number that is no descriptor gives EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    rustix::io::fcntl_setfd(borrowed, FdFlags::CLOEXEC)?;
    // SAFETY: it is open, and was passed to this program to own: nothing else in it knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Lets a descriptor go along through the next exec.
///
/// # Errors
/// Where the flags can't be set.
pub fn pass_on(fd: impl AsFd) -> io::Result<RawFd> {
    rustix::io::fcntl_setfd(&fd, FdFlags::empty())?;
    Ok(fd.as_fd().as_raw_fd())
}

/// Replaces this program, signal mask and all; returns only if that fails.
pub fn exec(program: &OsStr, args: &[String]) -> io::Error {
    let words = std::iter::once(program.as_bytes()).chain(args.iter().map(String::as_bytes));
    let Ok(words) = words.map(CString::new).collect::<Result<Vec<_>, _>>() else {
        return io::ErrorKind::InvalidInput.into();
    };
    let mut argv: Vec<*const libc::c_char> = words.iter().map(|word| word.as_ptr()).collect();
    argv.push(std::ptr::null());
    // SAFETY: argv is a null-terminated array, not empty, of terminated strings that outlive the
    // call.
    unsafe { libc::execv(argv[0], argv.as_ptr()) };
    io::Error::last_os_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_streams_and_closed_numbers_are_not_taken_over() {
        for fd in [-1, 0, 1, 2, 987_654] {
            assert!(adopt(fd).is_err(), "{fd}");
        }
    }
}
