//! What planning comes to: a plan with its warnings, more questions, or an error.

use serde::{Deserialize, Serialize};
use vss_model::{
    AbsPath, DomainSpec, IdRange, PackageName, SandboxConfig, SandboxName, Sanitized, UnitFile,
    UnitName,
};

use crate::allocator::LabelError;
use crate::facts::{Query, Writer};
use crate::id_ranges::RangeError;
use crate::request::CreateRequest;
use crate::root_plan::RootPlan;

/// How far [`discover`](crate::discover) has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// These have to be answered next; none of them is answered yet.
    Need(Vec<Query>),
    /// All is known that [`plan`](crate::plan) asks for.
    Done,
}

/// Everything that is made for a sandbox, decided before anything is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxPlan {
    /// What was asked for, templates instantiated.
    pub request: CreateRequest,
    /// What every path is.
    pub root: RootPlan,
    /// What is stored as `NAME.sandbox`.
    pub config: SandboxConfig,
    /// The host unit, to be written as `config.host_unit`.
    pub unit: UnitFile,
    /// What libvirt will be given at each start.
    pub domain: DomainSpec,
    /// The units that run inside, those required included.
    pub units: Vec<UnitName>,
    /// The package closure.
    pub packages: Vec<PlannedPackage>,
    /// Paths that a source names and that are left out, with the reason.
    pub skipped: Vec<Skipped>,
    /// What the administrator should know.
    pub warnings: Vec<Warning>,
}

/// A package whose files are planned with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlannedPackage {
    /// Its name.
    pub name: PackageName,
    /// The version that is installed.
    pub version: String,
}

/// A path that is named but not taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Skipped {
    /// The path.
    pub path: AbsPath,
    /// Why.
    pub reason: String,
}

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

/// Why there is no plan. Nothing has been changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Facts are missing: [`discover`](crate::discover) has not been asked until it was done.
    #[error("{} facts are missing, the first is {:?}", .0.len(), .0.first())]
    Incomplete(Vec<Query>),
    /// No unit was asked for.
    #[error("no unit was given: name at least one with -u UNIT")]
    NoUnit,
    /// `/bin`, `/sbin` or `/lib` is a directory of its own.
    #[error(
        "this host has /bin, /sbin or /lib outside /usr: only hosts with a merged /usr are supported"
    )]
    UnmergedUsr,
    /// There is no such unit.
    #[error("there is no unit {unit}{}", nearest(.suggestions))]
    UnknownUnit {
        /// As asked for.
        unit: UnitName,
        /// Units with similar names.
        suggestions: Vec<UnitName>,
    },
    /// A generator of the host made the unit at boot: no package has it.
    #[error(
        "the unit {unit} was made by a generator of this host at boot, and no file of it would be in a container; make one to be copied: `cp {file} /etc/systemd/system/`"
    )]
    GeneratedUnit {
        /// The unit.
        unit: UnitName,
        /// What the generator made.
        file: AbsPath,
    },
    /// The unit is masked on the host.
    #[error(
        "the unit {unit} is masked on this host by {file}; unmask it with `systemctl unmask {unit}`"
    )]
    MaskedUnit {
        /// The unit.
        unit: UnitName,
        /// The link to /dev/null.
        file: AbsPath,
    },
    /// A unit can't be instantiated with the sandbox's name, or a unit is of a type that does not
    /// run in a container.
    #[error("the unit {unit} can't be run in a container: {reason}")]
    UnsuitableUnit {
        /// The unit.
        unit: UnitName,
        /// Why.
        reason: String,
    },
    /// No package lists the unit's file, so what belongs to the service can't be told.
    #[error(
        "no package owns {file}, so what {unit} needs can't be found out; name its paths in /etc, /var, /srv or /opt with --copy PATH, each of them once (--copy {file} alone where it has none)"
    )]
    Unowned {
        /// The unit.
        unit: UnitName,
        /// Its file.
        file: AbsPath,
    },
    /// The package that has the unit is half installed, so what belongs to the service can't be
    /// told.
    #[error(
        "the package {package}, which has {unit}, is {}, so what the unit needs can't be found out; {} first",
        Sanitized::text(state),
        finish(package, state)
    )]
    Unfinished {
        /// The unit.
        unit: UnitName,
        /// The package.
        package: PackageName,
        /// `half-configured`.
        state: String,
    },
    /// The host unit's name would be longer than systemd allows, or not valid.
    #[error("no host unit can be named after {unit} and {name}: {reason}")]
    HostUnitName {
        /// The unit.
        unit: UnitName,
        /// The sandbox.
        name: SandboxName,
        /// Why.
        reason: String,
    },
    /// A unit of that name is the host's own.
    #[error(
        "the host has a unit {unit} of its own ({by}), which is not replaced; choose another name for the sandbox"
    )]
    HostUnitTaken {
        /// The host unit.
        unit: UnitName,
        /// What shows it.
        by: String,
    },
    /// The label asked for can't be given, or none is left.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// There is no such network.
    #[error(
        "there is no libvirt network {0}; `virsh -c lxc:///system net-list --all` lists them, -N none does without"
    )]
    UnknownNetwork(String),
    /// Every address of the network is taken.
    #[error("the libvirt network {0} has no free address left")]
    NoAddress(String),
    /// `auto`, and neither SELinux nor user namespaces are to be had.
    #[error(
        "nothing on this host confines root inside a container by itself ({selinux}; {userns}); choose --confinement reduced or --confinement none"
    )]
    NoConfinement {
        /// Why SELinux does not.
        selinux: String,
        /// Why user namespaces do not.
        userns: String,
    },
    /// A confinement that this host doesn't have was asked for.
    #[error("{option} is not to be had on this host: {reason}")]
    Unavailable {
        /// The option.
        option: String,
        /// Why.
        reason: String,
    },
    /// The users asked for can't be given, or none are left.
    #[error(transparent)]
    Users(#[from] RangeError),
    /// Processes of the host write what `-C` would copy.
    #[error(
        "{path} is being written by {}; stop the service first, or copy it as it is with --allow-live-copy",
        shown_writers(.writers)
    )]
    LiveData {
        /// The directory.
        path: AbsPath,
        /// Who.
        writers: Vec<Writer>,
    },
    /// A path given with an option does not exist.
    #[error("{path}, given with {option}, does not exist")]
    NoSuchPath {
        /// The path.
        path: AbsPath,
        /// The option.
        option: String,
    },
    /// Two options say different things of one path.
    #[error("{first} and {second} both name {path}; drop one of them")]
    Contradiction {
        /// The path.
        path: AbsPath,
        /// One option.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A path given with an option can't have what the option asks for.
    #[error("{option} {path} is not possible: {reason}")]
    UnsuitablePath {
        /// The path.
        path: AbsPath,
        /// The option.
        option: String,
        /// Why.
        reason: String,
    },
}

/// What makes a package wholly installed. Only dpkg has such states, and what is unpacked can be
/// configured.
fn finish(package: &PackageName, state: &str) -> String {
    if state.starts_with("half-installed") || state.contains("reinstreq") {
        format!("`apt-get install --reinstall {package}`")
    } else {
        "`dpkg --configure -a`".to_owned()
    }
}

fn nearest(suggestions: &[UnitName]) -> String {
    let names: Vec<&str> = suggestions.iter().map(UnitName::as_str).collect();
    match names.as_slice() {
        [] => "; `systemctl list-unit-files` lists those of this host".to_owned(),
        names => format!("; the nearest names are {}", names.join(", ")),
    }
}

fn shown_writers(writers: &[Writer]) -> String {
    let shown: Vec<String> = writers.iter().map(Writer::to_string).collect();
    shown.join(", ")
}

impl std::fmt::Display for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let command = vss_model::Sanitized::text(&self.command);
        write!(f, "process {} ({command}", self.pid)?;
        if let Some(unit) = &self.unit {
            write!(f, " of {}", vss_model::Sanitized::text(unit))?;
        }
        write!(f, ")")
    }
}
