//! What can go wrong on the host's side.

use std::io;
use std::path::PathBuf;

use vss_config::Claim;
use vss_libvirt::{NetworkError, OpenError, StartError};
use vss_model::{SandboxName, Sanitized, Uuid};
use vss_runner::handover::Misunderstood;
use vss_unit::ManagerError;

/// Why a verb was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Handover(#[from] Misunderstood),
    #[error(transparent)]
    Store(#[from] vss_config::Error),
    #[error("{0} is being run already")]
    RunAlready(SandboxName),
    #[error("{0} is not running")]
    NotRunning(SandboxName),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Libvirt(#[from] vss_libvirt::Error),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Start(StartError),
    #[error("{name} can't be connected to the network {network}")]
    Connect {
        name: SandboxName,
        network: String,
        source: vss_link::Error,
    },
    #[error("the first process of {name} gave up: {said}")]
    GaveUp { name: SandboxName, said: String },
    #[error("{name} is not started: its config says {by}, and {reason}")]
    NotConfined {
        name: SandboxName,
        by: &'static str,
        reason: String,
    },
    #[error("{} belongs to user {found}, and its config has {wanted} for root inside", .path.display())]
    Owner {
        path: PathBuf,
        found: u32,
        wanted: u32,
    },
    #[error("{} has the label {found}, and its config has {wanted}", .path.display())]
    ContentLabel {
        path: PathBuf,
        found: String,
        wanted: String,
    },
    #[error("{name} is not started: its {} is not finished", Sanitized::text(.verb))]
    Unfinished { verb: String, name: SandboxName },
    #[error("{name} is not started: its content {} is not there", .path.display())]
    NoContent { path: PathBuf, name: SandboxName },
    #[error("{name} is not started: {} is {}", .path.display(), whose(.owner.as_ref(), *.marked))]
    NotOwn {
        path: PathBuf,
        name: SandboxName,
        uuid: Uuid,
        /// Whether it is marked as some sandbox's.
        marked: bool,
        /// Whose it is, where there is such a sandbox.
        owner: Option<SandboxName>,
    },
    #[error("{} has the {}, which is reserved for sandbox {}", .config.display(), .claim.what, .claim.owner)]
    Claimed { config: PathBuf, claim: Claim },
    #[error(transparent)]
    Tree(#[from] vss_tree::Error),
    #[error("{} is a link, and nothing is mounted through one", .0.display())]
    Link(PathBuf),
    #[error(transparent)]
    Enter(#[from] vss_enter::Error),
    #[error("can't ask the systemd inside {name}")]
    Inside {
        name: SandboxName,
        source: ManagerError,
    },
    #[error("the running container {name} has the label {found:?} instead of {wanted}")]
    Label {
        name: SandboxName,
        found: String,
        wanted: String,
    },
    #[error("{name}: {unit} was not reloaded: {result}")]
    Reload {
        name: SandboxName,
        unit: String,
        result: String,
    },
    #[error("{0}: nothing in it can be reloaded")]
    NothingToReload(SandboxName),
    #[error("{name} did not stop within {seconds} s")]
    StillThere { name: SandboxName, seconds: u64 },
    #[error("can't {what}")]
    Io { what: String, source: io::Error },
}

fn whose(owner: Option<&SandboxName>, marked: bool) -> String {
    match owner {
        Some(owner) => format!("the content of sandbox {owner}"),
        None if marked => "the content of another sandbox".to_owned(),
        None => "no sandbox's content".to_owned(),
    }
}

impl Error {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Open(error) => error.hint(),
            Self::Network(error) => error.hint(),
            Self::Start(error) => error.hint(),
            Self::RunAlready(name) => Some(format!("see `virt-sandbox-service status {name}`")),
            Self::NotConfined { name, by, .. } if *by == "selinux" => Some(format!(
                "`setenforce 1` and `make install-policy`, or create {name} anew with another --confinement"
            )),
            Self::NotConfined { name, by, .. } if *by == "private-users" => {
                Some(format!("create {name} anew with --confinement reduced"))
            }
            Self::NotConfined { name, .. } => {
                Some(format!("`make install-policy`, or create {name} anew"))
            }
            Self::Owner { .. } => Some(
                "put back what the config had for private-users, or create the container anew"
                    .to_owned(),
            ),
            Self::ContentLabel { path, wanted, .. } => {
                Some(format!("`chcon -R -h {wanted} {}`", path.display()))
            }
            Self::NotOwn {
                path,
                name,
                uuid,
                marked: false,
                ..
            } => Some(format!(
                "put back what the config had for path; if {} is the content of {name}, as after a backup without extended attributes was put back: `setfattr -n trusted.virt-sandbox.uuid -v {uuid} {}`",
                path.display(),
                path.display()
            )),
            Self::NotOwn { name, .. } => Some(format!(
                "put back what the config had for path, or create {name} anew"
            )),
            Self::Unfinished { name, .. } => Some(format!(
                "`virt-sandbox-service start {name}` cleans up first, or says what is in the way"
            )),
            Self::NoContent { name, .. } => Some(format!(
                "put it back, or `virt-sandbox-service delete {name}`"
            )),
            Self::Claimed { config, .. } => {
                Some(format!("put back what {} had there", config.display()))
            }
            Self::Connect { name, network, .. } => Some(format!(
                "see `virsh -c lxc:///system net-info {network}`, and `virt-sandbox-service start {name}` again"
            )),
            Self::Link(path) => Some(format!(
                "look at {}, and put back what belongs there",
                path.display()
            )),
            _ => None,
        }
    }

    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Handover(_) => 2,
            _ => 1,
        }
    }
}

/// For `map_err`: what was being done, on what.
pub(crate) fn io<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Error {
    move |error| Error::Io {
        what: what.into(),
        source: error.into(),
    }
}

/// For `map_err`: the same on a path.
pub(crate) fn at<E: Into<io::Error>>(
    verb: &str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(E) -> Error {
    let what = format!("{verb} {}", path.into().display());
    io(what)
}

/// Whether reading in `/proc` failed as the process has ended.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
