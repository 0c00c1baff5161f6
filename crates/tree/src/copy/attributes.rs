//! What belongs to a node besides its content: owner, mode, extended attributes, times.

use std::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;
use vss_model::AbsPath;

use super::SkipReason;
use super::worker::Worker;
use crate::error::Result;
use crate::handle;
use crate::metadata::Metadata;
use crate::owners::Shifted;
use crate::root::MARK;

/// Attributes that are not copied: the label is the target's own, the mark says whose the tree is,
/// and the checksum over a file's other attributes (evm) is the kernel's business.
const NOT_COPIED: [&CStr; 3] = [c"security.selinux", c"security.evm", MARK];

/// The most that the kernel keeps as the names, or as one value, of extended attributes
/// (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const LONGEST: usize = 65536;

/// Gives a file or directory of the target all that the source's has. The times come last, since
/// all else changes them; the mode comes after the owner and attributes after both, since a change
/// of owner clears set-id bits and file capabilities.
pub(super) fn apply(
    worker: &mut Worker<'_>,
    source: &OwnedFd,
    metadata: &Metadata,
    target: &OwnedFd,
    path: &AbsPath,
) -> Result<()> {
    let to = worker.copying.target;
    own(worker, metadata, target, path)?;
    rustix::fs::fchmod(target, Mode::from_raw_mode(metadata.permissions()))
        .map_err(|e| to.at("change the mode of", path, e))?;
    copy_xattrs(
        worker,
        &Direct(source.as_fd()),
        &Direct(target.as_fd()),
        path,
    )?;
    rustix::fs::futimens(target, &times(metadata))
        .map_err(|e| to.at("change the times of", path, e))
}

/// The same for a symbolic link, by its `O_PATH` handle.
pub(super) fn apply_to_link(
    worker: &mut Worker<'_>,
    source: BorrowedFd<'_>,
    metadata: &Metadata,
    target: BorrowedFd<'_>,
    path: &AbsPath,
) -> Result<()> {
    let to = worker.copying.target;
    own(worker, metadata, target, path)?;
    copy_xattrs(worker, &InProc(source), &InProc(target), path)?;
    rustix::fs::utimensat(target, c"", &times(metadata), AtFlags::EMPTY_PATH)
        .map_err(|e| to.at("change the times of", path, e))
}

fn own(
    worker: &mut Worker<'_>,
    metadata: &Metadata,
    target: impl AsFd,
    path: &AbsPath,
) -> Result<()> {
    let to = worker.copying.target;
    for id in [metadata.uid, metadata.gid] {
        if !to.owners.has(id) {
            worker.skip(path.clone(), SkipReason::Owner(id));
        }
    }
    to.own(target, metadata.uid, metadata.gid)
        .map_err(|e| to.at("change the owner of", path, e))
}

fn times(metadata: &Metadata) -> Timestamps {
    let spec = |(seconds, nanoseconds): (i64, u32)| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.into(),
    };
    Timestamps {
        last_access: spec(metadata.accessed),
        last_modification: spec(metadata.modified),
    }
}

/// How the attributes of a node are reached.
trait Attributed {
    fn names(&self, buffer: &mut [u8]) -> rustix::io::Result<usize>;
    fn get(&self, name: &CStr, buffer: &mut [u8]) -> rustix::io::Result<usize>;
    fn set(&self, name: &CStr, value: &[u8]) -> rustix::io::Result<()>;
}

/// Through the handle itself, which has to be an open file or directory.
struct Direct<'a>(BorrowedFd<'a>);

/// Through `/proc`, since these calls refuse `O_PATH` handles and a link has no other.
struct InProc<'a>(BorrowedFd<'a>);

impl Attributed for Direct<'_> {
    fn names(&self, buffer: &mut [u8]) -> rustix::io::Result<usize> {
        rustix::fs::flistxattr(self.0, buffer)
    }
    fn get(&self, name: &CStr, buffer: &mut [u8]) -> rustix::io::Result<usize> {
        rustix::fs::fgetxattr(self.0, name, buffer)
    }
    fn set(&self, name: &CStr, value: &[u8]) -> rustix::io::Result<()> {
        rustix::fs::fsetxattr(self.0, name, value, XattrFlags::empty())
    }
}

impl Attributed for InProc<'_> {
    fn names(&self, buffer: &mut [u8]) -> rustix::io::Result<usize> {
        rustix::fs::listxattr(handle::link_in_proc(self.0), buffer)
    }
    fn get(&self, name: &CStr, buffer: &mut [u8]) -> rustix::io::Result<usize> {
        rustix::fs::getxattr(handle::link_in_proc(self.0), name, buffer)
    }
    fn set(&self, name: &CStr, value: &[u8]) -> rustix::io::Result<()> {
        let path = handle::link_in_proc(self.0);
        rustix::fs::setxattr(path, name, value, XattrFlags::empty())
    }
}

fn copy_xattrs(
    worker: &mut Worker<'_>,
    source: &impl Attributed,
    target: &impl Attributed,
    path: &AbsPath,
) -> Result<()> {
    let (from, to) = (worker.copying.source, worker.copying.target);
    let length = match source.names(&mut worker.buffer[..LONGEST]) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(()),
        Ok(length) => length,
        Err(e) => return Err(from.at("list the attributes of", path, e)),
    };
    let list = worker.buffer[..length].to_vec();
    for name in list.split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        if NOT_COPIED.contains(&name) {
            continue;
        }
        let length = match source.get(name, &mut worker.buffer[..LONGEST]) {
            Ok(length) => length,
            // taken away meanwhile, or listed and not to be read, as some file systems do
            Err(Errno::NODATA | Errno::OPNOTSUPP) => continue,
            Err(e) => return Err(from.at("read an attribute of", path, e)),
        };
        let lost = || SkipReason::Users(name.to_string_lossy().into_owned());
        let shifted = to.owners.attribute(name, &worker.buffer[..length]);
        let value = match &shifted {
            Shifted::Same => &worker.buffer[..length],
            Shifted::To(bytes, entries) => {
                if *entries > 0 {
                    worker.skip(path.clone(), lost());
                }
                bytes
            }
            Shifted::Lost => {
                worker.skip(path.clone(), lost());
                continue;
            }
        };
        match target.set(name, value) {
            Ok(()) => {}
            Err(Errno::OPNOTSUPP) => {
                let name = name.to_string_lossy().into_owned();
                worker.skip(path.clone(), SkipReason::Attribute(name));
            }
            Err(e) => return Err(to.at("set an attribute of", path, e)),
        }
    }
    Ok(())
}
