//! What can be wrong with a package database as a whole.

use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use vss_model::{PackageName, Sanitized};

use crate::dpkg;
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
    /// The host has dpkg, and its status file tells of no package.
    #[error("the package database is damaged: {} is {what}", Shown(path))]
    LostDpkg {
        /// The status file.
        path: PathBuf,
        /// What is wrong with it: `missing`, `empty`.
        what: &'static str,
    },
    /// A package is installed by the status file, and the list of its files is not there.
    #[error(
        "the package database is damaged: {package} is installed according to it, and {} is missing{}",
        Shown(path),
        Others(*others)
    )]
    NoList {
        /// The package.
        package: PackageName,
        /// Where its list would be.
        path: PathBuf,
        /// How many other packages have none.
        others: usize,
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

impl Error {
    /// What to run next, where the error itself doesn't say so.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let restore = "the newest of /var/backups/dpkg.status.* is a copy of it";
        Some(match self {
            Self::LostDpkg { .. } => {
                format!("{restore}: put that in its place, and see what `dpkg --audit` says")
            }
            Self::NoList {
                package, others: 0, ..
            } => format!("`apt-get install --reinstall {package}` makes it anew"),
            Self::NoList { .. } => "restore /var/lib/dpkg/info from a backup, or make each list \
                 anew with `apt-get install --reinstall PACKAGE`"
                .to_owned(),
            Self::Corrupt { path, .. } | Self::Read { path, .. }
                if path.ends_with(dpkg::STATUS) =>
            {
                format!("`dpkg --audit` looks it over; {restore}")
            }
            Self::Corrupt { path, .. } => match listed(path) {
                Some(package) => format!("`apt-get install --reinstall {package}` makes it anew"),
                None => "`dpkg --audit` looks the database over".to_owned(),
            },
            Self::Empty { .. } | Self::Sqlite { .. } => {
                "`rpm --rebuilddb` makes it anew".to_owned()
            }
            Self::NoDatabase { .. } => {
                "of a lost database of dpkg there are copies, /var/backups/dpkg.status.*; one of \
                 rpm is made anew with `rpm --rebuilddb`"
                    .to_owned()
            }
            Self::OldRpm { .. }
            | Self::Locked { .. }
            | Self::ChangesToCome { .. }
            | Self::CorruptRpm { .. }
            | Self::Header { .. }
            | Self::Read { .. }
            | Self::NotMerged { .. }
            | Self::Busy { .. } => return None,
        })
    }
}

/// The package whose list a file is.
fn listed(path: &Path) -> Option<Sanitized<'_>> {
    let is_list = path
        .extension()
        .is_some_and(|extension| extension == "list");
    let name = path.file_stem().filter(|_| is_list)?;
    Some(Sanitized::bytes(name.as_bytes()))
}

/// How many lists are missing beside the one that is named.
struct Others(usize);

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => f.write_str(", as is the list of another package"),
            n => write!(f, ", as are the lists of {n} other packages"),
        }
    }
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
