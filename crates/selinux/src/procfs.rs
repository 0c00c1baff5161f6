//! `/proc`, once it has shown to be procfs.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, PROC_SUPER_MAGIC, RawDir, ResolveFlags, Statx, StatxFlags,
};
use rustix::io::Errno;

use crate::Error;

/// The inode number of procfs' top directory (`PROC_ROOT_INO`).
const ROOT_INODE: u64 = 1;

/// The longest label that is read: contexts with all categories written out stay below.
const LONGEST: u64 = 8192;

/// `/proc`, which is procfs with nothing mounted over what is read of it.
#[derive(Debug)]
pub(crate) struct Procfs(OwnedFd);

impl Procfs {
    pub(crate) fn open() -> Result<Self, Error> {
        Self::open_at(Path::new("/proc"))
    }

    pub(crate) fn open_at(path: &Path) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let proc = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(broken)?;
        let is_procfs = rustix::fs::fstatfs(&proc).map_err(broken)?.f_type == PROC_SUPER_MAGIC;
        if !is_procfs || stat(&proc, c"").map_err(broken)?.stx_ino != ROOT_INODE {
            return Err(Error::Proc { source: None });
        }
        Ok(Self(proc))
    }

    /// The numbers of all processes.
    pub(crate) fn pids(&self) -> io::Result<Vec<u32>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = rustix::fs::openat(&self.0, c".", flags, Mode::empty())?;
        let mut buffer = Vec::with_capacity(32 * 1024);
        let mut entries = RawDir::new(proc, buffer.spare_capacity_mut());
        let mut pids = vec![];
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_str().ok();
            pids.extend(name.and_then(|name| name.parse::<u32>().ok()));
        }
        Ok(pids)
    }

    /// The label of a process, as the kernel writes it; `None` where the process is gone.
    pub(crate) fn label(&self, pid: u32) -> Result<Option<String>, Error> {
        let action = || format!("read the label of process {pid}");
        let fail = |source: io::Error| Error::Label {
            action: action(),
            source,
        };
        let path = format!("{pid}/attr/current");
        let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::openat2(&self.0, path, flags, Mode::empty(), inside) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::SRCH) => return Ok(None),
            Err(Errno::XDEV) => return Err(broken(Errno::XDEV)),
            Err(e) => return Err(fail(e.into())),
        };
        let mut label = vec![];
        match File::from(file).take(LONGEST).read_to_end(&mut label) {
            Ok(_) => {}
            Err(e) if e.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => return Ok(None),
            Err(e) => return Err(fail(e)),
        }
        let label = String::from_utf8_lossy(&label);
        Ok(Some(label.trim_end_matches(['\0', '\n']).to_owned()))
    }

    /// The path by which calls that know no handle reach the node of one. It is checked to lead to
    /// that very node: a `/proc/self/fd` that something else was mounted over does not.
    pub(crate) fn link_to(fd: BorrowedFd<'_>) -> Result<String, Error> {
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let mask = StatxFlags::TYPE | StatxFlags::INO | StatxFlags::MNT_ID;
        let there = rustix::fs::statx(CWD, path.as_str(), AtFlags::NO_AUTOMOUNT, mask);
        let there = there.map_err(broken)?;
        let here = stat(fd, c"").map_err(broken)?;
        let identity = |s: &Statx| {
            let device = (s.stx_dev_major, s.stx_dev_minor);
            (device, s.stx_ino, s.stx_mnt_id, s.stx_mode)
        };
        if identity(&there) != identity(&here) {
            return Err(Error::Proc { source: None });
        }
        Ok(path)
    }
}

fn stat(fd: impl rustix::fd::AsFd, name: &std::ffi::CStr) -> rustix::io::Result<Statx> {
    let mask = StatxFlags::TYPE | StatxFlags::INO | StatxFlags::MNT_ID;
    rustix::fs::statx(fd, name, AtFlags::EMPTY_PATH, mask)
}

fn broken(error: Errno) -> Error {
    Error::Proc {
        source: Some(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a05_what_is_not_procfs_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("1/attr")).unwrap();
        std::fs::write(dir.path().join("1/attr/current"), "a:b:c:s0").unwrap();
        assert!(Procfs::open_at(dir.path()).is_err());
        // a part of procfs is not its top
        assert!(Procfs::open_at(Path::new("/proc/sys")).is_err());
        // the pair
        let proc = Procfs::open_at(Path::new("/proc")).unwrap();
        assert!(proc.pids().unwrap().contains(&std::process::id()));
        assert_eq!(proc.label(u32::MAX).unwrap(), None);
    }
}
