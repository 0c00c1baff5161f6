//! One of the threads that copy.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use vss_model::AbsPath;

use super::attributes;
use super::crew::{Crew, Job};
use super::{Copying, Report, SkipReason};
use crate::error::{Error, Result};
use crate::handle;
use crate::make::drop_inherited_acl;
use crate::metadata::{Kind, Metadata};

/// How much is read at once, and up to which length a file is read whole instead of asking the
/// kernel to copy it.
pub(super) const BUFFER: usize = 256 * 1024;

/// One of the threads that copy, with its buffers.
pub(super) struct Worker<'a> {
    pub(super) copying: &'a Copying<'a>,
    pub(super) report: Report,
    pub(super) buffer: Vec<u8>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(copying: &'a Copying<'a>) -> Self {
        Self {
            copying,
            report: Report::default(),
            buffer: vec![0; BUFFER],
        }
    }

    pub(super) fn skip(&mut self, path: AbsPath, reason: SkipReason) {
        self.report.skipped.push((path, reason));
    }

    pub(super) fn work(&mut self, job: Job, crew: &Crew) -> Result<()> {
        self.go_on()?;
        match job {
            Job::Node(path) => self.single(&path),
            Job::Tree(path) => {
                let Some(source) = self.open_source(&path)? else {
                    return Ok(());
                };
                let target = self.open_target(&path)?;
                self.tree(path, source, target, crew)
            }
            Job::Below {
                path,
                source,
                target,
            } => self.tree(path, source, target, crew),
        }
    }

    fn single(&mut self, path: &AbsPath) -> Result<()> {
        let Some((node, metadata)) = self.copying.source.node(path.as_path())? else {
            self.skip(path.clone(), SkipReason::Changed);
            return Ok(());
        };
        let (parent, name) = self.copying.target.parent_of(path.as_path())?;
        self.place(&parent, &name, path, &node, &metadata)
    }

    /// Makes a directory of the target, empty and closed to others for now.
    pub(super) fn make_top(&mut self, path: &AbsPath) -> Result<()> {
        let target = self.copying.target;
        if path.depth() == 0 {
            return Ok(());
        }
        let (parent, name) = target.parent_of(path.as_path())?;
        match rustix::fs::mkdirat(&parent, &name, Mode::RWXU) {
            Ok(()) => {
                let dir = handle::open_directory(&parent, &name)
                    .map_err(|e| target.at("open", path, e))?;
                drop_inherited_acl(dir);
                Ok(())
            }
            Err(Errno::EXIST) => {
                let (_, found) = target.existing(path.as_path())?;
                target.expect(path.as_path(), &found, Kind::Directory)
            }
            Err(e) => Err(target.at("create the directory", path, e)),
        }
    }

    /// Gives a directory of the target what the source's has, without its content.
    pub(super) fn finish_directory(&mut self, path: &AbsPath) -> Result<()> {
        let Some(source) = self.open_source(path)? else {
            return Ok(());
        };
        let target = self.open_target(path)?;
        let metadata =
            Metadata::of(&source).map_err(|e| self.copying.source.at("look at", path, e))?;
        attributes::apply(self, &source, &metadata, &target, path)
    }

    fn open_source(&mut self, path: &AbsPath) -> Result<Option<rustix::fd::OwnedFd>> {
        let source = self.copying.source;
        let plain = || source.open_at(path.as_path(), handle::DIRECTORY);
        let opened = match source.open_at(path.as_path(), handle::DIRECTORY | OFlags::NOATIME) {
            Err(Errno::PERM) => plain(),
            other => other,
        };
        match opened {
            Ok(dir) => Ok(Some(dir)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                self.skip(path.clone(), SkipReason::Changed);
                Ok(None)
            }
            Err(e) => Err(source.at("open", path, e)),
        }
    }

    fn open_target(&self, path: &AbsPath) -> Result<rustix::fd::OwnedFd> {
        let target = self.copying.target;
        target
            .open_at(path.as_path(), handle::DIRECTORY)
            .map_err(|e| target.at("open", path, e))
    }

    /// An error where the copy is to stop.
    pub(super) fn go_on(&self) -> Result<()> {
        if self.copying.is_over() {
            return Err(Error::Cancelled);
        }
        Ok(())
    }
}
