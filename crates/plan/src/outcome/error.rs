//! Why there is no plan.

use super::finish;
use crate::allocator::LabelError;
use crate::facts::{Query, Writer};
use crate::id_ranges::RangeError;
use vss_model::{AbsPath, PackageName, SandboxName, Sanitized, UnitName};

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
