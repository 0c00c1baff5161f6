//! What is worth a line and no error.

use super::finish;
use serde::{Deserialize, Serialize};
use vss_model::{AbsPath, IdRange, PackageName, Sanitized, UnitName};

/// Something that is no error but worth a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Warning {
    /// A condition of a unit that will not be met inside.
    Condition {
        /// The unit.
        unit: UnitName,
        /// `ConditionPathExists=/x`.
        condition: String,
    },
    /// The host unit's name is an instance of a template that a package ships.
    TemplateInstance {
        /// The host unit.
        unit: UnitName,
        /// The template's file.
        template: AbsPath,
        /// Drop-ins that would apply to the host unit.
        drop_ins: Vec<AbsPath>,
    },
    /// Data is copied while processes write it, as asked for.
    LiveCopy {
        /// The directory.
        path: AbsPath,
        /// Who writes.
        writers: Vec<String>,
    },
    /// A label that others can reach, as asked for.
    SharedLabel {
        /// The level.
        level: String,
        /// Who.
        by: Vec<String>,
    },
    /// A unit or package names a path that the host doesn't have.
    MissingPath {
        /// The path.
        path: AbsPath,
        /// What names it.
        named_by: String,
    },
    /// A secret that the service's own configuration names is copied.
    OwnSecret {
        /// The path.
        path: AbsPath,
        /// What names it.
        named_by: String,
    },
    /// `--copy` overrides the deny list.
    DenyOverridden {
        /// The path.
        path: AbsPath,
        /// The list's comment.
        why: String,
    },
    /// SELinux does not hold the container.
    NoSelinux {
        /// `disabled` or `permissive`.
        mode: String,
    },
    /// Users given by hand that systemd-nspawn may pick for a container of its own.
    UsersOfNspawn {
        /// The range.
        range: IdRange,
    },
    /// A path that is shared is out of reach for the users of a user namespace.
    OutOfReach {
        /// The path.
        path: AbsPath,
        /// The directory above it that keeps them out.
        at: AbsPath,
    },
    /// More is copied than an administrator may expect.
    Large {
        /// The path.
        path: AbsPath,
        /// Its bytes.
        bytes: u64,
    },
    /// A file names more paths than are followed.
    NamesTooMany {
        /// The file.
        file: AbsPath,
        /// How many are followed.
        limit: usize,
    },
    /// All files and links together name more paths than are followed.
    FollowsTooMany {
        /// The file, or the directory of links, at which it ended.
        at: AbsPath,
        /// How many are followed.
        limit: usize,
    },
    /// A link that is copied leads to what the host has and the container doesn't.
    LinkLeft {
        /// The link.
        link: AbsPath,
        /// Where it leads.
        target: AbsPath,
        /// Why that is not there.
        why: String,
    },
    /// More such links than are told one by one, or than are looked into.
    LinksLeft {
        /// The directory that they are in.
        path: AbsPath,
        /// How many.
        count: usize,
    },
    /// Without `-C`, data that the host's service has is not there inside.
    DataLeft {
        /// The directories that are made without it.
        paths: Vec<AbsPath>,
    },
    /// What a unit works with is not brought unless it is asked for.
    NotBrought {
        /// The unit.
        unit: UnitName,
        /// `User=ann`.
        setting: String,
        /// What stays on the host.
        path: AbsPath,
    },
    /// A unit asks for what the confinement does not give.
    Confined {
        /// The unit.
        unit: UnitName,
        /// `DynamicUser=yes`.
        setting: String,
        /// What will become of it.
        effect: String,
    },
    /// A line of a unit file is not in force.
    IgnoredLine {
        /// The unit.
        unit: UnitName,
        /// The file.
        file: AbsPath,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
        /// Whether what follows in the file is not in force either.
        ends_file: bool,
    },
    /// A package of the service is half installed, and nothing of it is planned with.
    Unfinished {
        /// The package.
        package: PackageName,
        /// `half-configured`.
        state: String,
    },
    /// Something that a package of the service has is not planned with.
    LeftOut {
        /// The package.
        package: PackageName,
        /// What, and why.
        note: String,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Condition { unit, condition } => {
                write!(
                    f,
                    "{unit} will not start: {condition} will not be met inside"
                )
            }
            Self::TemplateInstance {
                unit,
                template,
                drop_ins,
            } => {
                write!(
                    f,
                    "{unit} takes the place of an instance of the package's {template}"
                )?;
                for (n, drop_in) in drop_ins.iter().enumerate() {
                    let lead = if n == 0 {
                        "; these drop-ins apply to it: "
                    } else {
                        ", "
                    };
                    write!(f, "{lead}{drop_in}")?;
                }
                Ok(())
            }
            Self::LiveCopy { path, writers } => {
                write!(
                    f,
                    "{path} is copied while it is written by {}",
                    writers.join(", ")
                )
            }
            Self::SharedLabel { level, by } => {
                write!(f, "the level {level} is within reach of {}", by.join(", "))
            }
            Self::MissingPath { path, named_by } => {
                write!(f, "{path}, named by {named_by}, is not there")
            }
            Self::OwnSecret { path, named_by } => {
                write!(
                    f,
                    "{path} holds a secret, and is copied as the service's own: {named_by}"
                )
            }
            Self::DenyOverridden { path, why } => {
                write!(f, "{path} is copied as --copy asks for, although: {why}")
            }
            Self::NoSelinux { mode } => {
                write!(f, "SELinux is {mode}: the label confines nothing")
            }
            Self::UsersOfNspawn { range } => {
                write!(
                    f,
                    "the users {range} are among those that systemd-nspawn picks from: see that no machine of its own gets them"
                )
            }
            Self::OutOfReach { path, at } => {
                write!(
                    f,
                    "{path} is out of reach for the users of the container, so it will not start: {at} lets only its owner and group through (`chmod o+x {at}`)"
                )
            }
            Self::Large { path, bytes } => {
                write!(f, "{path} is copied with {} MiB", bytes >> 20)
            }
            Self::NamesTooMany { file, limit } => write!(
                f,
                "{file} names more than {limit} paths: the rest is not followed, what is missing comes with --copy"
            ),
            Self::FollowsTooMany { at, limit } => write!(
                f,
                "more than {limit} paths are named: from {at} on they are not followed, what is missing comes with --copy"
            ),
            Self::LinkLeft { link, target, why } => {
                write!(
                    f,
                    "{link} leads to {target}, which is not there inside: {why}"
                )
            }
            Self::LinksLeft { path, count } => {
                write!(
                    f,
                    "{count} more links in {path} may lead to what is not there inside"
                )
            }
            Self::DataLeft { paths } => {
                write!(f, "without -C, the host's data stays on the host: ")?;
                for (n, path) in paths.iter().enumerate() {
                    write!(f, "{}{path}", if n == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::NotBrought {
                unit,
                setting,
                path,
            } => write!(
                f,
                "{unit} has {setting}, and {path} stays on the host: bring it with --copy {path}, or show it with --share {path}"
            ),
            Self::Confined {
                unit,
                setting,
                effect,
            } => write!(f, "{unit} has {setting}: {effect}"),
            Self::IgnoredLine {
                unit,
                file,
                line,
                reason,
                ends_file,
            } => {
                let rest = if *ends_file {
                    " and all that follows"
                } else {
                    ""
                };
                write!(
                    f,
                    "{unit}: systemd ignores line {line} of {file}{rest}: it is {reason}"
                )
            }
            Self::Unfinished { package, state } => write!(
                f,
                "the package {package} is {}, so nothing of it is brought: {} first",
                Sanitized::text(state),
                finish(package, state)
            ),
            Self::LeftOut { package, note } => {
                write!(f, "of the package {package}: {}", Sanitized::text(note))
            }
        }
    }
}
