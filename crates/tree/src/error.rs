//! What can go wrong in a tree. Every variant names the path on the host.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use vss_model::Sanitized;

use crate::metadata::Kind;

/// The result of an operation on a tree.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation on a tree failed. Paths are as the host sees them: the tree's own path and
/// what follows below it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("cannot {action} {}", shown(path))]
    Io {
        /// What was tried, as in "create".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Something else stands at the path than is needed there.
    #[error("{} is {found}, not {wanted}", shown(path))]
    WrongKind {
        /// Where.
        path: PathBuf,
        /// What is there.
        found: Kind,
        /// What is needed.
        wanted: Kind,
    },
    /// A file is larger than it may be.
    #[error("{} is larger than {limit} bytes", shown(path))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// Something is there already, and nothing is overwritten.
    #[error("{} exists already", shown(path))]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// Something is mounted there; what is mounted belongs to somebody else.
    #[error("something is mounted on {}", shown(path))]
    MountPoint {
        /// Where.
        path: PathBuf,
    },
    /// Somebody changes the tree at the same time: what stands at the path is no longer what was
    /// there a moment ago.
    #[error("{} is being changed by somebody else", shown(path))]
    Changed {
        /// Where.
        path: PathBuf,
    },
    /// A flag of the file system forbids the change, even to root.
    #[error(
        "{} has the immutable or the append-only flag (lsattr(1), chattr(1))",
        shown(path)
    )]
    Immutable {
        /// What carries the flag.
        path: PathBuf,
    },
    /// The operation is not for a tree's own top directory.
    #[error("{} is the top directory of the tree", shown(path))]
    Top {
        /// The tree.
        path: PathBuf,
    },
    /// A name that the file system returned cannot be part of a path.
    #[error("{} has an entry with an impossible name", shown(path))]
    Name {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: vss_model::path::PathError,
    },
    /// The tree's mark is no UUID.
    #[error("the mark on {} is no UUID", shown(path))]
    Mark {
        /// The tree.
        path: PathBuf,
    },
    /// The operation was called off.
    #[error("called off")]
    Cancelled,
}

impl Error {
    pub(crate) fn io(action: &'static str, path: PathBuf, source: impl Into<io::Error>) -> Self {
        Self::Io {
            action,
            path,
            source: source.into(),
        }
    }

    /// The system's answer, where a system call failed: `ENOSPC` and the like.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Io { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

fn shown(path: &Path) -> Sanitized<'_> {
    Sanitized::bytes(path.as_os_str().as_bytes())
}
