//! The verbs that the project needs of a service manager, in its own terms.

use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use vss_model::{InnerState, Sanitized, UnitName};

/// The result of asking a service manager.
pub type ManagerResult<T> = std::result::Result<T, ManagerError>;

/// Why a service manager did not do what it was asked.
///
/// Texts that came from the manager are bounded in length and shown with control characters made
/// visible: the manager may be a container's.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// There is no manager to talk to, or it hung up.
    #[error("no connection to systemd")]
    Connection {
        /// Why.
        #[source]
        source: zbus::Error,
    },
    /// It did not answer in time.
    #[error("systemd did not answer in time ({call})")]
    TimedOut {
        /// What it was asked.
        call: &'static str,
    },
    /// Whoever waited for a job was told to wait no longer.
    #[error("interrupted while systemd was at it")]
    Interrupted,
    /// It answered with an error.
    #[error("systemd refused {call}: {}", Sanitized::text(message))]
    Refused {
        /// What it was asked.
        call: String,
        /// The name of the error, `org.freedesktop.systemd1.NoSuchUnit`.
        name: String,
        /// Its text.
        message: String,
    },
    /// It answered with something else than systemd does.
    #[error("systemd's answer is none: {what}")]
    Malformed {
        /// What was expected and is missing or of another type.
        what: &'static str,
    },
}

impl ManagerError {
    /// Whether the manager says that there is no such unit.
    #[must_use]
    pub fn is_no_such_unit(&self) -> bool {
        matches!(self, Self::Refused { name, .. } if name == "org.freedesktop.systemd1.NoSuchUnit")
    }
}

/// How a job ended (`JobRemoved` of org.freedesktop.systemd1(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobResult {
    /// As asked.
    Done,
    /// Another job replaced it.
    Canceled,
    /// It took too long.
    Timeout,
    /// The unit failed.
    Failed,
    /// A unit that it needs failed.
    Dependency,
    /// There was nothing to do, as a condition of the unit is not met.
    Skipped,
    /// Anything else: `invalid`, `unsupported`, `collected`, …
    Other(String),
}

impl JobResult {
    /// Reads systemd's word.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "done" => Self::Done,
            "canceled" => Self::Canceled,
            "timeout" => Self::Timeout,
            "failed" => Self::Failed,
            "dependency" => Self::Dependency,
            "skipped" => Self::Skipped,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Whether it ended as asked.
    #[must_use]
    pub fn is_done(&self) -> bool {
        *self == Self::Done
    }
}

impl fmt::Display for JobResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Canceled => f.write_str("canceled"),
            Self::Timeout => f.write_str("timeout"),
            Self::Failed => f.write_str("failed"),
            Self::Dependency => f.write_str("dependency"),
            Self::Skipped => f.write_str("skipped"),
            Self::Other(word) => Sanitized::text(word).fmt(f),
        }
    }
}

/// The state of a unit. Its texts come from the manager: sanitise them before showing them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitStatus {
    /// `loaded`, `not-found`, `masked`, `error`, `bad-setting`.
    pub load: String,
    /// The state.
    pub active: InnerState,
    /// The state in words of the unit's type: `running`, `exited`, `dead`.
    pub sub: String,
    /// How the last run ended: `success`, `exit-code`, `signal`, `timeout`, …; empty for units
    /// that are no services.
    pub result: String,
    /// The exit status of the main process, or the signal that ended it.
    pub exec_main_status: i32,
    /// How the main process ended (`CLD_EXITED` is 1, `CLD_KILLED` 2, `CLD_DUMPED` 3); 0 while it
    /// runs.
    pub exec_main_code: i32,
    /// What the service says of itself; empty where it says nothing.
    pub status_text: String,
    /// Since when it is in this state.
    pub since: Option<SystemTime>,
    /// Whether the conditions and assertions were met when it was last to be started. True before.
    pub condition_met: bool,
    /// The conditions and assertions that were not met, as they would stand in the file:
    /// `ConditionPathExists=!/etc/x`.
    pub failed_conditions: Vec<String>,
    /// Whether it ever was anything but inactive.
    pub has_run: bool,
    /// Whether a job is waiting or running for it.
    pub job_pending: bool,
    /// The main process, in the manager's process namespace; 0 where there is none.
    pub main_pid: u32,
    /// The paths of its drop-ins.
    pub drop_ins: Vec<String>,
    /// The path of its file; empty where it has none.
    pub fragment: String,
    /// Whether its work is done once its command has ended (`Type=oneshot`).
    pub oneshot: bool,
    /// The services and sockets that it wants or requires, the first few by name.
    pub wanted: Vec<UnitName>,
}

impl UnitStatus {
    /// Whether the manager has a unit of this name.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.load != "not-found"
    }

    /// The units that do its work: those that it wants where it is up without a process, as Debian's
    /// `postgresql.service` is for the clusters.
    #[must_use]
    pub fn stands_for(&self) -> &[UnitName] {
        if self.active == InnerState::Active && self.sub == "exited" {
            &self.wanted
        } else {
            &[]
        }
    }
}

/// A systemd: the host's, or a container's. Every call blocks until it is answered, and those that
/// start a job until the job has ended.
pub trait ServiceManager {
    /// Has it read its unit files anew.
    ///
    /// # Errors
    /// Where it can't be reached, refuses or does not answer in time; so for all verbs.
    fn reload(&self) -> ManagerResult<()>;

    /// Starts a unit. Asked now and then, `interrupted` may end it: the unit is stopped again then,
    /// and that is not waited for.
    ///
    /// # Errors
    /// As [`ServiceManager::reload`], and [`ManagerError::Interrupted`]. A job that fails is no error
    /// but a [`JobResult`].
    fn start(&self, unit: &UnitName, interrupted: &dyn Fn() -> bool) -> ManagerResult<JobResult>;

    /// Stops a unit. Asked now and then, `interrupted` may end the waiting; the job goes on.
    ///
    /// # Errors
    /// As [`ServiceManager::start`].
    fn stop(&self, unit: &UnitName, interrupted: &dyn Fn() -> bool) -> ManagerResult<JobResult>;

    /// Restarts a unit, or starts it.
    ///
    /// # Errors
    /// As [`ServiceManager::start`].
    fn restart(&self, unit: &UnitName) -> ManagerResult<JobResult>;

    /// Has a unit read its configuration anew.
    ///
    /// # Errors
    /// As [`ServiceManager::start`].
    fn reload_unit(&self, unit: &UnitName) -> ManagerResult<JobResult>;

    /// Makes a unit start at boot, as its `[Install]` section says.
    ///
    /// # Errors
    /// As [`ServiceManager::reload`].
    fn enable(&self, unit: &UnitName) -> ManagerResult<()>;

    /// Takes back what [`ServiceManager::enable`] did.
    ///
    /// # Errors
    /// As [`ServiceManager::reload`].
    fn disable(&self, unit: &UnitName) -> ManagerResult<()>;

    /// Forgets that a unit failed, and how often it was started.
    ///
    /// # Errors
    /// As [`ServiceManager::reload`].
    fn reset_failed(&self, unit: &UnitName) -> ManagerResult<()>;

    /// The state of a unit; one that does not exist has a state too.
    ///
    /// # Errors
    /// As [`ServiceManager::reload`].
    fn status(&self, unit: &UnitName) -> ManagerResult<UnitStatus>;
}

/// Whether systemd is PID 1 of the host whose root directory is `root` (sd_booted(3)).
#[must_use]
pub fn is_booted(root: &Path) -> bool {
    root.join("run/systemd/system")
        .symlink_metadata()
        .is_ok_and(|metadata| metadata.is_dir())
}
