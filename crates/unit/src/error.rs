//! What can be wrong with unit files.

use std::io;

use vss_model::AbsPath;

/// The result of reading units.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a unit can't be read, or a value of it not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory of the search path can't be read.
    #[error("can't read {path}")]
    Read {
        /// Where it is, below the root directory.
        path: AbsPath,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Links lead in a circle, or through more hops than any sane host has.
    #[error("{path} leads through too many links")]
    TooManyLinks {
        /// The first link.
        path: AbsPath,
    },
    /// A file is larger than any unit file.
    #[error("{path} has {size} bytes: too large for a unit file")]
    TooLarge {
        /// The file.
        path: AbsPath,
        /// Its size.
        size: u64,
    },
    /// systemd does not load the unit that a file is of: it can't read the file to its end.
    #[error("systemd can't load {path}: line {line} is {reason}")]
    Unreadable {
        /// The file.
        path: AbsPath,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A unit file that we were to write would not be read back as it was meant.
    #[error("{directive} can't be written to a unit file: {reason}")]
    Unwritable {
        /// The section or assignment.
        directive: String,
        /// Why.
        reason: &'static str,
    },
    /// A specifier stands for a fact that isn't known here.
    #[error("the value {value:?} has the specifier %{specifier}, whose value is not known")]
    UnknownSpecifier {
        /// The value.
        value: String,
        /// The letter.
        specifier: char,
    },
    /// An instance can't be unescaped.
    #[error("{0:?} has a malformed escape sequence")]
    BadEscape(String),
}
