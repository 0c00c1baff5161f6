//! The null device, which is the input of who is given none.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};

const PATH: &str = "/dev/null";

/// The host's, which never goes inside: whoever holds it open may change its mode.
pub(crate) fn of_host() -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(rustix::fs::open(PATH, flags, Mode::empty())?)
}

/// The container's; `None` where something else, or nothing, stands in its place.
pub(crate) fn of_container() -> Option<OwnedFd> {
    let open = |flags| {
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(CWD, PATH, flags | OFlags::CLOEXEC, Mode::empty(), resolve).ok()
    };
    // to open a device can do something already: look at it first
    open(OFlags::PATH).filter(is_null)?;
    let opened = open(OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK).filter(is_null)?;
    // needed only against a FIFO
    rustix::fs::fcntl_setfl(&opened, OFlags::empty()).ok()?;
    Some(opened)
}

fn is_null(fd: &OwnedFd) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|node| {
        FileType::from_raw_mode(node.st_mode) == FileType::CharacterDevice
            && node.st_rdev == rustix::fs::makedev(1, 3)
    })
}
