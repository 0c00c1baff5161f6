//! Copying a directory with all that is below.

use std::ffi::{CStr, CString};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::Mode;
use rustix::io::Errno;
use vss_model::AbsPath;

use super::crew::{Crew, Job};
use super::worker::Worker;
use super::{SkipReason, attributes};
use crate::descent::Descent;
use crate::error::{Error, Result};
use crate::handle;
use crate::metadata::{Kind, Metadata};
use crate::root;

/// A directory whose entries are made; those that are directories themselves are still to come.
struct Level {
    path: AbsPath,
    below: Vec<CString>,
}

/// The way down in both trees.
struct Way {
    source: Descent<Level>,
    /// For each level the mount that it is on.
    target: Descent<u64>,
}

impl Worker<'_> {
    pub(super) fn tree(
        &mut self,
        path: AbsPath,
        source: OwnedFd,
        target: OwnedFd,
        crew: &Crew,
    ) -> Result<()> {
        let mut way = Way {
            source: Descent::new(),
            target: Descent::new(),
        };
        self.enter(&mut way, path, source, target)?;
        while let (Some((from, level)), Some((to, mount))) = (way.source.here(), way.target.here())
        {
            self.go_on()?;
            let Some(name) = level.below.pop() else {
                self.climb(&mut way)?;
                continue;
            };
            let path = root::child(&level.path, &name)?;
            let source = match handle::open_directory(from, &name) {
                Ok(source) => source,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                    self.skip(path, SkipReason::Changed);
                    continue;
                }
                Err(e) => return Err(self.copying.source.at("open", &path, e)),
            };
            let target = self.open_made(to, *mount, &name, &path)?;
            if crew.is_hungry() {
                crew.give(Job::Below {
                    path,
                    source,
                    target,
                });
            } else {
                self.enter(&mut way, path, source, target)?;
            }
        }
        Ok(())
    }

    /// Opens a directory of the target that was made, or found, before.
    fn open_made(
        &self,
        dir: BorrowedFd<'_>,
        mount: u64,
        name: &CStr,
        path: &AbsPath,
    ) -> Result<OwnedFd> {
        let target = self.copying.target;
        let opened = handle::open_directory(dir, name).map_err(|e| target.at("open", path, e))?;
        let metadata = Metadata::of(&opened).map_err(|e| target.at("look at", path, e))?;
        if metadata.mount != mount {
            let path = target.on_host(path.as_path());
            return Err(Error::MountPoint { path });
        }
        Ok(opened)
    }

    /// Makes all entries of a directory, gives the directory its attributes and goes down into it.
    fn enter(
        &mut self,
        way: &mut Way,
        path: AbsPath,
        source: OwnedFd,
        target: OwnedFd,
    ) -> Result<()> {
        let (from, to) = (self.copying.source, self.copying.target);
        let metadata = Metadata::of(&source).map_err(|e| from.at("look at", &path, e))?;
        let mount = Metadata::of(&target)
            .map_err(|e| to.at("look at", &path, e))?
            .mount;
        let names = match handle::names(&source) {
            Ok(names) => names,
            Err(Errno::NOENT) => {
                self.skip(path, SkipReason::Changed);
                return Ok(());
            }
            Err(e) => return Err(from.at("list", &path, e)),
        };
        let mut below = vec![];
        for (name, _) in names {
            self.go_on()?;
            let entry = root::child(&path, &name)?;
            if self.copying.options.except.contains(&entry) {
                continue;
            }
            let (node, found) = match handle::open_node(&source, &name) {
                Ok(found) => found,
                Err(Errno::NOENT) => {
                    self.skip(entry, SkipReason::Changed);
                    continue;
                }
                Err(e) => return Err(from.at("look at", &entry, e)),
            };
            if !found.is_directory() {
                self.place(&target, &name, &entry, &node, &found)?;
            } else if found.mount != metadata.mount {
                self.skip(entry, SkipReason::Mounted);
            } else if found.same_inode(&self.copying.target_top) {
                self.skip(entry, SkipReason::Target);
            } else {
                self.make_directory(target.as_fd(), &name, &entry)?;
                below.push(name);
            }
        }
        attributes::apply(self, &source, &metadata, &target, &path)?;
        way.source.push(source, &metadata, Level { path, below });
        let made = Metadata::of(&target).map_err(|e| to.at("look at", &AbsPath::root(), e))?;
        way.target.push(target, &made, mount);
        Ok(())
    }

    fn make_directory(&self, dir: BorrowedFd<'_>, name: &CStr, path: &AbsPath) -> Result<()> {
        let target = self.copying.target;
        match rustix::fs::mkdirat(dir, name, Mode::RWXU) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => {
                let found = Metadata::at(dir, name).map_err(|e| target.at("look at", path, e))?;
                target.expect(path.as_path(), &found, Kind::Directory)
            }
            Err(e) => Err(target.at("create the directory", path, e)),
        }
    }

    fn climb(&self, way: &mut Way) -> Result<()> {
        let path = way.source.here().map(|(_, level)| level.path.clone());
        let path = path.unwrap_or_else(AbsPath::root);
        let left = |tree: &root::Root, result: rustix::io::Result<()>| match result {
            Ok(()) => Ok(()),
            Err(Errno::STALE) => Err(Error::Changed {
                path: tree.on_host(path.as_path()),
            }),
            Err(e) => Err(tree.at("leave", &path, e)),
        };
        left(self.copying.source, way.source.pop().map(drop))?;
        left(self.copying.target, way.target.pop().map(drop))
    }
}
