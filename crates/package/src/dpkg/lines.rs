//! Reading the database's text files line by line, with bounds.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::error::{Error, Result};

/// The most bytes of a line. The longest that dpkg writes are relations, some ten kilobytes.
const MAX_LINE: u64 = 1 << 20;
/// The most bytes of a file that is read whole. The longest list of a Debian release has some
/// 500,000 paths and 50 MB.
const MAX_FILE: u64 = 512 << 20;

/// Opens a file of the database; `None` where there is none.
///
/// # Errors
/// Where it can't be opened, or is no regular file (a FIFO would block for ever).
pub(crate) fn open(path: &Path) -> Result<Option<File>> {
    let fail = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => File::open(path).map(Some).map_err(fail),
        Ok(_) => Err(fail(io::Error::other("not a regular file"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fail(error)),
    }
}

/// Appends a whole file to `buffer`; `false` where there is no file.
///
/// # Errors
/// Where it can't be read or is larger than any such file.
pub(crate) fn append(path: &Path, buffer: &mut Vec<u8>) -> Result<bool> {
    let Some(file) = open(path)? else {
        return Ok(false);
    };
    let fail = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let read = file.take(MAX_FILE + 1).read_to_end(buffer).map_err(fail)?;
    if read as u64 > MAX_FILE {
        return Err(fail(io::Error::from(io::ErrorKind::FileTooLarge)));
    }
    Ok(true)
}

/// The lines of a file, one at a time.
pub(crate) struct Lines<'a> {
    path: &'a Path,
    reader: BufReader<File>,
    line: Vec<u8>,
    number: usize,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(path: &'a Path, file: File) -> Self {
        Self {
            path,
            reader: BufReader::with_capacity(1 << 16, file),
            line: Vec::new(),
            number: 0,
        }
    }

    /// What is wrong at the line that was read last.
    pub(crate) fn corrupt(&self, reason: impl Into<String>) -> Error {
        Error::Corrupt {
            path: self.path.to_owned(),
            line: self.number.max(1),
            reason: reason.into(),
        }
    }

    /// The next line, without its end; `None` after the last.
    ///
    /// # Errors
    /// Where the file can't be read, or breaks off inside a line: dpkg ends each.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>> {
        self.line.clear();
        let read = (&mut self.reader)
            .take(MAX_LINE)
            .read_until(b'\n', &mut self.line)
            .map_err(|source| Error::Read {
                path: self.path.to_owned(),
                source,
            })?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.pop() != Some(b'\n') {
            return Err(self.corrupt("the line has no end"));
        }
        Ok(Some(&self.line))
    }
}
