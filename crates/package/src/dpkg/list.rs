//! The file lists, `info/*.list`: one path on each line.

use std::ops::Range;
use std::path::Path;

use vss_model::Sanitized;

use super::diversions::Diversions;
use super::lines;
use crate::error::{Error, Result};
use crate::index::{Index, MAX_TEXT, check, clean, is_plain};
use crate::spelling::Spelling;

/// What decides where a listed path really is.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    pub(crate) spelling: &'a Spelling,
    pub(crate) diversions: &'a Diversions,
}

impl Places<'_> {
    /// Where the file that `package` lists as `path` really is; `None` where that is `path`.
    pub(super) fn real(&self, path: &[u8], package: &str) -> Option<Vec<u8>> {
        let diverted = match self.diversions.is_empty() {
            true => None,
            false => self.diversions.apply(path, package),
        };
        let spelled = self.spelling.rewrite(diverted.unwrap_or(path));
        spelled.or_else(|| diverted.map(<[u8]>::to_vec))
    }
}

/// Reads the list of the next package and appends what can't be used to `notes`. `false` where
/// there is no such file.
///
/// # Errors
/// Where the file can't be read, or breaks off inside a line.
pub(super) fn add_list(
    index: &mut Index,
    path: &Path,
    package: &str,
    places: &Places<'_>,
    notes: &mut Vec<String>,
) -> Result<bool> {
    let from = index.text().len();
    if !lines::append(path, index.text())? {
        return Ok(false);
    }
    // Twice: rewritten paths are appended behind the list.
    if index.text().len() + (index.text().len() - from) > MAX_TEXT {
        return Err(Error::Read {
            path: path.to_owned(),
            source: std::io::Error::from(std::io::ErrorKind::FileTooLarge),
        });
    }
    let to = index.text().len();
    if to > from && index.text()[to - 1] != b'\n' {
        return Err(Error::Corrupt {
            path: path.to_owned(),
            line: index.text()[from..].split(|&c| c == b'\n').count(),
            reason: "the line has no end: the list was cut short".to_owned(),
        });
    }
    let mut start = from;
    while start < to {
        let length = index.text()[start..to]
            .iter()
            .position(|&c| c == b'\n')
            .unwrap_or(to - start);
        add_line(index, start..start + length, package, places, notes);
        start += length + 1;
    }
    index.end_package();
    Ok(true)
}

fn add_line(
    index: &mut Index,
    line: Range<usize>,
    package: &str,
    places: &Places<'_>,
    notes: &mut Vec<String>,
) {
    let text = &index.text()[line.clone()];
    let mut rewritten: Option<Vec<u8>> = None;
    if !is_plain(text) {
        if let Err(reason) = check(text) {
            notes.push(format!(
                "left out of its list: {:?}, {reason}",
                Sanitized::bytes(&text[..text.len().min(200)]).to_string()
            ));
            return;
        }
        rewritten = Some(clean(text));
    }
    if let Some(real) = places.real(rewritten.as_deref().unwrap_or(text), package) {
        rewritten = Some(real);
    }
    let range = match rewritten {
        None => line,
        Some(bytes) => {
            let start = index.text().len();
            index.text().extend_from_slice(&bytes);
            start..index.text().len()
        }
    };
    index.push(range);
}
