//! Walking a tree: every node by its handle, on one mount.

use std::collections::HashSet;
use std::ffi::CString;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use vss_model::AbsPath;

use crate::descent::Descent;
use crate::error::{Error, Result};
use crate::handle;
use crate::metadata::{Kind, Metadata};
use crate::root::{self, Root};

/// A node that a walk has come to.
#[derive(Debug)]
pub struct Node<'a> {
    /// Its path inside the tree.
    pub path: &'a AbsPath,
    /// What it is, asked of the handle.
    pub metadata: &'a Metadata,
    /// The node itself (`O_PATH`), whatever its name stands for by now; of a link, the link.
    /// Attributes are reached through `/proc/self/fd/N`.
    pub fd: BorrowedFd<'a>,
}

impl Node<'_> {
    /// The target of a symbolic link, as it is written.
    ///
    /// # Errors
    /// Where the node is no link.
    pub fn link_target(&self) -> Result<PathBuf> {
        root::link_target(self.fd)
            .map_err(|e| Error::io("read the link", self.path.as_path().to_owned(), e))
    }
}

/// What there is in a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Length of all regular files in bytes, holes included; a file with several names counts
    /// once.
    pub bytes: u64,
    /// What they take on disk, in bytes.
    pub allocated: u64,
    /// Regular files, each name counted.
    pub files: u64,
    /// Directories, the top one included.
    pub directories: u64,
    /// Symbolic links and their targets as they are written.
    pub links: Vec<(AbsPath, PathBuf)>,
    /// Pipes, sockets and devices.
    pub specials: Vec<(AbsPath, Kind)>,
    /// Directories inside that something is mounted on; not looked into.
    pub mounts: Vec<AbsPath>,
}

/// What a walk makes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Go on, into it if it is a directory.
    Enter,
    /// Go on, but not into it.
    Pass,
}

/// A directory on the way: its path, and the names in it that are still to come, last first.
struct Level {
    path: AbsPath,
    names: Vec<CString>,
}

impl Root {
    /// Calls `visit` for the node at a path and every node below it, directories before what is in
    /// them, in the order of names. Stays on the mount of that node: what is mounted below is left
    /// out. Nodes that vanish meanwhile are left out too.
    ///
    /// # Errors
    /// The first error of `visit`; where the path is missing or something cannot be read, or
    /// directories are moved about meanwhile.
    pub fn walk<E: From<Error>>(
        &self,
        path: &Path,
        visit: &mut dyn FnMut(&Node<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (top, metadata) = self.existing(path)?;
        self.walk_from(path, &top, &metadata, &mut |node| {
            if node.metadata.mount == metadata.mount {
                visit(node)?;
            }
            Ok(Next::Enter)
        })
    }

    /// Counts what there is at a path and below; `skip` names subtrees to be left out. Mounted
    /// files count as files, mounted directories are only named.
    ///
    /// # Errors
    /// Where the path is missing or something cannot be read.
    pub fn summary(&self, path: &Path, skip: &dyn Fn(&Path) -> bool) -> Result<Summary> {
        let mut summary = Summary::default();
        let mut seen = HashSet::new();
        let (top, metadata) = self.existing(path)?;
        self.walk_from(path, &top, &metadata, &mut |node| {
            if skip(node.path.as_path()) {
                return Ok(Next::Pass);
            }
            let one_of_many = node.metadata.nlink > 1;
            let key = (node.metadata.dev, node.metadata.ino);
            match node.metadata.kind {
                Kind::Directory if node.metadata.mount != metadata.mount => {
                    summary.mounts.push(node.path.clone());
                }
                Kind::Directory => summary.directories += 1,
                Kind::File => {
                    summary.files += 1;
                    if !one_of_many || seen.insert(key) {
                        summary.bytes = summary.bytes.saturating_add(node.metadata.size);
                        summary.allocated =
                            summary.allocated.saturating_add(node.metadata.allocated);
                    }
                }
                Kind::Link => {
                    let target = root::link_target(node.fd).map_err(|e| {
                        Error::io("read the link", self.on_host(node.path.as_path()), e)
                    })?;
                    summary.links.push((node.path.clone(), target));
                }
                kind => summary.specials.push((node.path.clone(), kind)),
            }
            Ok::<_, Error>(Next::Enter)
        })?;
        Ok(summary)
    }

    /// The node at a path, which has to be there.
    pub(crate) fn existing(&self, path: &Path) -> Result<(OwnedFd, Metadata)> {
        self.node(path)?
            .ok_or_else(|| Error::io("look at", self.on_host(path), Errno::NOENT))
    }

    /// The walk itself. Mount points are visited and never entered.
    pub(crate) fn walk_from<E: From<Error>>(
        &self,
        path: &Path,
        top: &OwnedFd,
        metadata: &Metadata,
        visit: &mut dyn FnMut(&Node<'_>) -> Result<Next, E>,
    ) -> Result<(), E> {
        let mount = metadata.mount;
        let path = root::inside(path)?;
        let mut way = Descent::new();
        self.visit(&mut way, path, top, metadata, mount, visit)?;
        while let Some((dir, level)) = way.here() {
            let Some(name) = level.names.pop() else {
                self.climb(&mut way)?;
                continue;
            };
            let path = root::child(&level.path, &name)?;
            let (node, metadata) = match handle::open_node(dir, &name) {
                Ok(found) => found,
                Err(Errno::NOENT) => continue,
                Err(e) => return Err(self.at("look at", &path, e).into()),
            };
            self.visit(&mut way, path, &node, &metadata, mount, visit)?;
        }
        Ok(())
    }

    fn visit<E: From<Error>>(
        &self,
        way: &mut Descent<Level>,
        path: AbsPath,
        node: &OwnedFd,
        metadata: &Metadata,
        mount: u64,
        visit: &mut dyn FnMut(&Node<'_>) -> Result<Next, E>,
    ) -> Result<(), E> {
        let next = visit(&Node {
            path: &path,
            metadata,
            fd: node.as_fd(),
        })?;
        if next == Next::Pass || !metadata.is_directory() || metadata.mount != mount {
            return Ok(());
        }
        let dir = handle::open_directory(node, c".").map_err(|e| self.at("open", &path, e))?;
        let names = handle::names_left(&dir).map_err(|e| self.at("list", &path, e))?;
        let mut names: Vec<_> = names.into_iter().map(|(name, _)| name).collect();
        names.sort_unstable_by(|a, b| b.cmp(a));
        way.push(dir, metadata, Level { path, names });
        Ok(())
    }

    fn climb(&self, way: &mut Descent<Level>) -> Result<()> {
        let path = way.here().map(|(_, level)| level.path.clone());
        way.pop().map(drop).map_err(|e| {
            let path = self.on_host(path.unwrap_or_else(AbsPath::root).as_path());
            match e {
                Errno::STALE => Error::Changed { path },
                e => Error::io("leave", path, e),
            }
        })
    }

    /// An error that names a path inside the tree.
    pub(crate) fn at(&self, action: &'static str, path: &AbsPath, error: Errno) -> Error {
        Error::io(action, self.on_host(path.as_path()), error)
    }
}
