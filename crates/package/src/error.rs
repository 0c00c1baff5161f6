//! What can be wrong with a package database as a whole.

use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use vss_model::Sanitized;

use crate::rpm::HeaderError;

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
    /// The host's rpm database is of a format that rpm itself has given up or only some keep.
    #[error(
        "{} is an rpm database of the format {backend}, and only sqlite is read: \"rpmdb --rebuilddb --define '_db_backend sqlite'\" converts it",
        Shown(path)
    )]
    OldRpm {
        /// The database file.
        path: PathBuf,
        /// Its format: `ndb`, `bdb`.
        backend: &'static str,
    },
    /// The database has no package.
    #[error("no package is installed according to {}", Shown(path))]
    Empty {
        /// The database file.
        path: PathBuf,
    },
    /// Another program holds the database.
    #[error(
        "{} is locked by another program: try again when it has finished",
        Shown(path)
    )]
    Locked {
        /// The database file.
        path: PathBuf,
    },
    /// The database has changes that SQLite can only take in where it may write.
    #[error(
        "{} can't be read where nothing can be written: rpmdb.sqlite-wal beside it has changes that are not in it yet; any query with rpm takes them in, where it may write",
        Shown(path)
    )]
    ChangesToCome {
        /// The database file.
        path: PathBuf,
    },
    /// The rpm database is not what rpm writes.
    #[error(
        "the package database is corrupt: {}; \"rpmdb --rebuilddb\" makes it anew",
        Shown(path)
    )]
    CorruptRpm {
        /// The database file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// A package of the rpm database is not what rpm writes.
    #[error(
        "the package database is corrupt: {}, header {number}; \"rpmdb --rebuilddb\" makes it anew",
        Shown(path)
    )]
    Header {
        /// The database file.
        path: PathBuf,
        /// The number of the package's header (`hnum`).
        number: i64,
        /// What is wrong with it.
        #[source]
        source: HeaderError,
    },
    /// SQLite can't read the rpm database.
    #[error("can't read {}, the package database", Shown(path))]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
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
