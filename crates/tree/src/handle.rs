//! Opening by handle: the few ways in which this crate gets from one node to another.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, RawDir, ResolveFlags, SeekFrom};
use rustix::io::{Errno, Result};

use crate::metadata::Metadata;

/// Names one node and neither opens nor follows it.
pub(crate) const NODE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A directory to be read and worked in.
pub(crate) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// How long a path may be in one call (`PATH_MAX`, less its NUL and a margin).
const LONGEST: usize = 4000;

/// How often a lookup is tried again that a rename elsewhere in the system disturbed: openat2(2)
/// gives EAGAIN where it cannot tell whether `..` left the tree.
const RETRIES: usize = 256;

/// Opens a path inside a tree. Links on the way are followed inside the tree, the last component
/// only where `flags` lacks `O_NOFOLLOW`.
///
/// A path longer than the kernel takes at once is walked in pieces; from the second piece on no
/// link may stand in it.
pub(crate) fn open_inside(root: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    let path = path.strip_prefix("/").unwrap_or(path);
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    if path.as_os_str().as_bytes().len() < LONGEST {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        return open_with_retries(root.as_fd(), path, flags, inside);
    }
    let mut pieces = pieces(path);
    let last = pieces.pop().ok_or(Errno::NOENT)?;
    let mut here: Option<OwnedFd> = None;
    for piece in pieces {
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        here = Some(match &here {
            None => open_with_retries(root.as_fd(), &piece, step, inside)?,
            Some(dir) => open_with_retries(dir.as_fd(), &piece, step, BELOW)?,
        });
    }
    let here = here.as_ref().map_or(root.as_fd(), |dir| dir.as_fd());
    open_with_retries(here, &last, flags, BELOW)
}

const BELOW: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_SYMLINKS);

fn pieces(path: &Path) -> Vec<PathBuf> {
    let mut pieces = vec![];
    let mut piece = PathBuf::new();
    for component in path.components() {
        let name = match component {
            Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
            Component::ParentDir | Component::Normal(_) => component.as_os_str(),
        };
        if piece.as_os_str().len() + name.len() + 1 >= LONGEST {
            pieces.push(std::mem::take(&mut piece));
        }
        piece.push(name);
    }
    pieces.push(piece);
    pieces
}

fn open_with_retries(
    dir: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd> {
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(dir, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) if tries < RETRIES => tries += 1,
            other => return other,
        }
    }
}

/// A node by its name in a directory, neither opened nor followed, with what it is.
pub(crate) fn open_node(dir: impl AsFd, name: &CStr) -> Result<(OwnedFd, Metadata)> {
    let node = rustix::fs::openat(dir, name, NODE, Mode::empty())?;
    let metadata = Metadata::of(&node)?;
    Ok((node, metadata))
}

/// A directory by its name in another, to be read; a link is refused with ENOTDIR. Reading it
/// leaves no access time behind where we may ask for that.
pub(crate) fn open_directory(dir: impl AsFd, name: &CStr) -> Result<OwnedFd> {
    let dir = dir.as_fd();
    match rustix::fs::openat(dir, name, DIRECTORY | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::openat(dir, name, DIRECTORY, Mode::empty()),
        other => other,
    }
}

/// Opens the regular file that a handle names, for reading, and no other.
///
/// The handle is opened again through `/proc`, so a device that was put in the file's place is
/// never opened and a pipe never waited for. That what came back is the same inode shows that
/// `/proc` told the truth.
pub(crate) fn open_file(node: impl AsFd, metadata: &Metadata) -> Result<OwnedFd> {
    let path = link_in_proc(node.as_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let path = path.as_str();
    let file = match rustix::fs::open(path, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::open(path, flags, Mode::empty()),
        other => other,
    }?;
    if Metadata::of(&file)?.identity() != metadata.identity() {
        return Err(Errno::XDEV);
    }
    Ok(file)
}

/// The path under which calls that know no handle reach the node of one, given that
/// [`proc_is_true`].
pub(crate) fn link_in_proc(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Whether `/proc` leads back to what a handle names: it does not where something else than this
/// process's procfs is mounted there.
pub(crate) fn proc_is_true(fd: impl AsFd) -> Result<bool> {
    let path = link_in_proc(fd.as_fd());
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let found = rustix::fs::open(path.as_str(), flags, Mode::empty())?;
    Ok(Metadata::of(found)?.identity() == Metadata::of(fd)?.identity())
}

/// [`names`] for who only looks: a directory that was removed meanwhile has none.
pub(crate) fn names_left(dir: impl AsFd) -> Result<Vec<(CString, FileType)>> {
    match names(dir) {
        Err(Errno::NOENT) => Ok(vec![]),
        other => other,
    }
}

/// All names in a directory but `.` and `..`, with the type that the directory gives them, which
/// is a hint and no more. ENOENT where the directory was removed.
pub(crate) fn names(dir: impl AsFd) -> Result<Vec<(CString, FileType)>> {
    let dir = dir.as_fd();
    rustix::fs::seek(dir, SeekFrom::Start(0))?;
    let mut buffer = [MaybeUninit::<u8>::uninit(); 32 * 1024];
    let mut entries = RawDir::new(dir, &mut buffer);
    let mut names = vec![];
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push((name.to_owned(), entry.file_type()));
        }
    }
    Ok(names)
}
