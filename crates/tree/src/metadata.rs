//! What statx(2) says of a node.

use std::fmt;

use rustix::fd::AsFd;
use rustix::fs::{AtFlags, FileType, Statx, StatxAttributes, StatxFlags};

/// What kind of thing a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
    /// None that this program knows.
    Unknown,
}

impl Kind {
    fn of(mode: u32) -> Self {
        match FileType::from_raw_mode(mode) {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Link,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::BlockDevice => Self::BlockDevice,
            FileType::CharacterDevice => Self::CharDevice,
            FileType::Unknown => Self::Unknown,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "a regular file",
            Self::Directory => "a directory",
            Self::Link => "a symbolic link",
            Self::Fifo => "a named pipe",
            Self::Socket => "a socket",
            Self::BlockDevice => "a block device",
            Self::CharDevice => "a character device",
            Self::Unknown => "of an unknown kind",
        })
    }
}

/// What statx(2) says of a node; links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// Type and permission bits, `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length in bytes; of a link, of its target.
    pub size: u64,
    /// Bytes that the file system has set aside for it: less than `size` where there are holes.
    pub allocated: u64,
    /// How many names it has.
    pub nlink: u32,
    /// The device that it is on.
    pub dev: u64,
    /// Its inode number there.
    pub ino: u64,
    /// The mount that it was reached through (`STATX_MNT_ID`).
    pub mount: u64,
    /// Last access: seconds since 1970 and nanoseconds.
    pub accessed: (i64, u32),
    /// Last change of content: seconds since 1970 and nanoseconds.
    pub modified: (i64, u32),
    /// Whether a flag of the file system forbids changes (chattr(1): immutable, append-only).
    pub immutable: bool,
}

/// What tells one node from another for as long as it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    dev: u64,
    ino: u64,
    mount: u64,
}

impl Metadata {
    /// The permission bits, with set-user-id, set-group-id and sticky.
    #[must_use]
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Whether both are the same inode, through whatever mount.
    #[must_use]
    pub fn same_inode(&self, other: &Self) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity {
            dev: self.dev,
            ino: self.ino,
            mount: self.mount,
        }
    }

    /// Of an open handle, `O_PATH` ones included.
    pub(crate) fn of(fd: impl AsFd) -> rustix::io::Result<Self> {
        Self::ask(fd, c"", AtFlags::EMPTY_PATH)
    }

    /// Of a name in a directory; neither a link is followed nor an automount set off.
    pub(crate) fn at(dir: impl AsFd, name: &std::ffi::CStr) -> rustix::io::Result<Self> {
        Self::ask(dir, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    fn ask(fd: impl AsFd, name: &std::ffi::CStr, flags: AtFlags) -> rustix::io::Result<Self> {
        let mask = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        rustix::fs::statx(fd, name, flags | AtFlags::NO_AUTOMOUNT, mask).map(Self::from)
    }
}

impl From<Statx> for Metadata {
    fn from(stat: Statx) -> Self {
        let mode = u32::from(stat.stx_mode);
        let frozen = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
        Self {
            kind: Kind::of(mode),
            mode,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            size: stat.stx_size,
            allocated: stat.stx_blocks.saturating_mul(512),
            nlink: stat.stx_nlink,
            dev: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
            ino: stat.stx_ino,
            mount: stat.stx_mnt_id,
            accessed: (stat.stx_atime.tv_sec, stat.stx_atime.tv_nsec),
            modified: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
            immutable: stat.stx_attributes.intersects(frozen),
        }
    }
}
