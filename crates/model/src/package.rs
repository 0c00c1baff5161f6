//! Packages and their files, in words that dpkg and rpm share.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::path::AbsPath;

/// The name of an installed package: `apache2`, `libc6:i386` where dpkg needs the architecture to
/// tell two apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PackageName(pub String);

impl PackageName {
    /// The name as text, for comparing with what a database says.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for PackageName {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::sanitize::Sanitized::text(&self.0).fmt(f)
    }
}

/// A package that is installed, or half.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: PackageName,
    /// Its whole version, as the database spells it.
    pub version: String,
    /// The source package that it was built from.
    pub source: String,
    /// Whether the distribution marks it as one that no system can do without (dpkg `Essential`,
    /// or priority `required`).
    pub essential: bool,
    /// What it names as needed or wished for, resolved to what is installed.
    pub relations: Vec<Relation>,
    /// Its files and directories.
    pub files: Vec<PackageFile>,
    /// The state that it is in where it is not wholly installed: `half-configured`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<String>,
    /// What the database lists of it and can't be used, with reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How a package names another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelationKind {
    /// Can't do without (dpkg `Depends` and `Pre-Depends`, rpm `Requires`).
    Depends,
    /// Is meant to come with (`Recommends`).
    Recommends,
    /// Goes well with (`Suggests`, `Enhances`, rpm `Supplements`).
    Suggests,
}

/// A relation to a package that is installed; alternatives and virtual packages are resolved, and
/// relations to what is not installed are left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Relation {
    /// How strong.
    pub kind: RelationKind,
    /// The installed package that satisfies it.
    pub to: PackageName,
}

/// A path that a package lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PackageFile {
    /// Where it is on this host: diversions applied, `/bin`, `/sbin` and `/lib*` spelled below
    /// `/usr`.
    pub path: AbsPath,
    /// What the database says of it.
    #[serde(default, skip_serializing_if = "FileFlags::is_plain")]
    pub flags: FileFlags,
}

/// What a package database says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FileFlags {
    /// Configuration that the administrator may have changed (dpkg conffile, rpm `%config`).
    pub config: bool,
    /// Belongs to the package but is not shipped in it (rpm `%ghost`).
    pub ghost: bool,
}

impl FileFlags {
    /// Whether nothing special is said.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}
