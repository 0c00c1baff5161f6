//! A terminal out of the container's own devpts.
//!
//! `/dev` and `/dev/pts` are in the hands of root inside, who may put a link, another device or a
//! mount there. So every component is opened without following links, what is opened has to be the
//! root of a devpts, and `ptmx` the kernel's node in that very file system. The slave is asked of
//! the master, never opened by a path.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Uid};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

/// `DEVPTS_SUPER_MAGIC` of `linux/magic.h`.
const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;

/// The two ends of a terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    pub(crate) master: OwnedFd,
    pub(crate) slave: OwnedFd,
}

/// Opens a terminal of this size that belongs to `owner`.
pub(crate) fn open(size: Winsize, owner: u32) -> io::Result<Terminal> {
    let master = open_master()?;
    rustix::pty::unlockpt(&master)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
    rustix::termios::tcsetwinsize(&slave, size)?;
    rustix::fs::fchown(&slave, Some(Uid::from_raw(owner)), None)?;
    Ok(Terminal { master, slave })
}

fn open_master() -> io::Result<OwnedFd> {
    let directory = rustix::fs::openat2(
        CWD,
        "/dev/pts",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )?;
    if rustix::fs::fstatfs(&directory)?.f_type != DEVPTS_SUPER_MAGIC {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let open = |flags| {
        let resolve =
            ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        rustix::fs::openat2(
            &directory,
            "ptmx",
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            resolve,
        )
    };
    // to open a device can do something already: look at it first
    let node = rustix::fs::fstat(open(OFlags::PATH)?)?;
    let is_ptmx = FileType::from_raw_mode(node.st_mode) == FileType::CharacterDevice
        && node.st_rdev == rustix::fs::makedev(5, 2);
    if !is_ptmx {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let master = open(OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK)?;
    let opened = rustix::fs::fstat(&master)?;
    if (opened.st_dev, opened.st_ino) != (node.st_dev, node.st_ino) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(master)
}
