//! Copying one node that is no directory.

use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use vss_model::AbsPath;
use vss_model::manifest::PlacedFile;

use super::content::{self, Fault};
use super::worker::Worker;
use super::{First, Placed, SkipReason, attributes, lock};
use crate::error::{Error, Result};
use crate::handle;
use crate::make::is_inode;
use crate::metadata::{Kind, Metadata};
use crate::root;

/// What is copied: a file open for reading, or a link with its target.
enum Original {
    File(OwnedFd),
    Link(PathBuf),
}

impl Worker<'_> {
    /// Brings a node that is no directory into a directory of the target.
    pub(super) fn place(
        &mut self,
        dir: &OwnedFd,
        name: &CStr,
        path: &AbsPath,
        node: &OwnedFd,
        metadata: &Metadata,
    ) -> Result<()> {
        let from = self.copying.source;
        let original = match metadata.kind {
            Kind::File => handle::open_file(node, metadata).map(Original::File),
            Kind::Link => root::link_target(node).map(Original::Link),
            kind => {
                self.skip(path.clone(), SkipReason::Special(kind));
                return Ok(());
            }
        };
        let original = match original {
            Ok(original) => original,
            // removed meanwhile on a file system that forgets such files (NFS)
            Err(Errno::NOENT | Errno::STALE) => {
                self.skip(path.clone(), SkipReason::Changed);
                return Ok(());
            }
            Err(e) => return Err(from.at("open", path, e)),
        };
        let wanted = (self.copying.options.digests)(path);
        let linked = (metadata.nlink > 1).then_some((metadata.dev, metadata.ino));
        let mut digest = None;
        if let Some(made) = self.make_or_link(dir, name, path, &original, metadata)? {
            // a later name of the same inode may be one whose digest is wanted
            let hash = wanted || linked.is_some();
            digest = self.fill(&made, &original, node, metadata, path, hash)?;
            if let Some(key) = linked
                && let Some(first) = lock(&self.copying.linked).get_mut(&key)
            {
                first.digest.clone_from(&digest);
            }
        }
        self.copying.options.progress.advanced(1, 0);
        let file = PlacedFile {
            path: path.clone(),
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            digest: digest.filter(|_| wanted),
            package: None,
        };
        self.report.placed.push(Placed { file, linked });
        Ok(())
    }

    /// Makes the node, or links it where the target has its inode under another name already; then
    /// there is nothing more to do.
    fn make_or_link(
        &self,
        dir: &OwnedFd,
        name: &CStr,
        path: &AbsPath,
        original: &Original,
        metadata: &Metadata,
    ) -> Result<Option<OwnedFd>> {
        if metadata.nlink <= 1 {
            return self.make(dir, name, path, original).map(Some);
        }
        let to = self.copying.target;
        let key = (metadata.dev, metadata.ino);
        // held until the node is made, so that of two workers one makes it and the other links
        let mut linked = lock(&self.copying.linked);
        if let Some(first) = linked.get(&key)
            && self.link(first, dir, name, path)?
        {
            return Ok(None);
        }
        let made = self.make(dir, name, path, original)?;
        let found = Metadata::of(&made).map_err(|e| to.at("look at", path, e))?;
        let first = First {
            path: path.clone(),
            dev: found.dev,
            ino: found.ino,
            digest: None,
        };
        linked.insert(key, first);
        Ok(Some(made))
    }

    fn make(
        &self,
        dir: &OwnedFd,
        name: &CStr,
        path: &AbsPath,
        original: &Original,
    ) -> Result<OwnedFd> {
        let to = self.copying.target;
        let (action, made) = match original {
            Original::File(_) => {
                let flags = OFlags::RDWR
                    | OFlags::CREATE
                    | OFlags::EXCL
                    | OFlags::NOFOLLOW
                    | OFlags::NOCTTY
                    | OFlags::CLOEXEC;
                let mode = Mode::RUSR | Mode::WUSR;
                ("create", rustix::fs::openat(dir, name, flags, mode))
            }
            Original::Link(target) => (
                "create the link",
                rustix::fs::symlinkat(target, dir, name)
                    .and_then(|()| rustix::fs::openat(dir, name, handle::NODE, Mode::empty())),
            ),
        };
        made.map_err(|e| to.not_made(action, path.as_path(), e))
    }

    /// Gives a second name to what was made before; false where it can have no more names.
    fn link(&self, first: &First, dir: &OwnedFd, name: &CStr, path: &AbsPath) -> Result<bool> {
        let to = self.copying.target;
        let fail = |e| to.not_made("link", path.as_path(), e);
        let node = to
            .open_at(first.path.as_path(), handle::NODE)
            .map_err(fail)?;
        if !is_inode(&node, first.dev, first.ino).map_err(fail)? {
            let path = to.on_host(first.path.as_path());
            return Err(Error::Changed { path });
        }
        let linked = match rustix::fs::linkat(&node, c"", dir, name, AtFlags::EMPTY_PATH) {
            // without CAP_DAC_READ_SEARCH
            Err(Errno::NOENT | Errno::PERM) => {
                let path = handle::link_in_proc(node.as_fd());
                rustix::fs::linkat(CWD, path, dir, name, AtFlags::SYMLINK_FOLLOW)
            }
            other => other,
        };
        match linked {
            Ok(()) => Ok(true),
            Err(Errno::MLINK) => Ok(false),
            Err(e) => Err(fail(e)),
        }
    }

    /// Gives a new node its content and attributes; gives back its digest where that is wanted.
    fn fill(
        &mut self,
        made: &OwnedFd,
        original: &Original,
        node: &OwnedFd,
        metadata: &Metadata,
        path: &AbsPath,
        hash: bool,
    ) -> Result<Option<String>> {
        match original {
            Original::File(source) => {
                let digest = content::transfer(self, source, made, metadata, hash)
                    .map_err(|fault| self.explain(fault, path))?;
                attributes::apply(self, source, metadata, made, path)?;
                Ok(digest)
            }
            Original::Link(target) => {
                attributes::apply_to_link(self, node.as_fd(), metadata, made.as_fd(), path)?;
                let bytes = target.as_os_str().as_bytes();
                Ok(hash.then(|| content::hex(Sha256::new_with_prefix(bytes))))
            }
        }
    }

    fn explain(&self, fault: Fault, path: &AbsPath) -> Error {
        match fault {
            Fault::Read(e) => self.copying.source.at("read", path, e),
            Fault::Write(e) => self.copying.target.at("write", path, e),
            Fault::Cancelled => Error::Cancelled,
        }
    }
}
