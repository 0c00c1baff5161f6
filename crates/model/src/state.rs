//! States, with questions on them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a sandbox, seen from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SandboxState {
    /// Not running.
    Stopped,
    /// Not running, because its last start failed or it came to a bad end.
    Failed,
    /// Its domain runs, its service is not yet active.
    Starting,
    /// Its service is active.
    Running,
    /// Its domain runs, its service failed or ended.
    Degraded,
    /// Its domain is on the way down, or gone, and its runner is not yet done with it.
    Stopping,
    /// A change of it was cut short; the next command on it finishes or undoes that.
    Incomplete,
    /// Its config can't be read.
    Broken,
}

impl SandboxState {
    /// Whether a libvirt domain exists.
    #[must_use]
    pub fn has_domain(self) -> bool {
        matches!(
            self,
            Self::Starting | Self::Running | Self::Degraded | Self::Stopping
        )
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Degraded => "degraded",
            Self::Stopping => "stopping",
            Self::Incomplete => "incomplete",
            Self::Broken => "broken",
        }
    }
}

impl fmt::Display for SandboxState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The state of a unit inside a container (`ActiveState` of org.freedesktop.systemd1(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InnerState {
    /// Up.
    Active,
    /// Up, reading its configuration anew.
    Reloading,
    /// Down.
    Inactive,
    /// Down after a failure.
    Failed,
    /// On the way up.
    Activating,
    /// On the way down.
    Deactivating,
    /// Anything else that a later systemd may say.
    Unknown,
}

impl InnerState {
    /// Reads systemd's word.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "active" => Self::Active,
            "reloading" | "refreshing" => Self::Reloading,
            "inactive" => Self::Inactive,
            "failed" => Self::Failed,
            "activating" => Self::Activating,
            "deactivating" => Self::Deactivating,
            _ => Self::Unknown,
        }
    }

    /// Whether the service does its work.
    #[must_use]
    pub fn is_up(self) -> bool {
        matches!(self, Self::Active | Self::Reloading)
    }

    /// systemd's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Reloading => "reloading",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for InnerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
