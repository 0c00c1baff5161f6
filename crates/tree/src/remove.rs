//! Deleting a tree.

use std::ffi::{CStr, CString};
use std::path::Path;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;
use vss_model::AbsPath;

use crate::descent::Descent;
use crate::error::{Error, Result};
use crate::handle;
use crate::metadata::Metadata;
use crate::root::{self, Root};
use crate::walk::Next;

/// How often a deletion is surprised by what somebody else does in the tree before it gives up.
const PATIENCE: u32 = 1000;

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Directories.
    pub directories: u64,
    /// All else.
    pub others: u64,
}

impl Root {
    /// Deletes what stands at a path, with all that is below; a link itself, never what it leads
    /// to. Nothing there is no error.
    ///
    /// Before anything is deleted the whole tree is searched for mount points: where there is one,
    /// nothing is deleted.
    ///
    /// # Errors
    /// Where something is mounted inside, a flag or the file system forbids it, or somebody keeps
    /// refilling directories. What was deleted by then stays deleted; the same call goes on.
    pub fn remove_tree(&self, path: &Path) -> Result<Removed> {
        let whole = root::inside(path)?;
        let (Some(above), Some(name)) = (whole.parent(), whole.file_name()) else {
            let path = self.on_host(path);
            return Err(Error::Top { path });
        };
        let name = root::c_name(name).map_err(|e| self.at("remove", &whole, e))?;
        // the directory above may be reached through links, as every path inside a Root
        let flags = handle::DIRECTORY.difference(OFlags::NOFOLLOW);
        let parent = match self.open_at(above.as_path(), flags) {
            Ok(parent) => parent,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Removed::default()),
            Err(e) => return Err(self.at("open", &above, e)),
        };
        let (node, metadata) = match handle::open_node(&parent, &name) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(Removed::default()),
            Err(e) => return Err(self.at("look at", &whole, e)),
        };
        let start = Metadata::of(&parent).map_err(|e| self.at("look at", &above, e))?;
        self.walk_from(path, &node, &metadata, &mut |node| {
            if node.metadata.mount == start.mount {
                return Ok(Next::Enter);
            }
            let path = self.on_host(node.path.as_path());
            Err(Error::MountPoint { path })
        })?;
        let mut removal = Removal {
            root: self,
            mount: start.mount,
            surprises: 0,
            removed: Removed::default(),
        };
        let mut way = Descent::new();
        let top = Level {
            name: None,
            path: above,
            names: vec![name],
        };
        way.push(parent, &start, top);
        removal.run(&mut way)?;
        Ok(removal.removed)
    }
}

/// A directory that is being emptied.
struct Level {
    /// Its name in the directory above, under which it is deleted in the end; the directory above
    /// the tree has none and stays.
    name: Option<CString>,
    path: AbsPath,
    /// Names in it that are still to go.
    names: Vec<CString>,
}

struct Removal<'a> {
    root: &'a Root,
    mount: u64,
    surprises: u32,
    removed: Removed,
}

/// What became of a name.
enum Outcome {
    Gone,
    /// It is a directory, to be emptied first.
    Directory(OwnedFd, Metadata, Vec<CString>),
    /// It is something else than a moment ago.
    Surprise,
}

impl Removal<'_> {
    fn run(&mut self, way: &mut Descent<Level>) -> Result<()> {
        while let Some((dir, level)) = way.here() {
            let Some(name) = level.names.pop() else {
                self.leave(way)?;
                continue;
            };
            let path = root::child(&level.path, &name)?;
            match self.remove(dir, &name, &path)? {
                Outcome::Gone => {}
                Outcome::Directory(below, metadata, names) => {
                    let name = Some(name);
                    way.push(below, &metadata, Level { name, path, names });
                }
                Outcome::Surprise => {
                    level.names.push(name);
                    self.surprised(&path)?;
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, dir: BorrowedFd<'_>, name: &CStr, path: &AbsPath) -> Result<Outcome> {
        match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
            Ok(()) => {
                self.removed.others += 1;
                return Ok(Outcome::Gone);
            }
            Err(Errno::NOENT) => return Ok(Outcome::Gone),
            Err(Errno::ISDIR) => {}
            Err(e) => return Err(self.refusal(dir, name, path, e)),
        }
        let opened = handle::open_directory(dir, name).and_then(|below| {
            let metadata = Metadata::of(&below)?;
            Ok((below, metadata))
        });
        let (below, metadata) = match opened {
            Ok(opened) => opened,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Outcome::Surprise),
            Err(e) => return Err(self.root.at("open", path, e)),
        };
        if metadata.mount != self.mount {
            let path = self.root.on_host(path.as_path());
            return Err(Error::MountPoint { path });
        }
        let names = match handle::names(&below) {
            Ok(names) => names,
            Err(Errno::NOENT) => return Ok(Outcome::Surprise),
            Err(e) => return Err(self.root.at("list", path, e)),
        };
        let names = names.into_iter().map(|(name, _)| name).collect();
        Ok(Outcome::Directory(below, metadata, names))
    }

    /// Goes up from a directory that is empty by now, and deletes it by its name there.
    fn leave(&mut self, way: &mut Descent<Level>) -> Result<()> {
        let path = way.here().map(|(_, level)| level.path.clone());
        let left = way.pop().map_err(|e| {
            let path = self
                .root
                .on_host(path.unwrap_or_else(AbsPath::root).as_path());
            match e {
                Errno::STALE => Error::Changed { path },
                e => Error::io("leave", path, e),
            }
        })?;
        let Some((name, path)) = left.and_then(|left| Some((left.name?, left.path))) else {
            return Ok(());
        };
        let Some((dir, above)) = way.here() else {
            return Ok(());
        };
        match rustix::fs::unlinkat(dir, &name, AtFlags::REMOVEDIR) {
            Ok(()) => {
                self.removed.directories += 1;
                Ok(())
            }
            Err(Errno::NOENT) => Ok(()),
            // refilled, or no longer a directory: begin again with the name
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {
                above.names.push(name);
                self.surprised(&path)
            }
            Err(e) => Err(self.refusal(dir, &name, &path, e)),
        }
    }

    fn surprised(&mut self, path: &AbsPath) -> Result<()> {
        self.surprises += 1;
        if self.surprises < PATIENCE {
            return Ok(());
        }
        let path = self.root.on_host(path.as_path());
        Err(Error::Changed { path })
    }

    /// Why the system refused, as well as it can be told.
    fn refusal(&self, dir: BorrowedFd<'_>, name: &CStr, path: &AbsPath, error: Errno) -> Error {
        let on_host = self.root.on_host(path.as_path());
        let frozen = |found: rustix::io::Result<Metadata>| found.is_ok_and(|m| m.immutable);
        match error {
            Errno::BUSY => Error::MountPoint { path: on_host },
            Errno::PERM if frozen(Metadata::at(dir, name)) => Error::Immutable { path: on_host },
            Errno::PERM if frozen(Metadata::of(dir)) => Error::Immutable {
                path: on_host.parent().unwrap_or(&on_host).to_owned(),
            },
            e => Error::io("remove", on_host, e),
        }
    }
}
