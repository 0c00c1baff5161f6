//! The system calls that no crate wraps safely. Nothing else in this program is unsafe.
#![expect(
    unsafe_code,
    reason = "prctl, keyctl, close_range, mount_setattr, execv"
)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::thread::UnshareFlags;
use vss_model::confinement::seccomp::SockFilter;

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Writes a line to stderr, which is the console; there is nowhere to complain if that fails.
pub(crate) fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(io::stderr(), "{line}");
}

/// Tells whoever started the container. The console's reader may come too late: with this process
/// the domain is gone, and its console with it.
pub(crate) fn notify(status: &str) {
    use std::os::unix::net::UnixDatagram;
    if let (Some(path), Ok(socket)) = (std::env::var_os("NOTIFY_SOCKET"), UnixDatagram::unbound()) {
        let _ = socket.set_nonblocking(true);
        let _ = socket.send_to(format!("STATUS={status}").as_bytes(), path);
    }
}

/// Gives systemd a process as the kernel would start it: Rust's runtime ignores SIGPIPE, and an
/// ignored or blocked signal would stay so over exec.
pub(crate) fn prepare_process() {
    // SAFETY: both calls get valid pointers or constants; the process has one thread.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let _ = rustix::process::chdir("/");
}

/// Joins a new, anonymous session keyring; a kernel without keys has none to leave.
pub(crate) fn join_new_session_keyring() -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: the operation reads no memory when the name is null.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<libc::c_char>(),
        )
    };
    match check(result) {
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => Ok(()),
        other => other.map(drop),
    }
}

/// Makes the cgroup that this process is in the root of a new cgroup namespace.
pub(crate) fn unshare_cgroup() -> rustix::io::Result<()> {
    // SAFETY: only FILES may break what other code relies on, and the process has one thread.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWCGROUP) }
}

/// Closes all but stdin, stdout and stderr.
pub(crate) fn close_descriptors() -> io::Result<()> {
    // SAFETY: no descriptor above 2 is held in a value that is used after this call.
    check(unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) }).map(drop)
}

/// Adds mount attributes (`MOUNT_ATTR_*` of mount_setattr(2), Linux 5.12) to one mount.
pub(crate) fn add_mount_attributes(mount: BorrowedFd<'_>, attributes: u64) -> io::Result<()> {
    let change = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the path is a terminated empty string, the structure lives through the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const change,
            size_of::<libc::mount_attr>(),
        )
    };
    check(result).map(drop)
}

/// Loads a filter for this process and all that come from it. Needs `CAP_SYS_ADMIN`, since
/// no_new_privs would take set-user-id programs from the container.
pub(crate) fn load_filter(program: &[SockFilter]) -> io::Result<()> {
    const {
        assert!(size_of::<SockFilter>() == size_of::<libc::sock_filter>());
    }
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut(),
    };
    // SAFETY: the program has the kernel's layout (repr(C), same size) and lives through the
    // call, which only reads it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program,
        )
    };
    check(result).map(drop)
}

/// Replaces this program; returns only if that fails.
pub(crate) fn exec(command: &[CString]) -> io::Error {
    let mut argv: Vec<*const libc::c_char> = command.iter().map(|arg| arg.as_ptr()).collect();
    argv.push(std::ptr::null());
    // SAFETY: argv is a null-terminated array of terminated strings that outlive the call; the
    // caller's list is not empty.
    unsafe { libc::execv(argv[0], argv.as_ptr()) };
    io::Error::last_os_error()
}
