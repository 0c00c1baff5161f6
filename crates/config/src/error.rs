//! What can go wrong, with the path or object in the text and the cause as source.

use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;
use vss_model::{SandboxName, Sanitized};

/// What can go wrong with what is stored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("can't {action} {}", shown(path))]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No config of that name.
    #[error(
        "there is no sandbox {name}: no file {}{}",
        shown(path),
        nearest_text(nearest)
    )]
    NoSandbox {
        /// The name asked for.
        name: SandboxName,
        /// Where its config would be.
        path: PathBuf,
        /// Names that are like it, the most alike first.
        nearest: Vec<SandboxName>,
    },
    /// A file that others may have written.
    #[error("{} is not to be trusted: {why}", shown(path))]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: Untrusted,
    },
    /// A config that says something wrong.
    #[error(transparent)]
    Config(#[from] Box<ConfigProblem>),
    /// What stands there belongs to somebody else.
    #[error(
        "{} is there already and is not of this sandbox{}; it is left as it is: move it away, or choose another name",
        shown(path),
        found_text(*found)
    )]
    NotOurs {
        /// What stands in the way.
        path: PathBuf,
        /// The UUID that it carries, where it carries one.
        found: Option<Uuid>,
    },
    /// A file of our own making that doesn't read.
    #[error("{} is damaged at line {line}: {why}", shown(path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// A file of a later version of this program.
    #[error(
        "{} is of format version {version}, this program knows version {known}: use the program that wrote it",
        shown(path)
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it states.
        version: u64,
        /// The version that is known.
        known: u64,
    },
    /// A change that was cut short has to be finished or undone first.
    #[error(
        "a change of sandbox {name} was cut short and has to be finished or undone first: {} tells of it",
        shown(path)
    )]
    Unfinished {
        /// The sandbox.
        name: SandboxName,
        /// Its journal.
        path: PathBuf,
    },
    /// A lock was waited for, and a signal came.
    #[error("interrupted while waiting for {}", shown(path))]
    Interrupted {
        /// The lock's file.
        path: PathBuf,
    },
    /// A descriptor that was handed over is not the lock that it should be.
    #[error("descriptor {descriptor} is not the lock {}", shown(path))]
    NotTheLock {
        /// Its number.
        descriptor: i32,
        /// The lock that it should be.
        path: PathBuf,
    },
    /// A directory that would hold content is open to others.
    #[error(
        "the directory {} would hold the content of containers, and others than root can enter it (mode {mode:04o}): chmod 0700 it, or choose another with --path",
        shown(path)
    )]
    OpenParent {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Users or groups are named in the access control list of a directory that would hold content.
    #[error(
        "the directory {} would hold the content of containers, and its access control list lets {who} in: see `getfacl`, take that away with `setfacl`, or choose another directory with --path",
        shown(path)
    )]
    OpenAcl {
        /// The directory.
        path: PathBuf,
        /// Who is let in.
        who: String,
    },
    /// A file system without access control lists.
    #[error(
        "the file system of {} keeps no access control lists, and the content of a container with users of its own is reached by one: choose a directory of another file system with --path, or another --confinement",
        shown(path)
    )]
    NoAcl {
        /// The directory.
        path: PathBuf,
    },
    /// An access control list with as many entries as the file system keeps.
    #[error(
        "the access control list of {} has no room for the users of one more container: choose another directory with --path",
        shown(path)
    )]
    FullAcl {
        /// The directory.
        path: PathBuf,
    },
}

impl Error {
    /// Whether the file or directory that was asked for isn't there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::NoSandbox { .. } => true,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }
}

/// Why a file is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// A symbolic link, a pipe, a device, a directory.
    #[error("it is no regular file; put the file itself there")]
    Kind,
    /// Owned by another user.
    #[error("it is owned by uid {0}; chown it to root")]
    Owner(u32),
    /// Writable by group or others.
    #[error("others may write to it (mode {0:04o}); chmod it to 0600")]
    Mode(u32),
    /// Larger than any file of its kind.
    #[error("it is larger than {0} bytes, the most that such a file may have")]
    Size(u64),
}

/// What is wrong in a config file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1; `None` where something is missing from the whole file.
    pub line: Option<usize>,
    /// The key with its section, `security.label`; empty where the syntax is wrong.
    pub key: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", shown(&self.path))?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ", {}", Sanitized::text(&self.key))?;
        }
        write!(f, ": {}", Sanitized::text(&self.problem))
    }
}

impl std::error::Error for ConfigProblem {}

fn shown(path: &Path) -> Sanitized<'_> {
    Sanitized::bytes(path.as_os_str().as_bytes())
}

fn found_text(found: Option<Uuid>) -> String {
    found.map_or_else(String::new, |uuid| format!(" (it carries the UUID {uuid})"))
}

fn nearest_text(nearest: &[SandboxName]) -> String {
    if nearest.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = nearest.iter().map(SandboxName::as_str).collect();
    format!("; did you mean {}?", names.join(" or "))
}

/// Names the path in an error of the system.
pub(crate) trait Context<T> {
    /// `action` is a verb: "can't ACTION PATH".
    fn context(self, action: &'static str, path: &Path) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            action,
            path: path.to_owned(),
            source: source.into(),
        })
    }
}
