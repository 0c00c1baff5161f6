//! Why a path is what it is in a container.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::package::PackageName;
use crate::path::AbsPath;
use crate::unit_name::UnitName;

/// Why a path of the plan has its disposition. Each variant names where the administrator can
/// look, and change it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub enum Cause {
    /// The baseline table: any systemd container needs it.
    Baseline {
        /// The table's comment on the entry.
        why: String,
    },
    /// A unit file or drop-in names the path.
    Unit {
        /// The unit.
        unit: UnitName,
        /// The directive, `EnvironmentFile=`; empty where the unit file itself is meant.
        directive: String,
    },
    /// A unit has something mounted over the path, so that the service doesn't see what is there.
    MountPoint {
        /// The unit.
        unit: UnitName,
        /// The directive, `InaccessiblePaths=`.
        directive: String,
    },
    /// A unit is needed by another.
    RequiredUnit {
        /// The unit that needs it.
        by: UnitName,
        /// The directive, `Requires=`.
        directive: String,
    },
    /// A package of the closure lists the path.
    Package {
        /// The package.
        package: PackageName,
        /// Its version.
        version: String,
        /// Whether it lists it as configuration (a conffile of dpkg's, `%config` of rpm's).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        config: bool,
    },
    /// Only packages of the closure own the directory, so it is taken whole.
    WholeDirectory {
        /// The directory.
        directory: AbsPath,
        /// The packages that own it.
        owners: Vec<PackageName>,
    },
    /// No package lists it, and it bears a name of the service.
    Namesake {
        /// The name.
        name: String,
    },
    /// A link in what was taken leads here.
    Link {
        /// The link.
        from: AbsPath,
    },
    /// A file that was taken names the path.
    NamedIn {
        /// The file.
        file: AbsPath,
    },
    /// A tmpfiles.d or sysusers.d file of the closure says so.
    Snippet {
        /// The file.
        file: AbsPath,
    },
    /// A rule of `rules.d`.
    Rule {
        /// The rule's file name.
        file: String,
        /// The rule's comment.
        why: String,
    },
    /// The deny list.
    Denied {
        /// The pattern that matched.
        pattern: String,
        /// The list's comment on it.
        why: String,
    },
    /// What would be in the way: a unit, snippet or generator outside the closure.
    OutsideClosure {
        /// The package that ships it, where one does.
        package: Option<PackageName>,
        /// What pulls it in.
        pulled_by: String,
    },
    /// It belongs to another instance of the template.
    OtherInstance {
        /// The instance that runs inside.
        of: UnitName,
        /// What the path is of each instance, as a pattern.
        pattern: String,
        /// The directive that says so, `ExecStart=`.
        directive: String,
    },
    /// An option of the command.
    User {
        /// The option, `--copy`.
        option: String,
    },
    /// Logs and caches are never copied, only their directories are.
    Volatile {
        /// What it is: "log" or "cache".
        what: String,
    },
    /// `-C` was not given, so `/var` holds what packages list and no data.
    NoCopy,
    /// No source names the path.
    Unnamed,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Baseline { why } => write!(f, "baseline: {why}"),
            Self::Unit { unit, directive } if directive.is_empty() => write!(f, "the unit {unit}"),
            Self::Unit { unit, directive } => write!(f, "{directive} of {unit}"),
            Self::MountPoint { unit, directive } => write!(
                f,
                "{directive} of {unit} hides what is there: made, its content left behind"
            ),
            Self::RequiredUnit { by, directive } => write!(f, "{directive} of {by}"),
            Self::Package {
                package,
                version,
                config,
            } => {
                let what = if *config { " as configuration" } else { "" };
                write!(f, "package {package} {version} lists it{what}")
            }
            Self::WholeDirectory { directory, owners } => {
                write!(f, "{directory} belongs wholly to ")?;
                for (n, owner) in owners.iter().enumerate() {
                    write!(f, "{}{owner}", if n == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::Namesake { name } => {
                write!(f, "no package lists it, and the service is called {name}")
            }
            Self::Link { from } => write!(f, "{from} links to it"),
            Self::NamedIn { file } => write!(f, "named in {file}"),
            Self::Snippet { file } => write!(f, "{file}"),
            Self::Rule { file, why } => write!(f, "rule {file}: {why}"),
            Self::Denied { pattern, why } => write!(f, "deny list, {pattern}: {why}"),
            Self::OutsideClosure {
                package: Some(package),
                pulled_by,
            } => {
                write!(
                    f,
                    "of package {package}, which the service doesn't need; pulled in by {pulled_by}"
                )
            }
            Self::OutsideClosure {
                package: None,
                pulled_by,
            } => {
                write!(
                    f,
                    "not of a package that the service needs; pulled in by {pulled_by}"
                )
            }
            Self::OtherInstance {
                of,
                pattern,
                directive,
            } => write!(
                f,
                "of another instance than {of}, whose {directive} names {pattern}"
            ),
            Self::User { option } => write!(f, "asked for with {option}"),
            Self::Volatile { what } => {
                write!(f, "a {what} directory: made, its content left behind")
            }
            Self::NoCopy => f.write_str("no -C: data in /var stays on the host"),
            Self::Unnamed => f.write_str("nothing names it"),
        }
    }
}
