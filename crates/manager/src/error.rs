//! What can go wrong, of which kind it is, and what to run next.

use std::io;

use vss_model::{AbsPath, SandboxName, UnitName};

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
    /// A signal ended it, all is undone: exit status 130.
    Cancelled,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A signal asked the verb to stop; what it had done is undone.
    #[error("interrupted, nothing is left behind")]
    Cancelled,
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
    /// Something that is not ours stands where a part of the sandbox would go, or where one was.
    #[error("{path} is there and does not belong to sandbox {name}")]
    Foreign {
        /// The sandbox.
        name: SandboxName,
        /// What is in the way.
        path: AbsPath,
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

impl Error {
    /// Of which kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Cancelled => Kind::Cancelled,
            Self::NoSandbox { .. } => Kind::NotFound,
            Self::NameTaken { .. } | Self::Foreign { .. } => Kind::Conflict,
            Self::Running(_) | Self::NotRunning(_) => Kind::Conflict,
            Self::StartFailed { .. } | Self::StopFailed { .. } => Kind::Service,
            Self::NoSystemd { .. } => Kind::Usage,
            Self::Io { .. } => Kind::System,
            Self::NotUndone { error, .. } => error.kind(),
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
            Self::NameTaken { name, .. } => format!(
                "choose another name, or remove it with `virt-sandbox-service delete {name}`"
            ),
            Self::Foreign { path, .. } => {
                format!("look at {path}, and move it away if it is not needed")
            }
            Self::Running(name) => format!("`virt-sandbox-service stop {name}` first, or --force"),
            Self::NotRunning(name) => format!("`virt-sandbox-service start {name}`"),
            Self::StartFailed { name, .. } | Self::StopFailed { name, .. } => {
                format!("`virt-sandbox-service status {name}` shows what is left of it")
            }
            Self::NoSystemd { .. } => "leave --enable away".to_owned(),
            Self::NotUndone { .. } => {
                "the next command tries again to clean up; `virt-sandbox-service list` shows what is left".to_owned()
            }
            Self::Cancelled | Self::Io { .. } => return None,
        })
    }
}
