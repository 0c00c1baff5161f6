//! What can go wrong, of which kind it is, and what to run next.

use std::io;

use vss_model::{AbsPath, SandboxName, UnitName, Uuid};

use crate::hostkey::HostKeyError;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the command makes of an error: its exit status and wording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was asked for makes no sense: exit status 2.
    Usage,
    /// What was asked for is in the way of something that is there: exit status 1.
    Conflict,
    /// What was named does not exist: exit status 1.
    NotFound,
    /// The service inside failed: exit status 1.
    Service,
    /// The host could not do it: exit status 1.
    System,
    /// A signal ended it: exit status 128 and its number.
    Cancelled,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A signal asked a step to stop.
    #[error("interrupted")]
    Cancelled,
    /// A signal asked a create to stop; what it had done is undone.
    #[error("interrupted, nothing is left behind")]
    Undone,
    /// A signal asked a verb to stop that undoes nothing.
    #[error("interrupted before {what}")]
    Interrupted {
        /// The sandbox.
        name: SandboxName,
        /// What had not come about, and what may have.
        what: String,
    },
    /// No trace of the sandbox exists.
    #[error("there is no sandbox {name}")]
    NoSandbox {
        /// What was named.
        name: SandboxName,
        /// Names that are close to it.
        near: Vec<SandboxName>,
    },
    /// A sandbox of that name, or a trace of one, exists.
    #[error("the name {name} is taken: {by}")]
    NameTaken {
        /// The name.
        name: SandboxName,
        /// What is there.
        by: String,
    },
    /// Something of no sandbox stands where one of that name would have its files.
    #[error("the name {name} is taken: {path} is there, and this program did not make it")]
    PathTaken {
        /// The name.
        name: SandboxName,
        /// What is there.
        path: AbsPath,
    },
    /// libvirt has a domain of that name, and no sandbox has it.
    #[error("libvirt has a domain of the name {name} already, with the UUID {uuid}")]
    DomainTaken {
        /// The name.
        name: SandboxName,
        /// The domain's UUID.
        uuid: Uuid,
    },
    /// Of a sandbox nothing but its content is left, as `delete --keep-content` leaves it.
    #[error("of sandbox {name} only {path} is left, which was kept")]
    OnlyContent {
        /// The sandbox.
        name: SandboxName,
        /// Its content.
        path: AbsPath,
    },
    /// Something that is not ours stands where a part of the sandbox would go, or where one was.
    #[error("{path} is there and does not belong to sandbox {name}")]
    Foreign {
        /// The sandbox.
        name: SandboxName,
        /// What is in the way.
        path: AbsPath,
    },
    /// A create or delete is at work on the sandbox, or was cut short and could not be cleaned up.
    #[error("the {verb} of sandbox {name} is {}", if *.under_way { "under way" } else { "not finished" })]
    Unfinished {
        /// The sandbox.
        name: SandboxName,
        /// Which.
        verb: &'static str,
        /// Whether a command is at work on it now.
        under_way: bool,
    },
    /// The sandbox runs, and the verb is not for running ones.
    #[error("sandbox {0} is running")]
    Running(SandboxName),
    /// The sandbox does not run, and the verb needs it to.
    #[error("sandbox {0} is not running")]
    NotRunning(SandboxName),
    /// The service inside did not come up.
    #[error("sandbox {name} did not start: {message}")]
    StartFailed {
        /// The sandbox.
        name: SandboxName,
        /// What the runner says: the inner result, sanitised.
        message: String,
        /// The last lines of the log inside, sanitised, oldest first.
        log: Vec<String>,
        /// What the runner says to do about it, sanitised.
        hint: Option<String>,
    },
    /// The service inside did not go down.
    #[error("sandbox {name} did not stop: {message}")]
    StopFailed {
        /// The sandbox.
        name: SandboxName,
        /// Why.
        message: String,
    },
    /// `--enable` where no systemd runs.
    #[error("{unit} can't be enabled: systemd does not run on this host")]
    NoSystemd {
        /// The host unit.
        unit: UnitName,
    },
    /// This process may not open as many files as a create takes.
    #[error("the limit of open files is {limit}, and create needs {needed}")]
    FewFiles {
        /// What it may.
        limit: u64,
        /// What it has to.
        needed: u64,
    },
    /// The plan was made anew time and again, and others were faster each time.
    #[error("label and address of {0} were taken by others each time they were to be reserved")]
    Contended(SandboxName),
    /// A file has names outside the container's tree.
    #[error("{0} has names outside the container's tree, so it is not labelled")]
    LinkedOutside(AbsPath),
    /// A host key can't be made.
    #[error("can't make the host key {path}")]
    HostKey {
        /// Where it would be, inside.
        path: AbsPath,
        /// Why.
        #[source]
        source: HostKeyError,
    },
    /// The content is moved away, or removed.
    #[error("the content {path} of sandbox {name} is not there")]
    NoContent {
        /// The sandbox.
        name: SandboxName,
        /// Where its config says that it is.
        path: AbsPath,
    },
    /// The file of the host unit is moved away, or removed. Without it systemd may take the name for an
    /// instance of the package's own template, and run the service on the host.
    #[error("the host unit {path} of sandbox {name} is not there")]
    NoUnit {
        /// The sandbox.
        name: SandboxName,
        /// Where its file would be.
        path: AbsPath,
    },
    /// The manifest is lost.
    #[error("the manifest of sandbox {0} is lost, so what was decided on its paths is not known")]
    NoManifest(SandboxName),
    /// A journal is of a change that this version doesn't know.
    #[error("the journal of sandbox {name} is of a change {verb:?} that this program doesn't know")]
    UnknownChange {
        /// The sandbox.
        name: SandboxName,
        /// The change.
        verb: String,
    },
    /// A request that doesn't fit the host.
    #[error(transparent)]
    Plan(#[from] vss_plan::PlanError),
    /// A rule file that can't be used.
    #[error(transparent)]
    Rules(#[from] vss_plan::RulesError),
    /// What is stored.
    #[error(transparent)]
    Store(vss_config::Error),
    /// A tree.
    #[error(transparent)]
    Tree(vss_tree::Error),
    /// The package database.
    #[error(transparent)]
    Package(#[from] vss_package::Error),
    /// Unit files.
    #[error(transparent)]
    Unit(#[from] vss_unit::Error),
    /// systemd, the host's or a container's.
    #[error(transparent)]
    Systemd(vss_unit::ManagerError),
    /// SELinux.
    #[error(transparent)]
    Selinux(#[from] vss_selinux::Error),
    /// A connection URI that is not of libvirt's LXC driver.
    #[error(transparent)]
    Uri(#[from] vss_libvirt::UriError),
    /// libvirt can't be reached.
    #[error(transparent)]
    Connection(#[from] vss_libvirt::OpenError),
    /// libvirt.
    #[error(transparent)]
    Libvirt(#[from] vss_libvirt::Error),
    /// A libvirt network.
    #[error(transparent)]
    Network(#[from] vss_libvirt::NetworkError),
    /// A domain that can't be written as XML.
    #[error(transparent)]
    Xml(#[from] vss_libvirt::XmlError),
    /// A container can't be entered.
    #[error(transparent)]
    Enter(#[from] vss_enter::Error),
    /// A file or directory of the host refused.
    #[error("can't {action} {path}")]
    Io {
        /// What was tried: "read", "make".
        action: &'static str,
        /// On what.
        path: AbsPath,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A change failed, and undoing what was done before it failed too.
    #[error("{error}; undoing it failed as well: {undo}")]
    NotUndone {
        /// What failed first.
        #[source]
        error: Box<Error>,
        /// What failed then.
        undo: Box<Error>,
    },
}

impl From<vss_config::Error> for Error {
    fn from(error: vss_config::Error) -> Self {
        match error {
            vss_config::Error::Interrupted { .. } => Self::Cancelled,
            other => Self::Store(other),
        }
    }
}

impl From<vss_unit::ManagerError> for Error {
    fn from(error: vss_unit::ManagerError) -> Self {
        match error {
            vss_unit::ManagerError::Interrupted => Self::Cancelled,
            other => Self::Systemd(other),
        }
    }
}

impl From<vss_tree::Error> for Error {
    fn from(error: vss_tree::Error) -> Self {
        match error {
            vss_tree::Error::Cancelled => Self::Cancelled,
            other => Self::Tree(other),
        }
    }
}

impl Error {
    /// What a verb that undoes nothing makes of a step that was told to stop.
    pub(crate) fn interrupted(self, name: &SandboxName, what: impl FnOnce() -> String) -> Self {
        match self {
            Self::Cancelled => Self::Interrupted {
                name: name.clone(),
                what: what(),
            },
            other => other,
        }
    }

    /// Of which kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Cancelled | Self::Undone | Self::Interrupted { .. } => Kind::Cancelled,
            Self::NoSandbox { .. }
            | Self::NoContent { .. }
            | Self::NoUnit { .. }
            | Self::Store(vss_config::Error::NoSandbox { .. }) => Kind::NotFound,
            Self::NameTaken { .. }
            | Self::PathTaken { .. }
            | Self::DomainTaken { .. }
            | Self::OnlyContent { .. }
            | Self::Foreign { .. }
            | Self::Unfinished { .. }
            | Self::Running(_)
            | Self::NotRunning(_)
            | Self::Contended(_)
            | Self::Store(vss_config::Error::NotOurs { .. }) => Kind::Conflict,
            Self::StartFailed { .. } | Self::StopFailed { .. } => Kind::Service,
            Self::NoSystemd { .. } | Self::Uri(_) => Kind::Usage,
            Self::Plan(error) => kind_of_plan(error),
            Self::NotUndone { error, .. } => error.kind(),
            _ => Kind::System,
        }
    }

    /// What to run next, as one line; `None` where there is nothing to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoSandbox { near, .. } => match near.first() {
                Some(near) => format!("did you mean {near}? `virt-sandbox-service list` shows all"),
                None => "`virt-sandbox-service list` shows all".to_owned(),
            },
            Self::NameTaken { name, .. } => {
                format!("choose another name, or `virt-sandbox-service delete {name}` first")
            }
            Self::PathTaken { path, .. } => format!("move {path} away, or choose another name"),
            Self::DomainTaken { name, .. } => format!(
                "see `virsh -c lxc:///system dominfo {name}`; rename or remove that domain, or \
                 choose another name"
            ),
            Self::OnlyContent { name, path } => format!(
                "move {path} away to use the name again, \
                 or `virt-sandbox-service delete --force {name}` to lose it for good"
            ),
            Self::Foreign { path, .. } => {
                format!("look at {path}, and move it away if it is not needed")
            }
            Self::Unfinished {
                under_way: true, ..
            } => "`virt-sandbox-service list` shows when it is done".to_owned(),
            Self::Unfinished { name, .. } => {
                format!("`virt-sandbox-service delete --force {name}` removes what is left of it")
            }
            Self::Running(name) => format!(
                "`virt-sandbox-service stop {name}` first, or `virt-sandbox-service delete --force {name}`"
            ),
            Self::NotRunning(name) => format!("`virt-sandbox-service start {name}`"),
            Self::StartFailed { log, .. } if lacks_inotify(log) => {
                "each container's systemd needs 3 inotify instances, and root has no more: \
                 `sysctl fs.inotify.max_user_instances` tells how many there are, \
                 `sysctl -w fs.inotify.max_user_instances=8192` gives more"
                    .to_owned()
            }
            Self::StartFailed {
                hint: Some(hint), ..
            } => hint.clone(),
            Self::StartFailed { name, .. } => format!(
                "`virt-sandbox-service status {name}` tells where its files are, configuration and \
                 logs among them"
            ),
            Self::Interrupted { name, .. } => {
                format!("`virt-sandbox-service status {name}` shows how it is now")
            }
            Self::StopFailed { name, .. } => {
                format!("`virt-sandbox-service status {name}` shows what is left of it")
            }
            Self::Plan(vss_plan::PlanError::NoConfinement { .. }) => {
                use vss_model::Confinement::{None, Reduced};
                format!(
                    "reduced ({}), none ({})",
                    Reduced.summary(false),
                    None.summary(false)
                )
            }
            Self::FewFiles { needed, .. } => {
                format!("`ulimit -n {needed}` raises it in this shell")
            }
            Self::NoSystemd { .. } => "leave --enable away".to_owned(),
            Self::Contended(_) => "run the same command again".to_owned(),
            Self::NoContent { name, .. } | Self::NoUnit { name, .. } => {
                format!("put it back, or `virt-sandbox-service delete {name}`")
            }
            Self::NoManifest(name) => {
                format!("`virt-sandbox-service inspect {name}` shows what is stored")
            }
            Self::NotUndone { .. } => {
                "the next create, start or delete tries again to clean up".to_owned()
            }
            Self::Store(vss_config::Error::Config(problem)) => correct(&problem.path)?,
            Self::Connection(error) => return error.hint(),
            Self::Network(error) => return error.hint(),
            Self::Package(error) => return error.hint(),
            _ => return None,
        })
    }

    /// The error and what caused it, in one line, for where there is no room for more.
    #[must_use]
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// What to do about a config that can't be understood, beside what it says itself; `None` where its
/// name is none of a sandbox. Without `--force` a config stays that has lost its UUID too.
fn correct(config: &std::path::Path) -> Option<String> {
    let name: SandboxName = config.file_stem()?.to_str()?.parse().ok()?;
    Some(format!(
        "mend the file, or, to lose the sandbox with its data, \
         `virt-sandbox-service delete --force {name}`"
    ))
}

fn kind_of_plan(error: &vss_plan::PlanError) -> Kind {
    use vss_plan::PlanError;
    use vss_plan::allocator::LabelError;
    match error {
        PlanError::NoUnit
        | PlanError::UnsuitableUnit { .. }
        | PlanError::HostUnitName { .. }
        | PlanError::Contradiction { .. } => Kind::Usage,
        // wrong whatever the host has; one that is in use is not
        PlanError::Label(
            LabelError::Sensitivity(_)
            | LabelError::Range(_)
            | LabelError::NoCategory(_)
            | LabelError::TooWide { .. },
        ) => Kind::Usage,
        PlanError::UnknownUnit { .. }
        | PlanError::GeneratedUnit { .. }
        | PlanError::UnknownNetwork(_)
        | PlanError::NoSuchPath { .. } => Kind::NotFound,
        PlanError::HostUnitTaken { .. }
        | PlanError::LiveData { .. }
        | PlanError::Label(_)
        | PlanError::Users(_) => Kind::Conflict,
        _ => Kind::System,
    }
}

/// Names the path in an error of the system.
pub(crate) trait IoContext<T> {
    /// `action` is a verb: "can't ACTION PATH".
    fn at(self, action: &'static str, path: &std::path::Path) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &std::path::Path) -> Result<T> {
        self.map_err(|source| Error::Io {
            action,
            path: AbsPath::new(path).unwrap_or_else(|_| AbsPath::root()),
            source,
        })
    }
}

/// Whether a start failed as the kernel gives root no more inotify instances, in systemd's words.
fn lacks_inotify(log: &[String]) -> bool {
    log.iter()
        .any(|line| line.contains("inotify") && line.contains("Too many open files"))
}
