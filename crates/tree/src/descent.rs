//! The way from a tree's top to where a walk is, with a bounded number of open handles.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::Mode;
use rustix::io::{Errno, Result};

use crate::handle::DIRECTORY;
use crate::metadata::{Identity, Metadata};

/// How many directories of one way stay open.
pub(crate) const WINDOW: usize = 32;

/// The directories from a walk's top to where it is, each with what the walk keeps for it.
///
/// Only the last [`WINDOW`] stay open. An ancestor further up is found again through its child's
/// `..` on the way back, and has to be the very directory that it was: where somebody moved the
/// child meanwhile, going on would act somewhere else.
pub(crate) struct Descent<T> {
    levels: Vec<Level<T>>,
}

struct Level<T> {
    /// Closed where more than [`WINDOW`] levels lie below it.
    dir: Option<OwnedFd>,
    identity: Identity,
    data: T,
}

impl<T> Descent<T> {
    pub(crate) fn new() -> Self {
        Self { levels: vec![] }
    }

    /// Goes one level down.
    pub(crate) fn push(&mut self, dir: OwnedFd, metadata: &Metadata, data: T) {
        self.levels.push(Level {
            dir: Some(dir),
            identity: metadata.identity(),
            data,
        });
        let count = self.levels.len();
        if count > WINDOW {
            self.levels[count - 1 - WINDOW].dir = None;
        }
    }

    /// The directory where the walk is; `None` where it has come back above its top.
    pub(crate) fn here(&mut self) -> Option<(BorrowedFd<'_>, &mut T)> {
        let level = self.levels.last_mut()?;
        Some((level.dir.as_ref()?.as_fd(), &mut level.data))
    }

    /// Goes one level up; gives back what was kept for the level that was left.
    ///
    /// # Errors
    /// ESTALE where the directory above is no longer the one that the walk came from.
    pub(crate) fn pop(&mut self) -> Result<Option<T>> {
        let Some(left) = self.levels.pop() else {
            return Ok(None);
        };
        if let (Some(above), Some(dir)) = (self.levels.last_mut(), &left.dir)
            && above.dir.is_none()
        {
            let found = rustix::fs::openat(dir, c"..", DIRECTORY, Mode::empty())?;
            if Metadata::of(&found)?.identity() != above.identity {
                return Err(Errno::STALE);
            }
            above.dir = Some(found);
        }
        Ok(Some(left.data))
    }
}
