//! The system calls that no crate wraps. Nothing else in this program is unsafe.
#![expect(
    unsafe_code,
    reason = "calls by number, which is what attempts are made of"
)]

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;

/// An argument of a system call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arg<'a> {
    Number(i64),
    /// What the kernel reads, and may write in part as the call's description says.
    Bytes(&'a [u8]),
    Text(&'a CString),
    Fd(BorrowedFd<'a>),
}

/// Makes a system call. What the kernel writes goes to [`call_into`] only.
pub(crate) fn call(number: libc::c_long, args: &[Arg<'_>]) -> Result<i64, Errno> {
    let mut values = [0_i64; 6];
    for (value, arg) in values.iter_mut().zip(args) {
        *value = match arg {
            Arg::Number(number) => *number,
            Arg::Bytes(bytes) => bytes.as_ptr() as i64,
            Arg::Text(text) => text.as_ptr() as i64,
            Arg::Fd(fd) => i64::from(fd.as_raw_fd()),
        };
    }
    let [a, b, c, d, e, f] = values;
    // SAFETY: pointers come from references that outlive the call; the calls made here only read
    // what they point to.
    Errno::result(unsafe { libc::syscall(number, a, b, c, d, e, f) })
}

/// The same with a buffer as the argument at `place`, which the kernel writes.
pub(crate) fn call_into(
    number: libc::c_long,
    args: &[Arg<'_>],
    place: usize,
    buffer: &mut [u8],
) -> Result<usize, Errno> {
    let mut all = args.to_vec();
    all.insert(place, Arg::Number(buffer.as_mut_ptr() as i64));
    let length = call(number, &all)?;
    Ok(usize::try_from(length).unwrap_or(0))
}

/// A descriptor that a call returned.
pub(crate) fn descriptor(number: i64) -> OwnedFd {
    // SAFETY: the kernel has just made it for this process, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(number as i32) }
}

/// A path for the kernel; what has a zero byte in it is none.
pub(crate) fn text(path: impl AsRef<Path>) -> Result<CString, Errno> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_ref().as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

/// Opens by a file handle (open_by_handle_at(2)).
pub(crate) fn open_by_handle(
    mount: BorrowedFd<'_>,
    kind: i32,
    handle: u64,
    flags: i32,
) -> Result<OwnedFd, Errno> {
    let mut bytes = 8_u32.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(handle.to_ne_bytes());
    let args = [
        Arg::Fd(mount),
        Arg::Bytes(&bytes),
        Arg::Number(i64::from(flags | libc::O_CLOEXEC)),
    ];
    call(libc::SYS_open_by_handle_at, &args).map(descriptor)
}

/// ioctl(2) with a byte to read.
pub(crate) fn ioctl(fd: BorrowedFd<'_>, request: u64, value: &[u8]) -> Result<(), Errno> {
    let args = [Arg::Fd(fd), Arg::Number(request as i64), Arg::Bytes(value)];
    call(libc::SYS_ioctl, &args).map(drop)
}
