//! Reading rpm's sqlite database: one table of headers, in one statement, and so in one state.
//!
//! rpm keeps it in WAL mode. A reader needs the file `-shm` then, or a directory to make it in; on
//! a read-only medium neither may be there, and SQLite refuses. The file is then opened as one that
//! nobody changes, which is true as long as no `-wal` file holds changes that are still to come.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::header::MAX_BLOB;
use crate::error::{Error, Result};

/// How long another program may hold the database: rpm does for moments only.
const PATIENCE: Duration = Duration::from_secs(2);

/// Calls `take` with the number and the header of each package.
///
/// # Errors
/// Where the database can't be read, and what `take` fails with.
pub(super) fn read(path: &Path, mut take: impl FnMut(i64, &[u8]) -> Result<()>) -> Result<()> {
    match try_read(path, false, &mut take) {
        Err(Failure::Sqlite(error)) if is_unwritable(&error) => {
            if has_changes_to_come(path) {
                return Err(Error::ChangesToCome {
                    path: path.to_owned(),
                });
            }
            try_read(path, true, &mut take).map_err(|failure| failure.of(path))
        }
        result => result.map_err(|failure| failure.of(path)),
    }
}

enum Failure {
    Sqlite(rusqlite::Error),
    Taken(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Failure {
    fn of(self, path: &Path) -> Error {
        let path = path.to_owned();
        let source = match self {
            Self::Taken(error) => return error,
            Self::Sqlite(source) => source,
        };
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Locked { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TooBig) => {
                Error::CorruptRpm { path, source }
            }
            // no such table or column
            Some(ErrorCode::Unknown) => Error::CorruptRpm { path, source },
            _ if matches!(
                source,
                rusqlite::Error::FromSqlConversionFailure(..)
                    | rusqlite::Error::InvalidColumnType(..)
            ) =>
            {
                Error::CorruptRpm { path, source }
            }
            _ => Error::Sqlite { path, source },
        }
    }
}

fn try_read(
    path: &Path,
    immutable: bool,
    take: &mut dyn FnMut(i64, &[u8]) -> Result<()>,
) -> Result<(), Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri(path, immutable), flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_limit(
        Limit::SQLITE_LIMIT_LENGTH,
        i32::try_from(MAX_BLOB).unwrap_or(i32::MAX),
    )?;
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")?;
    let mut statement = connection.prepare("SELECT hnum, blob FROM Packages ORDER BY hnum")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        let blob = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        take(number, blob).map_err(Failure::Taken)?;
    }
    Ok(())
}

/// The path as SQLite's URI syntax has it, in which no byte of a path means anything.
fn uri(path: &Path, immutable: bool) -> PathBuf {
    let mut out = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    if immutable {
        out.push_str("?immutable=1");
    }
    out.into()
}

/// Whether SQLite failed as it could not make or write its files beside the database.
fn is_unwritable(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen)
    )
}

fn has_changes_to_come(path: &Path) -> bool {
    let mut wal = OsString::from(path);
    wal.push("-wal");
    Path::new(&wal).metadata().is_ok_and(|m| m.len() > 0)
}
