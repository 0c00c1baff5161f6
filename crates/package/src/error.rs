//! What can be wrong with a package database as a whole.

use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use vss_model::Sanitized;

/// The result of a question to a database.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a package database gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None of the known databases is there.
    #[error("no package database found: looked for {}", Paths(looked_for))]
    NoDatabase {
        /// The files that would be one.
        looked_for: Vec<PathBuf>,
    },
    /// The host has an rpm database.
    #[error(
        "{} is an rpm database ({backend}), and this version reads dpkg's only; rpm is not supported yet",
        Shown(path)
    )]
    RpmNotYet {
        /// The database file.
        path: PathBuf,
        /// Its format: `sqlite`, `ndb`, `bdb`.
        backend: &'static str,
    },
    /// `/bin` or one of its kind is no link into `/usr`.
    #[error(
        "{} {found}: only hosts on which /bin, /sbin and /lib are links into /usr are supported",
        Shown(path)
    )]
    NotMerged {
        /// The directory.
        path: PathBuf,
        /// What it is instead: `is a directory`.
        found: String,
    },
    /// A file of the database can't be read.
    #[error("can't read {}, a part of the package database", Shown(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the database is not what the packaging system writes.
    #[error(
        "the package database is corrupt: {}, line {line}: {reason}",
        Shown(path)
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The packaging system is at work, or was cut short.
    #[error(
        "{} says that dpkg is changing packages, or was cut short: try again when it has finished, or after \"dpkg --configure -a\"",
        Shown(path)
    )]
    Busy {
        /// What says so.
        path: PathBuf,
    },
}

/// A path that is safe for a terminal.
struct Shown<'a>(&'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Sanitized::bytes(self.0.as_os_str().as_bytes()).fmt(f)
    }
}

/// Paths in a row.
struct Paths<'a>(&'a [PathBuf]);

impl fmt::Display for Paths<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, path) in self.0.iter().enumerate() {
            write!(f, "{}{}", if n == 0 { "" } else { ", " }, Shown(path))?;
        }
        Ok(())
    }
}
