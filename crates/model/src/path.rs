//! Absolute paths, normalised once.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::sanitize::Sanitized;

/// An absolute path without `.`, `..`, doubled or trailing slashes, as bytes.
///
/// It says nothing of what is on disk: symbolic links are not resolved. It is ordered by
/// component, so that a directory stands right before what is in it.
///
/// ```
/// use vss_model::AbsPath;
/// let etc: AbsPath = "/etc//apache2/".parse().unwrap();
/// assert_eq!(etc.to_string(), "/etc/apache2");
/// assert!("/etc/../shadow".parse::<AbsPath>().is_err());
/// assert!("etc".parse::<AbsPath>().is_err());
/// let other: AbsPath = "/etc/apache".parse().unwrap();
/// assert!(!etc.starts_with(&other));
/// ```
#[derive(Debug, Clone)]
pub struct AbsPath(PathBuf);

/// Why a text is not an absolute path of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path does not begin with a slash.
    #[error("the path {0} is not absolute")]
    Relative(String),
    /// The path has a `..`.
    #[error("the path {0} has \"..\" in it")]
    Parent(String),
    /// The path has a NUL byte.
    #[error("the path {0} has a NUL byte in it")]
    Nul(String),
}

// A path is normal, so its bytes tell all that its components do, and are much faster to compare:
// a plan looks up paths by the ten thousand.

impl PartialEq for AbsPath {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for AbsPath {}

impl std::hash::Hash for AbsPath {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

impl Ord for AbsPath {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.bytes(), other.bytes());
        match a.iter().zip(b).position(|(x, y)| x != y) {
            None => a.len().cmp(&b.len()),
            // a component that ends comes before one that goes on
            Some(n) if a[n] == b'/' => Ordering::Less,
            Some(n) if b[n] == b'/' => Ordering::Greater,
            Some(n) => a[n].cmp(&b[n]),
        }
    }
}

impl PartialOrd for AbsPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl AbsPath {
    fn bytes(&self) -> &[u8] {
        self.0.as_os_str().as_bytes()
    }

    /// The root directory.
    #[must_use]
    pub fn root() -> Self {
        Self(PathBuf::from("/"))
    }

    /// Takes a path as it is on disk, which need not be UTF-8.
    ///
    /// # Errors
    /// Where it is relative or has `..` or a NUL byte.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, PathError> {
        let path = path.as_ref();
        let shown = || Sanitized::bytes(path.as_os_str().as_bytes()).to_string();
        if !path.is_absolute() {
            return Err(PathError::Relative(shown()));
        }
        if path.as_os_str().as_bytes().contains(&0) {
            return Err(PathError::Nul(shown()));
        }
        let mut clean = PathBuf::from("/");
        for component in path.components() {
            match component {
                Component::ParentDir => return Err(PathError::Parent(shown())),
                Component::Normal(name) => clean.push(name),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        Ok(Self(clean))
    }

    /// The path for system calls and `std::fs`.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The path without its leading slash, to be resolved below a directory handle; `.` for `/`.
    #[must_use]
    pub fn relative(&self) -> &Path {
        match self.0.strip_prefix("/") {
            Ok(rest) if !rest.as_os_str().is_empty() => rest,
            _ => Path::new("."),
        }
    }

    /// The last component; `None` of `/`.
    #[must_use]
    pub fn file_name(&self) -> Option<&OsStr> {
        self.0.file_name()
    }

    /// The directory that this path is in; `None` of `/`.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.parent().map(|p| Self(p.to_owned()))
    }

    /// Whether this is `base` or lies below it, by whole components.
    #[must_use]
    pub fn starts_with(&self, base: &Self) -> bool {
        let (path, base) = (self.bytes(), base.bytes());
        // `/` alone ends with its slash
        path.starts_with(base)
            && (base.len() == 1 || path.len() == base.len() || path[base.len()] == b'/')
    }

    /// This path and all directories above it, itself first, `/` last.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + '_ {
        self.0.ancestors().map(|p| Self(p.to_owned()))
    }

    /// How many components stand below `/`.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.components().count() - 1
    }

    /// A path below this one.
    ///
    /// # Errors
    /// Where `below` has `..` or a NUL byte. A leading slash of `below` is dropped.
    pub fn join(&self, below: impl AsRef<Path>) -> Result<Self, PathError> {
        let below = below.as_ref();
        Self::new(self.0.join(below.strip_prefix("/").unwrap_or(below)))
    }

    /// What remains of this path below `base`; `None` where it is not below.
    #[must_use]
    pub fn strip_prefix(&self, base: &Self) -> Option<&Path> {
        self.0.strip_prefix(&base.0).ok()
    }

    /// Where a link found at this path leads, by text alone: a relative target starts from the
    /// link's directory, and `..` stops at `/`, as the kernel does.
    ///
    /// # Errors
    /// Where the target has a NUL byte.
    pub fn resolve_link(&self, target: impl AsRef<Path>) -> Result<Self, PathError> {
        let target = target.as_ref();
        let mut out = if target.is_absolute() {
            PathBuf::from("/")
        } else {
            self.0
                .parent()
                .map_or_else(|| PathBuf::from("/"), Path::to_owned)
        };
        for component in target.components() {
            match component {
                Component::ParentDir => {
                    out.pop();
                }
                Component::Normal(name) => out.push(name),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        Self::new(out)
    }
}

impl FromStr for AbsPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl fmt::Display for AbsPath {
    /// The path with control characters and bytes that are not UTF-8 made visible: safe for a
    /// terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Sanitized::bytes(self.0.as_os_str().as_bytes()).fmt(f)
    }
}

impl Serialize for AbsPath {
    /// As text; a backslash is doubled and each byte that is not UTF-8 becomes `\xNN`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&escape_bytes(self.0.as_os_str().as_bytes()))
    }
}

impl<'de> Deserialize<'de> for AbsPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = unescape_bytes(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("the path {text:?} has a bad backslash sequence"))
        })?;
        Self::new(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
            .map_err(serde::de::Error::custom)
    }
}

/// Bytes as text that [`unescape_bytes`] turns back: a backslash doubled, each byte that is not
/// part of UTF-8 as `\xNN`.
#[must_use]
pub fn escape_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// The bytes that [`escape_bytes`] wrote; `None` where a backslash sequence is malformed.
#[must_use]
pub fn unescape_bytes(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first != b'\\' {
            out.push(first);
            rest = tail;
        } else if tail.first() == Some(&b'\\') {
            out.push(b'\\');
            rest = &tail[1..];
        } else {
            let hex = tail.strip_prefix(b"x")?.get(..2)?;
            out.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
            rest = &tail[3..];
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> AbsPath {
        text.parse().unwrap()
    }

    #[test]
    fn a32_no_path_climbs() {
        assert_eq!(path("/etc/./a//b/").to_string(), "/etc/a/b");
        for bad in ["", "etc", "./etc", "/etc/../x", "/.."] {
            assert!(bad.parse::<AbsPath>().is_err(), "{bad:?}");
        }
        assert_eq!(
            path("/etc/a").resolve_link("../../../b").unwrap(),
            path("/b")
        );
        assert_eq!(
            path("/etc/a").resolve_link("b/c").unwrap(),
            path("/etc/b/c")
        );
        assert_eq!(
            path("/etc/a").resolve_link("/usr/x").unwrap(),
            path("/usr/x")
        );
    }

    #[test]
    fn prefixes_end_at_components() {
        assert!(path("/etc/foo/x").starts_with(&path("/etc/foo")));
        assert!(!path("/etc/foobar").starts_with(&path("/etc/foo")));
        assert!(path("/etc").starts_with(&AbsPath::root()));
    }

    proptest! {
        #[test]
        fn paths_compare_like_their_components(a in "(/[a.\\-]{1,2}x?){0,3}", b in "(/[a.\\-]{1,2}x?){0,3}") {
            let (Ok(a), Ok(b)) = (AbsPath::new(format!("/{a}")), AbsPath::new(format!("/{b}"))) else {
                return Ok(());
            };
            prop_assert_eq!(a.cmp(&b), a.as_path().cmp(b.as_path()));
            prop_assert_eq!(a == b, a.as_path() == b.as_path());
            prop_assert_eq!(a.starts_with(&b), a.as_path().starts_with(b.as_path()));
        }

        #[test]
        fn serialized_bytes_come_back(bytes in proptest::collection::vec(1u8..=255, 0..40)) {
            let escaped = escape_bytes(&bytes);
            prop_assert_eq!(unescape_bytes(&escaped), Some(bytes));
        }
    }
}
