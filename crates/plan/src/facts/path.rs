//! Paths: what is there, what is below, what is said of it in files and who writes it.

use serde::{Deserialize, Serialize};
use vss_model::AbsPath;
use vss_model::path::unescape_bytes;

/// A path on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum PathFacts {
    /// Nothing there (ENOENT, ENOTDIR).
    Missing,
    /// A regular file.
    File {
        /// Its length in bytes.
        size: u64,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// A directory.
    Directory {
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// A symbolic link.
    Link {
        /// Its target as written; bytes that are not UTF-8 as
        /// [`escape_bytes`](vss_model::path::escape_bytes) does.
        target: String,
    },
    /// A socket, FIFO or device.
    Special,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListEntry {
    /// Its name, escaped like a path.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

impl ListEntry {
    /// Its path, in the directory that was listed; `None` where the name is malformed.
    #[must_use]
    pub fn path(&self, directory: &AbsPath) -> Option<AbsPath> {
        use std::os::unix::ffi::OsStringExt;
        let name = std::ffi::OsString::from_vec(unescape_bytes(&self.name)?);
        let path = directory.join(name).ok()?;
        (path.parent().as_ref() == Some(directory)).then_some(path)
    }

    /// Its name as it is, to be compared with others; of bytes that are not UTF-8 there is no
    /// telling.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = unescape_bytes(&self.name).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// What an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// Anything else.
    Special,
}

/// What a walk below a path saw.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TreeFacts {
    /// Bytes of the regular files.
    pub bytes: u64,
    /// Regular files and links.
    pub files: u64,
    /// Directories, the first one included.
    pub directories: u64,
    /// Sockets, FIFOs and devices.
    #[serde(default)]
    pub specials: u64,
    /// The symbolic links and their targets as written, at most [`MAX_LINKS`](super::MAX_LINKS).
    #[serde(default)]
    pub links: Vec<(AbsPath, String)>,
    /// Every path, the first one included, for which
    /// [`Rules::watches`](crate::Rules::watches) says so.
    #[serde(default)]
    pub watched: Vec<AbsPath>,
}

/// The paths that a file names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    /// The file.
    pub file: AbsPath,
    /// What [`mentions::scan`](crate::mentions::scan) found in it.
    pub paths: Vec<AbsPath>,
}

/// A process that writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// Its process id.
    pub pid: u32,
    /// Its command name (`comm`).
    pub command: String,
    /// The unit that it belongs to, where its cgroup tells.
    #[serde(default)]
    pub unit: Option<String>,
    /// One of the files.
    pub path: AbsPath,
}
