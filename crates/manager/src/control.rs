//! How a verb is watched and stopped.

use std::sync::atomic::{AtomicBool, Ordering};

use vss_model::{AbsPath, SandboxName};

use crate::error::{Error, Result};
use crate::outcome::Part;

/// Who watches a verb, and how it is told to stop.
#[derive(Debug, Clone, Copy)]
pub struct Control<'a> {
    /// Set by the command's signal handler: a create then undoes what it did and returns
    /// [`Error::Undone`], others stop where they can and return [`Error::Interrupted`].
    pub cancelled: &'a AtomicBool,
    /// Who wants to hear how far it is.
    pub observer: &'a dyn Observer,
}

impl Control<'_> {
    /// Returns [`Error::Cancelled`] once the flag is set.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    pub(crate) fn notice(&self, notice: &Notice) {
        self.observer.notice(notice);
    }
}

/// Hears how far a verb is. Called from several threads while files are copied.
pub trait Observer: Sync + std::fmt::Debug {
    /// Something that the administrator should know, said at once.
    fn notice(&self, _notice: &Notice) {}

    /// The verb is about to make this part of a sandbox.
    fn begins(&self, _part: Part) {}

    /// The verb begins to copy this many bytes, as the plan estimates.
    fn copying(&self, _bytes: u64) {}

    /// This many more bytes were copied.
    fn copied(&self, _bytes: u64) {}

    /// Copying is over.
    fn copied_all(&self) {}
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Observer for Quiet {}

/// Something that the administrator should know while a verb runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A command that was cut short had left an unfinished create, which is undone now.
    UndoneCreate(SandboxName),
    /// A command that was cut short had left an unfinished delete, which is finished now.
    FinishedDelete(SandboxName),
    /// What a command that was cut short had left could not be cleaned up; the verb goes on.
    RecoveryFailed {
        /// Of which sandbox.
        name: SandboxName,
        /// Why.
        error: String,
    },
    /// Another command works on the same sandbox; this one waits for it.
    Waiting(SandboxName),
    /// A file of the source could not be kept as it is: a socket, a device, an attribute that the
    /// content's file system has no room for.
    Skipped {
        /// Inside the container.
        path: AbsPath,
        /// What was left out.
        why: String,
    },
    /// The label or address of the plan was taken meanwhile; the plan is made anew.
    PlannedAnew(SandboxName),
    /// The service did not stop in time and its container was destroyed.
    Killed(SandboxName),
}
