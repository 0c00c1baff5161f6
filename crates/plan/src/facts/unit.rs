//! Units as systemd has them.

use serde::{Deserialize, Serialize};
use vss_model::{AbsPath, UnitName};

/// A unit as systemd would load it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitFacts {
    /// Its real name: an alias resolved.
    pub name: UnitName,
    /// Whether its file is a link to `/dev/null` or empty.
    #[serde(default)]
    pub masked: bool,
    /// Where its file was found in the search path.
    pub found: AbsPath,
    /// The file itself, links resolved: what a package lists. Of an instance, its template's.
    pub fragment: AbsPath,
    /// Its drop-ins, in order, as found in the search path.
    #[serde(default)]
    pub drop_ins: Vec<AbsPath>,
    /// Its assignments after all drop-ins, in order, lists reset where an empty value does so,
    /// specifiers expanded.
    #[serde(default)]
    pub settings: Vec<Setting>,
    /// The paths that the assignments name.
    #[serde(default)]
    pub paths: Vec<NamedPath>,
    /// Units linked in its `.wants` directories below `/usr` and `/etc`.
    #[serde(default)]
    pub wants: Vec<UnitName>,
    /// Units linked in its `.requires` directories.
    #[serde(default)]
    pub requires: Vec<UnitName>,
    /// Links in `/etc/systemd/system` that give it other names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alias_links: Vec<AbsPath>,
    /// Lines of its file and drop-ins that systemd ignores.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<IgnoredLine>,
}

/// A line that systemd ignores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IgnoredLine {
    /// The file.
    pub file: AbsPath,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
    /// Whether systemd reads no further in the file.
    #[serde(default)]
    pub ends_file: bool,
}

/// An assignment of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// `Service`.
    pub section: String,
    /// `ExecStart`.
    pub key: String,
    /// The value.
    pub value: String,
}

/// A path that a unit names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedPath {
    /// The path.
    pub path: AbsPath,
    /// The directive, without its `=`.
    pub directive: String,
    /// Whether the unit does without it (`-` in front).
    #[serde(default)]
    pub optional: bool,
    /// What it is to the unit.
    pub kind: PathKind,
    /// What it may be for any instance of the unit's template, as a pattern (`*` stands for a
    /// component or a part of one); `None` where it is the same for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub any_instance: Option<String>,
}

/// What a path is to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathKind {
    /// Executed, or an argument of what is executed.
    Exec,
    /// A file that is read: `EnvironmentFile=`, `LoadCredential=`.
    File,
    /// A directory to be there: `WorkingDirectory=`, `RootDirectory=`, `ReadWritePaths=`,
    /// `BindPaths=`, `RequiresMountsFor=`.
    Directory,
    /// Where something is mounted over, so that the service doesn't see what is there:
    /// `InaccessiblePaths=`, `TemporaryFileSystem=`, the target of `BindPaths=`.
    MountPoint,
    /// Made by systemd: `StateDirectory=`, `CacheDirectory=`, `LogsDirectory=`,
    /// `ConfigurationDirectory=`.
    Managed,
    /// Below `/run`: `RuntimeDirectory=`, `PIDFile=`.
    Runtime,
    /// `ListenStream=` and the like.
    Socket,
    /// `Condition…=` and `Assert…=`; a `!` in front makes it [`PathKind::Unwanted`].
    Condition,
    /// A condition that the path is not there.
    Unwanted,
}

/// What a host unit's name means already.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostUnitFacts {
    /// A file or link of exactly this name in the search path.
    #[serde(default)]
    pub file: Option<AbsPath>,
    /// The template that the name would be an instance of.
    #[serde(default)]
    pub template: Option<AbsPath>,
    /// Links in `.wants` and `.requires` directories of `/etc/systemd/system` with this name.
    #[serde(default)]
    pub enabled: Vec<AbsPath>,
    /// Whether systemd has it active.
    #[serde(default)]
    pub active: bool,
    /// Drop-ins on disk that would apply to a unit of this name.
    #[serde(default)]
    pub drop_ins: Vec<AbsPath>,
}
