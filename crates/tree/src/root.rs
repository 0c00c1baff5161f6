//! A tree as an open directory, and what is read from it.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, XattrFlags};
use rustix::io::Errno;
use vss_model::{AbsPath, IdRange, Uuid};

use crate::error::{Error, Result};
use crate::handle;
use crate::metadata::{Kind, Metadata};
use crate::owners::Owners;

/// The extended attribute of a tree's top directory that says whose tree it is. Names in
/// `trusted.` are out of reach for whoever lacks CAP_SYS_ADMIN outside of user namespaces.
pub(crate) const MARK: &CStr = c"trusted.virt-sandbox.uuid";

/// An open directory. Every path given to its methods, absolute or relative, is resolved inside
/// it, symbolic links included, and never leads out of it.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    /// Where it was opened, for messages only.
    place: PathBuf,
    pub(crate) owners: Owners,
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Root {
    /// Opens a directory of the host; the last component must not be a link. The host's own root
    /// is `Root::open("/")`.
    ///
    /// # Errors
    /// Where there is no such directory or it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let fd = rustix::fs::openat(CWD, path, handle::DIRECTORY, Mode::empty())
            .map_err(|e| Error::io("open the directory", path.to_owned(), e))?;
        Ok(Self {
            fd,
            place: path.to_owned(),
            owners: Owners::default(),
        })
    }

    /// The same as the tree of a container with these users of its own: every owner and group that
    /// is given to it from now on is one of the container's, and is shifted when it is written.
    /// What is read of it is as the host has it.
    #[must_use]
    pub fn owned_by(mut self, users: IdRange) -> Self {
        self.owners = Owners::of(users);
        self
    }

    /// A directory inside, as a tree of its own; the last component must not be a link.
    ///
    /// # Errors
    /// Where there is no such directory or it cannot be read.
    pub fn sub(&self, path: &Path) -> Result<Self> {
        let fd = self
            .open_at(path, handle::DIRECTORY)
            .map_err(|e| Error::io("open the directory", self.on_host(path), e))?;
        Ok(Self {
            fd,
            place: self.on_host(path),
            owners: self.owners,
        })
    }

    /// The path of something inside as the host sees it, for messages: links are not resolved.
    #[must_use]
    pub fn on_host(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("/").unwrap_or(path) {
            rest if rest.as_os_str().is_empty() => self.place.clone(),
            rest => self.place.join(rest),
        }
    }

    pub(crate) fn open_at(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        handle::open_inside(&self.fd, path, flags)
    }

    /// The node at a path and what it is, links followed on the way but not at the end; `None`
    /// where there is nothing.
    pub(crate) fn node(&self, path: &Path) -> Result<Option<(OwnedFd, Metadata)>> {
        let opened = self
            .open_at(path, handle::NODE)
            .and_then(|node| Metadata::of(&node).map(|metadata| (node, metadata)));
        match opened {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(e) => Err(Error::io("look at", self.on_host(path), e)),
        }
    }

    /// What stands at a path, a link itself where it is one; `None` where there is nothing.
    ///
    /// # Errors
    /// Where the path cannot be looked at.
    pub fn metadata(&self, path: &Path) -> Result<Option<Metadata>> {
        Ok(self.node(path)?.map(|(_, metadata)| metadata))
    }

    /// The content of a regular file; a link is followed inside the tree. Never waits for a pipe
    /// nor opens a device.
    ///
    /// # Errors
    /// Where it is not a regular file, has more than `limit` bytes or cannot be read.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>> {
        let fail = |e: Errno| Error::io("read", self.on_host(path), e);
        let node = self
            .open_at(path, OFlags::PATH | OFlags::CLOEXEC)
            .map_err(fail)?;
        let metadata = Metadata::of(&node).map_err(fail)?;
        self.expect(path, &metadata, Kind::File)?;
        let too_large = || Error::TooLarge {
            path: self.on_host(path),
            limit,
        };
        if metadata.size > limit {
            return Err(too_large());
        }
        let file = handle::open_file(&node, &metadata).map_err(fail)?;
        let mut content = vec![];
        File::from(file)
            .take(limit.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|e| Error::io("read", self.on_host(path), e))?;
        if content.len() as u64 > limit {
            return Err(too_large());
        }
        Ok(content)
    }

    /// The first bytes of a regular file, at most `limit`; a link is followed inside the tree.
    /// `None` where there is no regular file. Never waits for a pipe nor opens a device.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read_start(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
        let fail = |e: Errno| Error::io("read", self.on_host(path), e);
        let node = match self.open_at(path, OFlags::PATH | OFlags::CLOEXEC) {
            Ok(node) => node,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(e) => return Err(fail(e)),
        };
        let metadata = Metadata::of(&node).map_err(fail)?;
        if metadata.kind != Kind::File {
            return Ok(None);
        }
        let file = handle::open_file(&node, &metadata).map_err(fail)?;
        let mut content = vec![];
        File::from(file)
            .take(limit)
            .read_to_end(&mut content)
            .map_err(|e| Error::io("read", self.on_host(path), e))?;
        Ok(Some(content))
    }

    /// The target of a symbolic link, as it is written.
    ///
    /// # Errors
    /// Where there is no link at the path.
    pub fn read_link(&self, path: &Path) -> Result<PathBuf> {
        let fail = |e: Errno| Error::io("read the link", self.on_host(path), e);
        let node = self.open_at(path, handle::NODE).map_err(fail)?;
        self.expect(path, &Metadata::of(&node).map_err(fail)?, Kind::Link)?;
        link_target(&node).map_err(fail)
    }

    /// What a directory holds, sorted by name; a link to a directory is followed inside the tree.
    ///
    /// # Errors
    /// Where it is no directory or cannot be read.
    pub fn list(&self, path: &Path) -> Result<Vec<(OsString, Metadata)>> {
        let fail = |e: Errno| Error::io("list", self.on_host(path), e);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let node = self.open_at(path, flags).map_err(fail)?;
        let dir = handle::open_directory(&node, c".").map_err(fail)?;
        let mut entries = vec![];
        for (name, _) in handle::names_left(&dir).map_err(fail)? {
            match Metadata::at(&dir, &name) {
                Ok(metadata) => entries.push((OsString::from_vec(name.into_bytes()), metadata)),
                Err(Errno::NOENT) => {}
                Err(e) => return Err(fail(e)),
            }
        }
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }

    pub(crate) fn expect(&self, path: &Path, found: &Metadata, wanted: Kind) -> Result<()> {
        if found.kind == wanted {
            return Ok(());
        }
        Err(Error::WrongKind {
            path: self.on_host(path),
            found: found.kind,
            wanted,
        })
    }

    /// Marks the tree as that of a sandbox, in an extended attribute of its top directory.
    ///
    /// # Errors
    /// Where the file system keeps no such attributes, or the caller is not root.
    pub fn set_mark(&self, uuid: Uuid) -> Result<()> {
        let text = uuid.hyphenated().to_string();
        rustix::fs::fsetxattr(&self.fd, MARK, text.as_bytes(), XattrFlags::empty())
            .map_err(|e| Error::io("mark", self.place.clone(), e))
    }

    /// Whose tree it is; `None` where it carries no mark.
    ///
    /// # Errors
    /// Where the mark cannot be read or is no UUID.
    pub fn mark(&self) -> Result<Option<Uuid>> {
        let mut value = [0; 64];
        let length = rustix::fs::fgetxattr(&self.fd, MARK, &mut value[..]);
        read_mark(length.map(|length| &value[..length]), &self.place)
    }

    /// Which file system the tree is on: `st_dev` of stat(2).
    ///
    /// # Errors
    /// Where the directory can't be examined.
    pub fn device(&self) -> Result<u64> {
        match rustix::fs::fstat(&self.fd) {
            Ok(stat) => Ok(stat.st_dev),
            Err(e) => Err(Error::io("examine", self.place.clone(), e)),
        }
    }

    /// Has the names in the top directory last.
    ///
    /// # Errors
    /// Where the disk can't take them.
    pub fn sync_names(&self) -> Result<()> {
        rustix::fs::fsync(&self.fd).map_err(|e| Error::io("sync", self.place.clone(), e))
    }

    /// Writes to disk all that the tree's file system still holds in memory (syncfs(2)).
    ///
    /// # Errors
    /// Where the file system reports that something could not be written.
    pub fn sync(&self) -> Result<()> {
        rustix::fs::syncfs(&self.fd).map_err(|e| Error::io("sync", self.place.clone(), e))
    }
}

/// The target of the link that a handle names.
pub(crate) fn link_target(node: impl AsFd) -> rustix::io::Result<PathBuf> {
    let target = rustix::fs::readlinkat(node, c"", vec![])?;
    Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
}

/// A name for system calls.
pub(crate) fn c_name(name: &OsStr) -> rustix::io::Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)
}

/// A path inside a tree, for reports: made absolute, `..` taken as text.
pub(crate) fn inside(path: &Path) -> Result<AbsPath> {
    AbsPath::root()
        .resolve_link(path)
        .map_err(|source| Error::Name {
            path: path.to_owned(),
            source,
        })
}

/// The path of an entry of a directory.
pub(crate) fn child(dir: &AbsPath, name: &CStr) -> Result<AbsPath> {
    dir.join(OsStr::from_bytes(name.to_bytes()))
        .map_err(|source| Error::Name {
            path: dir.as_path().to_owned(),
            source,
        })
}

/// The UUID that a directory of the host is marked with, for who may not open it. A link in the last
/// component has none.
///
/// # Errors
/// Where there is no such directory, or its mark is no UUID.
pub fn mark_of(path: &Path) -> Result<Option<Uuid>> {
    let mut value = [0; 64];
    let length = rustix::fs::lgetxattr(path, MARK, &mut value[..]);
    read_mark(length.map(|length| &value[..length]), path)
}

fn read_mark(value: Result<&[u8], Errno>, place: &Path) -> Result<Option<Uuid>> {
    let wrong = || Error::Mark {
        path: place.to_owned(),
    };
    match value {
        Ok(value) => std::str::from_utf8(value)
            .ok()
            .and_then(|text| Uuid::from_str(text).ok())
            .map(Some)
            .ok_or_else(wrong),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(Errno::RANGE) => Err(wrong()),
        Err(e) => Err(Error::io("read the mark of", place.to_owned(), e)),
    }
}
