//! What the runner of a sandbox tells the rest of the world while it runs, and after it failed.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vss_model::{Confinement, IdRange, SandboxConfig, SandboxName, SecurityContext};

use crate::durable;
use crate::error::{Context, Error};
use crate::store::{PRIVATE, Store};
use crate::{Result, directories};

const LIMIT: u64 = 1024 * 1024;

const STATE: &str = "state";
const FAILURE: &str = "failure";

/// How far a start is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The domain runs, the service is not yet active.
    Starting,
    /// The service was reported active.
    Ready,
    /// A stop is under way.
    Stopping,
}

/// What is known of a running sandbox. Process ids count only together with the start times of the
/// processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeState {
    /// The sandbox's UUID.
    pub uuid: Uuid,
    /// PID 1 of the container, as the host counts.
    pub init_pid: u32,
    /// When it started, in clock ticks since boot (`starttime` of proc_pid_stat(5)).
    pub init_start: u64,
    /// libvirt's controller of the domain (`libvirt_lxc`).
    pub controller_pid: u32,
    /// The runner, or what it became.
    pub waiter_pid: u32,
    /// When that started, in clock ticks since boot.
    pub waiter_start: u64,
    /// When the sandbox was started, in seconds since 1970.
    pub started: u64,
    /// How far the start is.
    pub phase: Phase,
    /// What it was started with; `None` where that is not known, as of one that an earlier version
    /// started.
    #[serde(default)]
    pub confined: Option<Confined>,
}

/// What confines a sandbox. That of a running one is what its config said when it was started: the
/// config may have been edited since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confined {
    /// What holds root inside.
    pub confinement: Confinement,
    /// The users of the host that are those inside; `None` where they are the host's own.
    pub private_users: Option<IdRange>,
    /// The context of its processes, where SELinux is on.
    pub label: SecurityContext,
}

impl Confined {
    /// What a start now would confine it with.
    #[must_use]
    pub fn of(config: &SandboxConfig) -> Self {
        Self {
            confinement: config.confinement,
            private_users: config.private_users,
            label: config.label.clone(),
        }
    }
}

impl RuntimeState {
    /// What confines the running sandbox; where that is not known, what its config says.
    #[must_use]
    pub fn confined(&self, config: &SandboxConfig) -> Confined {
        let known = self.confined.clone();
        known.unwrap_or_else(|| Confined::of(config))
    }
}

/// Why the last start failed, or the sandbox ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// In one line.
    pub message: String,
    /// The last lines of the log, oldest first, as they came out of the container: to be sanitised
    /// before they are shown.
    pub log: Vec<String>,
    /// What to do about it.
    #[serde(default)]
    pub hint: Option<String>,
    /// Whether it did not stop in time and was killed.
    #[serde(default)]
    pub killed: bool,
}

impl Store {
    /// Makes the directory of what the runner of a sandbox keeps, 0700.
    ///
    /// # Errors
    /// Where it can't be made.
    pub fn make_runtime(&self, name: &SandboxName) -> Result<()> {
        directories::make(&self.places().runtime(name), PRIVATE)
    }

    /// What is known of a running sandbox; `None` where no runner has said anything.
    ///
    /// # Errors
    /// Where the file can't be read.
    pub fn state(&self, name: &SandboxName) -> Result<Option<RuntimeState>> {
        self.read_runtime(name, STATE)
    }

    /// Says what is known of a running sandbox.
    ///
    /// # Errors
    /// Where the file can't be written.
    pub fn save_state(&self, name: &SandboxName, state: &RuntimeState) -> Result<()> {
        self.write_runtime(name, STATE, state)
    }

    /// Why the last start failed or the sandbox ended; `None` where it didn't.
    ///
    /// # Errors
    /// Where the file can't be read.
    pub fn failure(&self, name: &SandboxName) -> Result<Option<Failure>> {
        self.read_runtime(name, FAILURE)
    }

    /// Says why a start failed or the sandbox ended.
    ///
    /// # Errors
    /// Where the file can't be written.
    pub fn save_failure(&self, name: &SandboxName, failure: &Failure) -> Result<()> {
        self.write_runtime(name, FAILURE, failure)
    }

    /// Forgets the running state; a failure stays to be read.
    ///
    /// # Errors
    /// Where the file can't be removed.
    pub fn clear_state(&self, name: &SandboxName) -> Result<()> {
        durable::remove(&self.places().runtime(name).join(STATE)).map(|_| ())
    }

    /// Forgets a failure: the next start begins.
    ///
    /// # Errors
    /// Where the file can't be removed.
    pub fn clear_failure(&self, name: &SandboxName) -> Result<()> {
        durable::remove(&self.places().runtime(name).join(FAILURE)).map(|_| ())
    }

    /// Forgets state and failure with what a crash left of them, and removes the directory if
    /// nothing else is in it. For whoever holds the run lock.
    ///
    /// # Errors
    /// Where something can't be removed.
    pub fn clear_runtime(&self, name: &SandboxName) -> Result<()> {
        self.clear_state(name)?;
        self.clear_failure(name)?;
        let runtime = self.places().runtime(name);
        for file in [STATE, FAILURE] {
            durable::remove_attempts(&runtime.join(file))?;
        }
        durable::remove_empty(&runtime).map(|_| ())
    }

    fn read_runtime<T: DeserializeOwned>(
        &self,
        name: &SandboxName,
        file: &str,
    ) -> Result<Option<T>> {
        let path = self.places().runtime(name).join(file);
        let Some(bytes) = durable::read(&path, LIMIT)? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Error::Damaged {
                path,
                line: error.line(),
                why: error.to_string(),
            })
    }

    fn write_runtime(&self, name: &SandboxName, file: &str, what: &impl Serialize) -> Result<()> {
        self.make_runtime(name)?;
        let path = self.places().runtime(name).join(file);
        let bytes = serde_json::to_vec(what)
            .map_err(std::io::Error::from)
            .context("write", &path)?;
        // a command that stops it has no lock of its runner's
        durable::replace_unlocked(&path, &bytes)
    }
}
